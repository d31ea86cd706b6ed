//! The recovery phrase: an account key as 24 English words (BIP-39, 256 bits of entropy and an 8-bit checksum).
//!
//! The entropy itself is the Ed25519 seed; BIP-39's password stretching exists for phrases with passwords, which we have not.

use bip39::{Language, Mnemonic};
use zeroize::Zeroizing;

use crate::key::KeyPair;

/// Words in a phrase.
pub const PHRASE_WORDS: usize = 24;

/// Why words are no phrase.
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

/// The words that bring `account` back.
#[must_use]
pub fn to_words(account: &KeyPair) -> Vec<String> {
    // 32 bytes are always valid entropy for 24 words.
    Mnemonic::from_entropy_in(Language::English, &*Zeroizing::new(account.seed()))
        .map(|mnemonic| mnemonic.words().map(str::to_owned).collect())
        .unwrap_or_default()
}

/// The account key behind a phrase. Case and amount of white space do not matter.
///
/// # Errors
/// [`PhraseError`], naming the first word that is not in the list.
pub fn from_words(phrase: &str) -> Result<KeyPair, PhraseError> {
    let words: Vec<String> = phrase.split_whitespace().map(str::to_lowercase).collect();
    if let Some((position, word)) = words
        .iter()
        .enumerate()
        .find(|(_, word)| Language::English.find_word(word).is_none())
    {
        return Err(PhraseError::UnknownWord {
            position,
            word: word.chars().take(32).collect(),
        });
    }
    if words.len() != PHRASE_WORDS {
        return Err(PhraseError::Length(words.len()));
    }
    let mnemonic = Mnemonic::parse_in_normalized(Language::English, &Zeroizing::new(words.join(" ")))
        .map_err(|_| PhraseError::Checksum)?;
    let (entropy, len) = mnemonic.to_entropy_array();
    let entropy = Zeroizing::new(entropy);
    let seed: Zeroizing<[u8; 32]> = entropy
        .get(..len)
        .and_then(|e| e.try_into().ok())
        .map(Zeroizing::new)
        .ok_or(PhraseError::Checksum)?;
    Ok(KeyPair::from_seed(&seed))
}
