//! What surrounds every page: the layout, notices, dialogs, the connection status, pages that are loaded later.

pub mod connection_status;
pub mod dialogs;
pub mod keyboard;
pub mod layout;
pub mod lazy;
pub mod not_found;
pub mod notices;
pub mod strings;
