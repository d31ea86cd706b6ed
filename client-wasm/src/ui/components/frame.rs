//! What stands around every page: places to go, the bar above, the column beside.

use engine::api::{Connection, ProfileView};
use web_sys::MouseEvent;
use yew::prelude::*;

use super::avatar::Avatar;
use super::flock::StatusChip;
use super::icon::{Icon, Mark};
use super::notices::Notices;
use crate::ui::router::{Link, Route, Visit};
use crate::ui::state::{Action, Dialog, use_session, use_ui};
use crate::ui::{dom, strings};

/// The places, as a bar, a rail or a list.
#[component]
pub fn Nav() -> Html {
    let ui = use_ui();
    let session = use_session();
    let route = use_context::<Visit>().map(|visit| visit.route);
    let place = |to: Route, icon: &'static str, label: &'static str, testid: &'static str, wide: bool| {
        let badge = to == Route::Activity && session.activity && route != Some(Route::Activity);
        html! {
            <li key={testid} class={wide.then_some("nav__place--wide")}>
                <Link
                    {to}
                    class="nav__item"
                    {testid}
                    current={route == Some(to)}
                    label={badge.then_some(AttrValue::Static(strings::ACTIVITY_NEW))}
                >
                    <Icon name={icon} />
                    <span class="nav__label">{ label }</span>
                    if badge {
                        <span class="nav__badge" />
                    }
                </Link>
            </li>
        }
    };
    let post = Callback::from(move |_: MouseEvent| ui.session.dispatch(Action::Open(Dialog::Compose)));
    html! {
        <nav class="nav" aria-label={strings::NAVIGATION}>
            <Link to={Route::Home} class="nav__brand" label={strings::APP}>
                <Mark size={28} />
                <span class="nav__brand-name">{ strings::APP }</span>
            </Link>
            <ul class="nav__list">
                { place(Route::Home, "home", strings::HOME, "nav-home", false) }
                { place(Route::Explore, "explore", strings::EXPLORE, "nav-explore", false) }
                <li class="nav__post-place">
                    <button type="button" class="nav__item nav__item--post" data-testid="nav-post" onclick={post}>
                        <span class="nav__post"><Icon name="post" /></span>
                        <span class="nav__label">{ strings::POST }</span>
                    </button>
                </li>
                { place(Route::Activity, "activity", strings::ACTIVITY, "nav-activity", false) }
                { place(Route::Network, "network", strings::NETWORK, "nav-network", true) }
                { place(Route::You, "you", strings::YOU, "nav-you", false) }
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
    let ui = use_ui();
    let visit = use_context::<Visit>();
    let heading = use_node_ref();
    // A new page: its title goes to the tab and the focus to its heading, so that a screen reader reads it. Not on the
    // very first, where the browser itself does so, nor over an open dialog.
    {
        let (heading, number) = (heading.clone(), visit.map_or(0, |visit| visit.number));
        let title = props.title.clone();
        use_effect_with((number, title), move |(number, title)| {
            dom::document().set_title(&format!("{title} · {}", strings::APP));
            if let (true, Some(heading)) = (*number > 0, heading.cast::<web_sys::HtmlElement>())
                && dom::find("dialog[open]").is_none()
            {
                dom::focus_quietly(&heading);
            }
        });
    }
    let back = Callback::from(move |_: MouseEvent| ui.nav.back());
    html! {
        <>
            <header class="topbar">
                if props.back {
                    <button type="button" class="btn btn--quiet btn--icon topbar__back" aria-label={strings::BACK} onclick={back}>
                        <Icon name="back" />
                    </button>
                }
                <h1 ref={heading} class="topbar__title" tabindex="-1">{ props.title.clone() }</h1>
                <StatusChip />
            </header>
            <Notices />
            { props.children.clone() }
        </>
    }
}

/// The column beside the page on a wide screen: oneself, the network, help.
#[component]
pub fn Context() -> Html {
    let ui = use_ui();
    let session = use_session();
    let keys = Callback::from(move |_: MouseEvent| ui.session.dispatch(Action::Open(Dialog::Keys)));
    let Some(me) = &session.me else {
        return html! {};
    };
    let linked = match session.status.connection {
        Connection::Offline => strings::OFFLINE.to_owned(),
        Connection::Connecting => strings::CONNECTING.to_owned(),
        Connection::Online => strings::linked(session.status.peers, session.status.relays),
    };
    let safety = if session.status.not_durable == 0 && session.status.waiting == 0 {
        None
    } else if session.status.waiting > 0 {
        Some(strings::only_here(session.status.waiting))
    } else {
        Some(strings::not_on_relays(session.status.not_durable, false))
    };
    html! {
        <aside class="frame__context" aria-label={strings::CONTEXT}>
            <div class="aside__me">
                <Link to={Route::User(me.account)} quiet=true><Avatar account={me.account} size={36} /></Link>
                <div class="person__text">
                    <Link to={Route::User(me.account)} class="person__name"><bdi>{ me.name.clone() }</bdi></Link>
                    <p class="person__bio">{ strings::following_count(me.following) }</p>
                </div>
            </div>
            <section>
                <h2 class="aside__title">{ strings::NETWORK }</h2>
                <p><Link to={Route::Network}>{ linked }</Link></p>
                if let Some(safety) = safety {
                    <p class="small soft aside__safety">{ safety }</p>
                } else if session.status.connection == Connection::Online && session.status.relays > 0 {
                    <p class="small soft aside__safety">{ strings::SAFETY_ALL }</p>
                }
            </section>
            <p class="aside__foot">
                <button type="button" onclick={keys}>{ strings::KEYS }</button>
            </p>
        </aside>
    }
}

/// Keeps profiles in a list in step with what the engine says about them.
pub fn merge_profile(list: &mut [ProfileView], profile: &ProfileView) -> bool {
    match list.iter_mut().find(|known| known.account == profile.account) {
        Some(known) => {
            known.clone_from(profile);
            true
        }
        None => false,
    }
}
