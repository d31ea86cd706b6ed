//! What a person can see and do, one folder a feature: its page or component, its strings and its part of the state.

pub mod account;
pub mod compose;
pub mod durability;
pub mod explore;
pub mod feed;
pub mod follow;
pub mod handles;
pub mod home;
pub mod network;
pub mod post;
pub mod profile;
pub mod slugs;
pub mod thread;
pub mod welcome;
