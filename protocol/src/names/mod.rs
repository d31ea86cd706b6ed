//! Names and slugs: requests to the registry, its answers, and its signed receipts.
//!
//! A name belongs to one account and a slug to one post, in the whole network. Feeds work without them; people use
//! them instead of keys and ids. So that no two accounts have one name, a single service decides, the registry, and
//! signs its decision: every peer that knows the registry's key can check it without asking.
//!
//! Names and slugs are separate namespaces with the same rules: `ada` can be an account and, independently, a post.

mod answer;
mod receipt;
mod request;

use serde::{Deserialize, Serialize};

use crate::limits;

pub use answer::{NameAnswer, NameFault};
pub use receipt::{NameMark, NameReceipt};
pub use request::{NameAction, NameQuestion, NameRequest};

/// A registry, by the public key it signs with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RegistryId(pub [u8; 32]);

/// Whether a name or slug is short enough to be sent.
fn name_fits(name: &str) -> bool {
    name.len() <= limits::UNIQUE_NAME_LEN_MAX
}
