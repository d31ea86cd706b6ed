//! What the interface knows: a fold over events, answers and the person's own actions.
//!
//! [`Session`] is the one store and [`AppContext`] the one context. What belongs to one page alone (a profile, a
//! thread) is asked for by that page through [`use_live`] and not kept here.
//!
//! Every Yew component costs several kilobytes of code, whatever it does. So only what holds state of its own is one;
//! everything else is a function that returns what is seen.

mod context;
mod live;
mod session;
pub mod storage;

pub use context::{AppContext, Ui, ask_who, use_app, use_events};
pub use live::{Live, use_live};
pub use session::{Action, Dialog, Phase, Session};
