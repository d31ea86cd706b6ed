//! English texts of the network page.

use crate::ui::kit::strings::counted;
use engine::api::ScoreView;

pub const NETWORK: &str = "Network";

/// How good a relay is for this device, and why.
pub fn relay_score(view: &ScoreView) -> String {
    let tenths = |n: u32| format!("{}.{}", n / 10, n % 10);
    let [replication, response, distance, errors] = view.parts.map(tenths);
    format!(
        " · score {} = 1000 ÷ ({replication} replication + {response} response + {distance} distance + {errors} errors)",
        tenths(view.score)
    )
}

/// What the scores are for, and the weights behind them, given in thousandths.
pub fn relay_weights(weights: [u32; 4]) -> String {
    let [replication, response, distance, errors] = weights.map(|weight| {
        let digits = format!("{}.{:03}", weight / 1_000, weight % 1_000);
        digits.trim_end_matches('0').trim_end_matches('.').to_owned()
    });
    format!(
        "{RELAYS_SCORE} The operator of your relay sets the weights: a millisecond until your posts are there {replication}, a \
         millisecond to answer {response}, a kilometre {distance} (a browser does not know where it is), failing always {errors}."
    )
}
pub const NO_RELAY: &str = "No relay is in reach. People who are linked still get what you write at once; relays get it \
     when they are back.";
pub const PEER_MAP: &str = "You in the middle, peers around you: the nearer, the quicker they answer.";
pub const NETWORK_NOBODY: &str = "Nobody is linked at the moment.";
pub const NETWORK_SELF: &str = "You";
pub const NETWORK_LINKS: &str = "Links";
pub const LINK_WHO: &str = "Who";
pub const LINK_VIA: &str = "Connected by";
pub const LINK_RTT: &str = "Round trip";
pub const LINK_IN: &str = "In";
pub const LINK_OUT: &str = "Out";
pub const LINK_SINCE: &str = "Since";
pub const LINK_NONE: &str = "No links. Starling keeps trying by itself.";
pub const VIA_WEBRTC: &str = "WebRTC";
pub const VIA_WEBSOCKET: &str = "WebSocket";
pub const VIA_MEMORY: &str = "Memory";
pub const RELAY: &str = "Relay";
pub const PEER: &str = "Peer";
pub const HELD: &str = "What this device holds";
pub const HELD_FEEDS: &str = "Feeds";
pub const HELD_ENTRIES: &str = "Entries";
pub const HELD_INTERESTS: &str = "People asked about";
pub const HELD_DUPLICATES: &str = "Received twice";
pub const HELD_REFUSED: &str = "Refused as invalid";
pub const RELAYS: &str = "Relays heard of";
pub const RELAYS_SCORE: &str = "Starling turns to the relays with the highest scores: those that have your posts soonest, answer \
     quickly and rarely fail.";
pub const RELAY_ALIVE: &str = "Answering";
pub const RELAY_SUSPECT: &str = "Silent lately";
pub const RELAY_DEAD: &str = "Gone silent";
pub const RELAY_LEFT: &str = "Left the network";
pub const RELAY_NO_MEMBER: &str = "No longer part of the network: copies of your posts there do not count, and Starling uses other \
     relays instead.";
pub const RELAY_FORGET: &str = "Remove";
pub const SYNCED: &str = "Last compared";
pub const SYNCED_NONE: &str = "Nothing was compared with anybody yet.";
pub const DIAGNOSTICS: &str = "Diagnostics";
pub const DIAGNOSTICS_HINT: &str =
    "Helps the operator of your relay to find a fault. Contains none of your posts and no recovery words.";
pub const DIAGNOSTICS_COPY: &str = "Copy diagnostics";
pub const RECONNECT: &str = "Connect again now";

/// The whole picture in one sentence.
pub fn peer_map_label(peers: usize, relays: usize) -> String {
    format!(
        "{PEER_MAP} {}, {}.",
        counted(relays as u64, "relay", "relays"),
        counted((peers - relays.min(peers)) as u64, "other peer", "other peers")
    )
}
