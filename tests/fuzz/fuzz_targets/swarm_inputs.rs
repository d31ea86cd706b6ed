//! A member of a gossip swarm that gets arbitrary messages from arbitrary members in any order: it never panics, never
//! links with itself, and stays within its bounds.
#![no_main]

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use gossip::membership::Config;
use gossip::swarm::{Output, Swarm};
use gossip::wire;
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;

const ME: u8 = 0;

fuzz_target!(|bytes: &[u8]| {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut now = Duration::from_secs(1);
    let config = Config::visitor().with_active(4);
    let mut swarm = Swarm::new(ME, config.clone(), 1, now, &mut rng);
    let mut connected = BTreeSet::new();
    let mut rest = bytes;
    // What happens, to whom, and how many of the bytes that follow are what it says.
    while let Some(([what, peer, len], after)) = rest.split_first_chunk::<3>() {
        let (said, after) = after.split_at(usize::from(*len).min(after.len()));
        rest = after;
        match what % 8 {
            0 => swarm.learn(*peer, len % 2 == 0, now, &mut rng),
            1 if connected.insert(*peer) => swarm.on_connected(*peer, len % 2 == 0, now, &mut rng),
            2 => {
                connected.remove(peer);
                swarm.on_disconnected(peer, now, &mut rng);
            }
            3 => swarm.on_dial_failed(peer, now, &mut rng),
            4 => {
                now += Duration::from_millis(u64::from(*len) * u64::from(*peer));
                swarm.tick(now, &mut rng);
            }
            5 => {
                swarm.broadcast(Bytes::copy_from_slice(said), said.len(), now);
            }
            _ if connected.contains(peer) => {
                if let Ok(message) = wire::decode(&Bytes::copy_from_slice(said)) {
                    let taken = swarm.on_message(*peer, message, Bytes::len, now, &mut rng);
                    if taken.is_err() {
                        connected.remove(peer);
                    }
                }
            }
            _ => {}
        }
        while let Some(output) = swarm.poll() {
            match output {
                Output::Dial(peer) => assert_ne!(peer, ME),
                Output::Close(peer, _) => {
                    connected.remove(&peer);
                }
                Output::Up(peer) => assert_ne!(peer, ME),
                Output::Send(..) | Output::Delivered { .. } | Output::Received(..) | Output::Down(..) => {}
            }
        }
        assert!(swarm.membership().neighbours_len() <= config.active_max);
        assert!(swarm.membership().acquaintances().count() <= config.passive_max);
    }
});
