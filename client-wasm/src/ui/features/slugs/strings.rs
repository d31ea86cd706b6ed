//! English texts of slugs.

use engine::api::ClaimView;

pub const SLUG_ADD: &str = "Give it a link name";
pub const SLUG_LABEL: &str = "A short address of its own";
pub const SLUG_ALSO: &str = "The long link works as ever.";
pub const SLUG_ASKING: &str = "Asking the network where this link leads…";
pub const SLUG_UNKNOWN: &str =
    "Where this link leads cannot be found out right now. Try again when you are online.";

/// A slug that is not decided.
pub fn slug_waits(claim: &ClaimView) -> String {
    let what = if claim.release {
        "Giving back"
    } else {
        "Asking for"
    };
    format!("{what} /{}/ as soon as the network can be reached.", claim.name)
}
