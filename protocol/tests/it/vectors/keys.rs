//! Secrets, public keys, their text form, and the recovery phrase.

use crate::by_hand::{self, Vector};
use crate::cast;

pub(crate) fn all() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for (name, seed) in [
        ("ada (account)", cast::ADA),
        ("laptop (device of ada)", cast::LAPTOP),
        ("phone (device of ada)", cast::PHONE),
        ("bob (account)", cast::BOB),
        ("relay", cast::RELAY),
    ] {
        let public = by_hand::public(seed);
        assert_eq!(public, cast::key(seed).public());
        let text = cast::account(seed).to_string();
        let raw = [&public[..], &by_hand::blake3(&public)[..2]].concat();
        assert_eq!(
            text,
            data_encoding::BASE32_NOPAD.encode(&raw).to_lowercase(),
            "{name}"
        );
        assert_eq!(text.parse(), Ok(cast::account(seed)));
        vectors.push(
            Vector::new(name)
                .fixed("seed", [seed; 32])
                .fixed("public key", public)
                .fixed(&format!("text form: {text}"), &text),
        );
    }
    let words = protocol::phrase::to_words(&cast::key(cast::ADA)).join(" ");
    assert_eq!(
        protocol::phrase::from_words(&words).map(|key| key.seed()),
        Ok([cast::ADA; 32])
    );
    vectors.push(Vector::new("phrase of ada").fixed(&words, &words));
    vectors
}
