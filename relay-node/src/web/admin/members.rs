//! The members of the network on the admin page: the list, and the pages on which relays are invited and expelled.

use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use protocol::PeerId;
use protocol::messages::membership::Invitation;
use serde::Deserialize;

use super::keys;
use super::overview::{mono, section, table};
use super::pages::{AdminError, page};
use super::routes::{Admin, Session, on_disk};
use crate::invitations;
use crate::text::plain;
use crate::web::control::members::{MemberList, NetworkMember, effects, notes};
use crate::web::control::requests::{self, members_of};
use crate::web::error::WebError;

/// What a form of these pages carries.
#[derive(Debug, Deserialize)]
pub(super) struct Act {
    #[serde(default)]
    form: String,
    /// The key of the relay it is about.
    #[serde(default)]
    relay: String,
}

impl Act {
    /// Refuses a form that is not from a page made for this session.
    fn check(&self, session: &str) -> Result<(), AdminError> {
        match keys::is_form_token(session, &self.form) {
            true => Ok(()),
            false => Err(AdminError::ForeignForm),
        }
    }

    fn relay(&self) -> Result<PeerId, AdminError> {
        self.relay.parse().map_err(|_| AdminError::NoSuchMember)
    }
}

/// The section of the overview. `form`: what its forms carry.
pub(super) fn list(members: &MemberList, form: &str) -> Markup {
    let by_invitation = !members.open && !members.listed;
    let rows = members.members.iter().map(|member| {
        [
            html! {
                (place(member))
                @if member.this { " " span.small.soft { "this one" } }
            },
            html! { span data-state=(member.state) { (member.state) } },
            html! {
                @match &member.invited_by {
                    Some(by) => { (name(members, by)) }
                    None => { "–" }
                }
            },
            html! {
                @if by_invitation && !member.this {
                    a href={ "/admin/expel?relay=" (member.peer) } data-testid="expel" { "Expel …" }
                }
            },
        ]
    });
    section(
        "MemberList",
        &html! {
            (table("members", ["Relay", "State", "Invited by", ""], rows))
            @for note in notes(members) {
                p.soft { (plain(&note).replace('`', "")) }
            }
            @for key in &members.asking {
                form.admin__actions method="post" action="/admin/adopt" {
                    input type="hidden" name="form" value=(form);
                    input type="hidden" name="relay" value=(key);
                    button.btn type="submit" data-testid="adopt" { "Make this relay a member" }
                    " " (mono(key))
                }
            }
            @if by_invitation {
                form.admin__actions method="post" action="/admin/invite" {
                    input type="hidden" name="form" value=(form);
                    button.btn type="submit" data-testid="invite" { "Invite a relay" }
                }
            }
        },
    )
}

fn place(member: &NetworkMember) -> Markup {
    match plain(&member.url) {
        url if url.is_empty() => mono(&short(&member.peer)),
        url => html! { (url) },
    }
}

fn name(members: &MemberList, key: &str) -> Markup {
    let member = members.members.iter().find(|member| member.peer == key);
    member.map_or_else(|| mono(&short(key)), place)
}

/// The beginning of a key, which tells relays apart.
fn short(key: &str) -> String {
    key.chars().take(8).collect()
}

/// Makes an invitation, and shows it once.
pub(super) async fn invite(
    State(admin): State<Admin>,
    Session(session): Session,
    Form(act): Form<Act>,
) -> Result<Response, AdminError> {
    act.check(&session)?;
    let folder = admin.setup.data_dir.clone();
    let secret = on_disk(&admin.keys, move |_| invitations::issue(&folder)).await?;
    let by = admin.setup.key;
    let invitation = Invitation { by, secret };
    let url = &admin.setup.url;
    tracing::info!("invitation issued on the admin page");
    let main = html! {
        section.section {
            p { "Start the new relay with" }
            pre.admin__code { code data-testid="invitation" { "relay-node --join '" (url) "#" (invitation) "'" } }
            p {
                "The invitation makes one relay a member of this network. It works once and within a day, and is not shown again: \
                 keep it secret until then."
            }
            div.admin__actions { a.btn href="/admin" { "Done" } }
        }
    };
    Ok(page(StatusCode::OK, "Invite a relay", None, &main))
}

/// Makes a relay a member that joined this one without an invitation.
pub(super) async fn adopt(
    State(admin): State<Admin>,
    Session(session): Session,
    Form(act): Form<Act>,
) -> Result<Redirect, AdminError> {
    act.check(&session)?;
    done(requests::invite(&admin.driver, act.relay()?).await)
}

/// Asks before a relay is expelled, and says what that does.
pub(super) async fn ask_expel(
    State(admin): State<Admin>,
    Session(session): Session,
    Query(act): Query<Act>,
) -> Result<Response, AdminError> {
    let key = act.relay()?;
    let relay = key.to_string();
    let members = members_of(&admin.driver, Some(key)).await;
    let members: MemberList = members.map_err(|_| AdminError::NoSuchMember)?.into();
    let member = members
        .members
        .iter()
        .find(|member| member.peer == relay && !member.this);
    let member = member.ok_or(AdminError::NoSuchMember)?;
    let main = html! {
        section.section {
            @for line in effects(&members, member).lines() {
                p { (plain(line.trim_start_matches("- ")).replace('`', "")) }
            }
            form.admin__actions method="post" action="/admin/expel" {
                input type="hidden" name="form" value=(keys::form_token(&session));
                input type="hidden" name="relay" value=(relay);
                button.btn.btn--bad type="submit" data-testid="expel-now" { "Expel it" }
                a.btn href="/admin" { "Cancel" }
            }
        }
    };
    Ok(page(StatusCode::OK, "Expel this relay?", None, &main).into_response())
}

pub(super) async fn expel(
    State(admin): State<Admin>,
    Session(session): Session,
    Form(act): Form<Act>,
) -> Result<Redirect, AdminError> {
    act.check(&session)?;
    done(requests::expel(&admin.driver, act.relay()?).await)
}

/// Back to the overview, if the relay did it.
fn done(done: Result<(), WebError>) -> Result<Redirect, AdminError> {
    done.map_err(|error| AdminError::Disk(std::io::Error::other(error.to_string())))?;
    Ok(Redirect::to("/admin"))
}

#[cfg(test)]
mod tests {
    use super::{MemberList, NetworkMember, list};

    #[test]
    fn what_can_be_done_depends_on_how_members_are_admitted() {
        let member = |n: u8| NetworkMember {
            peer: format!("key{n}<b>"),
            url: if n == 1 {
                "<script>alert(1)</script>".to_owned()
            } else {
                String::new()
            },
            state: "alive".to_owned(),
            this: n == 0,
            invited_by: (n > 0).then(|| "key0<b>".to_owned()),
            goes: Vec::new(),
            expels_everywhere: true,
            accounts: 0,
        };
        let mut members = MemberList {
            open: false,
            listed: false,
            members: vec![member(0), member(1)],
            asking: vec!["waiting1".to_owned()],
            invited: true,
            expelled_by: None,
            refused: Vec::new(),
        };
        let shown = list(&members, "token").into_string();
        assert!(!shown.contains("<script") && !shown.contains("<b>"), "{shown}");
        assert_eq!(
            shown.matches("data-testid=\"expel\"").count(),
            1,
            "not itself: {shown}"
        );
        assert!(shown.contains("data-testid=\"invite\"") && shown.contains("waiting1"));
        members.open = true;
        members.asking.clear();
        let shown = list(&members, "token").into_string();
        assert!(!shown.contains("data-testid=\"expel\"") && !shown.contains("data-testid=\"invite\""));
    }
}
