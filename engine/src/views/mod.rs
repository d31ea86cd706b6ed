//! Views: everything a person sees is a deterministic fold over entries.
//!
//! `fold` adds one entry to the index tables, `read` pages through them, `refold` builds them again; `feeds` says how much of
//! what a person signed is here. The same entries give
//! the same views on every peer, in whatever order they came: index rows depend on their entry alone, and where one entry
//! replaces another (a profile, a follow) the greatest [`crate::records::Precedence`] wins.

mod feeds;
mod fold;
mod read;
mod refold;

pub(crate) use read::Reading;
pub(crate) use refold::{RefoldStep, Refolding};
