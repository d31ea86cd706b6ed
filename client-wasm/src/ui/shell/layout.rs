//! What stands around every page: places to go, the bar above, the column beside.

use engine::api::Connection;
use web_sys::MouseEvent;
use yew::prelude::*;

use super::connection_status::status_chip;
use super::notices::notices;
use crate::ui::kit;
use crate::ui::kit::avatar::avatar;
use crate::ui::kit::icons::{icon, mark};
use crate::ui::route::Route;
use crate::ui::state::{Action, Dialog, Scene, use_scene};
use crate::ui::{dom, strings};

/// The places, as a bar, a rail or a list.
pub fn nav(scene: &Scene) -> Html {
    let place = |to: Route, name: &'static str, label: &'static str, testid: &'static str| {
        let here = scene.visit.route == to;
        let badge = to == Route::Activity && scene.session.activity && !here;
        html! {
            <li key={testid} class={(to == Route::Network).then_some("nav__place--wide")}>
                <a
                    href={to.path()}
                    class="nav__item"
                    data-testid={testid}
                    aria-current={here.then_some("page")}
                    aria-label={badge.then_some(strings::ACTIVITY_NEW)}
                >
                    { icon(name) }
                    <span class="nav__label">{ label }</span>
                    if badge {
                        <span class="nav__badge" />
                    }
                </a>
            </li>
        }
    };
    let post = {
        let ui = scene.ui.clone();
        Callback::from(move |_: MouseEvent| ui.session.dispatch(Action::Open(Dialog::Compose)))
    };
    html! {
        <nav class="nav" aria-label={strings::NAVIGATION}>
            <a href={Route::Home.path()} class="nav__brand" aria-label={strings::APP}>
                { mark("28") }
                <span class="nav__brand-name">{ strings::APP }</span>
            </a>
            <ul class="nav__list">
                { place(Route::Home, "home", strings::HOME, "nav-home") }
                { place(Route::Explore, "explore", strings::EXPLORE, "nav-explore") }
                <li key="post" class="nav__post-place">
                    <button type="button" class="nav__item nav__item--post" data-testid="nav-post" onclick={post}>
                        <span class="nav__post">{ icon("post") }</span>
                        <span class="nav__label">{ strings::POST }</span>
                    </button>
                </li>
                { place(Route::Activity, "activity", strings::ACTIVITY, "nav-activity") }
                { place(Route::Network, "network", strings::NETWORK, "nav-network") }
                { place(Route::You, "you", strings::YOU, "nav-you") }
            </ul>
        </nav>
    }
}

/// A page: its bar, the notices, and what it shows.
#[derive(Properties, PartialEq)]
pub struct PageProps {
    /// Its title.
    pub title: AttrValue,
    /// Whether one came here from somewhere and may go back.
    #[prop_or_default]
    pub back: bool,
    /// What it shows.
    pub children: Html,
}

/// See [`PageProps`].
#[component]
pub fn Page(props: &PageProps) -> Html {
    let scene = use_scene();
    let heading = use_node_ref();
    // A new page: its title goes to the tab and the focus to its heading, so that a screen reader reads it. Not on the
    // very first, where the browser itself does so, nor over an open dialog.
    {
        let heading = heading.clone();
        use_effect_with(
            (scene.visit.number, props.title.clone()),
            move |(number, title)| {
                dom::document().set_title(&format!("{title} · {}", strings::APP));
                if let (true, Some(heading)) = (*number > 0, heading.cast::<web_sys::HtmlElement>())
                    && dom::find("dialog[open]").is_none()
                {
                    dom::focus_quietly(&heading);
                }
            },
        );
    }
    let back = {
        let nav = scene.ui.nav.clone();
        Callback::from(move |_: MouseEvent| nav.back())
    };
    html! {
        <>
            <header class="topbar">
                if props.back {
                    { kit::icon_button("btn btn--quiet btn--icon topbar__back", "back", strings::BACK, back) }
                }
                <h1 ref={heading} class="topbar__title" tabindex="-1">{ props.title.clone() }</h1>
                { status_chip(&scene.session.status) }
            </header>
            { notices(&scene) }
            { props.children.clone() }
        </>
    }
}

/// The column beside the page on a wide screen: oneself, the network, help.
pub fn context(scene: &Scene) -> Html {
    let (session, status) = (&scene.session, &scene.session.status);
    let Some(me) = &session.me else {
        return html! {};
    };
    let keys = {
        let ui = scene.ui.clone();
        Callback::from(move |_: MouseEvent| ui.session.dispatch(Action::Open(Dialog::Keys)))
    };
    let linked = match status.connection {
        Connection::Offline => strings::OFFLINE.to_owned(),
        Connection::Connecting => strings::CONNECTING.to_owned(),
        Connection::Online => strings::linked(status.peers, status.relays),
    };
    let safety = if status.waiting > 0 {
        Some(strings::only_here(status.waiting))
    } else if status.not_durable > 0 {
        Some(strings::not_on_relays(status.not_durable, false))
    } else {
        (status.relays > 0).then(|| strings::SAFETY_ALL.to_owned())
    };
    let own = Route::User(me.account).path();
    html! {
        <aside class="frame__context" aria-label={strings::CONTEXT}>
            <div class="aside__me">
                <a href={own.clone()} aria-hidden="true" tabindex="-1">{ avatar(&me.account, "36") }</a>
                <div class="person__text">
                    <a href={own} class="person__name"><bdi>{ me.name.clone() }</bdi></a>
                    <p class="person__bio">{ strings::following_count(me.following) }</p>
                </div>
            </div>
            <section>
                <h2 class="aside__title">{ strings::NETWORK }</h2>
                <p><a href={Route::Network.path()}>{ linked }</a></p>
                if let Some(safety) = safety {
                    <p class="small soft aside__safety">{ safety }</p>
                }
            </section>
            <p class="aside__foot">
                <button type="button" onclick={keys}>{ strings::KEYS }</button>
            </p>
        </aside>
    }
}
