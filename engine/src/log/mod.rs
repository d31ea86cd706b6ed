pub(crate) mod durability;
pub(crate) mod feeds;
pub(crate) mod ingest;
pub(crate) mod keys;
pub(crate) mod records;
pub(crate) mod unsaved;
