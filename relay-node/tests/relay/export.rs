//! What is exported is what was stored, and what is restored is what was backed up.

use std::path::Path;
use std::process::{Command, Output};

use data_encoding::BASE64;
use rustix::process::Signal;

use crate::peer::{Author, link};
use crate::process::Relay;

fn program(args: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_relay-node"))
        .args(args)
        .arg("--data-dir")
        .arg(folder)
        .output()
        .unwrap()
}

/// A relay that took in an author's certificate and twenty posts, and has stopped.
async fn stopped_with_posts() -> (Relay, Author) {
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
    (relay, author)
}

#[tokio::test]
async fn a_backup_is_checked_and_brings_everything_back() {
    let (relay, _) = stopped_with_posts().await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("backup");
    let path = file.to_str().unwrap();
    let made = program(&["backup", path], &relay.data_dir());
    assert!(made.status.success(), "{made:?}");
    let again = program(&["backup", path], &relay.data_dir());
    assert!(!again.status.success(), "nothing is written over");
    // A backup that fails leaves no file, and makes no folder.
    let (nowhere, failed) = (place.path().join("nowhere"), place.path().join("failed"));
    assert!(
        !program(&["backup", failed.to_str().unwrap()], &nowhere)
            .status
            .success()
    );
    assert!(!failed.exists() && !nowhere.exists());
    let checked = program(&["restore", path, "--verify"], place.path());
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(
        checked.status.success() && said.starts_with("21 entries"),
        "{said}"
    );

    let fresh = place.path().join("fresh");
    let restored = program(&["restore", path], &fresh);
    assert!(restored.status.success(), "{restored:?}");
    let exported = |folder: &Path| program(&["export"], folder).stdout;
    assert_eq!(exported(&fresh), exported(&relay.data_dir()));
    let registry = |file: &Path| {
        let text = std::fs::read_to_string(file).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let rows = lines.filter_map(|line: serde_json::Value| line.get("registry").cloned());
        let (last, rows): (Vec<_>, Vec<_>) = rows.partition(|row| row.get("last").is_some());
        (last[0]["last"].as_u64().unwrap(), rows)
    };
    let second = place.path().join("second");
    assert!(
        program(&["backup", second.to_str().unwrap()], &fresh)
            .status
            .success()
    );
    let ((before, rows), (after, restored)) = (registry(&file), registry(&second));
    assert!(!rows.is_empty());
    assert_eq!(
        restored, rows,
        "names, their revisions, and the key they are signed with"
    );
    assert!(
        after > before,
        "what comes after counts for more than what was lost"
    );
    let again = program(&["restore", path], &fresh);
    assert!(again.status.success(), "it is there already: {again:?}");

    // A relay that gave out names of its own takes none of these.
    let mut other = Relay::start().await;
    other.signal(Signal::TERM);
    assert!(other.wait().success());
    let refused = program(&["restore", path], &other.data_dir());
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && said.contains("has a registry already"),
        "{said}"
    );

    // A later format is refused whole; one from before formats were numbered is read.
    let good = std::fs::read_to_string(&file).unwrap();
    let (header, lines) = good.split_once('\n').unwrap();
    assert_eq!(header, r#"{"backup":{"format":3}}"#);
    let end: serde_json::Value = serde_json::from_str(good.lines().last().unwrap()).unwrap();
    let checked = good.rsplit_once("{\"end\"").unwrap().0;
    let checksum = blake3::hash(checked.as_bytes()).to_hex().to_string();
    let expected = serde_json::json!({"end": {"entries": 21, "rows": rows.len(), "checksum": checksum}});
    assert_eq!(end, expected);
    let key = |folder: &Path| std::fs::read_to_string(folder.join("relay.key")).unwrap();
    assert_eq!(key(&fresh), key(&relay.data_dir()), "the same relay");
    let another = place.path().join("another");
    assert!(
        program(&["restore", path, "--new-key"], &another)
            .status
            .success()
    );
    assert_ne!(key(&another), key(&relay.data_dir()));
    // To standard output, and compressed.
    assert_eq!(
        program(&["backup", "-"], &relay.data_dir()).stdout,
        good.as_bytes()
    );
    let compressed = program(&["backup", "-", "--compress"], &relay.data_dir()).stdout;
    assert!(compressed.len() < good.len() / 2, "{}", compressed.len());
    std::fs::write(&second, &compressed).unwrap();
    let zipped = place.path().join("zipped");
    assert!(
        program(&["restore", second.to_str().unwrap()], &zipped)
            .status
            .success()
    );
    assert_eq!(exported(&zipped), exported(&relay.data_dir()));
    std::fs::write(&second, &compressed[..compressed.len() - 9]).unwrap();
    let cut = program(&["restore", second.to_str().unwrap(), "--verify"], place.path());
    assert!(!cut.status.success() && String::from_utf8(cut.stderr).unwrap().contains("is cut off"));
    std::fs::write(&second, lines).unwrap();
    let earlier = program(&["restore", second.to_str().unwrap(), "--verify"], place.path());
    assert!(earlier.status.success() && earlier.stdout.starts_with(b"21 entries"));
    std::fs::write(&second, format!("{{\"backup\":{{\"format\":4}}}}\n{lines}")).unwrap();
    let later = program(
        &["restore", second.to_str().unwrap()],
        &place.path().join("third"),
    );
    let said = String::from_utf8(later.stderr).unwrap();
    assert!(
        !later.status.success() && said.contains("written by a later version"),
        "{said}"
    );

    // One that was cut off, and one of which nothing is left, are refused before anything is made.
    let cut = good.rsplitn(4, '\n').last().unwrap();
    for left in [cut, &good[..good.len() - 5], ""] {
        std::fs::write(&second, left).unwrap();
        let fourth = place.path().join("fourth");
        for args in [&["restore", "--verify"][..], &["restore"]] {
            let args: Vec<&str> = args.iter().copied().chain([second.to_str().unwrap()]).collect();
            let refused = program(&args, &fourth);
            let said = String::from_utf8(refused.stderr).unwrap();
            assert!(!refused.status.success() && !fourth.exists(), "{said}");
            assert!(said.contains("is cut off") || said.contains("is empty"), "{said}");
        }
    }
    // A line in the middle is gone.
    let gone = lines.lines().find(|line| line.contains("\"seq\":7,")).unwrap();
    std::fs::write(&second, good.replace(&format!("{gone}\n"), "")).unwrap();
    let checked = program(&["restore", second.to_str().unwrap(), "--verify"], place.path());
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(
        !checked.status.success() && said.contains("1 line is missing"),
        "{said}"
    );

    // Without the registry's key, or with a damaged one, nothing of the registry is taken in: a relay that made a new
    // key could not prove the names that were given out. The entries are.
    let key = lines.lines().find(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["registry"]["key"] == BASE64.encode(b"key")
    });
    let key = key.unwrap();
    let short = BASE64.encode(b"abc");
    let other = BASE64.encode(&[7; 32]);
    let value = serde_json::from_str::<serde_json::Value>(key).unwrap()["registry"]["value"].clone();
    // Another key is well formed, and not what was written.
    std::fs::write(&second, good.replace(value.as_str().unwrap(), &other)).unwrap();
    let checked = program(&["restore", second.to_str().unwrap(), "--verify"], place.path());
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(
        !checked.status.success() && said.contains("its checksum differs"),
        "{said}"
    );
    for (n, damaged) in [
        "",
        &key[..key.len() / 2],
        &key.replace(value.as_str().unwrap(), &short),
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::write(&second, good.replace(key, damaged)).unwrap();
        let checked = program(&["restore", second.to_str().unwrap(), "--verify"], place.path());
        let said = String::from_utf8(checked.stdout).unwrap();
        assert!(
            !checked.status.success() && said.contains("the registry cannot be used"),
            "{n}: {said}"
        );
        let fifth = place.path().join(format!("fifth-{n}"));
        let refused = program(&["restore", second.to_str().unwrap()], &fifth);
        assert!(
            !refused.status.success() && !fifth.exists(),
            "nothing was changed"
        );
        let partly = program(&["restore", "--partial", second.to_str().unwrap()], &fifth);
        assert!(!partly.status.success(), "it says that not all could be used");
        assert_eq!(exported(&fifth), exported(&relay.data_dir()));
        // The good copy brings the names as well.
        let restored = program(&["restore", path], &fifth);
        assert!(restored.status.success(), "{n}: {restored:?}");
    }

    // One post is changed by a letter, its signature is not.
    let line = good.lines().rev().nth(1).unwrap();
    let entry: serde_json::Value = serde_json::from_str(line).unwrap();
    let mut bytes = BASE64
        .decode(entry["entry"].as_str().unwrap().as_bytes())
        .unwrap();
    *bytes.iter_mut().nth_back(3).unwrap() ^= 1;
    let bad = good.replace(entry["entry"].as_str().unwrap(), &BASE64.encode(&bytes));
    std::fs::write(&file, bad).unwrap();
    let checked = program(&["restore", path, "--verify"], place.path());
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(
        !checked.status.success() && said.contains("1 line was left out"),
        "{said}"
    );
}

#[tokio::test]
async fn what_is_whole_in_a_damaged_store_is_saved() {
    let (mut relay, mut author) = stopped_with_posts().await;
    // Each in a commit of its own. Only what is followed by a whole commit is known to be damage, and no commit that the
    // power cut short.
    for (text, next_seq) in [("after a restart", 22), ("after another one", 23)] {
        relay.restart().await;
        let mut linked = link(&relay, &author).await;
        linked.push(author.post(text)).await;
        linked.durable(&author, next_seq).await;
        relay.signal(Signal::TERM);
        assert!(relay.wait().success());
    }
    let folder = relay.data_dir();
    let journal = folder.join("posts/0.jnl");
    let good = std::fs::read(&journal).unwrap();
    let said =
        |output: &Output| String::from_utf8_lossy(&[&*output.stdout, &output.stderr].concat()).into_owned();
    let nothing = program(&["repair"], &folder);
    assert!(
        nothing.status.success() && said(&nothing).contains("nothing was changed"),
        "{nothing:?}"
    );

    // One bit of a post that is not in the first commit.
    let mut flipped = good.clone();
    let post = good.windows(15).rposition(|text| text == b"after a restart");
    let post = post.unwrap();
    flipped[post] ^= 1;
    std::fs::write(&journal, flipped).unwrap();
    let refused = program(&["export"], &folder);
    assert!(!refused.status.success(), "{refused:?}");
    let repaired = program(&["repair"], &folder);
    let text = said(&repaired);
    assert!(repaired.status.success(), "{text}");
    assert!(
        text.contains("is not what was written, from byte"),
        "what is lost is said: {text}"
    );
    let exported = program(&["export"], &folder);
    let lines = exported
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .count();
    // A feed has no gap: the posts after the lost one come from others.
    assert!(
        exported.status.success() && (1..23).contains(&lines),
        "{lines}: {text}"
    );
    assert!(folder.join("posts.damaged-1").is_dir());

    // The journal is gone, and with it all that no table has yet.
    std::fs::remove_file(folder.join("posts/0.jnl")).unwrap();
    let refused = program(&["export"], &folder);
    assert!(
        !refused.status.success() && said(&refused).contains("journal"),
        "{refused:?}"
    );
    let repaired = program(&["repair"], &folder);
    assert!(repaired.status.success(), "{repaired:?}");
    assert!(said(&repaired).contains("its journal is missing"), "{repaired:?}");
    assert!(program(&["export"], &folder).status.success());
}

#[tokio::test]
async fn every_entry_is_exported_and_verifies() {
    let (relay, author) = stopped_with_posts().await;
    let output = program(&["export"], &relay.data_dir());
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
