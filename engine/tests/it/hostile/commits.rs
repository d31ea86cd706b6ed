//! One commit of the disk often makes many batches durable: what follows is said once.

use super::*;

#[test]
fn a_feed_in_many_batches_of_one_commit_is_confirmed_once() {
    let (account, device) = keys();
    let mut relay = Victim::new();
    let of_author = Certificate::issue(&account, DeviceId(device.public()), "d".into(), Timestamp(1));
    let hello = Hello {
        certificate: Some(of_author),
        ..hello(&device)
    };
    relay.link_with(&device, &hello);
    relay.waiting = Some(Vec::new());
    let from = relay.sent.len();
    let mut last = certificate(&account, &device);
    relay.message(&push(last.entry()));
    for seq in 1..5 {
        let at = Position {
            seq,
            prev: last.id(),
            lamport: 1,
        };
        let body = Body::Post(Post {
            text: "one of five".into(),
            reply: None,
        });
        last = VerifiedEntry::create(&device, at, last.header().account, Timestamp(2), &body);
        relay.message(&push(last.entry()));
    }
    let batches = relay.waiting.take().unwrap();
    assert!(batches.len() >= 5, "{}", batches.len());
    for batch in &batches {
        relay.disk.apply(batch);
    }
    let id = batches.last().unwrap().id;
    relay.input(Input::Persisted { id });
    let receipts = relay.messages(from).into_iter();
    let receipts: Vec<u64> = receipts
        .filter_map(|message| match message {
            Message::Receipt(receipt) => Some(receipt.next_seq),
            _ => None,
        })
        .collect();
    assert_eq!(receipts, [5], "one receipt, for all of it");
}
