//! kill -9 in the middle of a stream of posts: whatever had a receipt is there afterwards.

use crate::peer::{Author, link};
use crate::process::Relay;

/// Posts under way between two kills.
const POSTS: usize = 300;
const KILLS: usize = 3;

#[tokio::test]
async fn what_had_a_receipt_survives() {
    let mut relay = Relay::start().await;
    let mut author = Author::new(1);
    let mut promised = 0;
    let mut held = 0;
    for round in 0..KILLS {
        let mut linked = link(&relay, &author).await;
        // The relay may hold more than it had time to promise. It is sent what it lacks: a repeat earns no receipt.
        let from: usize = held;
        for n in 0..POSTS {
            author.post(&format!("post {n} of round {round}"));
        }
        let feed = author.feed[from..].to_vec();
        let mut before = promised;
        for (sent, entry) in feed.into_iter().enumerate() {
            linked.push(entry).await;
            // Now and then a receipt is awaited, so that some are given before the end.
            if sent % 50 == 49 {
                promised = linked.receipt(&author).await.expect("closed").next_seq;
                assert!(promised >= before, "receipts never go back");
                before = promised;
            }
        }
        relay.kill();
        while let Some(receipt) = linked.receipt(&author).await {
            promised = promised.max(receipt.next_seq);
        }
        assert!(
            promised > from as u64,
            "nothing was promised: the test shows nothing"
        );
        relay.restart().await;
        let mut reader = link(&relay, &Author::new(2)).await;
        let there = reader
            .fetch(author.device_id(), 0, author.feed.len() as u64)
            .await;
        assert!(
            there.len() as u64 >= promised,
            "{} of {promised} promised entries are there",
            there.len()
        );
        held = there.len();
        for (seq, entry) in there.into_iter().enumerate() {
            let entry = entry.verify().unwrap();
            assert_eq!(
                entry.header(),
                author.feed[seq].header(),
                "in order and unchanged"
            );
        }
    }
}
