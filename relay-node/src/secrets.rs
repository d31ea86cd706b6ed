//! Secrets: random bytes of the system, tokens made of them, and the hashes by which a token is known.

use std::io;

use data_encoding::HEXLOWER;

/// Random bytes of the operating system.
///
/// # Errors
/// If it gives none.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// A token of 256 random bits, as its owner has it.
///
/// # Errors
/// If the operating system gives no randomness.
pub(crate) fn token() -> io::Result<String> {
    Ok(HEXLOWER.encode(&random::<32>()?))
}

/// What may be known of a secret. `context` keeps the hashes of one use apart from those of others (BLAKE3, section 2.3).
///
/// Hashes are compared instead of secrets: that takes the same time wherever they differ.
pub(crate) fn hash(context: &str, secret: &[u8]) -> blake3::Hash {
    blake3::Hash::from_bytes(blake3::derive_key(context, secret))
}

#[cfg(test)]
mod tests {
    use super::{hash, token};

    #[test]
    fn tokens_differ_and_so_do_the_hashes_of_one_secret_in_two_uses() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
        assert_ne!(hash("a", one.as_bytes()), hash("b", one.as_bytes()));
        assert_eq!(hash("a", one.as_bytes()), hash("a", one.as_bytes()));
    }
}
