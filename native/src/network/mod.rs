//! The relay as one of many: which other relays it links with, and where they are.
//!
//! The operator names any one member (`--join`); the engine's overlay keeps the links from then on.

mod book;
mod join;

mod url;

pub use book::AddressBook;
pub use join::{Dials, run};

pub use url::{RelayUrl, UrlError};
