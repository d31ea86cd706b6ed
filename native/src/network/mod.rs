//! Where relays are, and links to them that this peer opens.
//!
//! An operator or person names any one relay; the engine's overlay keeps the links from then on and asks for dials.

mod address_book;
mod dialler;
mod url;

pub(crate) use address_book::Proven;
pub use address_book::{AddressBook, JoinTarget, JoinTargetError};
pub use dialler::{Dials, run};
pub use url::{RelayUrl, UrlError};
