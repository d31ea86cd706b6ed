//! The registry on its embedded store, from outside: what may be had, by whom, and what survives.
#![allow(clippy::unwrap_used, reason = "tests fail loudly")]

mod crash;
mod locks;
mod people;
mod replay;
mod restore;
mod slugs;
mod verbs;
