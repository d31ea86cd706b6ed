//! Authentication of admins: the one-time token by which a browser becomes an admin, and the sessions of those that
//! did.
//!
//! Both are stored in the data folder as hashes, so that a copy of it does not give access:
//!
//! - `admin.claim`: the valid token, and until when. Also written by `relay-node admin-url` while the relay runs;
//! - `admin.json`: the sessions. Written by the running relay alone.
//!
//! Invariants: a token opens one session at most, since its file is deleted from the disk before the session is
//! written, and the session is on the disk before the browser gets it; tokens are compared in constant time; there are
//! at most `SESSIONS_MAX` sessions (policy when full: the oldest ends).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use native::clock::wall;
use native::data_dir::write_durably;

use crate::secrets::{self, token};

/// Time for which a token can be used.
pub const CLAIM_WITHIN: Duration = Duration::from_hours(1);
/// Time for which a browser stays an admin.
pub const SESSION: Duration = Duration::from_hours(30 * 24);
/// Browsers that are admins at a time.
const SESSIONS_MAX: usize = 16;

const CLAIM_FILE: &str = "admin.claim";
const SESSIONS_FILE: &str = "admin.json";

/// The uses of hashes: of the two kinds of token, and of the token in forms.
const CLAIM_CONTEXT: &str = "starling relay 2026 admin claim";
const SESSION_CONTEXT: &str = "starling relay 2026 admin session";
const FORM_CONTEXT: &str = "starling relay 2026 admin form";

fn hash(context: &str, token: &str) -> blake3::Hash {
    secrets::hash(context, token.as_bytes())
}

/// What a form must carry to be from a page that was made for this session.
#[must_use]
pub fn form_token(session: &str) -> String {
    hash(FORM_CONTEXT, session).to_hex().to_string()
}

/// Whether a form carries it.
#[must_use]
pub fn is_form_token(session: &str, token: &str) -> bool {
    // Comparing hashes takes the same time wherever they differ.
    blake3::Hash::from_hex(token).is_ok_and(|token| token == hash(FORM_CONTEXT, session))
}

/// Seconds since 1970.
fn now() -> u64 {
    wall().0 / 1_000
}

/// Something that is good until a time, known by its hash.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Good {
    hash: String,
    until: u64,
}

impl Good {
    fn new(context: &str, token: &str, now: u64, lasts: Duration) -> Self {
        Self {
            hash: hash(context, token).to_hex().to_string(),
            until: now.saturating_add(lasts.as_secs()),
        }
    }

    fn is(&self, context: &str, token: &str, now: u64) -> bool {
        let known = blake3::Hash::from_hex(&self.hash);
        now < self.until && known.is_ok_and(|known| known == hash(context, token))
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Sessions {
    /// There has been an admin: from then on only `relay-node admin-url` creates tokens.
    claimed: bool,
    /// The oldest first.
    sessions: Vec<Good>,
}

/// Creates a token that is valid for [`CLAIM_WITHIN`], and replaces any earlier one.
///
/// # Errors
/// If the folder cannot be written.
pub fn issue_claim(folder: &Path) -> io::Result<String> {
    let token = token()?;
    let claim = Good::new(CLAIM_CONTEXT, &token, now(), CLAIM_WITHIN);
    write_durably(folder, CLAIM_FILE, &serde_json::to_string(&claim)?)?;
    Ok(token)
}

/// The admins of a running relay.
#[derive(Debug)]
pub struct Keys {
    folder: PathBuf,
    sessions: Mutex<Sessions>,
}

impl Keys {
    /// Reads the sessions from the data folder.
    ///
    /// # Errors
    /// If it cannot be read. A damaged file contains no sessions, but the relay counts as claimed, so that it is not
    /// offered to the next visitor.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(SESSIONS_FILE);
        let sessions = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(
                    path = %path.display(), %error,
                    "admin sessions unreadable: nobody is logged in until `relay-node admin-url` creates a new address"
                );
                Sessions {
                    claimed: true,
                    sessions: Vec::new(),
                }
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Sessions::default(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            folder: folder.to_owned(),
            sessions: Mutex::new(sessions),
        })
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        // It is changed only after the change is on disk, so a panic leaves it consistent.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is, or was, an admin.
    #[must_use]
    pub fn is_claimed(&self) -> bool {
        self.sessions().claimed
    }

    /// Whether this token would be taken. Reads the disk.
    #[must_use]
    pub fn is_claim(&self, token: &str) -> bool {
        // Another process may write it, so it is read each time. No token matches a damaged file.
        let claim = fs::read_to_string(self.folder.join(CLAIM_FILE));
        let claim = claim
            .ok()
            .and_then(|text| serde_json::from_str::<Good>(&text).ok());
        claim.is_some_and(|claim| claim.is(CLAIM_CONTEXT, token, now()))
    }

    /// Invalidates the token and opens a session. `None`: the token is not valid.
    ///
    /// # Errors
    /// If the disk fails. The token may be invalid afterwards.
    pub fn claim(&self, token: &str) -> io::Result<Option<String>> {
        // One at a time, so that of two requests with the same token one fails.
        let mut sessions = self.sessions();
        if !self.is_claim(token) {
            return Ok(None);
        }
        fs::remove_file(self.folder.join(CLAIM_FILE))?;
        fs::File::open(&self.folder)?.sync_all()?;
        let session = self::token()?;
        let mut all = living(&sessions.sessions);
        if all.len() >= SESSIONS_MAX {
            all.remove(0);
        }
        all.push(Good::new(SESSION_CONTEXT, &session, now(), SESSION));
        self.keep(&mut sessions, all)?;
        Ok(Some(session))
    }

    /// Whether this is an admin's session.
    #[must_use]
    pub fn is_session(&self, token: &str) -> bool {
        let now = now();
        let sessions = self.sessions();
        // All of them are looked at, so that the time says nothing.
        let good = |session: &&Good| session.is(SESSION_CONTEXT, token, now);
        sessions.sessions.iter().filter(good).count() > 0
    }

    /// How many browsers are admins.
    #[must_use]
    pub fn count(&self) -> usize {
        living(&self.sessions().sessions).len()
    }

    /// Ends a session, or all but this one.
    ///
    /// # Errors
    /// If the disk does not take it; the sessions are as they were then.
    pub fn close(&self, token: &str, others: bool) -> io::Result<()> {
        let mut sessions = self.sessions();
        let mut all = living(&sessions.sessions);
        all.retain(|session| session.is(SESSION_CONTEXT, token, now()) == others);
        self.keep(&mut sessions, all)
    }

    fn keep(&self, sessions: &mut Sessions, all: Vec<Good>) -> io::Result<()> {
        let next = Sessions {
            claimed: true,
            sessions: all,
        };
        write_durably(&self.folder, SESSIONS_FILE, &serde_json::to_string(&next)?)?;
        *sessions = next;
        Ok(())
    }
}

fn living(sessions: &[Good]) -> Vec<Good> {
    let now = now();
    sessions
        .iter()
        .filter(|session| now < session.until)
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{
        CLAIM_FILE, Good, Keys, SESSIONS_FILE, SESSIONS_MAX, form_token, is_form_token, issue_claim, now,
    };
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_token_opens_one_session_and_none_is_on_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::open(dir.path()).unwrap();
        assert!(!keys.is_claimed());
        assert_eq!(keys.claim("").unwrap(), None, "none was issued");
        let token = issue_claim(dir.path()).unwrap();
        assert_eq!(token.len(), 64);
        assert!(keys.is_claim(&token));
        assert_eq!(keys.claim(&"0".repeat(64)).unwrap(), None);
        let session = keys.claim(&token).unwrap().expect("a session");
        assert!(!dir.path().join(CLAIM_FILE).exists());
        assert!(!keys.is_claim(&token));
        assert_eq!(keys.claim(&token).unwrap(), None, "used up");
        // What is on the disk opens nothing.
        let path = dir.path().join(SESSIONS_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&session) && !text.contains(&token));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let stored: serde_json::Value = serde_json::from_str(&text).unwrap();
        let hash = stored["sessions"][0]["hash"].as_str().unwrap();
        assert!(!keys.is_session(hash) && !keys.is_session(""));
        let again = Keys::open(dir.path()).unwrap();
        assert!(again.is_session(&session) && again.is_claimed());
    }

    #[test]
    fn a_later_token_replaces_an_earlier_one_and_time_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::open(dir.path()).unwrap();
        let earlier = issue_claim(dir.path()).unwrap();
        let later = issue_claim(dir.path()).unwrap();
        assert!(!keys.is_claim(&earlier) && keys.is_claim(&later));
        let path = dir.path().join(CLAIM_FILE);
        let mut claim: Good = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        claim.until = now();
        std::fs::write(&path, serde_json::to_string(&claim).unwrap()).unwrap();
        assert!(!keys.is_claim(&later), "it is over");
        assert_eq!(keys.claim(&later).unwrap(), None);
    }

    #[test]
    fn sessions_end_by_themselves_at_a_logout_and_when_there_are_too_many() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::open(dir.path()).unwrap();
        let open = || keys.claim(&issue_claim(dir.path()).unwrap()).unwrap().unwrap();
        let sessions: Vec<String> = (0..=SESSIONS_MAX).map(|_| open()).collect();
        assert!(!keys.is_session(&sessions[0]), "the oldest");
        assert_eq!(keys.count(), SESSIONS_MAX);
        keys.close(&sessions[1], false).unwrap();
        assert!(!keys.is_session(&sessions[1]) && keys.is_session(&sessions[2]));
        keys.close(&sessions[2], true).unwrap();
        assert!(keys.is_session(&sessions[2]) && !keys.is_session(&sessions[3]));
        keys.sessions().sessions[0].until = now();
        assert!(!keys.is_session(&sessions[2]), "it is over");
        assert!(
            Keys::open(dir.path()).unwrap().is_claimed(),
            "nobody is offered it again"
        );
    }

    #[test]
    fn what_is_damaged_lets_nobody_in_and_offers_the_relay_to_nobody() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(SESSIONS_FILE), "half a").unwrap();
        std::fs::write(dir.path().join(CLAIM_FILE), "half a").unwrap();
        let keys = Keys::open(dir.path()).unwrap();
        assert!(keys.is_claimed() && keys.count() == 0);
        assert!(!keys.is_claim("half a"));
        // Not even text.
        std::fs::write(dir.path().join(SESSIONS_FILE), b"\xff").unwrap();
        assert!(Keys::open(dir.path()).unwrap().is_claimed());
    }

    #[test]
    fn a_form_is_of_its_session() {
        let form = form_token("a");
        assert!(is_form_token("a", &form));
        assert!(!is_form_token("b", &form) && !is_form_token("a", "") && !is_form_token("a", "a"));
    }
}
