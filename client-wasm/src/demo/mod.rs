//! A stand-in for the engine behind the interface's bridge: sample people, posts and links in memory, so that every
//! page and state can be looked at without a network (`trunk build --features demo`). Which state is chosen by the
//! address (see [`Scenario`]).

mod cast;
mod scenario;
mod world;

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use engine::api::{
    Command, CommandResult, Connection, Durability, Error, Event, MeView, ReplyView, Request, Response,
    StoreState,
};
use gloo_timers::callback::Timeout;
use protocol::{EntryRef, Timestamp};
use wasm_bindgen_futures::spawn_local;

use self::cast::{PEOPLE, TEXTS, WORDS};
use self::scenario::Scenario;
use self::world::{World, me};
use crate::ui::bridge::{Bridge, Carrier, HostCommand, StorageView, TabRole, Trouble};
use crate::ui::kit::time::now_ms;

struct Demo {
    world: RefCell<World>,
    bridge: OnceCell<Bridge>,
}

impl Demo {
    fn say(&self, event: Event) {
        if let Some(bridge) = self.bridge.get() {
            bridge.event(event);
        }
    }

    fn command(self: &Rc<Self>, command: &Command) -> Result<CommandResult, Error> {
        let mut events = Vec::new();
        let result = {
            let mut world = self.world.borrow_mut();
            match command {
                Command::CreateAccount { name, .. } => {
                    if name.is_empty() {
                        return Err(Error::Empty);
                    }
                    let own = me(&world.scenario, name);
                    world.me = Some(MeView {
                        following: 0,
                        ..own.clone()
                    });
                    CommandResult::Account(own.account)
                }
                Command::Restore { phrase, .. } => {
                    let known: Vec<&str> = WORDS.split_whitespace().collect();
                    let words: Vec<String> = phrase.split_whitespace().map(str::to_ascii_lowercase).collect();
                    if let Some(position) = words.iter().position(|word| !known.contains(&word.as_str())) {
                        return Err(Error::PhraseWord {
                            position: position as u32,
                            word: words[position].clone(),
                        });
                    }
                    if words.len() != known.len() {
                        return Err(Error::PhraseLength {
                            words: words.len() as u32,
                        });
                    }
                    let own = me(&world.scenario, PEOPLE[0].0);
                    world.me = Some(MeView {
                        phrase_confirmed: true,
                        ..own.clone()
                    });
                    world.fill();
                    CommandResult::Account(own.account)
                }
                Command::BeginAsNewDevice { phrase, .. } => {
                    if phrase.as_ref().is_some_and(|words| words != WORDS) {
                        return Err(Error::PhraseOfOther);
                    }
                    let Some(me) = &mut world.me else {
                        return Err(Error::NoAccount);
                    };
                    (me.old_copy, me.forked, me.set_aside) = (false, false, 0);
                    events.push(Event::Me(me.clone()));
                    CommandResult::Account(me.account)
                }
                Command::ConfirmPhrase => {
                    if let Some(me) = &mut world.me {
                        me.phrase_confirmed = true;
                        events.push(Event::Me(me.clone()));
                    }
                    CommandResult::Ok
                }
                Command::Publish { text, reply_to, .. } => {
                    if world.scenario.has("refuse") {
                        return Err(Error::Store(StoreState::Full));
                    }
                    let mut post = world.make(0, text, Timestamp(now_ms()));
                    post.durability = Some(Durability {
                        relays_known: 3,
                        ..Durability::default()
                    });
                    post.reply = reply_to.as_ref().and_then(|to| {
                        let parent = world.posts.iter().find(|post| post.entry == to.parent)?;
                        Some(ReplyView {
                            root: to.root,
                            parent: to.parent,
                            parent_name: parent.name.clone(),
                        })
                    });
                    world.posts.insert(0, post.clone());
                    self.grow_safer(post.entry, world.status.connection == Connection::Online);
                    CommandResult::Published(Box::new(post))
                }
                Command::Follow { account } => {
                    events = world.follow(*account, true);
                    CommandResult::Ok
                }
                Command::Unfollow { account } => {
                    events = world.follow(*account, false);
                    CommandResult::Ok
                }
                Command::EditProfile { name, bio } => {
                    if name.is_empty() {
                        return Err(Error::Empty);
                    }
                    name.clone_into(&mut world.profiles[0].name);
                    bio.clone_into(&mut world.profiles[0].bio);
                    events.push(Event::Profile(world.profiles[0].clone()));
                    if let Some(me) = &mut world.me {
                        name.clone_into(&mut me.name);
                        bio.clone_into(&mut me.bio);
                        events.push(Event::Me(me.clone()));
                    }
                    CommandResult::Ok
                }
                Command::SetRelaysOnly { on } => {
                    if let Some(me) = &mut world.me {
                        me.relays_only = *on;
                        events.push(Event::Me(me.clone()));
                    }
                    CommandResult::Ok
                }
                Command::RevokeDevice { .. } => return Err(Error::PhraseLength { words: 3 }),
                Command::RebuildViews | Command::CheckReplicas { .. } => CommandResult::Ok,
                // There is no registry behind this, and not every kind of entry is played.
                _ => return Err(Error::Busy),
            }
        };
        for event in events {
            self.say(event);
        }
        Ok(result)
    }

    /// Simulates the events of a post that spreads.
    fn grow_safer(self: &Rc<Self>, entry: EntryRef, online: bool) {
        let steps: &[(u32, u32, u32)] = if online {
            &[(60, 0, 0), (900, 2, 0), (2_200, 4, 2)]
        } else {
            &[(60, 0, 0)]
        };
        for (after_ms, peers, relays) in steps.iter().copied() {
            let demo = self.clone();
            Timeout::new(after_ms, move || {
                let durability = Durability {
                    saved: true,
                    peers,
                    relays,
                    relays_known: 3,
                };
                if let Some(post) = demo
                    .world
                    .borrow_mut()
                    .posts
                    .iter_mut()
                    .find(|post| post.entry == entry)
                {
                    post.durability = Some(durability);
                }
                demo.say(Event::Durability {
                    post: entry,
                    durability,
                });
            })
            .forget();
        }
    }

    /// Another person writes a post.
    fn others_write(self: &Rc<Self>, after_ms: u32, author: usize) {
        let demo = self.clone();
        Timeout::new(after_ms, move || {
            let post = {
                let mut world = demo.world.borrow_mut();
                let post = world.make(author, TEXTS[author], Timestamp(now_ms()));
                world.posts.insert(0, post.clone());
                post
            };
            demo.say(Event::Posts {
                posts: vec![post],
                more: false,
            });
        })
        .forget();
    }
}

/// Shows the interface over the stand-in.
pub fn run() {
    let scenario = Scenario::load();
    let demo = Rc::new(Demo {
        world: RefCell::new(World::new(scenario)),
        bridge: OnceCell::new(),
    });
    let bridge = Bridge::new(Carrier {
        request: {
            let demo = demo.clone();
            Box::new(move |number, request| {
                if demo.world.borrow().scenario.has("opening") {
                    return;
                }
                let (demo, request) = (demo.clone(), request.clone());
                spawn_local(async move {
                    let answer = match &request {
                        Request::Query(query) => {
                            Response::Result(Box::new(demo.world.borrow_mut().query(query)))
                        }
                        Request::Command(command) => match demo.command(command) {
                            Ok(result) => Response::Done(result),
                            Err(error) => Response::Error(error),
                        },
                    };
                    if let Some(bridge) = demo.bridge.get() {
                        bridge.answered(number, answer);
                    }
                });
            })
        },
        host: {
            let demo = demo.clone();
            Box::new(move |command| {
                if let (HostCommand::KeepStorage, Some(bridge)) = (command, demo.bridge.get()) {
                    bridge.host_changed(|host| {
                        if let Some(storage) = &mut host.storage {
                            storage.persistent = true;
                        }
                    });
                }
            })
        },
    });
    bridge.host_changed(|host| {
        host.tab = if scenario.has("follower") {
            TabRole::Following
        } else {
            TabRole::Leading
        };
        host.update_ready = scenario.has("update");
        host.storage = Some(StorageView {
            used_bytes: 48_300_000,
            quota_bytes: 2_100_000_000,
            persistent: !scenario.has("volatile"),
        });
        host.trouble = if scenario.has("blocked") {
            Some(Trouble::StoreBlocked)
        } else if scenario.has("nostore") {
            Some(Trouble::StoreUnavailable("UnknownError".to_owned()))
        } else if scenario.has("outdated") {
            Some(Trouble::Outdated)
        } else if scenario.has("stopped") {
            Some(Trouble::EngineStopped("unreachable".to_owned()))
        } else {
            None
        };
    });
    // Set once, right here.
    let _ = demo.bridge.set(bridge.clone());
    if !scenario.has("stranger")
        && !scenario.has("empty")
        && !scenario.has("offline")
        && !scenario.has("connecting")
    {
        demo.others_write(2_500, 1);
        demo.others_write(3_000, 2);
    }
    crate::ui::app::start(bridge);
}
