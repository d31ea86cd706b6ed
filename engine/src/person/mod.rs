pub(crate) mod claims;
pub(crate) mod commands;
pub(crate) mod name_transfer;
pub(crate) mod relay_choice;
