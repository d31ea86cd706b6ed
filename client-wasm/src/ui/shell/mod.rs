//! What stands around every page: the layout, notices, dialogs, the connection status.

pub mod connection_status;
pub mod dialogs;
pub mod layout;
pub mod not_found;
pub mod notices;
