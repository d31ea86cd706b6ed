//! What more than one page needs, and what changes it.
//!
//! Invariant: [`Session::apply`] is pure. It reads no clock and no storage and calls nothing of the browser; what has
//! to be remembered beyond the page is written by effects of the root component, from the state that came out.

use std::rc::Rc;

use engine::api::{Event, MeView, PostView, StatusView};
use yew::{AttrValue, Reducible};

use crate::ui::bridge::HostView;
use crate::ui::features::account::theme::Theme;
use crate::ui::features::activity::Unread;
use crate::ui::features::compose::pending::{Outbox, OutboxAction};
use crate::ui::features::durability;
use crate::ui::features::old_copy::is_due;

/// How far the app is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// The engine reads its store.
    #[default]
    Opening,
    /// No account on this device: the first step of the first visit.
    Stranger,
    /// An account was just made: the second and third step of the first visit.
    Arriving,
    /// An account is here.
    Member,
}

/// What is open above the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Dialog {
    /// Nothing.
    #[default]
    None,
    /// A new post.
    Compose,
    Reply(Rc<PostView>),
    /// The recovery words, with which this browser becomes a new device.
    OldCopy,
    /// The list of keyboard shortcuts.
    Keys,
}

/// The state that the whole interface shares. A page's own data is asked for by that page through
/// [`use_live`](super::use_live).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    /// How far the app is.
    pub phase: Phase,
    /// An account is being created or restored by this tab.
    pub creating: bool,
    /// One's own account.
    pub me: Option<Rc<MeView>>,
    /// Connection, peers, and what is not stored elsewhere yet.
    pub status: StatusView,
    /// The browser around the engine.
    pub host: HostView,
    /// What is open above the page.
    pub dialog: Dialog,
    /// The message at the foot of the screen. The number tells a repeated message from the one before.
    pub toast: Option<(u32, AttrValue)>,
    /// A rebuild of the views under way: done, total.
    pub rebuilding: Option<(u64, u64)>,
    /// The person closed the note about the other tab.
    pub tab_note_closed: bool,
    /// Posts on their way to this device's disk.
    pub outbox: Outbox,
    /// Whether there is activity that was not looked at.
    pub activity: Unread,
    /// How the app looks.
    pub theme: Theme,
}

/// What may change the session.
pub enum Action {
    Engine(Rc<Event>),
    /// The browser's state changed.
    Host(HostView),
    /// The own account, as asked at the start.
    Me(Option<MeView>),
    /// Connection and peers, as asked at the start.
    Status(StatusView),
    /// The account is ready; `fresh` if it was just created.
    Arrived {
        /// Created, not restored.
        fresh: bool,
    },
    /// An account is being created or restored here: until that is over, no event ends the first visit.
    Creating(bool),
    /// The first visit is over.
    Settled,
    /// Open something above the page.
    Open(Dialog),
    /// Show a message at the foot of the screen.
    Say(AttrValue),
    /// That message was shown long enough.
    Unsay(u32),
    /// The note about the other tab was closed.
    CloseTabNote,
    /// Something happened to a post in the outbox.
    Outbox(OutboxAction),
    /// The activity page was looked at.
    ActivitySeen,
    /// Another theme was chosen.
    Theme(Theme),
}

impl Session {
    /// The session as it was left, before the engine answers.
    pub fn load() -> Self {
        Self {
            theme: Theme::load(),
            activity: Unread::load(),
            outbox: Outbox::load(),
            ..Self::default()
        }
    }

    /// Whether this device may write at all.
    pub fn may_write(&self) -> bool {
        self.me.as_ref().is_some_and(|me| !me.revoked && !is_due(me))
    }

    /// The session after an action.
    pub fn apply(&mut self, action: Action) {
        match action {
            Action::Engine(event) => self.on_event(&event),
            Action::Host(host) => self.host = host,
            Action::Me(me) => {
                if self.phase != Phase::Arriving && !self.creating {
                    self.phase = if me.is_some() {
                        Phase::Member
                    } else {
                        Phase::Stranger
                    };
                }
                self.me = me.map(Rc::new);
            }
            Action::Status(status) => self.status = status,
            Action::Arrived { fresh } => {
                self.creating = false;
                self.phase = if fresh { Phase::Arriving } else { Phase::Member };
            }
            Action::Creating(on) => self.creating = on,
            Action::Settled => self.phase = Phase::Member,
            Action::Open(dialog) => self.dialog = dialog,
            Action::Say(message) => {
                let number = self.toast.as_ref().map_or(0, |(number, _)| *number) + 1;
                self.toast = Some((number, message));
            }
            Action::Unsay(number) => {
                if self.toast.as_ref().is_some_and(|(shown, _)| *shown == number) {
                    self.toast = None;
                }
            }
            Action::CloseTabNote => self.tab_note_closed = true,
            Action::Outbox(action) => self.outbox.apply(action),
            Action::ActivitySeen => self.activity.seen(),
            Action::Theme(theme) => self.theme = theme,
        }
    }

    fn on_event(&mut self, event: &Event) {
        self.activity.on_event(event);
        match event {
            Event::Ready { account } => {
                self.phase = match (self.phase, account) {
                    (Phase::Arriving, _) => Phase::Arriving,
                    (_, true) if !self.creating => Phase::Member,
                    _ => Phase::Stranger,
                };
            }
            Event::Me(me) => {
                self.me = Some(Rc::new(me.clone()));
                if !self.creating && matches!(self.phase, Phase::Opening | Phase::Stranger) {
                    // Another tab made the account.
                    self.phase = Phase::Member;
                }
            }
            Event::Status(status) => self.status = *status,
            Event::Durability { post, durability } if durability.saved => self.outbox.on_saved(*post),
            Event::NotKept { .. } => {
                if let Some(text) = durability::not_kept(event) {
                    self.apply(Action::Say(text.into()));
                }
            }
            Event::Rebuilding { done, total } => {
                self.rebuilding = (done < total).then_some((*done, *total));
            }
            // Lists and pages hear these themselves.
            _ => {}
        }
    }
}

impl Reducible for Session {
    type Action = Action;

    fn reduce(self: Rc<Self>, action: Action) -> Rc<Self> {
        let mut next = Rc::unwrap_or_clone(self);
        next.apply(action);
        Rc::new(next)
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
