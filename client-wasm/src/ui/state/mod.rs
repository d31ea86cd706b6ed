//! What the interface knows right now: a fold over events, answers and the person's own gestures.
//!
//! [`Session`] is the one store and [`Scene`] the one context. What belongs to one page alone (a profile, a thread) is
//! asked for by that page through [`use_live`] and not kept here.
//!
//! Every Yew component costs several kilobytes of code, whatever it does. So only what holds state of its own is one;
//! everything else is a function that returns what is seen.

pub mod prefs;

use std::cell::RefCell;
use std::rc::Rc;

use engine::api::{Command, Connection, Event, MeView, Outcome, PostView, Query, Refusal, Reply, StatusView};
use gloo_timers::callback::Timeout;
use protocol::entry::ReplyTo;
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use self::prefs::{Theme, Unsent};
use crate::ui::bridge::{Bridge, HostView};
use crate::ui::route::{Navigator, Visit};
use crate::ui::{dom, strings};

/// How far the app is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// The engine reads its store.
    #[default]
    Opening,
    /// No account on this device: the first visit.
    Stranger,
    /// An account was just made: the second and third step of the first visit.
    Arriving,
    /// An account is here.
    Member,
}

/// What lies over the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Dialog {
    /// Nothing.
    #[default]
    None,
    /// A new post.
    Compose,
    /// An answer to this post.
    Reply(Rc<PostView>),
    /// The list of keys.
    Keys,
}

/// A post the engine has not taken yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The post.
    pub post: Unsent,
    /// Why it was refused; `None` while it is on its way.
    pub refused: Option<Refusal>,
}

/// Everything more than one page needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    /// How far the app is.
    pub phase: Phase,
    /// An account is being made or brought back by this tab.
    pub creating: bool,
    /// One's own account.
    pub me: Option<Rc<MeView>>,
    /// Connection, peers, what waits.
    pub status: StatusView,
    /// The browser around the engine.
    pub host: HostView,
    /// What lies over the page.
    pub dialog: Dialog,
    /// A word at the foot of the screen, with a number so that the same word twice is two words.
    pub toast: Option<(u32, AttrValue)>,
    /// Posts on their way to the engine, oldest first.
    pub waiting: Vec<Waiting>,
    /// Answers came that were not looked at.
    pub activity: bool,
    /// A rebuild under way: done, total.
    pub rebuilding: Option<(u64, u64)>,
    /// How the app looks.
    pub theme: Theme,
    /// The person closed the note about the other tab.
    pub tab_note_closed: bool,
}

/// What may change the session.
pub enum Action {
    /// The engine said something.
    Engine(Rc<Event>),
    /// The browser's state changed.
    Host(HostView),
    /// Who one is, as asked at the start.
    Me(Option<MeView>),
    /// Connection and peers, as asked at the start.
    Status(StatusView),
    /// An account stands ready; `fresh` if it was just created.
    Arrived {
        /// Created, not restored.
        fresh: bool,
    },
    /// An account is being made or brought back here: what the engine tells meanwhile ends no first visit.
    Creating(bool),
    /// The first visit is over.
    Settled,
    /// Put something over the page.
    Open(Dialog),
    /// Say a word at the foot of the screen.
    Say(AttrValue),
    /// That word has stood long enough.
    Unsay(u32),
    /// A post is on its way.
    Sending(Unsent),
    /// The engine took it.
    Taken([u8; 16]),
    /// The engine refused it.
    NotTaken([u8; 16], Refusal),
    /// The person gave it up.
    Discarded([u8; 16]),
    /// The activity page was looked at.
    ActivitySeen,
    /// Another look.
    Theme(Theme),
    /// The note about the other tab was closed.
    CloseTabNote,
}

impl Session {
    /// The session as it was left, before the engine says anything.
    pub fn load() -> Self {
        Self {
            theme: Theme::load(),
            activity: prefs::activity_waiting(),
            waiting: prefs::unsent()
                .into_iter()
                .map(|post| Waiting { post, refused: None })
                .collect(),
            ..Self::default()
        }
    }

    /// Whether this device may write at all.
    pub fn may_write(&self) -> bool {
        self.me.as_ref().is_some_and(|me| !me.revoked && !me.forked)
    }

    fn keep_waiting(&self) {
        prefs::set_unsent(self.waiting.iter().map(|waiting| &waiting.post));
    }

    fn hear(&mut self, event: &Event) {
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
            Event::Posts { posts, .. } => {
                let answered = posts.iter().any(|post| post.in_activity);
                if answered && !self.activity {
                    self.activity = true;
                    prefs::set_activity_waiting(true);
                }
            }
            Event::Rebuilding { done, total } => {
                self.rebuilding = (done < total).then_some((*done, *total));
            }
            Event::Durability { .. }
            | Event::Slug { .. }
            | Event::Profile(_)
            | Event::Forked { .. }
            | Event::Relays(_)
            | Event::Repair(_) => {}
        }
    }
}

impl Reducible for Session {
    type Action = Action;

    fn reduce(self: Rc<Self>, action: Action) -> Rc<Self> {
        let mut next = (*self).clone();
        match action {
            Action::Engine(event) => next.hear(&event),
            Action::Host(host) => next.host = host,
            Action::Me(me) => {
                if next.phase != Phase::Arriving && !next.creating {
                    next.phase = if me.is_some() {
                        Phase::Member
                    } else {
                        Phase::Stranger
                    };
                }
                next.me = me.map(Rc::new);
            }
            Action::Status(status) => next.status = status,
            Action::Arrived { fresh } => {
                next.creating = false;
                next.phase = if fresh { Phase::Arriving } else { Phase::Member };
            }
            Action::Creating(on) => next.creating = on,
            Action::Settled => next.phase = Phase::Member,
            Action::Open(dialog) => next.dialog = dialog,
            Action::Say(word) => {
                let number = next.toast.as_ref().map_or(0, |(number, _)| *number) + 1;
                next.toast = Some((number, word));
            }
            Action::Unsay(number) => {
                if next.toast.as_ref().is_some_and(|(shown, _)| *shown == number) {
                    next.toast = None;
                }
            }
            Action::Sending(post) => {
                next.waiting.retain(|waiting| waiting.post.token != post.token);
                next.waiting.push(Waiting { post, refused: None });
                next.keep_waiting();
            }
            Action::Taken(token) | Action::Discarded(token) => {
                next.waiting.retain(|waiting| waiting.post.token != token);
                next.keep_waiting();
            }
            Action::NotTaken(token, refusal) => {
                for waiting in &mut next.waiting {
                    if waiting.post.token == token {
                        waiting.refused = Some(refusal.clone());
                    }
                }
            }
            Action::ActivitySeen => {
                next.activity = false;
                prefs::set_activity_waiting(false);
            }
            Action::Theme(theme) => {
                next.theme = theme;
                theme.apply();
            }
            Action::CloseTabNote => next.tab_note_closed = true,
        }
        Rc::new(next)
    }
}

/// What every component may do. Stable for the life of the app, so that holding it renders nothing anew.
#[derive(Clone, PartialEq)]
pub struct Ui {
    /// The engine and the browser.
    pub bridge: Bridge,
    /// Changes the session.
    pub session: UseReducerDispatcher<Session>,
    /// Goes elsewhere.
    pub nav: Navigator,
}

impl Ui {
    /// Says a word at the foot of the screen.
    pub fn say(&self, word: impl Into<AttrValue>) {
        self.session.dispatch(Action::Say(word.into()));
    }

    /// Puts text on the clipboard and says so.
    pub fn copy(&self, text: String, said: &'static str) {
        let ui = self.clone();
        spawn_local(async move {
            ui.say(if dom::copy(&text).await {
                said
            } else {
                strings::NOT_COPIED
            });
        });
    }

    /// Sends a command whose success needs no word; a refusal is said.
    pub fn command(&self, command: Command) {
        let ui = self.clone();
        spawn_local(async move {
            if let Err(refusal) = ui.bridge.send(command).await {
                ui.say(strings::refusal(&refusal));
            }
        });
    }

    /// Publishes a text. It stays in [`Session::waiting`] until the engine took it.
    pub fn publish(&self, post: Unsent) {
        let ui = self.clone();
        ui.session.dispatch(Action::Sending(post.clone()));
        spawn_local(async move {
            let command = Command::Publish {
                token: post.token,
                text: post.text,
                reply_to: post.reply_to,
                slug: (!post.slug.is_empty()).then_some(post.slug),
            };
            match ui.bridge.send(command).await {
                Ok(Outcome::Published(view)) => {
                    // Every list hears of it the same way, whether or not the engine also says it as an event.
                    ui.bridge.event(Event::Posts {
                        posts: vec![*view],
                        more: false,
                    });
                    ui.session.dispatch(Action::Taken(post.token));
                }
                Ok(_) => ui.session.dispatch(Action::Taken(post.token)),
                Err(refusal) => ui.session.dispatch(Action::NotTaken(post.token, refusal)),
            }
        });
    }
}

/// Everything a page is drawn from: the one context. Parts that hold nothing themselves are functions of it.
#[derive(Clone, PartialEq)]
pub struct Scene {
    /// What may be done.
    pub ui: Ui,
    /// What is known.
    pub session: Session,
    /// Where the reader is.
    pub visit: Visit,
    /// The wall clock in milliseconds, ticking slowly: for relative times.
    pub now_ms: u64,
}

/// The scene; the component is drawn again when it changes.
#[hook]
#[allow(clippy::expect_used, reason = "the app provides it around every component")]
pub fn use_scene() -> Rc<Scene> {
    use_context::<Rc<Scene>>().expect("inside the app")
}

/// Hears every engine event while the component lives. The latest `heard` is the one called.
#[hook]
pub fn use_events(bridge: &Bridge, heard: Rc<dyn Fn(&Event)>) {
    let latest = use_mut_ref(|| None::<Rc<dyn Fn(&Event)>>);
    *latest.borrow_mut() = Some(heard);
    use_effect_with(bridge.clone(), move |bridge| {
        let subscription = bridge.subscribe(Callback::from(move |event: Rc<Event>| {
            let heard = latest.borrow().clone();
            if let Some(heard) = heard {
                heard(&event);
            }
        }));
        move || drop(subscription)
    });
}

/// What a page asks and when it asks again.
pub struct Live {
    /// The question.
    pub query: Query,
    /// Whether an event may have changed the answer.
    pub concerns: Rc<dyn Fn(&Event) -> bool>,
    /// After how many milliseconds to ask again anyway, given the answer.
    pub again_ms: fn(&Reply) -> Option<u32>,
}

/// How far a [`use_live`] is.
#[derive(Default)]
struct Asking {
    query: Option<Query>,
    under_way: bool,
    stale: bool,
    timer: Option<Timeout>,
}

/// The answer to a question, kept fresh: it is asked again when something happens that concerns it. While an answer is
/// on its way further reasons are collected, so that a burst of events costs two questions and not a hundred. The
/// callback asks again at once.
#[hook]
pub fn use_live(scene: &Rc<Scene>, live: Live) -> (Option<Rc<Reply>>, Callback<()>) {
    let reply = use_state(|| None::<(Query, Rc<Reply>)>);
    let asking = use_mut_ref(Asking::default);
    let Live {
        query,
        concerns,
        again_ms,
    } = live;
    asking.borrow_mut().query = Some(query.clone());
    let ask = {
        let (bridge, asking, set) = (scene.ui.bridge.clone(), asking.clone(), reply.setter());
        use_callback((), move |(), ()| {
            ask_live(bridge.clone(), asking.clone(), set.clone(), again_ms);
        })
    };
    {
        let ask = ask.clone();
        use_effect_with(query.clone(), move |_| ask.emit(()));
    }
    {
        let asking = asking.clone();
        // Leaving the page ends the timer.
        use_effect_with((), move |()| move || asking.borrow_mut().timer = None);
    }
    let heard = {
        let ask = ask.clone();
        Rc::new(move |event: &Event| {
            if matches!(event, Event::Ready { .. }) || concerns(event) {
                ask.emit(());
            }
        })
    };
    use_events(&scene.ui.bridge, heard);
    let current = reply
        .as_ref()
        .filter(|(asked, _)| *asked == query)
        .map(|(_, reply)| reply.clone());
    (current, ask)
}

fn ask_live(
    bridge: Bridge,
    asking: Rc<RefCell<Asking>>,
    set: UseStateSetter<Option<(Query, Rc<Reply>)>>,
    again_ms: fn(&Reply) -> Option<u32>,
) {
    let query = {
        let mut asking = asking.borrow_mut();
        if asking.under_way {
            asking.stale = true;
            return;
        }
        let Some(query) = asking.query.clone() else { return };
        asking.under_way = true;
        asking.stale = false;
        query
    };
    spawn_local(async move {
        let answer = bridge.query(query.clone()).await;
        let again = {
            let mut now = asking.borrow_mut();
            now.under_way = false;
            now.stale || now.query.as_ref() != Some(&query)
        };
        if let Ok(reply) = answer {
            if let Some(pause_ms) = again_ms(&reply) {
                let (bridge, later, set) = (bridge.clone(), asking.clone(), set.clone());
                let timer = Timeout::new(pause_ms, move || ask_live(bridge, later, set, again_ms));
                asking.borrow_mut().timer = Some(timer);
            }
            set.set(Some((query, Rc::new(reply))));
        }
        if again {
            ask_live(bridge, asking, set, again_ms);
        }
    });
}

/// Asks the questions every session begins with. Refused while the engine still reads its store: then
/// [`Event::Ready`] makes it ask again.
pub fn ask_who(ui: &Ui) {
    let ui = ui.clone();
    spawn_local(async move {
        if let Ok(Reply::Me(me)) = ui.bridge.query(Query::Me).await {
            ui.session.dispatch(Action::Me(me));
        }
        if let Ok(Reply::Status(status)) = ui.bridge.query(Query::Status).await {
            ui.session.dispatch(Action::Status(status));
        }
    });
}

/// A person's name as shown: the short key stands in for a name not known yet.
pub fn shown_name(name: &str, account: &protocol::AccountId) -> String {
    let name = name.trim();
    if name.is_empty() {
        account.short()
    } else {
        name.to_owned()
    }
}

/// What an answer to this post says it answers.
pub fn answering(post: &PostView) -> ReplyTo {
    ReplyTo {
        root: post.reply.as_ref().map_or(post.entry, |reply| reply.root),
        parent: post.entry,
    }
}

/// The state of the connection in the word tests and styles use.
pub fn connection_word(connection: Connection) -> &'static str {
    match connection {
        Connection::Offline => "offline",
        Connection::Connecting => "connecting",
        Connection::Online => "online",
    }
}
