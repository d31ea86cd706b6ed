//! Claims of names under fresh keys, and honest people who claim one meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use protocol::messages::{Message, NameAsked};
use protocol::names::{NameAction, NameAnswer, NameQuestion, NameRequest};
use starling_tests::lan::At;
use starling_tests::link::{Link, Person};
use tokio::time::{sleep, timeout_at};

use super::attacker::Attacker;
use super::attacker::Reading;
use super::honest::address;

/// Honest people who claim a name.
pub(super) const CLAIMING: u32 = 5;
/// Claims that an attacker makes over one link before it links again under another key.
const CLAIMS_PER_LINK: u32 = 30;
/// Links that claim at a time.
const LINKS: usize = 8;
/// Proofs of work tried at a time, so that the attacker's other links are served as well.
const TRIES: u32 = 1 << 14;
/// A claim that was refused as too fast is repeated after this long.
const AGAIN: Duration = Duration::from_secs(1);
const FIRST: u32 = 5_000_000;

/// A name of lower-case letters for each number.
fn name(mut n: u32) -> String {
    let mut name = "n".to_owned();
    for _ in 0..7 {
        name.push(char::from(b"abcdefghjknpqrst"[n as usize % 16]));
        n /= 16;
    }
    name
}

fn claim(person: &Person, name: String) -> NameRequest {
    let (certificate, nonce) = (person.certificate.clone(), [7; 16]);
    NameRequest::issue(
        &person.device,
        certificate,
        name,
        None,
        NameAction::Claim,
        nonce,
        0,
    )
}

/// Does the work that the registry asks for.
async fn work(request: &mut NameRequest, bits: u8) {
    while !request.seek_work(u32::from(bits), TRIES) {
        tokio::task::yield_now().await;
    }
}

/// Claims names under fresh keys, with the work that the registry asked for last.
pub(super) async fn claims(attacker: Arc<Attacker>) -> Result<()> {
    let bits = Arc::new(AtomicU8::new(0));
    let claimers = (0..LINKS).map(|_| claim_on(&attacker, &bits));
    futures_util::future::try_join_all(claimers).await?;
    Ok(())
}

async fn claim_on(attacker: &Attacker, bits: &Arc<AtomicU8>) -> Result<()> {
    while !attacker.is_over() {
        let Ok(link) = attacker.link().await else { continue };
        let (mut sender, receiver) = link.split();
        let asked = Arc::clone(bits);
        let reading = Reading::start(attacker, receiver, move |message| {
            if let Message::NameAnswer(answered) = message
                && let NameAnswer::Work { bits } = answered.answer
            {
                asked.store(bits, Ordering::Relaxed);
            }
        });
        for request in 0..CLAIMS_PER_LINK {
            let n = attacker.number();
            let mut claimed = claim(&Person::new(n), name(n));
            work(&mut claimed, bits.load(Ordering::Relaxed)).await;
            let question = NameQuestion::Request(claimed);
            let message = Message::NameQuestion(NameAsked { request, question });
            if attacker.send(&mut sender, &message.encode()).await.is_err() || sender.flush().await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        if reading.is_over() {
            attacker.count_closed();
        } else if attacker.is_over() {
            attacker.keep_halves(sender, reading);
        }
    }
    Ok(())
}

/// How many honest people get the name that they claim before `until`.
pub(super) async fn honest_claims(at: &At, until: Instant) -> usize {
    let people = (0..CLAIMING).map(|n| async move {
        match timeout_at(until.into(), honest_claim(at, FIRST + n)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                eprintln!("an honest claim failed: {error:#}");
                false
            }
            Err(_) => {
                eprintln!("an honest claim was not decided in time");
                false
            }
        }
    });
    let served = futures_util::future::join_all(people).await;
    served.into_iter().filter(|served| *served).count()
}

async fn honest_claim(at: &At, number: u32) -> Result<()> {
    let person = Person::new(number);
    let mut link = Link::open_from(at.clone(), &person, Some(address(number % 100))).await?;
    let mut request = claim(&person, name(number));
    for n in 0.. {
        let question = NameQuestion::Request(request.clone());
        let asked = NameAsked { request: n, question };
        link.send(&Message::NameQuestion(asked)).await?;
        let answer = loop {
            match link.next().await? {
                Message::NameAnswer(answered) if answered.request == n => break answered.answer,
                _ => {}
            }
        };
        match answer {
            NameAnswer::Held(_) => return Ok(()),
            NameAnswer::Work { bits } => work(&mut request, bits).await,
            NameAnswer::TooFast | NameAnswer::Unavailable => sleep(AGAIN).await,
            other => return Err(anyhow::anyhow!("{other:?}")).context("the answer to a claim"),
        }
    }
    Ok(())
}
