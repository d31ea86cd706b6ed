pub mod assignment;
pub(crate) mod directory;
