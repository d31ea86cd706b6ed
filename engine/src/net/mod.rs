pub(crate) mod introductions;
pub(crate) mod overlay;
pub(crate) mod sessions;
