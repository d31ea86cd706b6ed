//! Invitations to the network: a secret that makes one relay a member, within a day.
//!
//! An invitation is a file in the folder `invitations` of the data folder. Its name is the hash of the secret, so that a
//! copy of the folder invites nobody; it holds the second at which the invitation expires and the millisecond at which
//! it was issued, with a space between them. `relay-node invite` writes it, whether the relay runs or not.
//!
//! Invariants: a secret is accepted once, because its file is removed, durably, before it is; one that was issued before
//! a relay was expelled is not accepted from that relay, and its file stays.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::Duration;

use engine::io::LinkId;
use native::clock::wall;
use native::data_dir::{give_to_owner_of, write_durably};
use native::driver::DriverHandle;
use protocol::Timestamp;
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
    let issued = wall();
    let text = format!("{} {}", issued.plus(VALID_FOR).0 / 1_000, issued.0);
    write_durably(&folder, &file_name(&secret), &text)?;
    Ok(secret)
}

/// Removes invitations that have expired. How many are left.
fn remove_expired(folder: &Path, now: u64) -> io::Result<usize> {
    let mut left = 0;
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        match fs::read_to_string(&path).ok().as_deref().and_then(parse) {
            Some((until, _)) if now < until => left += 1,
            // Another program may have removed it.
            _ => drop(fs::remove_file(&path)),
        }
    }
    Ok(left)
}

/// The second at which an invitation expires, and when it was issued.
fn parse(text: &str) -> Option<(u64, Timestamp)> {
    let mut fields = text.split_whitespace();
    let until: u64 = fields.next()?.parse().ok()?;
    let issued = match fields.next() {
        Some(issued) => issued.parse().ok()?,
        // An earlier version writes no time of issue.
        None => until.saturating_sub(VALID_FOR.as_secs()).saturating_mul(1_000),
    };
    Some((until, Timestamp(issued)))
}

/// Uses an invitation up, unless it was issued before a time. Whether it was valid.
///
/// # Errors
/// If the data folder cannot be written; the invitation may still be valid then.
pub fn redeem(data_dir: &Path, secret: &InvitationSecret, not_before: Timestamp) -> io::Result<bool> {
    redeem_at(data_dir, secret, not_before, now())
}

fn redeem_at(
    data_dir: &Path,
    secret: &InvitationSecret,
    not_before: Timestamp,
    now: u64,
) -> io::Result<bool> {
    let folder = data_dir.join(FOLDER);
    let file = folder.join(file_name(secret));
    let text = match fs::read_to_string(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        text => text?,
    };
    let parsed = parse(&text);
    if parsed.is_some_and(|(_, issued)| issued < not_before) {
        return Ok(false);
    }
    match fs::remove_file(&file) {
        Ok(()) => {}
        // It was used in this moment.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    }
    File::open(&folder)?.sync_all()?;
    // One that lasts longer was issued with a clock that was ahead.
    let latest = now.saturating_add(VALID_FOR.as_secs());
    Ok(parsed.is_some_and(|(until, _)| now < until && until <= latest))
}

/// Answers the engine's questions about secrets until the engine has ended.
pub(crate) async fn serve(
    driver: DriverHandle,
    data_dir: std::path::PathBuf,
    mut shown: mpsc::Receiver<(LinkId, InvitationSecret, Timestamp)>,
) {
    while let Some((link, secret, not_before)) = shown.recv().await {
        let folder = data_dir.clone();
        let redeemed = tokio::task::spawn_blocking(move || redeem(&folder, &secret, not_before)).await;
        let valid = redeemed.unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
        if let Err(error) = &valid {
            tracing::error!(%error, "cannot use an invitation up in the data folder; the other relay shows it again");
        }
        driver.answer_invitation(link, valid.ok()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use native::clock::wall;
    use protocol::Timestamp;

    use super::{FOLDER, OPEN_MAX, VALID_FOR, file_name, issue, now, redeem_at};

    fn redeem(data_dir: &Path, secret: &[u8; 16]) -> std::io::Result<bool> {
        super::redeem(data_dir, secret, Timestamp(0))
    }

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
        assert!(
            !redeem_at(dir.path(), &other, Timestamp(0), later).unwrap(),
            "expired"
        );
        let nowhere = dir.path().join("nowhere");
        assert!(!redeem(&nowhere, &other).unwrap());
    }

    #[test]
    fn an_invitation_issued_before_an_expulsion_is_good_for_other_relays_alone() {
        let dir = tempfile::tempdir().unwrap();
        let earliest = wall();
        let secret = issue(dir.path()).unwrap();
        let expelled = Timestamp(wall().0 + 1);
        assert!(!super::redeem(dir.path(), &secret, expelled).unwrap());
        assert!(!super::redeem(dir.path(), &secret, expelled).unwrap());
        assert!(redeem(dir.path(), &secret).unwrap(), "another relay uses it");

        let after = issue(dir.path()).unwrap();
        assert!(super::redeem(dir.path(), &after, earliest).unwrap());
    }

    /// The file holds the second at which it expires, and nothing else.
    #[test]
    fn the_time_of_issue_of_earlier_invitations_follows_from_when_they_expire() {
        let dir = tempfile::tempdir().unwrap();
        let secret = issue(dir.path()).unwrap();
        let issued = now() - 60;
        let until = issued + VALID_FOR.as_secs();
        let file = dir.path().join(FOLDER).join(file_name(&secret));
        std::fs::write(file, until.to_string()).unwrap();
        let issued = Timestamp(issued * 1_000);
        assert!(!super::redeem(dir.path(), &secret, Timestamp(issued.0 + 1)).unwrap());
        assert!(super::redeem(dir.path(), &secret, issued).unwrap());
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
