pub(crate) mod compare;
pub(crate) mod exchange;
pub(crate) mod interests;
pub(crate) mod sketch;
