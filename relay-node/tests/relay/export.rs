//! What is exported is what was stored.

use data_encoding::BASE64;
use rustix::process::Signal;

use crate::peer::{Author, link};
use crate::process::Relay;

#[tokio::test]
async fn every_entry_is_exported_and_verifies() {
    let mut relay = Relay::start().await;
    let mut author = Author::new(1);
    let mut linked = link(&relay, &author).await;
    linked.push(author.feed[0].clone()).await;
    for n in 0..20 {
        linked.push(author.post(&format!("post {n}"))).await;
    }
    linked.durable(&author, 21).await;
    relay.signal(Signal::TERM);
    assert!(relay.wait().success());
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_relay-node"))
        .args(["export", "--data-dir"])
        .arg(relay.data_dir())
        .output()
        .unwrap();
    assert!(output.status.success());
    let lines: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 21);
    for (line, expected) in lines.iter().zip(&author.feed) {
        let bytes = BASE64.decode(line["entry"].as_str().unwrap().as_bytes()).unwrap();
        let entry: protocol::Entry = protocol::codec::decode(&bytes).unwrap();
        let entry = entry.verify().unwrap();
        assert_eq!(entry.header(), expected.header());
        assert_eq!(line["id"], expected.header().id().to_string());
    }
    assert_eq!(lines[20]["says"]["text"], "post 19");
}
