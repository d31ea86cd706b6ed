//! What surrounds every page: the navigation, the bar above, the column beside.

use engine::api::Connection;
use web_sys::MouseEvent;
use yew::prelude::*;

use super::connection_status::connection_status;
use super::notices::notices;
use super::strings;
use crate::ui::dom;
use crate::ui::features::{FEATURES, durability, follow, network};
use crate::ui::kit;
use crate::ui::kit::avatar::avatar;
use crate::ui::kit::icons::{icon, mark};
use crate::ui::route::Route;
use crate::ui::state::{Action, AppContext, Dialog, Session, use_app};

/// A place in the navigation.
pub enum NavItem {
    /// A link to a page.
    Page {
        to: Route,
        icon: &'static str,
        label: &'static str,
        /// Its name for tests.
        testid: &'static str,
        /// Shown on wide screens alone.
        wide_only: bool,
        /// What the mark on it means, while there is one.
        badge: fn(&Session) -> Option<&'static str>,
    },
    /// A button that opens a dialog.
    Open {
        dialog: fn() -> Dialog,
        icon: &'static str,
        label: &'static str,
        /// Its name for tests.
        testid: &'static str,
    },
}

/// The navigation, as a bar, a rail or a list.
pub fn nav(app: &AppContext) -> Html {
    html! {
        <nav class="nav" aria-label={strings::NAVIGATION}>
            <a href={Route::Home.path()} class="nav__brand" aria-label={kit::strings::APP}>
                { mark("28") }
                <span class="nav__brand-name">{ kit::strings::APP }</span>
            </a>
            <ul class="nav__list">
                { for FEATURES.iter().filter_map(|feature| feature.nav.as_ref()).map(|item| nav_item(app, item)) }
            </ul>
        </nav>
    }
}

fn nav_item(app: &AppContext, item: &NavItem) -> Html {
    match item {
        NavItem::Page {
            to,
            icon: icon_name,
            label,
            testid,
            wide_only,
            badge,
        } => {
            let here = app.location.route == *to;
            let badge = badge(&app.session).filter(|_| !here);
            html! {
                <li key={*testid} class={wide_only.then_some("nav__place--wide")}>
                    <a
                        href={to.path()}
                        class="nav__item"
                        data-testid={*testid}
                        aria-current={here.then_some("page")}
                        aria-label={badge}
                    >
                        { icon(icon_name) }
                        <span class="nav__label">{ *label }</span>
                        if badge.is_some() {
                            <span class="nav__badge" />
                        }
                    </a>
                </li>
            }
        }
        NavItem::Open {
            dialog,
            icon: icon_name,
            label,
            testid,
        } => {
            let (ui, dialog) = (app.ui.clone(), *dialog);
            let open = Callback::from(move |_: MouseEvent| ui.session.dispatch(Action::Open(dialog())));
            html! {
                <li key={*testid} class="nav__post-place">
                    <button type="button" class="nav__item nav__item--post" data-testid={*testid} onclick={open}>
                        <span class="nav__post">{ icon(icon_name) }</span>
                        <span class="nav__label">{ *label }</span>
                    </button>
                </li>
            }
        }
    }
}

/// A page: its bar, the notices, and what it shows.
#[derive(Properties, PartialEq)]
pub struct PageProps {
    pub title: AttrValue,
    /// Whether one came here from somewhere and may go back.
    #[prop_or_default]
    pub back: bool,
    pub children: Html,
}

#[component]
pub fn Page(props: &PageProps) -> Html {
    let app = use_app();
    let heading = use_node_ref();
    // A new page: its title goes to the tab and the focus to its heading, so that a screen reader reads it. Not on the
    // very first, where the browser itself does so, nor over an open dialog.
    {
        let heading = heading.clone();
        use_effect_with(
            (app.location.number, props.title.clone()),
            move |(number, title)| {
                dom::document().set_title(&format!("{title} · {}", kit::strings::APP));
                if let (true, Some(heading)) = (*number > 0, heading.cast::<web_sys::HtmlElement>())
                    && dom::find("dialog[open]").is_none()
                {
                    dom::focus_quietly(&heading);
                }
            },
        );
    }
    let back = {
        let nav = app.ui.nav.clone();
        Callback::from(move |_: MouseEvent| nav.back())
    };
    html! {
        <>
            <header class="topbar">
                if props.back {
                    { kit::icon_button("btn btn--quiet btn--icon topbar__back", "back", kit::strings::BACK, back) }
                }
                <h1 ref={heading} class="topbar__title" tabindex="-1">{ props.title.clone() }</h1>
                { connection_status(&app.session.status) }
            </header>
            { notices(&app) }
            { props.children.clone() }
        </>
    }
}

/// The column beside the page on a wide screen: oneself, the network, help.
pub fn context(app: &AppContext) -> Html {
    let (session, status) = (&app.session, &app.session.status);
    let Some(me) = &session.me else {
        return html! {};
    };
    let keys = {
        let ui = app.ui.clone();
        Callback::from(move |_: MouseEvent| ui.session.dispatch(Action::Open(Dialog::Keys)))
    };
    let linked = match status.connection {
        Connection::Offline => strings::OFFLINE.to_owned(),
        Connection::Connecting => strings::CONNECTING.to_owned(),
        Connection::Online => strings::linked(status.peers, status.relays),
    };
    let durable = if status.waiting > 0 {
        Some(durability::strings::only_here(status.waiting))
    } else if status.not_durable > 0 {
        Some(durability::strings::not_on_relays(status.not_durable, false))
    } else {
        (status.relays > 0).then(|| durability::strings::DURABLE_ALL.to_owned())
    };
    let own = Route::User(me.account).path();
    html! {
        <aside class="frame__context" aria-label={strings::CONTEXT}>
            <div class="aside__me">
                <a href={own.clone()} aria-hidden="true" tabindex="-1">{ avatar(&me.account, "36") }</a>
                <div class="person__text">
                    <a href={own} class="person__name"><bdi>{ kit::shown_name(&me.name, &me.account) }</bdi></a>
                    <p class="person__bio">{ follow::strings::following_count(me.following) }</p>
                </div>
            </div>
            <section>
                <h2 class="aside__title">{ network::strings::NETWORK }</h2>
                <p><a href={Route::Network.path()}>{ linked }</a></p>
                if let Some(durable) = durable {
                    <p class="small soft aside__durability">{ durable }</p>
                }
            </section>
            <p class="aside__foot">
                <button type="button" onclick={keys}>{ strings::KEYS }</button>
            </p>
        </aside>
    }
}
