use super::{LOOKUP_TIMEOUT, LOOKUPS_MAX, Lookups, verified};
use crate::api::{Error, QueryResult, Response};
use crate::facts::Fact;
use crate::io::{LinkId, Output, RequestId};
use crate::kinds::testing::{Author, handle, registry};
use crate::testing::{Node, Remote, spoil};
use protocol::messages::{Message, NameAsked};
use protocol::names::{NameAnswer, NameQuestion, RegistryId};

struct Device {
    node: Node,
    lookups: Lookups,
}

impl Device {
    fn new() -> Self {
        Self {
            node: Node::new(&Author::new(1)),
            lookups: Lookups::default(),
        }
    }

    fn begin(&mut self, request: u64, slug: bool, name: &str) {
        let Node { ctx, net, .. } = &mut self.node;
        self.lookups.begin(ctx, net, RequestId(request), slug, name);
    }

    fn end(&mut self, request: u32, answer: NameAnswer) {
        let Node { ctx, kinds, .. } = &mut self.node;
        self.lookups.end(ctx, kinds, request, answer);
    }

    fn on_timer(&mut self) {
        let Node { ctx, kinds, .. } = &mut self.node;
        self.lookups.on_timer(ctx, kinds);
    }

    fn verified(&mut self, answer: NameAnswer) -> Option<NameAnswer> {
        let Node { ctx, kinds, .. } = &mut self.node;
        verified(ctx, kinds, LinkId(1), answer)
    }

    fn answers(&mut self) -> Vec<(u64, Response)> {
        let outputs = self.node.outputs().into_iter();
        let answers = outputs.filter_map(|output| match output {
            Output::Response { id, response } => Some((id.0, response)),
            _ => None,
        });
        answers.collect()
    }

    /// What a relay is asked on a link.
    fn asked(&mut self, link: LinkId) -> Vec<(u32, bool, String)> {
        let sent = self.node.sent(link).into_iter();
        let asked = sent.filter_map(|message| match message {
            Message::NameQuestion(NameAsked {
                request,
                question: NameQuestion::Lookup { slug, name },
            }) => Some((request, slug, name)),
            _ => None,
        });
        asked.collect()
    }
}

fn reply(answer: NameAnswer) -> Response {
    Response::Result(Box::new(QueryResult::Name(answer)))
}

#[test]
fn names_are_asked_for_in_their_normal_form() {
    let mut device = Device::new();
    let link = device.node.link_known(&Remote::relay(20));
    device.begin(1, false, "  @Ada ");
    device.begin(2, true, "/On-Engines/");
    let asked = device.asked(link);
    let asked: Vec<_> = asked
        .iter()
        .map(|(_, slug, name)| (*slug, name.as_str()))
        .collect();
    assert_eq!(asked, [(false, "ada"), (true, "on-engines")]);
}

#[test]
fn what_cannot_be_a_name_is_answered_at_once() {
    let mut device = Device::new();
    for (request, name) in [(1, ""), (2, " @ "), (3, "x".repeat(121).as_str())] {
        device.begin(request, false, name);
        assert_eq!(device.answers(), [(request, Response::Error(Error::NotFound))]);
    }
    device.begin(4, false, &"x".repeat(120));
    assert!(device.answers().is_empty());
}

#[test]
fn lookups_beyond_the_bound_are_refused_as_busy() {
    let mut device = Device::new();
    for request in 0..LOOKUPS_MAX as u64 {
        device.begin(request, false, "ada");
    }
    assert!(device.answers().is_empty());
    device.begin(1_000, false, "ada");
    assert_eq!(device.answers(), [(1_000, Response::Error(Error::Busy))]);
    device.end(1, NameAnswer::Free);
    device.answers();
    device.begin(1_001, false, "ada");
    assert!(device.answers().is_empty(), "there is room again");
}

#[test]
fn a_lookup_waits_for_a_known_relay_and_is_sent_once() {
    let mut device = Device::new();
    device.begin(1, false, "ada");
    let stranger = device.node.link(&Remote::relay(21));
    device.lookups.send(&mut device.node.ctx, &device.node.net);
    assert!(
        device.asked(stranger).is_empty(),
        "a relay that this peer does not know"
    );
    let link = device.node.link_known(&Remote::relay(20));
    for times in [1, 0] {
        device.lookups.send(&mut device.node.ctx, &device.node.net);
        assert_eq!(device.asked(link).len(), times);
    }
}

#[test]
fn an_answer_goes_to_the_ask_of_its_request_once() {
    let mut device = Device::new();
    let link = device.node.link_known(&Remote::relay(20));
    device.begin(7, false, "ada");
    device.begin(8, false, "bob");
    let asked = device.asked(link);
    device.end(asked[1].0, NameAnswer::Free);
    assert_eq!(device.answers(), [(8, reply(NameAnswer::Free))]);
    device.end(asked[1].0, NameAnswer::Taken);
    device.end(999, NameAnswer::Taken);
    assert!(device.answers().is_empty());
}

#[test]
fn a_lookup_without_an_answer_is_given_up() {
    let mut device = Device::new();
    device.begin(1, false, "ada");
    device
        .node
        .pass(LOOKUP_TIMEOUT - core::time::Duration::from_millis(1));
    device.on_timer();
    assert!(device.answers().is_empty());
    device.node.pass(core::time::Duration::from_millis(1));
    device.on_timer();
    assert_eq!(device.answers(), [(1, reply(NameAnswer::Unavailable))]);
    device.on_timer();
    assert!(device.answers().is_empty());
}

#[test]
fn an_answer_that_the_registry_did_not_sign_is_misbehaviour() {
    let mut device = Device::new();
    let known = RegistryId(registry(0).public());
    let Node { ctx, kinds, .. } = &mut device.node;
    kinds.learn_registry(ctx, known, false);
    let account = Author::new(2).account();
    let good = handle("ada", account, 4);
    assert!(device.verified(NameAnswer::Held(good.clone())).is_some());
    let mut spoiled = good.clone();
    spoil(&mut spoiled.signature);
    let mut of_other = good;
    of_other.registry = RegistryId(registry(1).public());
    for wrong in [spoiled, of_other] {
        assert_eq!(device.verified(NameAnswer::Held(wrong)), None);
        let facts = device.node.facts();
        assert!(
            facts.iter().any(|fact| matches!(fact, Fact::Misbehaved { .. })),
            "{facts:?}"
        );
    }
}

#[test]
fn an_answer_of_a_registry_that_is_not_known_yet_counts_as_none() {
    let mut device = Device::new();
    let receipt = handle("ada", Author::new(2).account(), 4);
    let answer = device.verified(NameAnswer::Held(receipt));
    assert_eq!(answer, Some(NameAnswer::Unavailable));
    assert_eq!(
        device.verified(NameAnswer::Free),
        Some(NameAnswer::Free),
        "nothing to check"
    );
    assert!(device.node.facts().is_empty());
}
