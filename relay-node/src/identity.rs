//! The relay's key: made at the first start, kept in one file that only its owner may read.
//!
//! The file is the relay's identity, with which receipts are signed. A relay that loses it becomes another one, to
//! which its earlier receipts do not apply.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER_PERMISSIVE;
use protocol::KeyPair;

use crate::secrets::random;

use native::data_dir::write_durably;

/// The file's name in the data folder.
pub const KEY_FILE: &str = "relay.key";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error("the relay's key in {} cannot be used", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// Not 64 hexadecimal digits.
    #[error(
        "the relay's key in {} is damaged; bring it back from a backup, or move it away and the relay starts as a new one",
        .0.display()
    )]
    Damaged(PathBuf),
    /// The system gives no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(std::io::Error),
}

/// The key in `data_dir`, made if there is none.
///
/// # Errors
/// [`IdentityError`]. A file that is there and cannot be used is never replaced.
pub fn load_or_create(data_dir: &Path) -> Result<KeyPair, IdentityError> {
    if let Some(key) = load(data_dir)? {
        return Ok(key);
    }
    let seed = random::<32>().map_err(IdentityError::Random)?;
    let text = format!("{}\n", HEXLOWER_PERMISSIVE.encode(&seed));
    write_durably(data_dir, KEY_FILE, &text).map_err(|source| IdentityError::Io {
        path: data_dir.join(KEY_FILE),
        source,
    })?;
    Ok(KeyPair::from_seed(&seed))
}

/// The key in `data_dir`; `None`: no relay was started there.
///
/// # Errors
/// [`IdentityError`].
pub fn load(data_dir: &Path) -> Result<Option<KeyPair>, IdentityError> {
    let path = data_dir.join(KEY_FILE);
    let failed = |source| IdentityError::Io {
        path: path.clone(),
        source,
    };
    match fs::read_to_string(&path) {
        Ok(text) => {
            let mode = fs::metadata(&path).map_err(failed)?.permissions().mode();
            if mode & 0o077 != 0 {
                tracing::warn!(path = %path.display(), "file permissions of the relay's key restricted to its owner");
                fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
            }
            let seed = HEXLOWER_PERMISSIVE
                .decode(text.trim().as_bytes())
                .ok()
                .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
                .ok_or_else(|| IdentityError::Damaged(path.clone()))?;
            Ok(Some(KeyPair::from_seed(&seed)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::{IdentityError, KEY_FILE, load_or_create};
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_key_is_made_once_and_for_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let key = load_or_create(dir.path()).unwrap();
        let path = dir.path().join(KEY_FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(load_or_create(dir.path()).unwrap().public(), key.public());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(KEY_FILE);
        fs::write(&path, "half a ke").unwrap();
        assert!(matches!(
            load_or_create(dir.path()),
            Err(IdentityError::Damaged(_))
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "half a ke");
    }
}
