//! Parts that pages are made of.

pub mod avatar;
pub mod composer;
pub mod dialog;
pub mod feed;
pub mod flock;
pub mod follow;
pub mod form;
pub mod frame;
pub mod handle;
pub mod icon;
pub mod notices;
pub mod part;
pub mod post;
pub mod post_text;
pub mod safety;
pub mod sky;
pub mod slug;
pub mod waiting;
pub mod words;
