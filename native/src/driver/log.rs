//! The engine's log as lines of this program's log.

use engine::io::Log;
use protocol::PeerId;

pub(super) fn write(log: &Log) {
    let name = |peer: &Option<PeerId>| peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
    match log {
        Log::Clock { ahead_min: 0 } => tracing::info!("the clock agrees with those of other relays again"),
        Log::Clock { ahead_min } => tracing::warn!(
            ahead_min,
            "the clock differs from those of other relays by minutes; set it, for example by NTP"
        ),
        Log::Linked { link, peer, relay } => tracing::info!(link = link.0, %peer, relay, "link established"),
        Log::Unlinked { link, peer, reason } => {
            tracing::info!(link = link.0, peer = name(peer), reason, "link closed");
        }
        Log::Refused { link, peer, reason } => {
            tracing::warn!(link = link.0, peer = name(peer), reason, "message refused");
        }
        Log::Corrupt { table } => {
            tracing::error!(
                table = table.name(),
                "stored row damaged; what it held is requested from peers"
            );
        }
        Log::Relay {
            peer,
            url,
            from,
            to,
            silent,
        } => {
            let silent_s = silent.as_secs_f32();
            tracing::info!(%peer, url, from, to, silent_s, "relay state changed");
        }
        Log::Member { peer, by, on: true } => {
            tracing::info!(%peer, by = name(by), "relay became a member of this network");
        }
        Log::Member { peer, on: false, .. } => {
            tracing::warn!(%peer, "relay is no longer a member of this network");
        }
        Log::NamedStranger { peer } => tracing::warn!(
            %peer,
            "the relay at an address of --join is not a member of this network; it is not treated as a member"
        ),
        Log::Joined { peer, accepted: true } => {
            tracing::info!(%peer, "invitation accepted: this relay is a member");
        }
        Log::Joined {
            peer,
            accepted: false,
        } => tracing::error!(
            %peer,
            "invitation refused: it was used, or it has expired; `relay-node invite`, run at that relay, prints another"
        ),
        Log::Placement { relays, replicas } => tracing::info!(relays, replicas, "assignment recomputed"),
        Log::Copies { wanted, living } if living < wanted => {
            tracing::warn!(
                wanted,
                living,
                "replica count below target: too few relays are alive"
            );
        }
        Log::Copies { wanted, living } => tracing::info!(wanted, living, "replica count restored"),
        Log::NotHeld { peer, device, seq } => tracing::warn!(
            %peer,
            %device,
            seq,
            "audit failed: a relay did not show an entry that it said it holds; the feed is offered to it again"
        ),
        Log::PartitionSuspected { on: true } => tracing::warn!(
            "partition suspected: many relays fell silent at once, so assignments stay as they are"
        ),
        Log::PartitionSuspected { on: false } => tracing::info!("partition no longer suspected"),
        Log::OtherRegistry { known, other } => tracing::warn!(
            known = data_encoding::HEXLOWER.encode(&known.0),
            other = data_encoding::HEXLOWER.encode(&other.0),
            "a relay of this network uses another registry of names; names of that registry are not shown"
        ),
        Log::Forked { device, seq } => tracing::warn!(%device, seq, "feed forked"),
    }
}
