//! What Unicode text means to people. Every rule about characters is here, so that the app, a relay and other programs
//! agree on it:
//!
//! - [`tokens`]: web addresses, handles and tags in the text of a post;
//! - [`visible`]: what the eye sees of a text, and what must not be shown as it is;
//! - [`find`]: what a typed or pasted text names: an account, a post, a handle or a slug;
//! - `names` (feature `names`): the canonical form of names, and which names look alike.
//!
//! Functions of a text and nothing else: no clock, no I/O. The classes of characters (letter, mark, number) come from
//! tables natively and from the browser in WebAssembly, so that the app does not carry the tables; a test in a browser
//! compares both for all characters.

mod class;
pub mod find;
#[cfg(feature = "names")]
pub mod names;
pub mod tokens;
pub mod visible;
