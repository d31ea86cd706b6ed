//! What every page is made of: buttons, forms, icons, avatars, times.

pub mod avatar;
pub mod form;
pub mod icons;
mod parts;
pub mod time;

pub use parts::{button, empty, facts, icon_button, known_as, section, trouble};
