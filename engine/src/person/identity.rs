//! Who this device is: its account, its key, and, until the recovery phrase is confirmed, the account's key.

use protocol::kinds::Certificate;
use protocol::{AccountId, DeviceId, KeyPair, limits};
use serde::{Deserialize, Serialize};

use crate::ctx::{Ctx, Local};
use crate::log::records::meta;
use crate::store::{Op, Table};

/// The identity, as stored.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct IdentityRecord {
    device_seed: [u8; 32],
    /// Until the recovery phrase was confirmed.
    account_seed: Option<[u8; 32]>,
    certificate: Certificate,
}

/// The identity, with its keys ready.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(super) key: KeyPair,
    pub(super) account_key: Option<KeyPair>,
    pub(super) certificate: Certificate,
}

impl Identity {
    /// A new device of the account; `keep`: the account's key stays on it.
    pub(super) fn new_device(ctx: &mut Ctx, account_key: &KeyPair, keep: bool, device_name: &str) -> Self {
        let key = KeyPair::from_seed(&ctx.random());
        let name = device_name.trim().chars().take(limits::DEVICE_NAME_CHARS_MAX);
        let device = DeviceId(key.public());
        let certificate = Certificate::issue(account_key, device, name.collect(), ctx.now.wall);
        Self {
            key,
            account_key: keep.then(|| account_key.clone()),
            certificate,
        }
    }

    pub(crate) fn account(&self) -> AccountId {
        self.certificate.account
    }

    pub(crate) fn device(&self) -> DeviceId {
        self.certificate.device
    }

    /// Whether this is the account that the key belongs to.
    pub(super) fn is_of(&self, account_key: &KeyPair) -> bool {
        self.account() == AccountId(account_key.public())
    }

    /// What the rest of the engine needs of it.
    pub(super) fn local(&self) -> Local {
        Local {
            key: self.key.clone(),
            features: 0,
            certificate: Some(self.certificate.clone()),
        }
    }

    pub(super) fn write(&self, ctx: &mut Ctx) {
        let record = IdentityRecord {
            device_seed: self.key.seed(),
            account_seed: self.account_key.as_ref().map(KeyPair::seed),
            certificate: self.certificate.clone(),
        };
        ctx.write(Op::put(Table::Meta, meta::IDENTITY.to_vec(), &record));
        ctx.write_strictly();
    }
}

impl From<IdentityRecord> for Identity {
    fn from(record: IdentityRecord) -> Self {
        Self {
            key: KeyPair::from_seed(&record.device_seed),
            account_key: record.account_seed.map(|seed| KeyPair::from_seed(&seed)),
            certificate: record.certificate,
        }
    }
}
