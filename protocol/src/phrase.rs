//! The recovery phrase: an account key as 24 English words (BIP-39, 256 bits of entropy and an 8-bit checksum).
//!
//! The entropy is the Ed25519 seed itself; BIP-39's key stretching is meant for phrases with passwords and is not used.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::key::KeyPair;

pub const PHRASE_WORDS: usize = 24;
/// Bits per word: its index in the list.
const WORD_BITS: usize = 11;
/// Length of the entropy and the first byte of its SHA-256.
const PHRASE_BYTES: usize = PHRASE_WORDS * WORD_BITS / 8;

/// BIP-39's English list: 2,048 words in order, one to a line.
const WORDS: &str = include_str!("words.txt");

/// Why words are not a recovery phrase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    /// Not 24 words.
    #[error("a recovery phrase has {PHRASE_WORDS} words, this has {0}")]
    Length(usize),
    /// The word at this position (from 0) is not in the list.
    #[error("word {} (“{word}”) is not a recovery word", position + 1)]
    UnknownWord {
        /// Position from 0.
        position: usize,
        /// The word, lower-cased.
        word: String,
    },
    /// Known words that do not belong together.
    #[error("these words do not belong together: one is wrong or two are swapped")]
    Checksum,
}

/// The recovery phrase of `account`.
#[must_use]
pub fn to_words(account: &KeyPair) -> Vec<String> {
    let bytes = with_checksum(&Zeroizing::new(account.seed()));
    (0..PHRASE_WORDS)
        .filter_map(|position| {
            let (byte, bit) = place(position);
            let mut window = [0; 4];
            window
                .iter_mut()
                .zip(&bytes[byte..])
                .for_each(|(to, from)| *to = *from);
            let index = u32::from_be_bytes(window) << bit >> (32 - WORD_BITS);
            WORDS.lines().nth(index as usize).map(str::to_owned)
        })
        .collect()
}

/// The account key of a recovery phrase. Case and white space do not matter.
///
/// # Errors
/// [`PhraseError`], naming the first word that is not in the list.
pub fn from_words(phrase: &str) -> Result<KeyPair, PhraseError> {
    let mut bytes = Zeroizing::new([0; PHRASE_BYTES]);
    let mut count = 0;
    for (position, word) in phrase.split_whitespace().enumerate() {
        let Some(index) = WORDS.lines().position(|known| known.eq_ignore_ascii_case(word)) else {
            return Err(PhraseError::UnknownWord {
                position,
                word: word.chars().take(32).collect::<String>().to_ascii_lowercase(),
            });
        };
        count += 1;
        let (byte, bit) = place(position);
        let window = ((index as u32) << (32 - WORD_BITS) >> bit).to_be_bytes();
        // Words beyond the last position add nothing; their number is checked below.
        bytes
            .iter_mut()
            .skip(byte)
            .zip(window)
            .for_each(|(to, from)| *to |= from);
    }
    if count != PHRASE_WORDS {
        return Err(PhraseError::Length(count));
    }
    let mut seed = Zeroizing::new([0; 32]);
    seed.copy_from_slice(&bytes[..32]);
    if with_checksum(&seed) == bytes {
        Ok(KeyPair::from_seed(&seed))
    } else {
        Err(PhraseError::Checksum)
    }
}

/// Where a word's bits begin: index of the byte, and bit from its top.
fn place(position: usize) -> (usize, usize) {
    let at = position * WORD_BITS;
    (at / 8, at % 8)
}

fn with_checksum(seed: &[u8; 32]) -> Zeroizing<[u8; PHRASE_BYTES]> {
    let mut bytes = Zeroizing::new([0; PHRASE_BYTES]);
    bytes[..32].copy_from_slice(seed);
    bytes[32] = Sha256::digest(seed)[0];
    bytes
}
