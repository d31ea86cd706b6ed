//! The JSON API.

pub(crate) mod replicas;
