pub(crate) mod audit;
pub(crate) mod cache;
pub(crate) mod name_proxy;
pub(crate) mod placement;
pub(crate) mod presence;
pub(crate) mod replicas;
