//! Proof of work: a number with which a hash begins with as many zero bits as are asked for (Back, "Hashcash", 2002).
//! Each bit doubles the cost of finding it; to check it costs one hash.

use crate::id::{AccountId, PeerId};

/// The zero bits that a hash begins with, at most 64.
pub(crate) fn zero_bits(hash: &blake3::Hash) -> u32 {
    hash.as_bytes()
        .first_chunk()
        .map_or(0, |first| u64::from_be_bytes(*first).leading_zeros())
}

/// Tries `tries` values from `nonce` on for one that proves `bits` of work, and returns whether one was found.
/// Otherwise `nonce` is the next value to try.
pub(crate) fn seek(nonce: &mut u64, bits: u32, tries: u32, bits_of: impl Fn(u64) -> u32) -> bool {
    for _ in 0..tries {
        if bits_of(*nonce) >= bits {
            return true;
        }
        *nonce = nonce.wrapping_add(1);
    }
    false
}

/// The work that a relay asks of a device before it takes a new account: of no use at another relay, for another
/// account, or for another challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Puzzle {
    key: [u8; 32],
    bits: u8,
}

impl Puzzle {
    /// See [`WorkRequired`](crate::messages::WorkRequired).
    #[must_use]
    pub fn new(relay: &PeerId, account: &AccountId, challenge: &[u8; 16], bits: u8) -> Self {
        let mut key = blake3::Hasher::new_derive_key("starling admission work v1");
        key.update(&relay.0)
            .update(&account.0)
            .update(challenge)
            .update(&[bits]);
        let key = *key.finalize().as_bytes();
        Self { key, bits }
    }

    /// Whether this number is the work.
    #[must_use]
    pub fn is_solved_by(&self, nonce: u64) -> bool {
        self.bits_of(nonce) >= self.bits.into()
    }

    /// Tries `tries` values from `nonce` on, and returns whether one is the work. Otherwise `nonce` is the next value to
    /// try.
    pub fn seek(&self, nonce: &mut u64, tries: u32) -> bool {
        seek(nonce, self.bits.into(), tries, |nonce| self.bits_of(nonce))
    }

    fn bits_of(&self, nonce: u64) -> u32 {
        zero_bits(&blake3::keyed_hash(&self.key, &nonce.to_le_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_holds_for_one_relay_one_account_one_challenge_and_these_bits() {
        let (relay, account, challenge) = (PeerId([1; 32]), AccountId([2; 32]), [3; 16]);
        let puzzle = Puzzle::new(&relay, &account, &challenge, 12);
        let mut nonce = 0;
        while !puzzle.seek(&mut nonce, 100) {}
        assert!(puzzle.is_solved_by(nonce) && nonce > 0);
        for other in [
            Puzzle::new(&PeerId([9; 32]), &account, &challenge, 12),
            Puzzle::new(&relay, &AccountId([9; 32]), &challenge, 12),
            Puzzle::new(&relay, &account, &[9; 16], 12),
            Puzzle::new(&relay, &account, &challenge, 11),
        ] {
            assert!(!other.is_solved_by(nonce), "{other:?}");
        }
        let free = Puzzle::new(&relay, &account, &challenge, 0);
        assert!(free.is_solved_by(7));
    }
}
