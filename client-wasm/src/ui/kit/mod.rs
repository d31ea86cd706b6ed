//! What every page is made of. It knows no feature.

pub mod avatar;
mod blocks;
mod buttons;
pub mod form;
pub mod icons;
mod names;
pub mod sheet;
pub mod strings;
pub mod time;

pub use blocks::{empty, facts, section, trouble};
pub use buttons::{button, icon_button};
pub use names::{known_as, plain_name, shown_name};
