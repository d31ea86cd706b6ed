//! The own account, this device, and the state of its connection and store.

use protocol::messages::Quota;
use protocol::{AccountId, DeviceId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{ClaimView, OfferView};

/// One's own account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeView {
    pub account: AccountId,
    pub device: DeviceId,
    pub name: String,
    pub bio: String,
    /// Name in the registry; empty if there is none.
    pub handle: String,
    /// What was asked of the registry about the name, and is not decided or was refused.
    pub claim: Option<ClaimView>,
    /// To whom the name is offered; or shall be, if [`Self::claim`] is about that.
    pub offer: Option<OfferView>,
    /// The recovery phrase was written down; the account key is no longer here.
    pub phrase_confirmed: bool,
    /// All devices of the account, this one first.
    pub devices: Vec<DeviceView>,
    /// How many people are followed.
    pub following: u32,
    /// This device was withdrawn: it can read, not write.
    pub revoked: bool,
    /// This device's feed is forked: it can read, not write.
    pub forked: bool,
    /// This device's store is an old copy (a copied browser profile, a machine that was set back): it can read, not
    /// write, until [`Command::BeginAsNewDevice`](super::Command::BeginAsNewDevice).
    pub old_copy: bool,
    /// Posts written on the old copy that no other peer has, or that a fork made void: they are issued again then.
    pub set_aside: u32,
    /// The same device is in use in another place, with a copy of this store: what both write would fork its feed.
    pub elsewhere: bool,
    /// Link to relays alone.
    pub relays_only: bool,
}

/// A device of one's own account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// Its key.
    pub device: DeviceId,
    pub name: String,
    /// Since when, by its own clock.
    pub since: Timestamp,
    /// This very device.
    pub this: bool,
    /// Withdrawn.
    pub revoked: bool,
    /// Entries of its feed stored here.
    pub entries: u64,
}

/// The state of the connection, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connection {
    /// No link, and the device says it has no network.
    #[default]
    Offline,
    /// No link yet; trying.
    Connecting,
    /// At least one link.
    Online,
}

/// How the store is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreState {
    /// Writes succeed.
    #[default]
    Ok,
    /// No space: nothing new is kept until there is.
    Full,
    /// Writes fail for another reason; they are tried again.
    Failing,
}

/// The status chip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// In one word.
    pub connection: Connection,
    /// Linked peers, relays included.
    pub peers: u32,
    /// Linked relays.
    pub relays: u32,
    /// Own entries that nobody else has confirmed to hold: lost if this device is lost.
    pub waiting: u32,
    /// Own entries without any relay's receipt.
    pub not_durable: u32,
    /// Entries are being fetched.
    pub syncing: bool,
    pub store: StoreState,
    /// Whether the recovery phrase was confirmed (true without an account).
    pub phrase_confirmed: bool,
    /// A relay takes no more entries for a time.
    pub quota: Option<QuotaView>,
    /// By how many minutes this clock is ahead of the relays'; 0: by less than two, or no relay is linked.
    pub clock_ahead_min: i32,
}

/// A quota of a relay that is used up. What was written since is kept here, and is fetched by the relay later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaView {
    pub quota: Quota,
    /// What it allows in an hour.
    pub per_hour: u64,
    /// When the relay takes more.
    pub until: Timestamp,
}
