//! Views: everything a person sees is a deterministic fold over entries.
//!
//! `index` adds one entry to the index tables, `read` pages through them, `reindex` builds them again; `feeds` says how much of
//! what a person signed is here. The same entries give
//! the same views on every peer, in whatever order they came: index rows depend on their entry alone, and where one entry
//! replaces another (a profile, a follow) the greatest [`crate::log::records::Precedence`] wins.

mod feeds;
mod index;
mod read;
mod reindex;
mod status;

pub(crate) use read::Reading;
pub(crate) use reindex::{RefoldStep, Refolding};
