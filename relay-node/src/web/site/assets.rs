//! Where the app's files come from: this program, or a folder.
//!
//! The app's build writes compressed variants of a file beside it: `app.js.br` (Brotli) and `app.js.gz` (gzip) of
//! `app.js`. They are never requested by name.
//!
//! Invariants: a path never leaves the folder; `csp.txt`, hidden files and compressed variants have no address of
//! their own; a file that changed in the folder is served changed at the next request, and a variant that is older
//! than its file is not served.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use rust_embed::{EmbeddedFile, RustEmbed};

use super::super::negotiate::Encoding;

/// The file that names the content security policy for all others.
const POLICY_FILE: &str = "csp.txt";
/// Longest file served. The app's are ten times smaller.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Files remembered; the app has about thirty, each with two variants.
const FILES_MAX: usize = 1_000;
/// Bytes remembered of a folder's files. Policy when full: all are forgotten and read again when they are requested.
const KNOWN_BYTES_MAX: usize = 128 << 20;

/// The app's files inside a program. The program embeds them and not this library, which need not be compiled again
/// when only the app has changed.
#[derive(Clone, Copy)]
pub struct EmbeddedFiles(fn(&str) -> Option<EmbeddedFile>);

impl EmbeddedFiles {
    /// The files that `T` embeds.
    #[must_use]
    pub fn of<T: RustEmbed>() -> Self {
        Self(T::get)
    }
}

impl std::fmt::Debug for EmbeddedFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmbeddedFiles")
    }
}

#[derive(Debug)]
pub(super) struct Asset {
    identity: Bytes,
    brotli: Option<Bytes>,
    gzip: Option<Bytes>,
    pub(super) mime: String,
    /// Names these bytes: the start of their BLAKE3 hash.
    pub(super) hash: String,
    /// Of the file and its variants, in a folder.
    stamps: [Option<Stamp>; 3],
}

impl Asset {
    /// The body in this encoding, if there is one.
    pub(super) fn body(&self, encoding: Encoding) -> Option<&Bytes> {
        match encoding {
            Encoding::Identity => Some(&self.identity),
            Encoding::Brotli => self.brotli.as_ref(),
            Encoding::Gzip => self.gzip.as_ref(),
        }
    }

    /// Whether clients that accept other encodings get other bodies.
    pub(super) fn varies(&self) -> bool {
        self.brotli.is_some() || self.gzip.is_some()
    }

    fn bytes_len(&self) -> usize {
        let variants = [Some(&self.identity), self.brotli.as_ref(), self.gzip.as_ref()];
        variants.into_iter().flatten().map(Bytes::len).sum()
    }
}

/// When a file was changed, and its length.
type Stamp = (SystemTime, u64);

/// What is appended to the name of a file for each of its variants.
const SUFFIXES: [&str; 2] = [".br", ".gz"];

#[derive(Debug)]
enum AppFiles {
    Embedded(EmbeddedFiles),
    Folder(PathBuf),
}

/// All files of the app.
#[derive(Debug)]
pub(super) struct Assets {
    source: AppFiles,
    known: Mutex<HashMap<String, Arc<Asset>>>,
}

impl Assets {
    /// The files in `folder`.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self::new(AppFiles::Folder(folder.to_owned()))
    }

    /// The files in this program. A debug build embeds none: it reads them where a release build embeds them from.
    pub(super) fn embedded(files: EmbeddedFiles) -> Self {
        if cfg!(debug_assertions) {
            return Self::in_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist"));
        }
        Self::new(AppFiles::Embedded(files))
    }

    fn new(source: AppFiles) -> Self {
        let known = Mutex::default();
        Self { source, known }
    }

    /// The file at this path (no slash in front).
    pub(super) fn get(&self, path: &str) -> Option<Arc<Asset>> {
        if path == POLICY_FILE || !is_plain(path) || self.is_variant(path) {
            return None;
        }
        let stamps = self.stamps(path)?;
        if let Some(asset) = self.lock().get(path)
            && asset.stamps == stamps
        {
            return Some(Arc::clone(asset));
        }
        let identity = self.read(path)?;
        let variant = |n: usize| {
            let fresh = match (&self.source, stamps[0], stamps[n + 1]) {
                (AppFiles::Embedded(_), ..) => true,
                (AppFiles::Folder(_), Some((file, _)), Some((variant, _))) => variant >= file,
                _ => false,
            };
            let bytes = self.read(&format!("{path}{}", SUFFIXES[n])).filter(|_| fresh);
            // A build that compresses everything may have made some files longer.
            bytes.filter(|bytes| !bytes.is_empty() && bytes.len() < identity.len())
        };
        let asset = Arc::new(Asset {
            brotli: variant(0),
            gzip: variant(1),
            mime: mime_of(path),
            hash: HEXLOWER.encode(&blake3::hash(&identity).as_bytes()[..16]),
            identity,
            stamps,
        });
        let mut known = self.lock();
        let bytes: usize = known.values().map(|asset| asset.bytes_len()).sum();
        if known.len() >= FILES_MAX || bytes + asset.bytes_len() > KNOWN_BYTES_MAX {
            known.clear();
        }
        known.insert(path.to_owned(), Arc::clone(&asset));
        Some(asset)
    }

    /// The content security policy that came with the app.
    pub(super) fn policy(&self) -> Option<String> {
        let bytes = self.read(POLICY_FILE)?;
        let text = String::from_utf8(bytes.into()).ok()?;
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        (!line.is_empty()).then_some(line)
    }

    /// Whether this is a compressed variant of another file.
    fn is_variant(&self, path: &str) -> bool {
        let of = SUFFIXES.iter().find_map(|suffix| path.strip_suffix(suffix));
        of.is_some_and(|path| match &self.source {
            AppFiles::Embedded(files) => (files.0)(path).is_some(),
            AppFiles::Folder(folder) => folder.join(path).is_file(),
        })
    }

    /// What tells a changed file from the one remembered; `None`: there is no such file, or it is too long.
    fn stamps(&self, path: &str) -> Option<[Option<Stamp>; 3]> {
        let AppFiles::Folder(folder) = &self.source else {
            return Some([None; 3]);
        };
        let of = |suffix: &str| stamp(&folder.join(format!("{path}{suffix}")));
        Some([Some(of("")?), of(SUFFIXES[0]), of(SUFFIXES[1])])
    }

    fn read(&self, path: &str) -> Option<Bytes> {
        match &self.source {
            AppFiles::Embedded(files) => (files.0)(path).map(|file| match file.data {
                Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                Cow::Owned(bytes) => Bytes::from(bytes),
            }),
            AppFiles::Folder(folder) => fs::read(folder.join(path)).ok().map(Bytes::from),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Asset>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names of files and folders only: nothing that a file system reads as more than a name.
fn is_plain(path: &str) -> bool {
    path.split('/').all(|segment| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.~@+".contains(&byte))
    })
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
        return None;
    }
    Some((metadata.modified().ok()?, metadata.len()))
}

fn mime_of(path: &str) -> String {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension {
        // Exactly these: browsers refuse modules, workers and streamed wasm of any other type.
        "wasm" => "application/wasm".to_owned(),
        "js" | "mjs" => "text/javascript; charset=utf-8".to_owned(),
        "webmanifest" => "application/manifest+json".to_owned(),
        "json" | "map" => "application/json".to_owned(),
        _ => {
            let mime = mime_guess::from_path(path).first_or_octet_stream();
            if mime.type_() == mime_guess::mime::TEXT {
                format!("{mime}; charset=utf-8")
            } else {
                mime.to_string()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Assets, Encoding, is_plain, mime_of};
    use std::time::{Duration, SystemTime};

    #[test]
    fn paths_stay_inside() {
        for path in ["index.html", "icons/a-1_b.svg", "a/b/c.js"] {
            assert!(is_plain(path), "{path}");
        }
        for path in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "a/../b",
            "a//b",
            ".git/config",
            "a/.hidden",
            "a\\b",
            "a%2fb",
            "a\0b",
            "c:x",
        ] {
            assert!(!is_plain(path), "{path:?}");
        }
    }

    #[test]
    fn types_are_what_browsers_insist_on() {
        assert_eq!(mime_of("a.wasm"), "application/wasm");
        assert_eq!(mime_of("sw.js"), "text/javascript; charset=utf-8");
        assert_eq!(mime_of("index.html"), "text/html; charset=utf-8");
        assert_eq!(mime_of("a.css"), "text/css; charset=utf-8");
        assert_eq!(mime_of("site.webmanifest"), "application/manifest+json");
        assert_eq!(mime_of("a.svg"), "image/svg+xml");
        assert_eq!(mime_of("what"), "application/octet-stream");
    }

    #[test]
    fn a_changed_file_is_served_changed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.js");
        std::fs::write(&file, "one").unwrap();
        let assets = Assets::in_folder(dir.path());
        let one = assets.get("a.js").unwrap();
        assert_eq!(one.body(Encoding::Identity).unwrap(), "one");
        assert!(
            std::sync::Arc::ptr_eq(&one, &assets.get("a.js").unwrap()),
            "remembered"
        );
        std::fs::write(&file, "three").unwrap();
        assert_eq!(
            assets.get("a.js").unwrap().body(Encoding::Identity).unwrap(),
            "three"
        );
        std::fs::remove_file(&file).unwrap();
        assert!(assets.get("a.js").is_none());
    }

    #[test]
    fn variants_are_served_as_long_as_they_are_of_this_file_and_smaller() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        let variant = |assets: &Assets| assets.get("a.js").unwrap().body(Encoding::Brotli).cloned();
        std::fs::write(file("a.js"), "the file itself").unwrap();
        let assets = Assets::in_folder(dir.path());
        assert_eq!(variant(&assets), None);
        assert!(!assets.get("a.js").unwrap().varies());
        std::fs::write(file("a.js.br"), "small").unwrap();
        assert_eq!(variant(&assets).unwrap(), "small", "one that came later");
        assert!(assets.get("a.js").unwrap().varies());
        assert!(assets.get("a.js.br").is_none(), "it has no address of its own");
        std::fs::write(file("only.br"), "no variant of anything").unwrap();
        assert!(assets.get("only.br").is_some());
        // An older build's variant.
        let later = SystemTime::now() + Duration::from_secs(60);
        std::fs::File::options()
            .write(true)
            .open(file("a.js"))
            .unwrap()
            .set_modified(later)
            .unwrap();
        assert_eq!(variant(&assets), None, "the file is newer");
        std::fs::write(file("a.js"), "x").unwrap();
        std::fs::write(file("a.js.br"), "longer").unwrap();
        assert_eq!(variant(&assets), None, "compression made it longer");
    }
}
