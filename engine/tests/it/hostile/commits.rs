//! What follows when batches become durable.

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

#[test]
fn bulk_is_granted_again_once_it_is_on_disk() {
    let (account, device) = keys();
    let mut victim = Victim::new();
    victim.link(&device);
    victim.waiting = Some(Vec::new());
    let linked_at = victim.sent.len();
    let granted = |victim: &Victim| -> usize {
        let messages = victim.messages(linked_at).into_iter();
        let bytes = messages.map(|message| match message {
            Message::Credit(credit) => credit.bytes as usize,
            _ => 0,
        });
        bytes.sum()
    };
    let mut last = certificate(&account, &device);
    victim.message(&push(last.entry()));
    // A third of the window, of which a quarter is granted at a time.
    let mut sent = 0;
    while sent < protocol::limits::CREDIT_WINDOW_BYTES as usize / 3 {
        let at = Position {
            seq: last.header().seq + 1,
            prev: last.id(),
            lamport: 1,
        };
        let body = Body::Post(Post {
            text: "a".repeat(2_000),
            reply: None,
        });
        last = VerifiedEntry::create(&device, at, last.header().account, Timestamp(2), &body);
        let message = push(last.entry());
        sent += message.encode().len();
        victim.message(&message);
    }
    assert_eq!(
        granted(&victim),
        0,
        "it fills memory as long as it is not on disk"
    );
    victim.release_disk();
    let quarter = protocol::limits::CREDIT_WINDOW_BYTES as usize / 4;
    assert!(
        (quarter..=sent + 1_000).contains(&granted(&victim)),
        "{}",
        granted(&victim)
    );
}
