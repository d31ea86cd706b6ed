//! What people copy and type: ids and recovery phrases. Errors say what to look at.

use proptest::prelude::*;
use proptest::sample::Index;
use protocol::id::{ID_TEXT_LEN, IdError};
use protocol::messages::membership::{Invitation, NoInvitation};
use protocol::phrase::{self, PHRASE_WORDS, PhraseError};
use protocol::{AccountId, KeyPair, PeerId};

const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";

proptest! {
    #[test]
    fn ids_are_read_as_written(bytes in any::<[u8; 32]>()) {
        let text = AccountId(bytes).to_string();
        prop_assert_eq!(text.len(), ID_TEXT_LEN);
        prop_assert!(text.bytes().all(|c| ALPHABET.contains(&c)));
        prop_assert_eq!(text.parse(), Ok(AccountId(bytes)));
        prop_assert_eq!(text.to_uppercase().parse(), Ok(AccountId(bytes)), "as in a QR code");
        prop_assert!(text.starts_with(&AccountId(bytes).short()));
    }

    /// 16 bits of checksum: one error in 65,536 goes unnoticed, and none may name another id that looks checked.
    #[test]
    fn a_typing_error_in_an_id_is_noticed(place in 0..ID_TEXT_LEN, letter in any::<Index>()) {
        let id = AccountId([42; 32]);
        let mut text = id.to_string().into_bytes();
        let letter = *letter.get(ALPHABET);
        prop_assume!(text[place] != letter);
        text[place] = letter;
        let text = String::from_utf8(text).unwrap();
        prop_assert_eq!(text.parse::<AccountId>(), Err(IdError::Checksum));
    }

    #[test]
    fn invitations_are_read_as_written(by in any::<[u8; 32]>(), secret in any::<[u8; 16]>()) {
        let invitation = Invitation { by: PeerId(by), secret };
        let text = invitation.to_string();
        prop_assert_eq!(text.len(), 64);
        prop_assert_eq!(text.parse(), Ok(invitation));
        prop_assert_eq!(format!(" {text}\n").parse(), Ok(invitation), "as it is pasted");
        prop_assert_eq!(text[1..].parse::<Invitation>(), Err(NoInvitation));
    }

    #[test]
    fn arbitrary_text_is_no_id(text in ".{0,80}") {
        prop_assert!(text.parse::<AccountId>().is_err());
    }

    #[test]
    fn phrases_bring_the_key_back(seed in any::<[u8; 32]>(), spaces in "[ \t\n]{1,4}", upper in any::<bool>()) {
        let words = phrase::to_words(&KeyPair::from_seed(&seed));
        prop_assert_eq!(words.len(), PHRASE_WORDS);
        let mut typed = format!("{spaces}{}{spaces}", words.join(&spaces));
        if upper {
            typed = typed.to_uppercase();
        }
        prop_assert_eq!(phrase::from_words(&typed).map(|key| key.seed()), Ok(seed));
    }

    #[test]
    fn the_word_that_is_none_is_pointed_at(seed in any::<[u8; 32]>(), position in 0..PHRASE_WORDS) {
        let mut words = phrase::to_words(&KeyPair::from_seed(&seed));
        words[position] = "Starlings".into();
        let expected = PhraseError::UnknownWord { position, word: "starlings".into() };
        prop_assert_eq!(phrase::from_words(&words.join(" ")).map(|_| ()), Err(expected.clone()));
        let told = format!("word {} ", position + 1);
        prop_assert!(expected.to_string().contains(&told));
    }

    #[test]
    fn a_phrase_has_24_words(seed in any::<[u8; 32]>(), count in 0..PHRASE_WORDS) {
        let words = phrase::to_words(&KeyPair::from_seed(&seed));
        let short = words[..count].join(" ");
        prop_assert_eq!(phrase::from_words(&short).map(|_| ()), Err(PhraseError::Length(count)));
        let long = format!("{} {}", words.join(" "), words[0]);
        prop_assert_eq!(phrase::from_words(&long).map(|_| ()), Err(PhraseError::Length(PHRASE_WORDS + 1)));
    }

    #[test]
    fn arbitrary_text_is_no_phrase(text in ".{0,400}") {
        prop_assert!(phrase::from_words(&text).is_err());
    }
}

#[test]
fn errors_in_ids_are_told_apart() {
    let text = AccountId([42; 32]).to_string();
    assert_eq!(text[1..].parse::<AccountId>(), Err(IdError::Length));
    assert_eq!(format!("{text}a").parse::<AccountId>(), Err(IdError::Length));
    let with = |c: &str| format!("{c}{}", &text[c.len()..]).parse::<AccountId>();
    for outside in ["0", "1", "8", "-", " ", "é"] {
        assert_eq!(with(outside), Err(IdError::Alphabet), "{outside}");
    }
}

/// The checksum has 8 bits, so some wrong phrases pass by chance; they give another key, never a panic.
#[test]
fn swapped_words_are_noticed() {
    let words = phrase::to_words(&KeyPair::from_seed(&[
        0x9e, 0x88, 0x5d, 0x95, 0x2a, 0xd3, 0x62, 0xca, 0xeb, 0x4e, 0xfe, 0x34, 0xa8, 0xe9, 0x1b, 0xd2, 0x11,
        0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x01,
    ]));
    let (mut swaps, mut noticed) = (0, 0);
    for one in 0..PHRASE_WORDS {
        for other in one + 1..PHRASE_WORDS {
            let mut swapped = words.clone();
            swapped.swap(one, other);
            if swapped == words {
                continue;
            }
            swaps += 1;
            match phrase::from_words(&swapped.join(" ")) {
                Err(error) => {
                    assert_eq!(error, PhraseError::Checksum);
                    noticed += 1;
                }
                Ok(key) => assert_ne!(phrase::to_words(&key), words),
            }
        }
    }
    assert!(swaps > 270);
    assert!(noticed * 100 >= swaps * 97, "{noticed} of {swaps}");
}

/// The first test vector of BIP-39 with 256 bits: other wallets and tools read the same.
#[test]
fn phrases_are_bip_39() {
    let expected = format!("{}art", "abandon ".repeat(23));
    assert_eq!(
        phrase::to_words(&KeyPair::from_seed(&[0; 32])).join(" "),
        expected
    );
    let expected = format!("{}vote", "zoo ".repeat(23));
    assert_eq!(
        phrase::to_words(&KeyPair::from_seed(&[0xff; 32])).join(" "),
        expected
    );
}
