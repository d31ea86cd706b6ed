//! Crashes between any two outputs of a step, with the interface's part played as an interface does it: what was typed
//! is kept, with its token, until it is saved, and handed to the engine again after a restart.
//!
//! What must hold is in [`crate::model`]; beyond that, of every history, however often its peers died:
//!
//! - what was typed exists, once, and every peer shows the same;
//! - who asked for a name has it, and the registry holds no name or slug for an account or a post that does not know
//!   of it, even if the claim was dropped right after a crash;
//! - no honest peer refuses what another sends.

use protocol::messages::directory::{Description, role};
use protocol::names::RegistryId;
use protocol::{EntryId, EntryRef};
use rand_core::Rng;
use starling_engine::api::{Command, CommandResult, MeView, Query, QueryResult, Request, Response, Timeline};
use starling_engine::{Input, Log};

use crate::directory::description;
use crate::model::Unsafe;
use crate::names::{relays, visit};
use crate::network::{Death, Network, seed};

/// Histories in one test; there are [`PARTS`] of them, which run side by side.
const HISTORIES: u64 = 16;
const PARTS: u64 = 4;

/// A post that is typed and not saved.
struct Draft {
    token: [u8; 16],
    text: String,
    slug: Option<String>,
    entry: Option<EntryId>,
}

/// A person, as far as the interface remembers over restarts.
pub(crate) struct App {
    pub(crate) peer: usize,
    drafts: Vec<Draft>,
    /// Everything that was typed, and the slug it was to have.
    pub(crate) typed: Vec<(String, Option<String>)>,
    wants_name: bool,
}

impl App {
    pub(crate) fn new(peer: usize) -> Self {
        Self {
            peer,
            drafts: Vec::new(),
            typed: Vec::new(),
            wants_name: false,
        }
    }

    pub(crate) fn type_post(&mut self, net: &mut Network, slug: Option<String>) {
        let mut token = [0; 16];
        net.rng.fill_bytes(&mut token);
        let text = format!("{} of {}", self.typed.len(), self.peer);
        self.typed.push((text.clone(), slug.clone()));
        self.drafts.push(Draft {
            token,
            text,
            slug,
            entry: None,
        });
        self.publish(net, self.drafts.len() - 1);
    }

    fn publish(&mut self, net: &mut Network, at: usize) {
        let draft = &mut self.drafts[at];
        let command = Command::Publish {
            token: draft.token,
            text: draft.text.clone(),
            reply_to: None,
            slug: draft.slug.clone(),
        };
        match net.try_ask(self.peer, Request::Command(command)) {
            Some(Response::Done(CommandResult::Published(post))) => draft.entry = Some(post.entry.id),
            Some(other) => panic!("{other:?} (seed {})", net.seed),
            None => {}
        }
    }

    fn me(&self, net: &mut Network) -> Option<MeView> {
        match net.try_ask(self.peer, Request::Query(Query::Me)) {
            Some(Response::Result(reply)) => match *reply {
                QueryResult::Me(me) => me,
                other => panic!("{other:?} (seed {})", net.seed),
            },
            _ => None,
        }
    }

    fn ask_for_name(&mut self, net: &mut Network) {
        self.wants_name = true;
        let name = self.name();
        net.try_ask(self.peer, Request::Command(Command::ClaimName { name }));
    }

    /// Asks for a name, or gives it back, or does not want either any more.
    fn change_name(&mut self, net: &mut Network) {
        let Some(me) = self.me(net) else { return };
        self.wants_name = false;
        let command = match (me.claim, me.handle.is_empty()) {
            (Some(_), _) => Command::DropClaim,
            (None, false) => Command::ReleaseName,
            (None, true) => return self.ask_for_name(net),
        };
        net.try_ask(self.peer, Request::Command(command));
    }

    fn name(&self) -> String {
        format!("name{}", self.peer)
    }

    /// What is saved need not be kept.
    fn forget_saved(&mut self, net: &Network) {
        let peer = self.peer;
        let saved = |draft: &Draft| draft.entry.is_some_and(|id| net.model.is_saved(peer, &id));
        self.drafts.retain(|draft| !saved(draft));
    }

    /// Hands over again what may not be saved.
    pub(crate) fn publish_again(&mut self, net: &mut Network) {
        self.forget_saved(net);
        for at in 0..self.drafts.len() {
            self.publish(net, at);
        }
        if self.wants_name
            && let Some(me) = self.me(net)
            && me.handle.is_empty()
            && me.claim.is_none()
        {
            self.ask_for_name(net);
        }
    }
}

fn is_dead(net: &Network, peer: usize) -> bool {
    net.peers[peer].engine.is_none()
}

fn dice(net: &mut Network, sides: u32) -> u32 {
    net.rng.next_u32() % sides
}

/// The peer dies within its next outputs: most often in the middle of what it does next.
pub(crate) fn doom(net: &mut Network, peer: usize, outputs_max: u32) {
    let death = match dice(net, 3) {
        0 => Death::PowerCut,
        _ => Death::Killed,
    };
    let outputs = dice(net, outputs_max);
    net.crash_after(peer, outputs, death);
}

/// Starts a dead person's browser again; what the person does first differs.
pub(crate) fn reopen(net: &mut Network, app: &mut App) {
    app.forget_saved(net);
    net.start(app.peer);
    match dice(net, 4) {
        // Nothing is typed, and the list is handed over at once.
        0 => app.publish_again(net),
        // The next post comes before the list.
        1 => {
            app.type_post(net, None);
            app.publish_again(net);
        }
        // A claim that was under way is not wanted any more.
        2 => app.change_name(net),
        // Only much later.
        _ => {}
    }
}

/// Starts a relay, which its adapter tells again what it is.
fn restart(net: &mut Network, relay: usize, index: usize) {
    net.start(relay);
    if relay == index {
        let registry = RegistryId(net.registry.key.public());
        net.input(index, Input::Registry(registry));
    }
    let (roles, name) = match relay == index {
        true => (role::WORKER | role::INDEX, "cellar"),
        false => (role::WORKER, "attic"),
    };
    let described = Description {
        roles,
        ..description(name, usize::from(relay != index))
    };
    net.input(relay, Input::Describe(Box::new(described)));
}

fn history(seed: u64) -> Unsafe {
    let mut net = Network::new(seed);
    let (index, worker) = relays(&mut net);
    let mut apps: Vec<App> = (0..3).map(|n| App::new(net.person(&format!("P{n}")))).collect();
    for one in &apps {
        for other in apps.iter().filter(|other| other.peer != one.peer) {
            net.follow(one.peer, other.peer);
        }
        visit(&mut net, one.peer, if one.peer % 2 == 0 { index } else { worker });
    }
    net.introduce_all();
    net.run_for_ms(3_000);
    for step in 0..40 {
        let pause_ms = match dice(&mut net, 2) {
            0 => dice(&mut net, 30),
            _ => dice(&mut net, 1_500),
        };
        net.run_for_ms(pause_ms.into());
        let at = dice(&mut net, 3) as usize;
        let app = &mut apps[at];
        if is_dead(&net, app.peer) {
            reopen(&mut net, app);
            continue;
        }
        match dice(&mut net, 12) {
            0..=3 => {
                doom(&mut net, app.peer, 12);
                app.type_post(&mut net, None);
            }
            4..=5 => app.type_post(&mut net, None),
            6 => {
                doom(&mut net, app.peer, 12);
                app.type_post(&mut net, Some(format!("slug-{}-{step}", app.peer)));
            }
            7 => {
                doom(&mut net, app.peer, 20);
                app.change_name(&mut net);
            }
            8 => doom(&mut net, app.peer, 200),
            9 => {
                let relay = if dice(&mut net, 2) == 0 { index } else { worker };
                match is_dead(&net, relay) {
                    true => restart(&mut net, relay, index),
                    false => doom(&mut net, relay, 60),
                }
            }
            10 => {
                let relay = if dice(&mut net, 2) == 0 { index } else { worker };
                net.cut(app.peer, relay);
            }
            _ => {
                let groups: Vec<_> = (0..net.peers.len()).map(|_| dice(&mut net, 2)).collect();
                net.partition(&groups);
                net.run_for_ms(300);
                net.heal();
                net.introduce_all();
            }
        }
    }
    net.heal();
    for peer in 0..net.peers.len() {
        net.spare(peer);
        match is_dead(&net, peer) {
            true if peer == index || peer == worker => restart(&mut net, peer, index),
            true => net.start(peer),
            false => {}
        }
    }
    net.run_for_ms(100);
    net.introduce_all();
    for app in &mut apps {
        app.publish_again(&mut net);
    }
    net.run_for_ms(150_000);
    check(&mut net, &apps, &[index, worker]);
    net.model.deaths
}

/// Everything that was typed, sorted.
pub(crate) fn typed_texts(apps: &[App]) -> Vec<String> {
    let typed = apps.iter().flat_map(|app| &app.typed);
    let mut texts: Vec<String> = typed.map(|(text, _)| text.clone()).collect();
    texts.sort();
    texts
}

/// What was typed exists once, everybody shows the same, and the registry gave nothing to nobody.
fn check(net: &mut Network, apps: &[App], relays: &[usize]) {
    let seed = net.seed;
    let typed = typed_texts(apps);
    let expected = net.page(relays[0], Timeline::Public);
    let mut texts: Vec<String> = expected.iter().map(|post| post.text.clone()).collect();
    texts.sort();
    assert_eq!(texts, typed, "what was typed exists once, seed {seed}");
    let shown = |net: &mut Network, peer, timeline| -> Vec<(EntryRef, String)> {
        let page = net.page(peer, timeline).into_iter();
        page.map(|post| (post.entry, post.text)).collect()
    };
    let expected: Vec<_> = expected.into_iter().map(|post| (post.entry, post.text)).collect();
    for relay in relays {
        assert_eq!(
            shown(net, *relay, Timeline::Public),
            expected,
            "relay {relay}, seed {seed}"
        );
    }
    for app in apps {
        let home = shown(net, app.peer, Timeline::Home);
        assert_eq!(home, expected, "person {}, seed {seed}", app.peer);
        let QueryResult::Me(Some(me)) = net.query(app.peer, Query::Me) else {
            panic!("an account, seed {seed}");
        };
        assert_eq!(me.claim, None, "every claim is decided, seed {seed}");
        let holder = net
            .registry
            .held
            .get(&(false, app.name()))
            .map(|(account, _)| *account);
        let expected_holder = (!me.handle.is_empty()).then_some(me.account);
        assert_eq!(
            holder, expected_holder,
            "{} knows of its name, seed {seed}",
            app.peer
        );
        assert!(
            !app.wants_name || holder.is_some(),
            "{} has its name, seed {seed}",
            app.peer
        );
        for (text, slug) in &app.typed {
            let Some(slug) = slug else { continue };
            let post = expected
                .iter()
                .find(|(_, shown)| shown == text)
                .map(|(post, _)| post.id);
            let holder = net
                .registry
                .held
                .get(&(true, slug.clone()))
                .map(|(_, post)| *post);
            assert_eq!(holder, Some(post), "the slug of {text}, seed {seed}");
        }
    }
    let slugs = apps
        .iter()
        .flat_map(|app| &app.typed)
        .filter(|(_, slug)| slug.is_some())
        .count();
    let held = net.registry.held.keys().filter(|(slug, _)| *slug).count();
    assert_eq!(held, slugs, "no slug is held for nothing, seed {seed}");
    for peer in &net.peers {
        let refused = |log: &&Log| matches!(log, Log::Refused { .. } | Log::Corrupt { .. });
        let refused: Vec<_> = peer.log.iter().filter(refused).collect();
        assert!(
            refused.is_empty(),
            "honest peers refuse nothing: {refused:?}, seed {seed}"
        );
    }
}

/// Runs a part of the histories. Posts were lost and kept, or the deaths did not hit what they should.
fn histories(part: u64) {
    let count = std::env::var("STARLING_SEEDS").ok().and_then(|n| n.parse().ok());
    let count: u64 = count.unwrap_or(HISTORIES);
    let mut deaths = Unsafe::default();
    for n in 0..count {
        let of_one = history(seed() + n * PARTS + part);
        deaths.lost += of_one.lost;
        deaths.kept += of_one.kept;
    }
    assert!(
        deaths.lost > 0 && deaths.kept > 0,
        "devices died with posts that were not safe, before and after they were on disk: {deaths:?}"
    );
}

/// What a person does after the browser was killed.
#[derive(Clone, Copy, Debug)]
enum Reopened {
    /// Nothing is typed; the interface hands over what it kept.
    List,
    /// The next post is typed before that.
    NextFirst,
    /// The next post is typed offline, and what was kept comes later.
    Offline,
}

/// The key is pressed, and the browser dies after every number of outputs there is.
#[test]
fn a_browser_killed_at_any_moment_after_the_key_press_never_forks_its_feed() {
    let mut deaths = Unsafe::default();
    for death in [Death::Killed, Death::PowerCut] {
        for reopened in [Reopened::List, Reopened::NextFirst, Reopened::Offline] {
            for outputs in 0..14 {
                let mut net = Network::new(seed() + u64::from(outputs));
                let relay = net.add_relay();
                let mut ada = App::new(net.person("Ada"));
                let bob = net.person("Bob");
                net.follow(bob, ada.peer);
                net.introduce_all();
                net.run_for_ms(3_000);
                net.crash_after(ada.peer, outputs, death);
                ada.type_post(&mut net, None);
                while !is_dead(&net, ada.peer) {
                    net.run_for_ms(1);
                }
                if matches!(reopened, Reopened::Offline) {
                    net.partition(&[0, 1, 0]);
                }
                net.start(ada.peer);
                match reopened {
                    Reopened::List => ada.publish_again(&mut net),
                    Reopened::NextFirst | Reopened::Offline => ada.type_post(&mut net, None),
                }
                net.run_for_ms(1_000);
                net.heal();
                net.introduce_all();
                ada.publish_again(&mut net);
                net.run_for_ms(30_000);
                for (peer, timeline) in [(relay, Timeline::Public), (bob, Timeline::Home)] {
                    let mut shown = net.texts(peer, timeline);
                    shown.sort();
                    let typed: Vec<&String> = ada.typed.iter().map(|(text, _)| text).collect();
                    assert_eq!(
                        shown.iter().collect::<Vec<_>>(),
                        typed,
                        "{death:?} after {outputs} outputs, then {reopened:?}, seed {}",
                        net.seed
                    );
                }
                deaths.lost += net.model.deaths.lost;
                deaths.kept += net.model.deaths.kept;
            }
        }
    }
    assert!(deaths.lost > 0 && deaths.kept > 0, "{deaths:?}");
}

#[test]
fn a_claim_dropped_after_a_crash_at_any_moment_leaves_nothing_behind() {
    let mut given = 0;
    for outputs in 0..25 {
        let mut net = Network::new(seed() + u64::from(outputs));
        let (_, worker) = relays(&mut net);
        let mut ada = App::new(net.person("Ada"));
        visit(&mut net, ada.peer, worker);
        net.run_for_ms(10_000);
        net.crash_after(ada.peer, outputs, Death::Killed);
        ada.ask_for_name(&mut net);
        while !is_dead(&net, ada.peer) {
            net.run_for_ms(1);
        }
        net.run_for_ms(5_000);
        given += net.registry.held.len();
        net.start(ada.peer);
        net.try_ask(ada.peer, Request::Command(Command::DropClaim));
        net.run_for_ms(60_000);
        let me = ada.me(&mut net).expect("it lives");
        assert_eq!(me.claim, None, "after {outputs} outputs, seed {}", net.seed);
        assert_eq!(
            net.registry.held.is_empty(),
            me.handle.is_empty(),
            "after {outputs} outputs the registry holds {:?}, seed {}",
            net.registry.held,
            net.seed
        );
    }
    assert!(
        (1..25).contains(&given),
        "some died before the registry knew, some after: {given}"
    );
}

#[test]
fn devices_may_die_between_any_two_outputs_1() {
    histories(0);
}

#[test]
fn devices_may_die_between_any_two_outputs_2() {
    histories(1);
}

#[test]
fn devices_may_die_between_any_two_outputs_3() {
    histories(2);
}

#[test]
fn devices_may_die_between_any_two_outputs_4() {
    histories(3);
}
