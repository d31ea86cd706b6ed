//! A second implementation of the encoding, written from `docs/protocol.md` alone: no serde, no postcard, and hashes
//! and signatures straight from their crates. Golden vectors are built with it, so the document, the code and the
//! vectors can only change together.

use ed25519_dalek::{Signer, SigningKey};

/// Bytes with a name, field by field.
#[derive(Clone)]
pub(crate) struct Vector {
    pub(crate) name: &'static str,
    fields: Vec<(String, Vec<u8>)>,
}

impl Vector {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            fields: Vec::new(),
        }
    }

    /// Bytes as they are: keys, hashes, single bytes.
    pub(crate) fn fixed(mut self, label: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.fields.push((label.to_owned(), bytes.as_ref().to_vec()));
        self
    }

    /// A single byte.
    pub(crate) fn byte(self, label: &str, byte: u8) -> Self {
        self.fixed(label, [byte])
    }

    /// An integer of more than eight bits.
    pub(crate) fn varint(self, label: &str, value: u64) -> Self {
        self.fixed(label, varint(value))
    }

    /// The length of something, then the thing.
    pub(crate) fn sized(self, label: &str, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let with_length = self.varint(&format!("{label}, length"), bytes.len() as u64);
        if bytes.is_empty() {
            with_length
        } else {
            with_length.fixed(label, bytes)
        }
    }

    /// All fields of another vector.
    pub(crate) fn all(mut self, label: &str, inner: &Vector) -> Self {
        for (inner_label, bytes) in &inner.fields {
            self.fields
                .push((format!("{label}.{inner_label}"), bytes.clone()));
        }
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.fields.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    /// The text form kept in a golden file.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("[{}]\n", self.name);
        for (label, bytes) in &self.fields {
            let mut note = format!("  # {label}");
            for line in bytes.chunks(32) {
                text.push_str(&hex(line));
                text.push_str(&note);
                text.push('\n');
                note.clear();
            }
        }
        text
    }
}

/// Seven bits per byte, low ones first; the top bit says that more follow.
pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

pub(crate) fn public(seed: u8) -> [u8; 32] {
    SigningKey::from_bytes(&[seed; 32]).verifying_key().to_bytes()
}

pub(crate) fn sign(seed: u8, tag: &str, message: &[u8]) -> [u8; 64] {
    let signed = [tag.as_bytes(), b"\0", message].concat();
    SigningKey::from_bytes(&[seed; 32]).sign(&signed).to_bytes()
}

pub(crate) fn blake3(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}
