//! Posts on their way to this device's disk. They are remembered until they are saved, so that a reload, or a browser
//! that is killed, loses nothing in between; their token makes sending one twice the same as sending it once.
//!
//! The engine accepts a post before it is on disk. From then on the timelines show it, and the outbox only remembers
//! it.
//!
//! Invariant: a token is in the outbox at most once, and its posts stand in the order they were written.

use std::collections::VecDeque;

use engine::api::{Command, CommandResult, Error, Event};
use protocol::EntryRef;
use protocol::kinds::ReplyTo;
use wasm_bindgen_futures::spawn_local;

use crate::ui::route::{entry_from_text, entry_to_text};
use crate::ui::state::storage::{self, Kept};
use crate::ui::state::{Action, Ui};

const KEY: &str = "starling.unsent";
/// Posts remembered until they are saved; the composer accepts no more of them.
pub const PENDING_MAX: usize = 50;
/// Number of posts remembered as saved, in case the event arrives before the engine's answer. Policy when full: the
/// oldest goes.
const SAVED_EARLY_MAX: usize = 16;
/// The separator between records: a control character that cannot be typed.
const RECORDS: char = '\u{1e}';
/// The separator between the parts of a record: a control character that cannot be typed.
const PARTS: char = '\u{1f}';

/// A post to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPost {
    /// Makes sending it twice the same as sending it once.
    pub token: [u8; 16],
    pub text: String,
    pub reply_to: Option<ReplyTo>,
    /// The slug wished for; empty: none.
    pub slug: String,
}

/// A post that is not saved yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingPost {
    pub post: NewPost,
    /// Why it was refused; `None` while it is on its way.
    pub refused: Option<Error>,
    /// What the engine made of it; `None` until it accepted it.
    accepted: Option<EntryRef>,
}

impl PendingPost {
    fn new(post: NewPost) -> Self {
        Self {
            post,
            refused: None,
            accepted: None,
        }
    }
}

/// All such posts, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    pending: Vec<PendingPost>,
    saved_early: VecDeque<EntryRef>,
}

/// What happens to a post in the outbox.
pub enum OutboxAction {
    /// It is on its way, for the first time or again.
    Sending(NewPost),
    /// The engine accepted it.
    Accepted {
        /// The token of the post.
        token: [u8; 16],
        /// What it is called from now on.
        entry: EntryRef,
        /// It is on disk already, since it was sent before.
        saved: bool,
    },
    /// The engine refused it.
    Refused([u8; 16], Error),
    /// The person gave it up.
    Discarded([u8; 16]),
}

impl Outbox {
    /// Posts that were not saved when the page was last open.
    pub fn load() -> Self {
        Self::from_text(&storage::get(Kept::Always, KEY).unwrap_or_default())
    }

    /// Remembers them.
    pub fn save(&self) {
        storage::put(Kept::Always, KEY, &self.to_text());
    }

    /// The posts that are remembered, oldest first.
    pub fn posts(&self) -> &[PendingPost] {
        &self.pending
    }

    /// The posts that the engine has not accepted: nothing else shows them.
    pub fn unaccepted(&self) -> impl DoubleEndedIterator<Item = &PendingPost> {
        let pending = self.pending.iter();
        pending.filter(|pending| pending.accepted.is_none())
    }

    /// Whether there is room for another one.
    pub fn has_room(&self) -> bool {
        self.pending.len() < PENDING_MAX
    }

    /// The outbox after an action.
    pub fn apply(&mut self, action: OutboxAction) {
        match action {
            OutboxAction::Sending(post) => {
                self.remove(&post.token);
                self.pending.push(PendingPost::new(post));
            }
            OutboxAction::Accepted { token, entry, saved } => {
                if saved || self.saved_early.contains(&entry) {
                    self.remove(&token);
                }
                for pending in &mut self.pending {
                    if pending.post.token == token {
                        pending.accepted = Some(entry);
                    }
                }
            }
            OutboxAction::Discarded(token) => self.remove(&token),
            OutboxAction::Refused(token, error) => {
                for pending in &mut self.pending {
                    if pending.post.token == token {
                        pending.refused = Some(error.clone());
                    }
                }
            }
        }
    }

    /// An own post is on disk.
    pub fn on_saved(&mut self, entry: EntryRef) {
        let before = self.pending.len();
        self.pending.retain(|pending| pending.accepted != Some(entry));
        if self.pending.len() < before || before == 0 {
            return;
        }
        self.saved_early.push_back(entry);
        if self.saved_early.len() > SAVED_EARLY_MAX {
            self.saved_early.pop_front();
        }
    }

    fn remove(&mut self, token: &[u8; 16]) {
        self.pending.retain(|pending| pending.post.token != *token);
    }

    fn to_text(&self) -> String {
        let records: Vec<String> = self.pending.iter().map(|pending| record(&pending.post)).collect();
        records.join(&RECORDS.to_string())
    }

    fn from_text(text: &str) -> Self {
        let posts = text.split(RECORDS).filter_map(post_from).take(PENDING_MAX);
        Self {
            pending: posts.map(PendingPost::new).collect(),
            saved_early: VecDeque::new(),
        }
    }
}

fn record(post: &NewPost) -> String {
    let token: String = post.token.iter().map(|byte| format!("{byte:02x}")).collect();
    let reply = post.reply_to.as_ref().map_or_else(String::new, |to| {
        format!("{} {}", entry_to_text(&to.root), entry_to_text(&to.parent))
    });
    format!("{token}{PARTS}{reply}{PARTS}{}{PARTS}{}", post.slug, post.text)
}

fn post_from(record: &str) -> Option<NewPost> {
    let mut parts = record.splitn(4, PARTS);
    let (token_text, reply, slug, text) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let mut token = [0; 16];
    for (index, byte) in token.iter_mut().enumerate() {
        *byte = u8::from_str_radix(token_text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(NewPost {
        token,
        text: text.to_owned(),
        slug: slug.to_owned(),
        reply_to: if reply.is_empty() {
            None
        } else {
            let (root, parent) = reply.split_once(' ')?;
            Some(ReplyTo {
                root: entry_from_text(root)?,
                parent: entry_from_text(parent)?,
            })
        },
    })
}

/// Publishes a post. It stays in the outbox until it is saved.
pub fn publish(ui: &Ui, post: NewPost) {
    let ui = ui.clone();
    ui.session
        .dispatch(Action::Outbox(OutboxAction::Sending(post.clone())));
    spawn_local(async move {
        let token = post.token;
        let command = Command::Publish {
            token,
            text: post.text,
            reply_to: post.reply_to,
            slug: (!post.slug.is_empty()).then_some(post.slug),
        };
        let action = match ui.bridge.send(command).await {
            Ok(CommandResult::Published(view)) => {
                let entry = view.entry;
                let saved = view.durability.is_some_and(|durability| durability.saved);
                // Every list learns of it the same way, whether or not the engine also emits it as an event.
                ui.bridge.event(Event::Posts {
                    posts: vec![*view],
                    more: false,
                });
                OutboxAction::Accepted { token, entry, saved }
            }
            Ok(_) => OutboxAction::Discarded(token),
            Err(error) => OutboxAction::Refused(token, error),
        };
        ui.session.dispatch(Action::Outbox(action));
    });
}

#[cfg(test)]
mod tests {
    use protocol::{AccountId, EntryId};

    use super::*;

    fn post(number: u8) -> NewPost {
        NewPost {
            token: [number; 16],
            text: format!("post {number}\nwith two lines"),
            reply_to: None,
            slug: String::new(),
        }
    }

    fn outbox(posts: impl IntoIterator<Item = NewPost>) -> Outbox {
        let mut outbox = Outbox::default();
        for post in posts {
            outbox.apply(OutboxAction::Sending(post));
        }
        outbox
    }

    fn entry(number: u8) -> EntryRef {
        EntryRef {
            account: AccountId([number; 32]),
            id: EntryId([number; 32]),
        }
    }

    fn accepted(number: u8, saved: bool) -> OutboxAction {
        OutboxAction::Accepted {
            token: [number; 16],
            entry: entry(number),
            saved,
        }
    }

    fn unaccepted(outbox: &Outbox) -> Vec<u8> {
        outbox.unaccepted().map(|pending| pending.post.token[0]).collect()
    }

    #[test]
    fn a_post_stays_until_it_is_saved_or_given_up() {
        let mut outbox = outbox([post(1), post(2), post(3)]);
        outbox.apply(accepted(2, false));
        outbox.apply(OutboxAction::Refused([3; 16], Error::Busy));
        assert_eq!(outbox.posts()[0].refused, None);
        assert_eq!(outbox.posts()[2].refused, Some(Error::Busy));
        assert_eq!(unaccepted(&outbox), [1, 3], "the timelines show what is accepted");
        let reopened = Outbox::from_text(&outbox.to_text());
        assert_eq!(
            unaccepted(&reopened),
            [1, 2, 3],
            "what is not saved is sent again"
        );
        outbox.on_saved(entry(2));
        outbox.apply(OutboxAction::Discarded([3; 16]));
        assert_eq!(outbox.posts().len(), 1);
    }

    #[test]
    fn a_post_that_is_sent_again_and_was_saved_is_forgotten() {
        let mut outbox = outbox([post(1)]);
        outbox.apply(accepted(1, true));
        assert!(outbox.posts().is_empty());
    }

    #[test]
    fn that_a_post_is_saved_may_be_heard_before_the_answer() {
        let mut outbox = outbox([post(1), post(2)]);
        outbox.on_saved(entry(1));
        outbox.apply(accepted(1, false));
        assert_eq!(outbox.posts().len(), 1);
        for number in 3..100 {
            outbox.on_saved(entry(number));
        }
        assert_eq!(outbox.saved_early.len(), SAVED_EARLY_MAX);
    }

    #[test]
    fn sending_again_forgets_the_refusal_and_doubles_nothing() {
        let mut outbox = outbox([post(1)]);
        outbox.apply(OutboxAction::Refused([1; 16], Error::Busy));
        outbox.apply(OutboxAction::Sending(post(1)));
        assert_eq!(outbox, self::outbox([post(1)]));
    }

    #[test]
    fn a_reload_brings_all_of_them_back_as_not_refused() {
        let reply = NewPost {
            reply_to: Some(ReplyTo {
                root: entry(8),
                parent: entry(9),
            }),
            slug: "why-they-flock".to_owned(),
            ..post(2)
        };
        let written = outbox([post(1), reply]);
        let mut refused = written.clone();
        refused.apply(OutboxAction::Refused([1; 16], Error::Busy));
        assert_eq!(Outbox::from_text(&refused.to_text()), written);
        assert_eq!(Outbox::from_text(""), Outbox::default());
        assert_eq!(Outbox::from_text("nonsense\u{1e}more"), Outbox::default());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let many = outbox((0..100).map(post));
        assert!(!many.has_room());
        assert_eq!(Outbox::from_text(&many.to_text()).posts().len(), PENDING_MAX);
        assert!(outbox([post(1)]).has_room());
    }
}
