//! The small pages around the overview: how to become the admin, questions before something is done, and errors.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use crate::text::{counted, plain};
use crate::web::About;
use crate::web::pages::{Style, document, respond};

/// The stylesheet's address.
pub(super) const STYLE_PATH: &str = "/admin/style.css";

/// The app's own styles, and what only this page has.
pub(super) const STYLE: &str = concat!(
    include_str!("../../../../client-wasm/src/ui/kit/tokens.css"),
    include_str!("../../../../client-wasm/src/ui/kit/style.css"),
    include_str!("admin.css"),
);

/// A page of the admin's.
pub(super) fn page(status: StatusCode, title: &str, refresh_s: Option<u32>, main: &Markup) -> Response {
    respond(status, document(title, Style::Sheet(STYLE_PATH), refresh_s, main))
}

/// Why the admin page did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(super) enum AdminError {
    /// This browser has no session.
    #[error("this browser is not the admin")]
    NoSession,
    /// The one-time address was used, replaced or is too old.
    #[error("the one-time address is not valid any more")]
    ClaimUsed,
    /// The form is not from a page made for this session.
    #[error("the form is not from a page of this session")]
    ForeignForm,
    /// No member has this key.
    #[error("no such member")]
    NoSuchMember,
    /// No other relay can take this one's feeds over.
    #[error("no other relay is there to hand over to")]
    NobodyToHandOverTo,
    /// The client sends too many requests.
    #[error("too many requests")]
    TooMany,
    /// There is no such page.
    #[error("no such page")]
    NoSuchPage,
    /// The disk refused a change.
    #[error("the change could not be written to the data folder")]
    Disk(#[from] std::io::Error),
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        match self {
            Self::NoSession => stranger(),
            Self::ClaimUsed => used_up(),
            Self::ForeignForm => message(
                StatusCode::FORBIDDEN,
                "That was not done",
                "This form is not from a page of your session. Open the admin page again and try once more; nothing was changed.",
            ),
            Self::NoSuchMember => message(
                StatusCode::NOT_FOUND,
                "No such member",
                "No member of the network has this key. The admin page lists them; nothing was changed.",
            ),
            Self::NobodyToHandOverTo => message(
                StatusCode::CONFLICT,
                "There is nobody to hand over to",
                "No other relay is there to take what this one holds. Start one that joins this one first.",
            ),
            Self::TooMany => message(
                StatusCode::TOO_MANY_REQUESTS,
                "Too many requests",
                "Wait a minute, then try again.",
            ),
            Self::NoSuchPage => message(
                StatusCode::NOT_FOUND,
                "No such page",
                "There is nothing at this address.",
            ),
            Self::Disk(error) => {
                tracing::error!(%error, "cannot write the admin's change to the data folder");
                message(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "That did not work",
                    "The change could not be written to the disk; the relay's log says why. Nothing was changed, except that a \
                     one-time address may be used up: relay-node admin-url makes another.",
                )
            }
        }
    }
}

/// A title and a paragraph.
fn message(status: StatusCode, title: &str, text: &str) -> Response {
    let main = html! {
        section.section {
            p { (text) }
            p { a href="/admin" { "To the admin page" } }
        }
    };
    page(status, title, None, &main)
}

fn how_to_become_admin() -> Markup {
    html! {
        p {
            "On the machine the relay runs on, as the relay's user and with the relay's own " code { "--data-dir" } " or "
            code { "--config" } ":"
        }
        pre.admin__code { code { "relay-node admin-url" } }
        p {
            "It prints an address. Opened in a browser within an hour, it makes that browser the admin, once. A relay that \
             never had an admin also prints one each time it starts."
        }
    }
}

/// The browser is not the admin.
fn stranger() -> Response {
    let main = html! {
        section.section {
            p { "This page is for the operator of this relay, and this browser is not known as theirs." }
            (how_to_become_admin())
        }
        section.section {
            p.soft {
                "Are you the admin in this browser, and came here over a link from another site? "
                a href="/admin" { "Open the page again" } "."
            }
        }
    };
    page(StatusCode::UNAUTHORIZED, "Not for everybody", None, &main)
}

/// The one-time address is not valid any more.
fn used_up() -> Response {
    let main = html! {
        section.section {
            p {
                "Each such address works once and for an hour, and a new one replaces those before it. If it was not you who \
                 used it, another person is the admin now: create a new address, and log the other browsers out on the page \
                 it opens."
            }
            (how_to_become_admin())
        }
    };
    page(StatusCode::FORBIDDEN, "This address is used up", None, &main)
}

/// The question before the token is used up.
pub(super) fn claim(about: &About, token: &str) -> Response {
    let main = html! {
        section.section {
            p {
                "This browser becomes the admin of " strong { (plain(&about.name)) }
                ", for 30 days or until you log out. The address you opened works once."
            }
            form.admin__actions method="post" action="/admin/claim" {
                input type="hidden" name="token" value=(token);
                button.btn.btn--primary type="submit" data-testid="claim" { "Become the admin" }
            }
        }
    };
    page(StatusCode::OK, "Become the admin?", None, &main)
}

/// The question before the feeds are handed over.
pub(super) fn drain(about: &About, others: usize, form: &str) -> Response {
    let main = html! {
        section.section {
            p {
                strong { (plain(&about.name)) } " hands the feeds it keeps over to "
                (counted(others as u64, "other relay", "other relays"))
                ", so that it can be stopped for good. It goes on serving meanwhile and afterwards; only its part in keeping \
                 other people's feeds ends."
            }
            p { "This cannot be undone while the relay runs; started again, it keeps feeds as before." }
            form.admin__actions method="post" action="/admin/drain" {
                input type="hidden" name="form" value=(form);
                button.btn.btn--bad type="submit" data-testid="drain-now" { "Hand its feeds over" }
                a.btn href="/admin" { "Cancel" }
            }
        }
    };
    page(StatusCode::OK, "Hand this relay's feeds over?", None, &main)
}

/// The session is over.
pub(super) fn logged_out() -> Response {
    let text = "This browser is not the admin any more. relay-node admin-url makes an address for the next.";
    message(StatusCode::OK, "Logged out", text)
}
