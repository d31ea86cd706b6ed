//! A handshake among arbitrary frames, honest ones between them: no panic, and nobody but the honest peer gets through.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::kinds::Certificate;
use protocol::link::frame;
use protocol::link::handshake::{Binding, Handshake, Hello, MAGIC, Side, Step, VERSION_MAX, VERSION_MIN};
use protocol::{AccountId, DeviceId, KeyPair, PeerId, Timestamp};

fn end(side: Side, seed: u8) -> Handshake {
    let key = KeyPair::from_seed(&[seed; 32]);
    let account = KeyPair::from_seed(&[seed + 100; 32]);
    let device = DeviceId(key.public());
    let hello = Hello {
        magic: MAGIC,
        version_min: VERSION_MIN,
        version_max: VERSION_MAX,
        features: 0,
        peer: PeerId(key.public()),
        nonce: [seed; 32],
        certificate: Some(Certificate::issue(
            &account,
            device,
            "fuzzed".into(),
            Timestamp(1),
        )),
        wall: Timestamp(2),
    };
    Handshake::new(side, Binding::Memory, key, &hello)
}

fuzz_target!(|bytes: &[u8]| {
    let mut honest = end(Side::Initiator, 1);
    let mut fuzzed = end(Side::Responder, 2);
    let (_, hello) = frame::split(&fuzzed.frames()[0])
        .map(|(kind, payload)| (kind, payload.to_vec()))
        .expect("a frame");
    honest.on_frame(frame::HELLO, &hello).expect("an honest hello");
    let frames = honest.frames();

    let mut rest = bytes;
    // Each step: what to send, how much of the input it takes, and the input itself.
    while let [what, length, after @ ..] = rest {
        let (piece, next) = after.split_at(usize::from(*length).min(after.len()));
        rest = next;
        let mut sent = match what {
            // An honest frame, changed where the input says so; unchanged if it says nothing.
            128.. => frames[usize::from(what % 2)].clone(),
            kind => frame::join(*kind % 6, piece),
        };
        if *what >= 128 {
            for change in piece.chunks_exact(2) {
                let place = 1 + usize::from(change[0]) % (sent.len() - 1);
                sent[place] ^= change[1];
            }
        }
        let (kind, payload) = frame::split(&sent).expect("a frame");
        match fuzzed.on_frame(kind, payload) {
            Ok(Step::Done(established)) => {
                assert_eq!(sent, frames[1], "an honest proof, as it was sent");
                assert_eq!(established.peer, PeerId(KeyPair::from_seed(&[1; 32]).public()));
                let account = KeyPair::from_seed(&[101; 32]).public();
                assert_eq!(established.account, Some(AccountId(account)));
                return;
            }
            Ok(Step::Wait | Step::Send(_)) => {}
            Err(_) => return,
        }
    }
});
