//! Questions to the registry of names, forwarded by relays.

use serde::{Deserialize, Serialize};

use super::Fields;
use crate::id::{AccountId, DeviceId};
use crate::kinds::Revocation;
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

/// See [`Message::RevocationQuestion`](super::Message::RevocationQuestion).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationQuestion {
    /// Chosen by the requester, different for each of its questions under way on the link.
    pub request: u32,
    pub account: AccountId,
    pub device: DeviceId,
}

impl Fields for RevocationQuestion {}

/// See [`Message::RevocationAnswer`](super::Message::RevocationAnswer).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationAnswer {
    /// The question this answers.
    pub request: u32,
    /// The account's revocation of the device, if the sender has one.
    pub revocation: Option<Revocation>,
}

impl Fields for RevocationAnswer {}
