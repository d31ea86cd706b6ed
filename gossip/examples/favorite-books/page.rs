//! The status page: what a node knows, in plain HTML that reloads itself.

use std::fmt::Write as _;
use std::time::Duration;

use crate::node::Node;

/// The whole page. `data-` attributes carry the plain values for programs.
pub(crate) fn render(node: &Node, now: Duration) -> String {
    let config = node.config();
    let mut html = String::with_capacity(8 * 1024);
    let refresh = config.gossip_interval.as_secs().clamp(1, 5);
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"refresh\" content=\"{refresh}\">\n\
         <title>Favourite books: {id}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>Favourite books <small>node {id}</small></h1>\n",
        id = config.id,
    );
    own(&mut html, node);
    books(&mut html, node, now);
    peers(&mut html, node, now);
    dropped(&mut html, node, now);
    counters(&mut html, node);
    let seed = config.seed.map_or("none".to_owned(), |seed| seed.to_string());
    let _ = write!(
        html,
        "<footer>Up for {}. Tells {} peers every {:?}, TTL {}, new book {}, seed {seed}.</footer>\n\
         </main>\n</body>\n</html>\n",
        age(now),
        config.infection_factor,
        config.gossip_interval,
        config.ttl,
        if config.fickle_interval.is_zero() {
            "never".to_owned()
        } else {
            format!("every {:?}", config.fickle_interval)
        },
    );
    html
}

fn own(html: &mut String, node: &Node) {
    if let Some(own) = node.books().get(&node.config().id) {
        let _ = writeln!(
            html,
            "<p class=\"own\" data-version=\"{}\">My favourite: <cite>{}</cite> <small>version {}</small></p>",
            own.version,
            escape(&own.book),
            own.version
        );
    }
}

fn books(html: &mut String, node: &Node, now: Duration) {
    let _ = write!(
        html,
        "<h2>Books of {} nodes</h2>\n<div class=\"wide\"><table>\n\
         <thead><tr><th scope=\"col\">Node<th scope=\"col\">Book<th scope=\"col\" class=\"number\">Version<th scope=\"col\">Learned</thead>\n\
         <tbody>\n",
        node.books().len()
    );
    for (id, known) in node.books() {
        let _ = writeln!(
            html,
            "<tr data-node=\"{id}\" data-version=\"{version}\"><th scope=\"row\"><a href=\"http://localhost:{id}/\">{id}</a>\
             <td><cite>{book}</cite><td class=\"number\">{version}<td>{age} ago",
            version = known.version,
            book = escape(&known.book),
            age = age(now.saturating_sub(known.at)),
        );
    }
    html.push_str("</tbody>\n</table></div>\n");
}

fn peers(html: &mut String, node: &Node, now: Duration) {
    let _ = writeln!(html, "<h2>{} peers</h2>", node.peers().known().count());
    if node.peers().is_empty() {
        html.push_str("<p>Nobody to gossip with.</p>\n");
        return;
    }
    html.push_str("<ul>\n");
    for (id, peer) in node.peers().known() {
        let _ = writeln!(
            html,
            "<li data-peer=\"{id}\" data-met=\"{met}\"><a href=\"http://localhost:{id}/\">{id}</a> {heard} {age} ago",
            met = peer.met,
            heard = if peer.met { "heard" } else { "named by others" },
            age = age(now.saturating_sub(peer.heard_at)),
        );
    }
    html.push_str("</ul>\n");
}

fn dropped(html: &mut String, node: &Node, now: Duration) {
    if node.peers().dropped().next().is_none() {
        return;
    }
    html.push_str("<h2>Dropped</h2>\n<ul>\n");
    for (id, dropped) in node.peers().dropped() {
        let _ = writeln!(
            html,
            "<li data-dropped=\"{id}\">{id} {why} <small>{age} ago</small>",
            why = dropped.why,
            age = age(now.saturating_sub(dropped.at)),
        );
    }
    html.push_str("</ul>\n");
}

fn counters(html: &mut String, node: &Node) {
    let counters = node.counters();
    let mut rows = vec![
        ("messages sent".to_owned(), counters.sent),
        ("messages received".to_owned(), counters.received),
        ("news among them".to_owned(), counters.absorbed),
        ("duplicates ignored".to_owned(), counters.duplicate),
        ("stale ignored".to_owned(), counters.stale),
        ("expired ignored".to_owned(), counters.expired),
        ("unfit ignored".to_owned(), counters.unfit),
        ("requests refused".to_owned(), counters.refused),
        ("message ids remembered".to_owned(), node.seen() as u64),
        ("peers dropped".to_owned(), counters.dropped.values().sum()),
    ];
    for (why, &count) in &counters.dropped {
        rows.push((format!("dropped: {why}"), count));
    }
    html.push_str("<h2>Counters</h2>\n<table class=\"counters\">\n<tbody>\n");
    for (name, count) in rows {
        let _ = writeln!(
            html,
            "<tr data-counter=\"{name}\" data-count=\"{count}\"><th scope=\"row\">{name}<td class=\"number\">{count}"
        );
    }
    html.push_str("</tbody>\n</table>\n");
}

/// Rounded to what a person would say.
fn age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; --line: light-dark(#ddd, #383838); \
--soft: light-dark(#5f5f5f, #a8a8a8); --link: light-dark(#0b57a4, #8cbcf0); }
body { margin: 0; background: light-dark(#fdfdfb, #161616); color: light-dark(#1c1c1c, #ececec); }
main { max-width: 46rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
small, footer { color: var(--soft); font-weight: normal; }
.own { font-size: 1.2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; } table.counters { width: auto; }
th, td { text-align: start; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); }
tbody th { font-weight: normal; }
th.number, td.number { text-align: end; font-variant-numeric: tabular-nums; }
cite { overflow-wrap: anywhere; }
ul { list-style: none; padding: 0; }
a { color: var(--link); }
footer { margin-top: 2rem; }
";
