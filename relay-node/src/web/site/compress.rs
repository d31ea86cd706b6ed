//! Compressed variants of files, made once and kept in memory.
//!
//! The best brotli takes seconds for the app's wasm, so it is made when the relay starts; who asks before it is there gets
//! a variant made in a tenth of the time and a tenth larger.
//!
//! Brotli first: the app is a third smaller than with gzip. Browsers take it over TLS and from this machine only, so gzip
//! is for plain HTTP in a local network.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;
use bytes::Bytes;

use super::assets::Asset;

/// Variants kept, in bytes: the app's are about one megabyte together.
const KEPT_BYTES_MAX: usize = 64 << 20;
/// Below it, headers outweigh what compression saves.
const WORTH_BYTES_MIN: usize = 512;
/// The best there is, made at the start. A debug build would take minutes for it.
const BROTLI_BEST: i32 = if cfg!(debug_assertions) { BROTLI_QUICK } else { 11 };
/// Made while somebody waits.
const BROTLI_QUICK: i32 = if cfg!(debug_assertions) { 4 } else { 7 };
/// The window in bits: 4 MiB, larger than any file of the app.
const BROTLI_WINDOW_BITS: i32 = 22;

/// How bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Brotli,
}

impl Encoding {
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }

    /// The best one the client takes (RFC 9110 section 12.5.3; of weights only zero matters).
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let accepts = |wanted: &str| {
            headers
                .get_all(ACCEPT_ENCODING)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(','))
                .any(|coding| {
                    let mut parts = coding.split(';').map(str::trim);
                    let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
                    let refused = parts
                        .filter_map(|part| part.strip_prefix("q="))
                        .any(|weight| weight.parse() == Ok(0.0f32));
                    named && !refused
                })
        };
        if accepts("br") {
            Self::Brotli
        } else if accepts("gzip") {
            Self::Gzip
        } else {
            Self::Identity
        }
    }
}

/// Variants made so far.
#[derive(Debug, Default)]
pub(super) struct Variants(Mutex<HashMap<(String, Encoding), Bytes>>);

impl Variants {
    /// The file's bytes in this encoding, or as they are if that is no smaller.
    pub(super) fn of(&self, asset: &Asset, encoding: Encoding) -> (Bytes, Encoding) {
        if encoding == Encoding::Identity || !is_worth_it(asset) {
            return (asset.bytes.clone(), Encoding::Identity);
        }
        if encoding == Encoding::Brotli
            && let Some(brotli) = &asset.brotli
        {
            return (brotli.clone(), encoding);
        }
        let kept = self.lock().get(&(asset.hash.clone(), encoding)).cloned();
        let compressed = kept.unwrap_or_else(|| {
            // Not under the lock: others do not wait for it, at worst they do the same.
            let made = compress(&asset.bytes, encoding, BROTLI_QUICK);
            self.keep(asset, encoding, made)
        });
        if compressed.len() < asset.bytes.len() {
            (compressed, encoding)
        } else {
            (asset.bytes.clone(), Encoding::Identity)
        }
    }

    /// Makes the best variant of a file ahead of time.
    pub(super) fn prepare(&self, asset: &Asset) {
        if asset.brotli.is_none() && is_worth_it(asset) {
            let best = compress(&asset.bytes, Encoding::Brotli, BROTLI_BEST);
            self.lock().remove(&(asset.hash.clone(), Encoding::Brotli));
            self.keep(asset, Encoding::Brotli, best);
        }
    }

    fn keep(&self, asset: &Asset, encoding: Encoding, made: Bytes) -> Bytes {
        let mut kept = self.lock();
        let bytes: usize = kept.values().map(Bytes::len).sum();
        if bytes + made.len() > KEPT_BYTES_MAX {
            kept.clear();
        }
        kept.entry((asset.hash.clone(), encoding)).or_insert(made).clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, Encoding), Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_worth_it(asset: &Asset) -> bool {
    asset.bytes.len() >= WORTH_BYTES_MIN && is_compressible(&asset.mime)
}

fn is_compressible(mime: &str) -> bool {
    mime.starts_with("text/")
        || mime.ends_with("json")
        || mime.ends_with("xml")
        || matches!(
            mime,
            "application/wasm" | "image/x-icon" | "font/ttf" | "font/otf"
        )
}

/// Nothing if it fails, which writing to memory does not.
fn compress(bytes: &[u8], encoding: Encoding, quality: i32) -> Bytes {
    let written = match encoding {
        Encoding::Identity => Ok(bytes.to_vec()),
        Encoding::Gzip => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            writer.write_all(bytes).and_then(|()| writer.finish())
        }
        Encoding::Brotli => {
            let parameters = brotli::enc::BrotliEncoderParams {
                quality,
                lgwin: BROTLI_WINDOW_BITS,
                size_hint: bytes.len(),
                ..Default::default()
            };
            let mut compressed = Vec::new();
            brotli::BrotliCompress(&mut &bytes[..], &mut compressed, &parameters).map(|_| compressed)
        }
    };
    // An empty variant would pass for the smallest.
    match written {
        Ok(written) if !written.is_empty() => written.into(),
        _ => Bytes::copy_from_slice(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::{BROTLI_QUICK, Encoding, compress};
    use axum::http::{HeaderMap, HeaderValue, header::ACCEPT_ENCODING};
    use std::io::Read as _;

    fn check_accepted(header: Option<&'static str>, expected: Encoding) {
        let headers: HeaderMap = header
            .map(|value| (ACCEPT_ENCODING, HeaderValue::from_static(value)))
            .into_iter()
            .collect();
        assert_eq!(Encoding::accepted(&headers), expected, "{header:?}");
    }

    #[test]
    fn the_best_accepted_encoding_is_chosen() {
        check_accepted(None, Encoding::Identity);
        check_accepted(Some("gzip, deflate, br, zstd"), Encoding::Brotli);
        check_accepted(Some("gzip;q=1.0, BR;q=0.1"), Encoding::Brotli);
        check_accepted(Some("gzip, br;q=0"), Encoding::Gzip);
        check_accepted(Some("deflate"), Encoding::Identity);
        check_accepted(Some(";;,q=0,"), Encoding::Identity);
    }

    #[test]
    fn what_was_compressed_comes_back() {
        let bytes = b"a bird ".repeat(1_000);
        let mut back = Vec::new();
        let gzip = compress(&bytes, Encoding::Gzip, 0);
        flate2::read::GzDecoder::new(&gzip[..])
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, bytes);
        back.clear();
        let brotli = compress(&bytes, Encoding::Brotli, BROTLI_QUICK);
        brotli::Decompressor::new(&brotli[..], 4_096)
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, bytes);
    }
}
