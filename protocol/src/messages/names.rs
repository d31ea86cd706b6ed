//! Questions to the registry of names, forwarded by relays.

use serde::{Deserialize, Serialize};

use super::Fields;
use crate::names::{NameAnswer, NameQuestion};

/// See [`Message::NameQuestion`](super::Message::NameQuestion).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameAsked {
    /// Chosen by the requester, different for each of its questions under way on the link.
    pub request: u32,
    pub question: NameQuestion,
}

impl Fields for NameAsked {
    fn within_limits(&self) -> bool {
        self.question.within_limits()
    }
}

/// See [`Message::NameAnswer`](super::Message::NameAnswer).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameAnswered {
    /// The question this answers.
    pub request: u32,
    pub answer: NameAnswer,
}

impl Fields for NameAnswered {
    fn within_limits(&self) -> bool {
        self.answer.within_limits()
    }
}
