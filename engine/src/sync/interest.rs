//! Whose feeds this peer wants: asked of the peer's role, which alone knows.

use ordered::Set;
use protocol::{AccountId, PeerId};

use crate::log::Log;
use crate::net::Session;

/// What interest depends on beside the role's own state.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) log: &'a Log,
    pub(crate) follows: &'a dyn FollowList,
}

/// The accounts that this account follows.
pub(crate) trait FollowList {
    fn follows(&self, account: &AccountId) -> bool;

    fn followed(&self) -> Vec<AccountId>;
}

/// A relay follows no account.
#[derive(Debug)]
pub(crate) struct NoFollows;

impl FollowList for NoFollows {
    fn follows(&self, _: &AccountId) -> bool {
        false
    }

    fn followed(&self) -> Vec<AccountId> {
        Vec::new()
    }
}

/// What a neighbour is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Every feed it holds.
    pub(crate) everything: bool,
    /// The feeds that the assignment gives this relay.
    pub(crate) assigned: bool,
    /// And these.
    pub(crate) accounts: Set<AccountId>,
}

/// Whose feeds this peer wants, and what it says of that to a neighbour.
pub(crate) trait Interest {
    fn wants(&self, scope: &Scope<'_>, account: &AccountId) -> bool;

    fn summary(&self, scope: &Scope<'_>, session: &Session) -> Summary;

    /// The accounts a person's device wants; for a relay none.
    fn wanted(&self, scope: &Scope<'_>) -> Set<AccountId>;

    /// Whether the assignment gives the account to `peer`.
    fn is_replica(&self, scope: &Scope<'_>, account: &AccountId, peer: &PeerId) -> bool;

    /// This peer keeps feeds for others, as a relay does: it compares what the neighbour wants, remembers what devices
    /// wanted that left, and looks for the accounts they name.
    fn serves_others(&self) -> bool {
        false
    }
}

/// The role's interest with what it depends on.
#[derive(Clone, Copy)]
pub(crate) struct Wanting<'a> {
    pub(crate) role: &'a dyn Interest,
    pub(crate) follows: &'a dyn FollowList,
}

impl<'a> Wanting<'a> {
    /// Of a role that follows nobody.
    pub(crate) fn without_follows(role: &'a dyn Interest) -> Self {
        Self {
            role,
            follows: &NoFollows,
        }
    }

    pub(crate) fn scope<'s>(&'s self, log: &'s Log) -> Scope<'s> {
        Scope {
            log,
            follows: self.follows,
        }
    }

    pub(crate) fn wants(&self, log: &Log, account: &AccountId) -> bool {
        self.role.wants(&self.scope(log), account)
    }

    pub(crate) fn wanted(&self, log: &Log) -> Set<AccountId> {
        self.role.wanted(&self.scope(log))
    }

    pub(crate) fn serves_others(&self) -> bool {
        self.role.serves_others()
    }
}
