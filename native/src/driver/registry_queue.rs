//! The queue of questions from the engine of an index relay to its registry of names.
//!
//! The driver never waits for the registry: it queues a question, and the registry's service answers through
//! [`super::DriverHandle::answer_name`]. When the queue is full, the question is answered at once with "too fast".

use engine::io::NameTicket;
use protocol::names::{NameAnswer, NameQuestion};
use tokio::sync::{mpsc, watch};

/// Maximum number of questions that wait for the registry.
const QUESTIONS_MAX: usize = 1_024;

#[derive(Debug)]
pub struct RegistryQueue {
    questions: mpsc::Sender<(NameTicket, NameQuestion)>,
    availability: Availability,
}

#[derive(Debug)]
pub struct Questions {
    /// Questions to answer.
    pub waiting: mpsc::Receiver<(NameTicket, NameQuestion)>,
    /// Why the registry cannot be reached; `None`: it can. The service keeps it up to date.
    pub problem: watch::Sender<Option<String>>,
}

/// Whether the registry could be reached at the last check.
#[derive(Clone, Debug)]
pub struct Availability(watch::Receiver<Option<String>>);

impl Availability {
    /// Why it cannot be reached; `None`: it can.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.0.borrow().clone()
    }
}

impl RegistryQueue {
    /// Both ends of a queue.
    #[must_use]
    pub fn new() -> (Self, Questions) {
        let (questions, waiting) = mpsc::channel(QUESTIONS_MAX);
        let (problem, availability) = watch::channel(Some("the registry is being opened".to_owned()));
        let availability = Availability(availability);
        let queue = Self {
            questions,
            availability,
        };
        (queue, Questions { waiting, problem })
    }

    /// Whether the registry answers.
    #[must_use]
    pub fn availability(&self) -> Availability {
        self.availability.clone()
    }

    /// Queues a question. If that is not possible, the answer to it is returned.
    pub(super) fn push(&self, ticket: NameTicket, question: NameQuestion) -> Option<NameAnswer> {
        self.questions
            .try_send((ticket, question))
            .err()
            .map(|error| match error {
                mpsc::error::TrySendError::Full(_) => NameAnswer::TooFast,
                mpsc::error::TrySendError::Closed(_) => NameAnswer::Unavailable,
            })
    }
}
