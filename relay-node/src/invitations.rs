//! Invitations to the network: a secret that makes one relay a member, within a day.
//!
//! An invitation is a file in the folder `invitations` of the data folder. Its name is the hash of the secret, so that a
//! copy of the folder invites nobody; it holds the time at which the invitation expires. `relay-node invite` writes it,
//! whether the relay runs or not.
//!
//! Invariant: a secret is accepted once, because its file is removed, durably, before it is.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::Duration;

use engine::io::LinkId;
use native::clock::wall;
use native::data_dir::{give_to_owner_of, write_durably};
use native::driver::DriverHandle;
use protocol::messages::membership::InvitationSecret;
use tokio::sync::mpsc;

use crate::secrets::{hash, random};

/// Time within which an invitation has to be used.
pub const VALID_FOR: Duration = Duration::from_hours(24);
/// Invitations that are open at a time. Policy when full: no more are issued until one is used or expires.
const OPEN_MAX: usize = 256;
/// Secrets that may wait to be looked up. Policy when full: further ones stay undecided, and the relays that showed them
/// show them again.
pub(crate) const WAITING_MAX: usize = 16;

const FOLDER: &str = "invitations";
/// The use of the secrets' hashes.
const CONTEXT: &str = "starling relay 2026 invitation";

/// Seconds since 1970.
fn now() -> u64 {
    wall().0 / 1_000
}

fn file_name(secret: &InvitationSecret) -> String {
    hash(CONTEXT, secret).to_hex().to_string()
}

/// Makes an invitation that expires after [`VALID_FOR`].
///
/// # Errors
/// If the data folder cannot be written, or too many invitations are open.
pub fn issue(data_dir: &Path) -> io::Result<InvitationSecret> {
    let folder = data_dir.join(FOLDER);
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        created => {
            created?;
            // What root makes is the relay's.
            give_to_owner_of(data_dir, &folder)?;
        }
    }
    if remove_expired(&folder, now())? >= OPEN_MAX {
        let text = format!("{OPEN_MAX} invitations are open; wait until one is used or expires");
        return Err(io::Error::other(text));
    }
    let secret: InvitationSecret = random()?;
    let until = now().saturating_add(VALID_FOR.as_secs());
    write_durably(&folder, &file_name(&secret), &until.to_string())?;
    Ok(secret)
}

/// Removes invitations that have expired. How many are left.
fn remove_expired(folder: &Path, now: u64) -> io::Result<usize> {
    let mut left = 0;
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        match expires(&path) {
            Some(until) if now < until => left += 1,
            // Another program may have removed it.
            _ => drop(fs::remove_file(&path)),
        }
    }
    Ok(left)
}

fn expires(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Uses an invitation up. Whether it was valid.
///
/// # Errors
/// If the data folder cannot be written; the invitation may still be valid then.
pub fn redeem(data_dir: &Path, secret: &InvitationSecret) -> io::Result<bool> {
    redeem_at(data_dir, secret, now())
}

fn redeem_at(data_dir: &Path, secret: &InvitationSecret, now: u64) -> io::Result<bool> {
    let folder = data_dir.join(FOLDER);
    let file = folder.join(file_name(secret));
    let text = match fs::read_to_string(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        text => text?,
    };
    match fs::remove_file(&file) {
        Ok(()) => {}
        // It was used in this moment.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    }
    File::open(&folder)?.sync_all()?;
    // One that lasts longer was issued with a clock that was ahead.
    let latest = now.saturating_add(VALID_FOR.as_secs());
    Ok(text
        .trim()
        .parse()
        .is_ok_and(|until: u64| now < until && until <= latest))
}

/// Answers the engine's questions about secrets until the engine has ended.
pub(crate) async fn serve(
    driver: DriverHandle,
    data_dir: std::path::PathBuf,
    mut shown: mpsc::Receiver<(LinkId, InvitationSecret)>,
) {
    while let Some((link, secret)) = shown.recv().await {
        let folder = data_dir.clone();
        let redeemed = tokio::task::spawn_blocking(move || redeem(&folder, &secret)).await;
        let valid = redeemed.unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
        if let Err(error) = &valid {
            tracing::error!(%error, "cannot use an invitation up in the data folder; the other relay shows it again");
        }
        driver.answer_invitation(link, valid.ok()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{FOLDER, OPEN_MAX, VALID_FOR, issue, now, redeem, redeem_at};

    #[test]
    fn an_invitation_is_good_once_and_for_a_day() {
        let dir = tempfile::tempdir().unwrap();
        let secret = issue(dir.path()).unwrap();
        let other = issue(dir.path()).unwrap();
        assert_ne!(secret, other);
        assert!(!redeem(dir.path(), &[0; 16]).unwrap(), "never issued");
        assert!(redeem(dir.path(), &secret).unwrap());
        assert!(!redeem(dir.path(), &secret).unwrap(), "used");
        let later = now() + VALID_FOR.as_secs();
        assert!(!redeem_at(dir.path(), &other, later).unwrap(), "expired");
        let nowhere = dir.path().join("nowhere");
        assert!(!redeem(&nowhere, &other).unwrap());
    }

    #[test]
    fn the_folder_does_not_tell_the_secret() {
        let dir = tempfile::tempdir().unwrap();
        let secret = issue(dir.path()).unwrap();
        for file in std::fs::read_dir(dir.path().join(FOLDER)).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            let text = std::fs::read_to_string(file.path()).unwrap();
            let secret = data_encoding::HEXLOWER.encode(&secret);
            assert!(!name.contains(&secret) && !text.contains(&secret));
        }
    }

    #[test]
    fn expired_invitations_make_room_and_open_ones_do_not() {
        let dir = tempfile::tempdir().unwrap();
        issue(dir.path()).unwrap();
        let folder = dir.path().join(FOLDER);
        for n in 1..OPEN_MAX {
            let until = if n == 1 { 1 } else { now() + 1_000 };
            std::fs::write(folder.join(n.to_string()), until.to_string()).unwrap();
        }
        issue(dir.path()).unwrap();
        let error = issue(dir.path()).unwrap_err();
        assert!(error.to_string().contains("256"), "{error}");
    }
}
