//! What the admin page looks like: plain HTML in the app's style.
//!
//! Invariant: everything others say of themselves goes through [`esc`].

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use engine::api::{LinkView, NetworkView, RelayState, RelayView, RepairView, Transport};
use protocol::directory::role;

use super::Setup;
use crate::commands::status::{counted, share_text};
use crate::config::{RegistryPlace, Role};
use crate::web::{About, Member, Repair};
use native::network::RelayUrl;

/// The app's own styles, and what only this page has.
pub(super) const STYLE: &str = concat!(
    include_str!("../../../../client-wasm/src/ui/kit/tokens.css"),
    include_str!("../../../../client-wasm/src/ui/kit/style.css"),
    include_str!("admin.css"),
);

/// Links listed; the others are counted.
const LINKS_SHOWN_MAX: usize = 50;
/// Files looked at in the data folder; it has a dozen.
const FILES_MAX: usize = 10_000;
/// Between two looks at a share that is handed over.
const LOOK_EVERY_S: u32 = 3;

/// Text, as part of a page.
fn esc(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            control if control.is_control() => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

/// A whole page. `body` is HTML.
fn page(status: StatusCode, title: &str, again_s: Option<u32>, body: &str) -> Response {
    let again = again_s.map_or_else(String::new, |seconds| {
        format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">\n")
    });
    let title = esc(title);
    let html = format!(
        "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta name=\"robots\" content=\"noindex\">
{again}<title>{title} · Starling relay</title>
<link rel=\"icon\" href=\"/icons/favicon.svg\" type=\"image/svg+xml\">
<link rel=\"stylesheet\" href=\"/admin/style.css\">
</head>
<body class=\"admin\">
<header class=\"admin__head\"><span class=\"admin__brand\">Starling relay</span></header>
<main class=\"admin__main\">
<h1>{title}</h1>
{body}</main>
</body>
</html>
"
    );
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
}

/// Something did not go as asked.
pub(super) fn sorry(status: StatusCode, title: &str, text: &str) -> Response {
    let body = format!(
        "<section class=\"section\"><p>{}</p>\n<p><a href=\"/admin\">To the admin page</a></p></section>\n",
        esc(text)
    );
    page(status, title, None, &body)
}

/// There is no such page.
pub(super) fn missing() -> Response {
    sorry(
        StatusCode::NOT_FOUND,
        "No such page",
        "There is nothing at this address.",
    )
}

const HOW: &str = "<p>On the machine the relay runs on, as the relay's user and with the relay's own <code>--data-dir</code> or \
    <code>--config</code>:</p>
<pre class=\"admin__code\"><code>relay-node admin-url</code></pre>
<p>It prints an address. Opened in a browser within an hour, it makes that browser the admin, once. A relay that never had an \
    admin also prints one each time it starts.</p>
";

/// Who asks is not the admin.
pub(super) fn stranger() -> Response {
    let body = format!(
        "<section class=\"section\"><p>This page is for whoever runs this relay, and this browser is not known as theirs.</p>
{HOW}</section>
<section class=\"section\"><p class=\"soft\">Are you the admin in this browser, and came here over a link from another site? \
         <a href=\"/admin\">Open the page again</a>.</p></section>
"
    );
    page(StatusCode::UNAUTHORIZED, "Not for everybody", None, &body)
}

/// A one-time address that is none any more.
pub(super) fn used_up() -> Response {
    let body = format!(
        "<section class=\"section\"><p>Each such address works once and for an hour, and a new one replaces those before it. If it \
         was not you who used it, somebody else is the admin now: make a new address, and log the other browsers out on \
         the page it opens.</p>
{HOW}</section>
"
    );
    page(StatusCode::FORBIDDEN, "This address is used up", None, &body)
}

/// Asks before the token is used up.
pub(super) fn claim(about: &About, token: &str) -> Response {
    let body = format!(
        "<section class=\"section\"><p>This browser becomes the admin of <strong>{}</strong>, for 30 days or until you log out. The \
         address you opened works once.</p>
<form class=\"admin__actions\" method=\"post\" action=\"/admin/claim\">
<input type=\"hidden\" name=\"token\" value=\"{}\">
<button class=\"btn btn--primary\" type=\"submit\" data-testid=\"claim\">Become the admin</button>
</form></section>
",
        esc(&about.name),
        esc(token)
    );
    page(StatusCode::OK, "Become the admin?", None, &body)
}

/// Asks before the share is given away.
pub(super) fn drain(about: &About, others: usize, form: &str) -> Response {
    let body = format!(
        "<section class=\"section\"><p><strong>{}</strong> gives its share to {}, so that it can be stopped for good. It goes on serving \
         meanwhile and afterwards; only its part in keeping other people's feeds ends.</p>
<p>There is no taking it back while the relay runs; started again, it takes a share as before.</p>
<form class=\"admin__actions\" method=\"post\" action=\"/admin/drain\">
<input type=\"hidden\" name=\"form\" value=\"{}\">
<button class=\"btn btn--bad\" type=\"submit\" data-testid=\"drain-now\">Hand the share over</button>
<a class=\"btn\" href=\"/admin\">Leave it as it is</a>
</form></section>
",
        esc(&about.name),
        counted(others as u64, "other relay", "other relays"),
        esc(form)
    );
    page(StatusCode::OK, "Hand this relay's share over?", None, &body)
}

/// The session is over.
pub(super) fn gone() -> Response {
    let text = "This browser is not the admin any more. relay-node admin-url makes an address for the next.";
    sorry(StatusCode::OK, "Logged out", text)
}

/// The disk the relay writes to.
#[derive(Debug, Default)]
pub(super) struct Disk {
    used: u64,
    free: Option<u64>,
}

impl Disk {
    /// Looks at it.
    pub(super) fn of(folder: &Path) -> Self {
        let mut folders = vec![folder.to_owned()];
        let (mut used, mut left) = (0, FILES_MAX);
        while let Some(folder) = folders.pop() {
            // What vanishes meanwhile takes no room.
            for file in fs::read_dir(folder).into_iter().flatten().flatten().take(left) {
                left -= 1;
                match file.metadata() {
                    Ok(metadata) if metadata.is_dir() => folders.push(file.path()),
                    Ok(metadata) => used += metadata.len(),
                    Err(_) => {}
                }
            }
        }
        let disk = rustix::fs::statvfs(folder).ok();
        Self {
            used,
            free: disk.map(|disk| disk.f_bavail * disk.f_frsize),
        }
    }
}

fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    if unit == 0 || value >= 99.95 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// Everything on the page.
pub(super) struct Overview<'a> {
    pub(super) about: &'a About,
    pub(super) setup: &'a Setup,
    pub(super) ready: bool,
    pub(super) repair: RepairView,
    pub(super) relays: Vec<RelayView>,
    pub(super) view: Option<NetworkView>,
    pub(super) disk: Disk,
    pub(super) admins: usize,
    pub(super) others: usize,
    pub(super) form: String,
}

impl Overview<'_> {
    pub(super) fn render(self) -> Response {
        let handing_over = self.repair.to_hand_over;
        let again = handing_over.is_some_and(|left| left > 0).then_some(LOOK_EVERY_S);
        let body = [
            self.state(),
            self.storage(),
            self.directory(),
            self.links(),
            self.registry(),
            self.actions(),
            self.browsers(),
        ];
        page(StatusCode::OK, &self.about.name, again, &body.concat())
    }

    fn state(&self) -> String {
        let ready = match (self.ready, self.repair.caught_up) {
            (true, true) => "ready",
            (true, false) => "catching up with the other relays",
            (false, _) => "reading its store",
        };
        let share = share_text(&Repair::from(self.repair.clone()));
        let roles = self.setup.roles.iter().map(|role| match role {
            Role::Worker => "keeps feeds",
            Role::Web => "serves the app",
            Role::Index => "keeps names",
            Role::Signal => "introduces browsers",
        });
        let roles = roles.collect::<Vec<_>>().join(", ");
        section(
            "Status",
            &facts(&[
                ("State", format!("<span data-testid=\"state\">{ready}</span>")),
                (
                    "Share",
                    format!("<span data-testid=\"share\">{}</span>", esc(&share)),
                ),
                ("Roles", esc(&roles)),
                ("Version", esc(&self.about.version)),
                (
                    "Key",
                    format!("<span class=\"mono\">{}</span>", esc(&self.about.peer)),
                ),
            ]),
        )
    }

    fn storage(&self) -> String {
        let mut rows = Vec::new();
        if let Some(view) = &self.view {
            rows.push(("Feeds", view.feeds.to_string()));
            rows.push(("Entries", view.entries.to_string()));
        }
        let folder = self.setup.data_dir.display().to_string();
        rows.push(("Folder", format!("<span class=\"mono\">{}</span>", esc(&folder))));
        rows.push(("In use", bytes(self.disk.used)));
        if let Some(free) = self.disk.free {
            rows.push(("Free on that disk", bytes(free)));
        }
        section("Storage", &facts(&rows))
    }

    fn directory(&self) -> String {
        let rows = self.relays.iter().map(|relay| {
            let state = match relay.state {
                RelayState::Alive => "alive",
                RelayState::Suspect => "suspect",
                RelayState::Dead => "dead",
            };
            let this = relay.this;
            let member = Member::from(relay.clone());
            // Only what is an address of a relay becomes a link: it is what others say.
            let place = match member.url.parse::<RelayUrl>() {
                Ok(url) => {
                    let url = esc(&url.to_string());
                    format!("<a href=\"{url}\" rel=\"noreferrer\">{url}</a>")
                }
                Err(_) => format!(
                    "<span class=\"mono\">{}</span>",
                    esc(&relay.description.relay.short())
                ),
            };
            let this = if this {
                " <span class=\"small soft\">this one</span>"
            } else {
                ""
            };
            vec![
                format!("{place}{this}"),
                format!("<span data-state=\"{state}\">{state}</span>"),
                if member.zone.is_empty() {
                    "–".to_owned()
                } else {
                    esc(&member.zone)
                },
                member.capacity.to_string(),
                member.entries.to_string(),
                format!("{} %", member.load / 10),
                format!("{:.1} ms", f64::from(member.response_us) / 1_000.0),
                esc(&member.roles.join(", ")),
            ]
        });
        let head = [
            "Relay", "State", "Zone", "Capacity", "Entries", "Load", "Response", "Roles",
        ];
        section("Network", &table("directory", &head, rows))
    }

    fn links(&self) -> String {
        let Some(view) = &self.view else {
            return section("Links", "<p class=\"soft\">The store is being read.</p>\n");
        };
        let mut links: Vec<&LinkView> = view.links.iter().collect();
        links.sort_by_key(|link| (!link.relay, link.since));
        let relays = links.iter().filter(|link| link.relay).count();
        let summary = format!(
            "<p class=\"soft\">{} and {}; {} received, {} sent since the start.</p>\n",
            counted(relays as u64, "relay", "relays"),
            counted((links.len() - relays) as u64, "browser", "browsers"),
            bytes(view.bytes_in),
            bytes(view.bytes_out)
        );
        if links.is_empty() {
            return section("Links", &summary);
        }
        let place = |link: &LinkView| {
            let relay = self
                .relays
                .iter()
                .find(|relay| relay.description.relay == link.peer);
            relay.map_or_else(
                || format!("<span class=\"mono\">{}</span>", esc(&link.peer.short())),
                |relay| match relay.description.url.as_str() {
                    "" => format!("<span class=\"mono\">{}</span>", esc(&link.peer.short())),
                    url => esc(url),
                },
            )
        };
        let rows = links.iter().take(LINKS_SHOWN_MAX).map(|link| {
            vec![
                place(link),
                if link.relay { "relay" } else { "browser" }.to_owned(),
                match link.transport {
                    Transport::WebRtc => "WebRTC",
                    Transport::WebSocket => "WebSocket",
                    Transport::Memory => "memory",
                }
                .to_owned(),
                link.rtt_ms
                    .map_or_else(|| "–".to_owned(), |ms| format!("{ms} ms")),
                bytes(link.bytes_in),
                bytes(link.bytes_out),
            ]
        });
        let mut body = summary + &table("links", &["Who", "What", "By", "Round trip", "In", "Out"], rows);
        if links.len() > LINKS_SHOWN_MAX {
            // Writing to a string cannot fail.
            let _ = writeln!(
                body,
                "<p class=\"soft\">and {} more</p>",
                links.len() - LINKS_SHOWN_MAX
            );
        }
        section("Links", &body)
    }

    fn registry(&self) -> String {
        let keeps = self.setup.roles.contains(&Role::Index);
        let place = match (&self.setup.registry, keeps) {
            (RegistryPlace::Embedded, true) => "in this relay's data folder".to_owned(),
            (RegistryPlace::Etcd(address), true) => format!("in the etcd at {address}"),
            (_, false) => "by other relays; this one asks them".to_owned(),
        };
        let index = self
            .relays
            .iter()
            .filter(|relay| relay.state == RelayState::Alive && relay.description.roles & role::INDEX != 0);
        let mine = self.relays.iter().find(|relay| relay.this);
        let registry = mine.and_then(|relay| relay.description.registry);
        let mut rows = vec![
            ("Names are kept", esc(&place)),
            ("Index relays that answer", index.count().to_string()),
        ];
        if keeps {
            let open = registry.map_or_else(
                || "not open yet: claims wait".to_owned(),
                |id| {
                    let id = data_encoding::HEXLOWER.encode(&id.0);
                    format!("<span class=\"mono\">{id}</span>")
                },
            );
            rows.push(("Its key", open));
        }
        section("Registry", &facts(&rows))
    }

    fn actions(&self) -> String {
        let body = match (self.repair.to_hand_over, self.others) {
            (Some(0), _) => "<p data-testid=\"drained\">Others have everything this relay has: it can be stopped for good.</p>\n".to_owned(),
            (Some(left), _) => format!(
                "<p data-testid=\"draining\">{} left to hand over. This page looks again by itself.</p>\n",
                counted(left, "feed is", "feeds are")
            ),
            (None, 0) => "<p class=\"soft\">Before a relay is stopped for good, it hands its share over. There is no other relay to take \
                it now.</p>\n"
                .to_owned(),
            (None, _) => "<p>Before this relay is stopped for good, it hands its share over to the others.</p>
<div class=\"admin__actions\"><a class=\"btn btn--bad\" href=\"/admin/drain\" data-testid=\"drain\">Hand the share over …</a></div>\n"
                .to_owned(),
        };
        section("Ending this relay", &body)
    }

    fn browsers(&self) -> String {
        let button = |testid: &str, others: bool, text: &str| {
            format!(
                "<form method=\"post\" action=\"/admin/leave\">
<input type=\"hidden\" name=\"form\" value=\"{}\">
<input type=\"hidden\" name=\"others\" value=\"{others}\">
<button class=\"btn\" type=\"submit\" data-testid=\"{testid}\">{text}</button>
</form>
",
                esc(&self.form)
            )
        };
        let others = match self.admins {
            0 | 1 => "<p>This browser is the only admin.</p>\n".to_owned(),
            n => format!(
                "<p>{} the admin besides this one.</p>\n",
                counted(n as u64 - 1, "browser is", "browsers are")
            ),
        };
        let mut body = others + "<div class=\"admin__actions\">";
        body += &button("leave", false, "Log out");
        if self.admins > 1 {
            body += &button("leave-others", true, "Log the others out");
        }
        body += "</div>\n";
        section("Admins", &body)
    }
}

fn section(title: &str, body: &str) -> String {
    format!(
        "<section class=\"section\">\n<h2>{}</h2>\n{body}</section>\n",
        esc(title)
    )
}

/// Values are HTML.
fn facts(rows: &[(&str, String)]) -> String {
    let rows: String = rows
        .iter()
        .map(|(term, value)| format!("<dt>{}</dt><dd>{value}</dd>\n", esc(term)))
        .collect();
    format!("<dl class=\"facts\">\n{rows}</dl>\n")
}

/// Cells are HTML. On narrow screens each row is a block, each cell with its column's name.
fn table(testid: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut html = format!("<table class=\"table\" data-testid=\"{testid}\">\n<thead><tr>");
    for name in head {
        // Writing to a string cannot fail.
        let _ = write!(html, "<th scope=\"col\">{}</th>", esc(name));
    }
    html += "</tr></thead>\n<tbody>\n";
    for row in rows {
        html += "<tr>";
        for (n, (name, cell)) in head.iter().zip(row).enumerate() {
            let _ = match n {
                0 => write!(html, "<th scope=\"row\">{cell}</th>"),
                _ => write!(html, "<td data-label=\"{}\">{cell}</td>", esc(name)),
            };
        }
        html += "</tr>\n";
    }
    html + "</tbody>\n</table>\n"
}

#[cfg(test)]
mod tests {
    use super::{
        About, Disk, NetworkView, Overview, RegistryPlace, RelayView, RepairView, Role, Setup, bytes, esc,
    };
    use axum::body::to_bytes;
    use engine::api::RelayState;
    use protocol::PeerId;
    use protocol::directory::Description;

    #[test]
    fn sizes_are_read_at_a_glance() {
        let shown = [0, 999, 1_000, 12_345, 99_949, 123_456, 7_000_000_000].map(bytes);
        assert_eq!(
            shown,
            ["0 B", "999 B", "1.0 kB", "12.3 kB", "99.9 kB", "123 kB", "7.0 GB"]
        );
    }

    #[tokio::test]
    async fn what_others_say_of_themselves_is_text_and_no_page() {
        let evil = "<script>alert(1)</script>'\"&";
        let about = About {
            peer: "abc".to_owned(),
            version: "1.0".to_owned(),
            name: evil.to_owned(),
            routing: crate::web::Weights::default(),
        };
        let relay = |n: u8, url: &str| RelayView {
            description: Description {
                relay: PeerId([n; 32]),
                url: url.to_owned(),
                zone: evil.to_owned(),
                ..Description::default()
            },
            state: RelayState::Alive,
            this: false,
        };
        let setup = Setup {
            data_dir: "/data".into(),
            roles: vec![Role::Web],
            registry: RegistryPlace::Embedded,
        };
        let overview = Overview {
            about: &about,
            setup: &setup,
            ready: true,
            repair: RepairView::default(),
            relays: vec![
                relay(1, "javascript:alert(1)"),
                relay(2, "https://a.example/\"onclick=\"x"),
                relay(3, "https://b.example"),
            ],
            view: Some(NetworkView::default()),
            disk: Disk::default(),
            admins: 1,
            others: 0,
            form: evil.to_owned(),
        };
        let page = to_bytes(overview.render().into_body(), usize::MAX).await.unwrap();
        let page = String::from_utf8(page.into()).unwrap();
        assert!(!page.contains("<script") && !page.contains("javascript:") && !page.contains("onclick=\"x"));
        assert!(page.contains(&esc(evil)));
        assert!(page.contains("<a href=\"https://b.example\""));
        assert_eq!(page.matches("<a href=").count(), 1);
    }
}
