use core::time::Duration;

use protocol::messages::Relays;
use protocol::messages::directory::{Description, role};
use protocol::messages::membership::MemberList;
use protocol::messages::receipt::{Reason, Receipt};
use protocol::{PeerId, Timestamp};

use super::Person;
use crate::api::{Command, Event, RelayState};
use crate::io::{LinkId, Output};
use crate::log::durability::Holders;
use crate::log::records::{HolderRecord, meta};
use crate::net::known::KnownRelays;
use crate::person::testing::Device;
use crate::relays::directory::Sender;
use crate::store::Table;
use crate::testing::{Node, Remote};

/// The relay that the address book names.
const HOME: u8 = 20;

fn id(n: u8) -> PeerId {
    Remote::relay(n).id()
}

/// A device with a post, linked with its home relay.
fn device() -> (Device, LinkId) {
    let mut device = Device::new();
    let link = device.node.link_known(&Remote::relay(HOME));
    let post = device.post(1, None).expect("published");
    let own = device.node.ctx.device().expect("a device");
    device.node.log.holders.record_own_post(own, post.seq, post.entry);
    device.node.persist();
    device.node.facts();
    device.node.pass(Duration::from_secs(1));
    (device, link)
}

/// The device chooses a relay, and links with it.
fn choose(device: &mut Device, n: u8) -> LinkId {
    let Node { ctx, net, .. } = &mut device.node;
    net.know_relay(ctx, id(n), format!("https://{n}.example"));
    device.node.pass(Duration::from_secs(1));
    device.node.link(&Remote::relay(n))
}

/// The home relay passes a description of this relay on.
fn describe(device: &mut Device, link: LinkId, n: u8, heartbeat: u64) {
    let description = Description {
        heartbeat,
        url: format!("https://{n}.example"),
        roles: role::WORKER,
        capacity: 100,
        ..Description::default()
    };
    let relays = vec![description.sign(&Remote::relay(n).key)];
    let from = Sender {
        link,
        peer: id(HOME),
        anchor: true,
    };
    let Node {
        ctx, net, directory, ..
    } = &mut device.node;
    let known = &net.known;
    let (is_known, is_named) = (
        |peer: &PeerId| known.contains(peer),
        |peer: &PeerId| known.is_named(peer),
    );
    directory.on_relays(ctx, from, Relays { relays }, is_known, is_named);
}

/// A receipt of relay `n` for all of the own feed; on how many relays the last entry is then.
fn sign(device: &mut Device, link: LinkId, n: u8, at: u64) -> u32 {
    let own = device.node.ctx.device().expect("a device");
    let (next_seq, head) = device.node.log.feeds.get(&own).expect("held").shared();
    let receipt = Receipt::issue(&Remote::relay(n).key, own, next_seq, head, Timestamp(at));
    let Node {
        ctx,
        net,
        log,
        directory,
        ..
    } = &mut device.node;
    device.person.on_receipt(ctx, net, log, directory, link, &receipt);
    durable(device)
}

fn durable(device: &Device) -> u32 {
    let own = device.node.ctx.device().expect("a device");
    device.node.log.durability(&own, 1, 0).relays
}

fn told(device: &mut Device, link: LinkId, members: &[u8]) {
    let relays = members.iter().map(|n| id(*n)).collect();
    let Node {
        ctx,
        net,
        log,
        directory,
        ..
    } = &mut device.node;
    Person::on_members(ctx, net, log, directory, link, &MemberList { relays });
}

fn on_timer(device: &mut Device) {
    let Node {
        ctx,
        net,
        log,
        directory,
        ..
    } = &mut device.node;
    Person::check_members(ctx, net, log, directory);
}

/// What interfaces were told: relays that keep nothing any longer, and on how many relays posts are.
fn events(device: &mut Device) -> (Vec<(PeerId, String, Reason)>, Vec<u32>) {
    let (mut gone, mut marks) = (Vec::new(), Vec::new());
    for output in device.node.outputs() {
        match output {
            Output::Event(Event::NotKept { relay, url, reason }) => gone.push((relay, url, reason)),
            Output::Event(Event::Durability { durability, .. }) => marks.push(durability.relays),
            _ => {}
        }
    }
    (gone, marks)
}

#[test]
fn receipts_of_an_expelled_relay_count_for_nothing_as_soon_as_the_home_relay_says_so() {
    let (mut device, home) = device();
    let chosen = choose(&mut device, 21);
    describe(&mut device, home, 21, 1);
    describe(&mut device, home, 22, 1);
    told(&mut device, home, &[HOME, 21, 22]);
    sign(&mut device, home, HOME, 10);
    sign(&mut device, chosen, 21, 10);
    assert_eq!(sign(&mut device, home, 22, 10), 3, "passed on by the home relay");
    events(&mut device);

    told(&mut device, home, &[HOME]);
    assert_eq!(durable(&device), 1);
    let (gone, marks) = events(&mut device);
    let url = |n| format!("https://{n}.example");
    let mut expected = [21, 22].map(|n| (id(n), url(n), Reason::NO_MEMBER));
    expected.sort();
    assert_eq!(gone, expected);
    assert_eq!(marks.iter().min(), Some(&1), "the marks of posts: {marks:?}");
    let known = &device.node.net.known;
    assert!(!known.contains(&id(21)) && known.contains(&id(HOME)));
    assert_eq!(device.node.directory.living().count(), 0, "none to choose");

    // What they sign and describe from now on does not count either, and nothing is said twice.
    assert_eq!(sign(&mut device, chosen, 21, 11), 1);
    assert_eq!(sign(&mut device, home, 22, 11), 1);
    describe(&mut device, home, 22, 2);
    on_timer(&mut device);
    assert_eq!(device.node.directory.living().count(), 0);
    assert_eq!(events(&mut device).0.len(), 0);
}

#[test]
fn that_a_relay_is_no_member_holds_after_a_restart_and_until_it_is_listed_again() {
    let (mut device, home) = device();
    let chosen = choose(&mut device, 21);
    sign(&mut device, chosen, 21, 10);
    told(&mut device, home, &[HOME]);
    device.node.flush();
    let mut known = KnownRelays::default();
    for (key, row) in device.node.store.rows(Table::Relays) {
        known.restore(PeerId(key.as_slice().try_into().expect("a key")), &row);
    }
    assert_eq!(
        (known.contains(&id(21)), known.is_chosen(&id(21))),
        (false, Some(true))
    );
    assert_eq!(
        known.no_members().collect::<Vec<_>>(),
        [(id(21), "https://21.example")]
    );
    let mut holders = Holders::default();
    let own = device.node.ctx.device().expect("a device");
    for (key, row) in device.node.store.rows(Table::Holders) {
        let peer = PeerId(key[32..].try_into().expect("a key"));
        holders.restore(own, peer, HolderRecord::parse(&row).expect("a record"));
    }
    assert_eq!(holders.reach(&own), (3, 3), "before the rest is read");
    let meta_rows = device.node.store.rows(Table::Meta);
    let no_members = meta_rows
        .keys()
        .filter_map(|key| key.strip_prefix(meta::NO_MEMBER));
    for relay in no_members {
        holders.restore_no_member(PeerId(relay.try_into().expect("a key")));
    }
    assert_eq!(holders.reach(&own), (0, 0));
    assert_eq!(holders.reached(&own), 3, "it may still have what it held");

    // Without any list nothing changes.
    device.node.directory.remove_list(&id(HOME));
    on_timer(&mut device);
    assert!(!device.node.net.known.contains(&id(21)));
    told(&mut device, home, &[HOME, 21]);
    assert!(device.node.net.known.contains(&id(21)));
    assert_eq!(durable(&device), 1, "what it signed is still true");
    assert_eq!(events(&mut device).1.last(), Some(&1));
    let marks = device.node.store.rows(Table::Meta);
    assert!(!marks.keys().any(|key| key.starts_with(meta::NO_MEMBER)));
}

#[test]
fn a_chosen_relay_that_is_no_member_is_shown_until_the_person_removes_it() {
    let (mut device, home) = device();
    choose(&mut device, 21);
    let forget = |device: &mut Device, n: u8| device.command(Command::ForgetRelay { relay: id(n) }).is_ok();
    let shown = |device: &Device| -> Vec<(PeerId, String, RelayState)> {
        let views = device.node.net.no_member_views();
        let shown = views.map(|view| (view.description.relay, view.description.url, view.state));
        shown.collect()
    };
    assert!(!forget(&mut device, 21), "it is a member");
    assert_eq!(shown(&device), []);
    told(&mut device, home, &[HOME]);
    // Nothing of this device was on it; its person learns of it all the same.
    let url = "https://21.example".to_owned();
    assert_eq!(events(&mut device).0, [(id(21), url.clone(), Reason::NO_MEMBER)]);
    assert_eq!(shown(&device), [(id(21), url, RelayState::NoMember)]);
    assert!(forget(&mut device, 21));
    assert_eq!(shown(&device), []);
    device.node.flush();
    assert!(!device.node.store.rows(Table::Relays).contains_key(&id(21).0[..]));
    assert!(!forget(&mut device, 21), "once");
    assert!(!forget(&mut device, HOME));
    let row = |device: &Device| {
        let rows = device.node.store.rows(Table::Meta);
        rows.keys().any(|key| key.starts_with(meta::NO_MEMBER))
    };
    assert!(row(&device));
    told(&mut device, home, &[HOME, 40]);
    device.node.flush();
    assert!(!row(&device), "nothing of it is left");
}

#[test]
fn chosen_relays_that_are_no_members_are_shown_up_to_a_bound() {
    let (mut device, home) = device();
    for n in 21..33 {
        choose(&mut device, n);
    }
    told(&mut device, home, &[HOME]);
    assert_eq!(device.node.net.no_member_views().count(), 8);
}

#[test]
fn the_old_key_of_a_home_relay_that_lost_its_data_counts_for_nothing() {
    let (mut device, home) = device();
    assert_eq!(sign(&mut device, home, HOME, 10), 1);
    device.unlink(home);
    let again = device.node.link_known(&Remote::relay(30));
    assert_eq!(sign(&mut device, again, 30, 20), 2);
    told(&mut device, again, &[30]);
    assert_eq!(durable(&device), 1);
    assert!(!device.node.net.known.contains(&id(HOME)));
}

#[test]
fn a_home_relay_that_lost_its_data_takes_nothing_away_from_the_network_that_the_device_chose() {
    let (mut device, home) = device();
    let chosen = [21, 22].map(|n| choose(&mut device, n));
    sign(&mut device, home, HOME, 10);
    for (link, n) in chosen.into_iter().zip([21, 22]) {
        sign(&mut device, link, n, 10);
    }
    device.unlink(home);
    let again = device.node.link_known(&Remote::relay(30));
    told(&mut device, again, &[30]);
    assert_eq!(durable(&device), 2, "but from its old key");
    for link in chosen {
        told(&mut device, link, &[HOME, 21, 22]);
    }
    assert!(!device.node.net.known.contains(&id(30)), "it is not invited");
    assert_eq!(durable(&device), 2);
    // It is invited again.
    for link in chosen {
        told(&mut device, link, &[21, 22, 30]);
    }
    told(&mut device, again, &[21, 22, 30]);
    assert!(device.node.net.known.contains(&id(30)));
    assert_eq!(sign(&mut device, again, 30, 20), 3);
}

#[test]
fn what_an_expelled_relay_says_of_others_counts_for_nothing() {
    let (mut device, home) = device();
    let chosen = [21, 22].map(|n| choose(&mut device, n));
    for n in [21, 22] {
        describe(&mut device, home, n, 1);
    }
    sign(&mut device, chosen[1], 22, 10);
    // It lists itself alone; the home relay is away.
    told(&mut device, chosen[0], &[21, HOME]);
    assert_eq!(
        durable(&device),
        1,
        "one chosen relay takes away none that is alive"
    );
    told(&mut device, home, &[HOME, 22]);
    assert!(!device.node.net.known.contains(&id(21)));
    told(&mut device, chosen[0], &[21]);
    on_timer(&mut device);
    assert_eq!(durable(&device), 1);
    // Nor does what it said before it was expelled, of one that is not heard of, once the home relay is away.
    let silent = choose(&mut device, 23);
    sign(&mut device, silent, 23, 10);
    device.node.directory.remove_list(&id(HOME));
    on_timer(&mut device);
    assert_eq!(durable(&device), 2);
    // A stranger's list is not taken.
    let stranger = device.node.link(&Remote::relay(40));
    told(&mut device, stranger, &[40]);
    assert_eq!(durable(&device), 2);
}
