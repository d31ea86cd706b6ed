//! English texts of handles.

use engine::api::ClaimView;
use protocol::names::{NameAnswer, NameFault};

pub const HANDLE: &str = "Your name in the network";
pub const HANDLE_LEAD: &str = "A short name that belongs to you alone, so that people can find you by it. You need none \
     to write or to be followed.";
pub const HANDLE_LABEL: &str = "The name you would like";
pub const HANDLE_CLAIM: &str = "Ask for it";
pub const HANDLE_DROP: &str = "Never mind";
pub const HANDLE_RELEASE: &str = "Give it back";
pub const OFFER: &str = "Give this name to someone else";
pub const OFFER_LABEL: &str = "Their profile link or @name";
pub const OFFER_HINT: &str = "Then they claim the name in their own app. If they have a name already, they give that one back \
     first. Until then this name stays yours, and you can take the offer back.";
pub const OFFER_SUBMIT: &str = "Offer it";
pub const OFFER_BACK: &str = "Take the offer back";
pub const OFFER_SELF: &str = "That is you. Paste the profile link of who is to have the name.";
pub const HANDLE_ASKING: &str = "Asking the network whose name this is…";
pub const HANDLE_NOBODY: &str = "Nobody has this name.";
pub const HANDLE_UNKNOWN: &str =
    "Whose name this is cannot be found out right now. Try again when you are online.";

/// A name one has.
pub fn handle_held(handle: &str) -> String {
    format!("You are @{handle}. Nobody else in the network has this name.")
}

pub fn offer_stands(handle: &str, to: &str) -> String {
    format!(
        "@{handle} is offered to {to}, who has it as soon as they ask for it. Tell them; until then it is yours."
    )
}

/// An offer, or (`None`) taking one back, that is not decided.
pub fn offer_waits(handle: &str, to: Option<String>) -> String {
    match to {
        Some(to) => {
            format!("Offering @{handle} to {to}… This happens as soon as the network can be reached.")
        }
        None => format!("Taking the offer of @{handle} back as soon as the network can be reached…"),
    }
}

/// An offer that was refused.
pub fn not_yours(handle: &str) -> String {
    format!(
        "The network says that @{handle} is not yours any more; perhaps another of your devices gave it back."
    )
}

/// A claim that is not decided.
pub fn claim_waits(claim: &ClaimView) -> String {
    let name = &claim.name;
    if claim.release {
        format!("Giving back @{name}… This happens as soon as the network can be reached.")
    } else {
        format!(
            "Asking for @{name}… The network decides as soon as it can be reached; you can close the app meanwhile."
        )
    }
}

/// Why a claim came to nothing, and what to do.
pub fn claim_refused(claim: &ClaimView, slug: bool) -> String {
    let shown = |name: &str| {
        if slug {
            format!("/{name}/")
        } else {
            format!("@{name}")
        }
    };
    let why = match &claim.refused {
        Some(NameAnswer::Taken) => "is taken, or looks too much like one that is. Choose another".to_owned(),
        Some(NameAnswer::LooksLike { name }) => {
            format!(
                "looks too much like {}, which is taken. Choose another",
                shown(name)
            )
        }
        Some(NameAnswer::Resting { .. }) => {
            "was given back a short while ago and rests. Choose another".to_owned()
        }
        Some(NameAnswer::HasOther { name }) => format!("is one too many: there is {} already", shown(name)),
        Some(NameAnswer::TooMany { max }) => format!("is one too many: an account has {max} at most"),
        Some(NameAnswer::Fault(fault)) => match fault {
            NameFault::TooShort { min } => format!("is too short: {min} characters at least"),
            NameFault::TooLong { max } => format!("is too long: {max} characters at most"),
            NameFault::Character { character } => {
                let dot = if slug { "" } else { " ." };
                format!("cannot have “{character}” there: letters, digits, and - _{dot} between them")
            }
            NameFault::NotCanonical { canonical } => format!("is written {}: ask for that", shown(canonical)),
            NameFault::MixedScripts => "mixes scripts that look alike. Use one".to_owned(),
            NameFault::Confusable => "reads like a name in other letters. Choose another".to_owned(),
            NameFault::Reserved => "is kept for the network itself. Choose another".to_owned(),
        },
        _ => "was refused. Choose another".to_owned(),
    };
    format!("{} {why}.", shown(&claim.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(answer: NameAnswer) -> ClaimView {
        ClaimView {
            name: "ada".to_owned(),
            release: false,
            refused: Some(answer),
        }
    }

    #[test]
    fn a_refused_claim_says_why_in_the_form_of_a_handle_or_of_a_slug() {
        let taken = refused(NameAnswer::Taken);
        assert!(claim_refused(&taken, false).starts_with("@ada is taken"));
        assert!(claim_refused(&taken, true).starts_with("/ada/ is taken"));
        let alike = refused(NameAnswer::LooksLike {
            name: "ad4".to_owned(),
        });
        assert_eq!(
            claim_refused(&alike, false),
            "@ada looks too much like @ad4, which is taken. Choose another."
        );
        let other = refused(NameAnswer::HasOther {
            name: "byron".to_owned(),
        });
        assert_eq!(
            claim_refused(&other, false),
            "@ada is one too many: there is @byron already."
        );
        // A dot may be in a handle and not in a slug.
        let character = refused(NameAnswer::Fault(NameFault::Character { character: '!' }));
        assert!(claim_refused(&character, false).contains("- _ . between"));
        assert!(claim_refused(&character, true).contains("- _ between"));
        // Answers that this version has no words for.
        assert_eq!(
            claim_refused(&refused(NameAnswer::Unavailable), false),
            "@ada was refused. Choose another."
        );
    }

    #[test]
    fn a_claim_that_waits_says_which_way_it_goes() {
        let mut claim = refused(NameAnswer::Taken);
        assert!(claim_waits(&claim).starts_with("Asking for @ada"));
        claim.release = true;
        assert!(claim_waits(&claim).starts_with("Giving back @ada"));
        assert!(offer_waits("ada", Some("Bob".to_owned())).starts_with("Offering @ada to Bob"));
        assert!(offer_waits("ada", None).starts_with("Taking the offer of @ada back"));
    }
}
