//! What surrounds every page: the layout, notices, dialogs, the connection status.

pub mod connection_status;
pub mod dialogs;
pub mod keyboard;
pub mod layout;
pub mod not_found;
pub mod notices;
pub mod strings;
