//! Where the app's files come from: this program, or a folder.
//!
//! Invariants: a path never leaves the folder; `csp.txt` and hidden files are not served; a file changed in the folder is
//! served changed at the next request.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use rust_embed::{EmbeddedFile, RustEmbed};

/// The file that names the content security policy for all others.
const POLICY_FILE: &str = "csp.txt";
/// Longest file served. The app's are a hundred times smaller.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Files remembered; the app has about thirty.
const FILES_MAX: usize = 1_000;

/// The app's files inside a program. The program embeds them and not this library, which need not be compiled again when
/// only the app has changed.
#[derive(Clone, Copy)]
pub struct EmbeddedFiles {
    get: fn(&str) -> Option<EmbeddedFile>,
    paths: fn() -> Vec<String>,
}

impl EmbeddedFiles {
    /// The files that `T` embeds.
    #[must_use]
    pub fn of<T: RustEmbed>() -> Self {
        Self {
            get: T::get,
            paths: || T::iter().map(Cow::into_owned).collect(),
        }
    }
}

impl std::fmt::Debug for EmbeddedFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmbeddedFiles")
    }
}

/// One file.
#[derive(Debug)]
pub(super) struct Asset {
    pub(super) bytes: Bytes,
    pub(super) mime: String,
    /// Names these bytes: the start of their BLAKE3 hash.
    pub(super) hash: String,
    /// A file that was compressed when the app was built, next to this one.
    pub(super) brotli: Option<Bytes>,
    stamp: Option<Stamp>,
}

type Stamp = (SystemTime, u64);

#[derive(Debug)]
enum Source {
    Embedded(EmbeddedFiles),
    Folder(PathBuf),
}

/// All files of the app.
#[derive(Debug)]
pub(super) struct Assets {
    source: Source,
    known: Mutex<HashMap<String, Arc<Asset>>>,
}

impl Assets {
    /// The files in `folder`.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self::new(Source::Folder(folder.to_owned()))
    }

    /// The files in this program. A debug build embeds none: it reads them where a release build embeds them from.
    pub(super) fn embedded(files: EmbeddedFiles) -> Self {
        if cfg!(debug_assertions) {
            return Self::in_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist"));
        }
        Self::new(Source::Embedded(files))
    }

    fn new(source: Source) -> Self {
        let known = Mutex::default();
        Self { source, known }
    }

    /// The file at this path (no slash in front).
    pub(super) fn get(&self, path: &str) -> Option<Arc<Asset>> {
        if path == POLICY_FILE || !is_plain(path) {
            return None;
        }
        let stamp = match &self.source {
            Source::Embedded(_) => None,
            Source::Folder(folder) => Some(stamp(&folder.join(path))?),
        };
        if let Some(asset) = self.lock().get(path)
            && asset.stamp == stamp
        {
            return Some(Arc::clone(asset));
        }
        let bytes = self.read(path)?;
        let asset = Arc::new(Asset {
            mime: mime_of(path),
            hash: HEXLOWER.encode(&blake3::hash(&bytes).as_bytes()[..16]),
            brotli: self.read(&format!("{path}.br")),
            bytes,
            stamp,
        });
        let mut known = self.lock();
        if known.len() >= FILES_MAX {
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

    /// The paths of all files there are now.
    pub(super) fn paths(&self) -> Vec<String> {
        match &self.source {
            Source::Embedded(files) => (files.paths)(),
            Source::Folder(folder) => {
                let mut paths = Vec::new();
                list(folder, "", &mut paths);
                paths
            }
        }
    }

    fn read(&self, path: &str) -> Option<Bytes> {
        match &self.source {
            Source::Embedded(files) => (files.get)(path).map(|file| match file.data {
                Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                Cow::Owned(bytes) => Bytes::from(bytes),
            }),
            Source::Folder(folder) => fs::read(folder.join(path)).ok().map(Bytes::from),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Asset>>> {
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

/// At most [`FILES_MAX`] of them: somebody may have named a whole disk.
fn list(folder: &Path, prefix: &str, paths: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if paths.len() >= FILES_MAX || !is_plain(&name) {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => list(&entry.path(), &format!("{name}/"), paths),
            Ok(_) => paths.push(name),
            Err(_) => {}
        }
    }
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
    use super::{Assets, is_plain, mime_of};

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
        assert_eq!(&one.bytes[..], b"one");
        assert!(
            std::sync::Arc::ptr_eq(&one, &assets.get("a.js").unwrap()),
            "remembered"
        );
        std::fs::write(&file, "three").unwrap();
        assert_eq!(&assets.get("a.js").unwrap().bytes[..], b"three");
        std::fs::remove_file(&file).unwrap();
        assert!(assets.get("a.js").is_none());
    }
}
