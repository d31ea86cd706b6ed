//! The overview: how the relay is, and what its admin can have done.
//!
//! Invariant: what others say of themselves becomes text; it becomes a link only if it is the address of a relay.

use axum::http::StatusCode;
use axum::response::Response;
use engine::api::{LinkView, NetworkView, RelayState, RelayView, RepairView, Transport};
use maud::{Markup, html};
use protocol::messages::directory::role;

use super::disk::{Disk, bytes};
use super::pages::page;
use super::{Setup, members};
use crate::config::{RegistryBackend, RelayRole};
use crate::health::HealthReport;
use crate::text::{counted, plain};
use crate::web::control::members::MemberList;
use crate::web::{About, ListedRelay, Repair};
use native::network::RelayUrl;

/// Links listed; the others are counted.
const LINKS_SHOWN_MAX: usize = 50;
/// Interval in seconds at which the page reloads while feeds are handed over.
const REFRESH_S: u32 = 3;
/// Stands where there is no value.
const NONE: &str = "–";

/// Everything on the page.
pub(super) struct Overview<'a> {
    pub(super) about: &'a About,
    pub(super) setup: &'a Setup,
    pub(super) health: HealthReport,
    pub(super) repair: RepairView,
    pub(super) relays: Vec<RelayView>,
    /// `None`: the store is being read.
    pub(super) view: Option<NetworkView>,
    /// `None`: the store is being read.
    pub(super) members: Option<MemberList>,
    pub(super) disk: Disk,
    /// Browsers that are admins.
    pub(super) admins: usize,
    /// Relays that could take this one's feeds over.
    pub(super) others: usize,
    /// What its forms carry.
    pub(super) form: String,
}

impl Overview<'_> {
    pub(super) fn render(&self) -> Response {
        let handing_over = self.repair.to_hand_over;
        let refresh_s = handing_over.is_some_and(|left| left > 0).then_some(REFRESH_S);
        let main = html! {
            (self.state())
            (self.storage())
            (self.directory())
            @if let Some(members) = &self.members {
                (members::list(members, &self.form))
            }
            (self.links())
            (self.registry())
            (self.actions())
            (self.browsers())
        };
        page(StatusCode::OK, &self.about.name, refresh_s, &main)
    }

    fn state(&self) -> Markup {
        let state = match self.health.why_not_ready() {
            None => "ready".to_owned(),
            Some(why) => format!("not ready: {why}"),
        };
        let roles = self.setup.roles.iter().map(|role| match role {
            RelayRole::Worker => "keeps feeds",
            RelayRole::Web => "serves the app",
            RelayRole::Index => "keeps names",
            RelayRole::Signal => "introduces browsers",
        });
        let roles = roles.collect::<Vec<_>>().join(", ");
        let share = Repair::from(self.repair.clone()).text();
        let conditions = self.health.conditions.iter();
        let conditions = conditions.map(|condition| {
            let term = if condition.ready { "Warning" } else { "Not ready" };
            let text = format!("{}. What to do: {}.", plain(&condition.reason), condition.remedy);
            let name = condition.condition.name();
            fact(
                term,
                &html! { span data-testid="condition" data-condition=(name) { (text) } },
            )
        });
        section(
            "Status",
            &html! {
                dl.facts {
                    (fact("State", &html! { span data-testid="state" { (state) } }))
                    @for condition in conditions {
                        (condition)
                    }
                    (fact("Share", &html! { span data-testid="share" { (share) } }))
                    (fact("Roles", &html! { (roles) }))
                    (fact("Version", &html! { (self.about.version) }))
                    (fact("Key", &mono(&self.about.peer)))
                }
            },
        )
    }

    fn storage(&self) -> Markup {
        section(
            "Storage",
            &html! {
                dl.facts {
                    @if let Some(view) = &self.view {
                        (fact("Feeds", &html! { (view.feeds) }))
                        (fact("Entries", &html! { (view.entries) }))
                    }
                    (fact("Folder", &mono(&self.setup.data_dir.display().to_string())))
                    (fact("In use", &html! { (bytes(self.disk.used)) }))
                    @if let Some(free) = self.disk.free {
                        (fact("Free on that disk", &html! { (bytes(free)) }))
                    }
                }
            },
        )
    }

    fn directory(&self) -> Markup {
        let rows = self.relays.iter().map(|relay| {
            let member = ListedRelay::from(relay.clone());
            let zone = plain(&member.zone);
            [
                html! {
                    (place(relay))
                    @if relay.this { " " span.small.soft { "this one" } }
                },
                html! { span data-state=(member.state) { (member.state) } },
                html! { (if zone.is_empty() { NONE } else { &zone }) },
                html! { (member.capacity) },
                html! { (member.entries) },
                html! { (member.load / 10) " %" },
                html! { (milliseconds(member.response_us)) },
                html! { (member.roles.join(", ")) },
            ]
        });
        let head = [
            "Relay", "State", "Zone", "Capacity", "Entries", "Load", "Response", "Roles",
        ];
        section("Network", &table("directory", head, rows))
    }

    fn links(&self) -> Markup {
        let Some(view) = &self.view else {
            return section("Links", &html! { p.soft { "The store is being read." } });
        };
        let mut links: Vec<&LinkView> = view.links.iter().collect();
        links.sort_by_key(|link| (!link.relay, link.since));
        let relays = links.iter().filter(|link| link.relay).count();
        let rows = links.iter().take(LINKS_SHOWN_MAX).map(|link| {
            let rtt = link.rtt_ms.map(|ms| format!("{ms} ms"));
            [
                self.neighbour(link),
                html! { (if link.relay { "relay" } else { "browser" }) },
                html! { (transport(link.transport)) },
                html! { (rtt.as_deref().unwrap_or(NONE)) },
                html! { (bytes(link.bytes_in)) },
                html! { (bytes(link.bytes_out)) },
            ]
        });
        section(
            "Links",
            &html! {
                p.soft {
                    (counted(relays as u64, "relay", "relays")) " and "
                    (counted((links.len() - relays) as u64, "browser", "browsers")) "; "
                    (bytes(view.bytes_in)) " received, " (bytes(view.bytes_out)) " sent since the start."
                }
                @if !links.is_empty() {
                    (table("links", ["Peer", "Kind", "Transport", "Round trip", "In", "Out"], rows))
                }
                @if links.len() > LINKS_SHOWN_MAX {
                    p.soft { "and " (links.len() - LINKS_SHOWN_MAX) " more" }
                }
            },
        )
    }

    fn neighbour(&self, link: &LinkView) -> Markup {
        let relay = self
            .relays
            .iter()
            .find(|relay| relay.description.relay == link.peer);
        match relay.map(|relay| plain(&relay.description.url)) {
            Some(url) if !url.is_empty() => html! { (url) },
            _ => mono(&link.peer.short()),
        }
    }

    fn registry(&self) -> Markup {
        let keeps = self.setup.roles.contains(&RelayRole::Index);
        let place = match (&self.setup.registry, keeps) {
            (RegistryBackend::Embedded, true) => "in this relay's data folder".to_owned(),
            (RegistryBackend::Etcd(address), true) => format!("in the etcd at {address}"),
            (_, false) => "by other relays; this one asks them".to_owned(),
        };
        let index = self
            .relays
            .iter()
            .filter(|relay| relay.state == RelayState::Alive && relay.description.roles & role::INDEX != 0);
        let mine = self.relays.iter().find(|relay| relay.this);
        let registry = mine.and_then(|relay| relay.description.registry);
        section(
            "Registry",
            &html! {
                dl.facts {
                    (fact("Names are kept", &html! { (place) }))
                    (fact("Index relays that answer", &html! { (index.count()) }))
                    @if keeps {
                        (fact("Its key", &match registry {
                            Some(id) => mono(&data_encoding::HEXLOWER.encode(&id.0)),
                            None => html! { "not open yet: claims wait" },
                        }))
                    }
                }
            },
        )
    }

    fn actions(&self) -> Markup {
        let body = match (self.repair.to_hand_over, self.others) {
            (Some(0), _) => html! {
                p data-testid="drained" { "Others have everything this relay has: it can be stopped for good." }
            },
            (Some(left), _) => html! {
                p data-testid="draining" {
                    (counted(left, "feed is", "feeds are")) " left to hand over. This page reloads by itself."
                }
            },
            (None, 0) => html! {
                p.soft {
                    "Before a relay is stopped for good, it hands its feeds over. There is no other relay to take them now."
                }
            },
            (None, _) => html! {
                p { "Before this relay is stopped for good, it hands its feeds over to the others." }
                div.admin__actions {
                    a.btn.btn--bad href="/admin/drain" data-testid="drain" { "Hand its feeds over …" }
                }
            },
        };
        section("Ending this relay", &body)
    }

    fn browsers(&self) -> Markup {
        let button = |testid: &str, others: bool, text: &str| {
            html! {
                form method="post" action="/admin/leave" {
                    input type="hidden" name="form" value=(self.form);
                    input type="hidden" name="others" value=(others);
                    button.btn type="submit" data-testid=(testid) { (text) }
                }
            }
        };
        let others = self.admins.saturating_sub(1);
        section(
            "Admins",
            &html! {
                @if others == 0 {
                    p { "This browser is the only admin." }
                } @else {
                    p { (counted(others as u64, "browser is", "browsers are")) " the admin besides this one." }
                }
                div.admin__actions {
                    (button("leave", false, "Log out"))
                    @if others > 0 {
                        (button("leave-others", true, "Log the others out"))
                    }
                }
            },
        )
    }
}

/// A relay's address, or its key if it has none.
fn place(relay: &RelayView) -> Markup {
    // Only what is an address of a relay becomes a link: it is what others say.
    match relay.description.url.parse::<RelayUrl>() {
        Ok(url) => html! { a href=(url) rel="noreferrer" { (url) } },
        Err(_) => mono(&relay.description.relay.short()),
    }
}

fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::WebRtc => "WebRTC",
        Transport::WebSocket => "WebSocket",
        Transport::Memory => "memory",
    }
}

fn milliseconds(us: u32) -> String {
    format!("{:.1} ms", f64::from(us) / 1_000.0)
}

pub(super) fn mono(text: &str) -> Markup {
    html! { span.mono { (plain(text)) } }
}

pub(super) fn section(title: &str, body: &Markup) -> Markup {
    html! {
        section.section {
            h2 { (title) }
            (body)
        }
    }
}

fn fact(term: &str, value: &Markup) -> Markup {
    html! { dt { (term) } dd { (value) } }
}

/// On narrow screens each row is a block, each cell with its column's name.
pub(super) fn table<const N: usize>(
    testid: &str,
    head: [&str; N],
    rows: impl Iterator<Item = [Markup; N]>,
) -> Markup {
    html! {
        div.table__place {
            table.table data-testid=(testid) {
                thead { tr { @for name in head { th scope="col" { (name) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (n, (name, cell)) in head.into_iter().zip(row).enumerate() {
                                @if n == 0 {
                                    th scope="row" { (cell) }
                                } @else {
                                    td data-label=(name) { (cell) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        About, Disk, HealthReport, NetworkView, Overview, RegistryBackend, RelayRole, RelayView, RepairView,
        Setup,
    };
    use axum::body::to_bytes;
    use engine::api::{LinkView, RelayState, Transport};
    use protocol::messages::directory::Description;
    use protocol::{PeerId, Timestamp};

    use crate::health::{Condition, Kind};

    const EVIL: &str = "<script>alert(1)</script>'\"&";

    fn relay(n: u8, url: &str) -> RelayView {
        RelayView {
            description: Description {
                relay: PeerId([n; 32]),
                url: url.to_owned(),
                zone: EVIL.to_owned(),
                ..Description::default()
            },
            state: RelayState::Alive,
            this: false,
        }
    }

    async fn render(change: impl FnOnce(&mut Overview<'_>)) -> String {
        let about = About {
            peer: "abc".to_owned(),
            version: "1.0".to_owned(),
            name: EVIL.to_owned(),
            routing: crate::web::Weights::default(),
        };
        let setup = Setup {
            data_dir: "/data".into(),
            roles: vec![RelayRole::Web],
            registry: RegistryBackend::Embedded,
            url: "http://localhost:1".parse().unwrap(),
            key: PeerId([9; 32]),
        };
        let mut overview = Overview {
            about: &about,
            setup: &setup,
            health: HealthReport {
                ready: true,
                conditions: Vec::new(),
            },
            repair: RepairView::default(),
            relays: Vec::new(),
            view: Some(NetworkView::default()),
            members: None,
            disk: Disk::default(),
            admins: 1,
            others: 0,
            form: EVIL.to_owned(),
        };
        change(&mut overview);
        let page = to_bytes(overview.render().into_body(), usize::MAX).await.unwrap();
        String::from_utf8(page.into()).unwrap()
    }

    #[tokio::test]
    async fn what_others_say_of_themselves_is_text_and_no_page() {
        let link = LinkView {
            peer: PeerId([1; 32]),
            account: None,
            name: EVIL.to_owned(),
            relay: true,
            transport: Transport::WebSocket,
            rtt_ms: Some(12),
            bytes_in: 1,
            bytes_out: 2,
            since: Timestamp(0),
        };
        let page = render(|overview| {
            overview.relays = vec![
                relay(1, "javascript:alert(1)"),
                relay(2, "https://a.example/\"onclick=\"x"),
                relay(3, "https://b.example"),
            ];
            overview.view = Some(NetworkView {
                links: vec![link],
                ..NetworkView::default()
            });
        })
        .await;
        assert!(
            !page.contains("<script") && !page.contains("onclick=\"x"),
            "{page}"
        );
        assert!(!page.contains("href=\"javascript:"), "{page}");
        assert!(
            page.contains("&lt;script&gt;alert(1)&lt;/script&gt;'&quot;&amp;"),
            "{page}"
        );
        assert!(page.contains("<a href=\"https://b.example\""), "{page}");
        assert_eq!(page.matches("<a href=").count(), 1, "{page}");
        assert!(page.contains("12 ms"), "{page}");
    }

    #[tokio::test]
    async fn it_offers_what_can_be_done_now() {
        let drain = "data-testid=\"drain\"";
        assert!(!render(|_| ()).await.contains(drain), "nobody to hand over to");
        assert!(render(|overview| overview.others = 2).await.contains(drain));
        let handing = render(|overview| {
            overview.others = 2;
            overview.repair.to_hand_over = Some(1);
        })
        .await;
        assert!(!handing.contains(drain));
        assert!(handing.contains("1 feed is left") && handing.contains("http-equiv=\"refresh\""));
        let done = render(|overview| overview.repair.to_hand_over = Some(0)).await;
        assert!(done.contains("data-testid=\"drained\"") && !done.contains("http-equiv"));
        let admins = render(|overview| overview.admins = 3).await;
        assert!(admins.contains("2 browsers are the admin besides this one"));
        assert!(admins.contains("data-testid=\"leave-others\""));
    }

    fn reading() -> HealthReport {
        let condition = Condition {
            condition: Kind::Starting,
            ready: false,
            since_ms: 1,
            reason: "the store is being read".to_owned(),
            remedy: "wait".to_owned(),
        };
        HealthReport {
            ready: false,
            conditions: vec![condition],
        }
    }

    #[tokio::test]
    async fn while_the_store_is_read_it_says_so() {
        let page = render(|overview| {
            overview.health = reading();
            overview.view = None;
        })
        .await;
        assert!(page.contains("the store is being read") && page.contains("The store is being read."));
    }
}
