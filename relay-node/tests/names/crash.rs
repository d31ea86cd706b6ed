//! Killed in the middle of many claims: what was answered is kept, nobody has what another has, and it goes on.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use protocol::names::NameAnswer;

use crate::people::{Person, TODAY, holder, open};

/// Names raced for.
const NAMES: u32 = 500;
/// People who want each of them.
const RIVALS: u32 = 8;
/// Claims that are answered before it is killed.
const ANSWERED: usize = 600;

/// Letters that are nobody's double.
fn name(n: u32) -> String {
    let letter = |place: u32| char::from(b"abcdefghjknpqrst"[(n >> (4 * place) & 15) as usize]);
    (0..3).map(letter).chain("-bird".chars()).collect()
}

fn person(rival: u32, n: u32) -> Person {
    Person::new(rival * NAMES + n)
}

/// The one that is killed: runs only as a child of the test below.
async fn race(folder: &std::path::Path) {
    let registry = open(folder).await;
    let mut tasks = tokio::task::JoinSet::new();
    for rival in 0..RIVALS {
        let registry = registry.clone();
        tasks.spawn(async move {
            for n in 0..NAMES {
                let answer = person(rival, n).claim(&registry, &name(n), TODAY).await;
                let won = matches!(answer, NameAnswer::Held(_));
                assert!(won || answer == NameAnswer::Taken, "{answer:?}");
                let mut out = std::io::stdout().lock();
                writeln!(out, "answered {rival} {n} {won}").unwrap();
                out.flush().unwrap();
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn claims_survive_a_kill_and_each_name_has_one_winner() {
    if let Some(folder) = std::env::var_os("STARLING_RACE_IN") {
        return race(std::path::Path::new(&folder)).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::claims_survive_a_kill_and_each_name_has_one_winner",
            "--nocapture",
        ])
        .env("STARLING_RACE_IN", dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut winners: BTreeMap<u32, u32> = BTreeMap::new();
    let mut answered = 0;
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        let mut words = line
            .split_once("answered ")
            .map_or("", |(_, rest)| rest)
            .split(' ');
        let mut number = || words.next()?.parse::<u32>().ok();
        let Some((rival, n)) = number().zip(number()) else {
            continue;
        };
        if words.next() == Some("true") {
            assert_eq!(winners.insert(n, rival), None, "{n} has two winners");
        }
        answered += 1;
        if answered == ANSWERED {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert!(!status.success(), "it was killed in the middle");
    assert!(answered >= ANSWERED && answered < (NAMES * RIVALS) as usize);
    println!("killed after {answered} answers, {} of them wins", winners.len());
    let registry = open(dir.path()).await;
    for (n, rival) in &winners {
        let kept = registry.lookup(&name(*n)).await.unwrap();
        assert_eq!(
            holder(&registry, &kept),
            person(*rival, *n).account,
            "an answer was taken back"
        );
    }
    // Everybody asks once more: the holder has kept it, and every name leads to its one holder.
    for n in 0..NAMES {
        let mut holders = 0;
        for rival in 0..RIVALS {
            let answer = person(rival, n).claim(&registry, &name(n), TODAY).await;
            holders += u32::from(matches!(answer, NameAnswer::Held(_)));
        }
        assert_eq!(holders, 1, "{}", name(n));
    }
}
