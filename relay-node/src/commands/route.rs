//! `relay-node route`: which relays keep an account's feeds, and which relay answers fastest from here.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use engine::io::{Routing, Terms};
use protocol::AccountId;
use protocol::messages::directory::Location;

use crate::commands::status::{agent, agent_within};
use crate::config::Settings;
use crate::text::{counted, plain, table};
use crate::web::{About, ListedRelay, NameOwner, Problem, Replicas};
use native::network::RelayUrl;

/// Mean radius of the Earth (IUGG), in kilometres.
const EARTH_KM: f32 = 6_371.0;

/// Timeout of a probe; a relay that has not answered by then counts as unreachable.
const PROBE_WITHIN: Duration = Duration::from_secs(3);
/// Maximum number of simultaneous probes; the others wait for their turn.
const PROBES_MAX: usize = 16;

struct Candidate {
    place: String,
    state: String,
    /// Among those that keep the feeds, from 0.
    rank: Option<usize>,
    /// Entries it lacks of those the relay that was asked holds, if that knows.
    lag: Option<u64>,
    /// That relay measured how soon entries are here.
    measured: bool,
    /// It answered.
    reached: bool,
    terms: Terms,
    /// 0 if it was not reached.
    score: f32,
}

/// Asks the relay at `url` who keeps the feeds of `user`, measures how soon each relay answers, and ranks them.
///
/// # Errors
/// If the relay does not answer, or `user` is nobody.
pub fn route(settings: &Settings, url: &RelayUrl, user: &str, explain: bool) -> Result<String> {
    let agent = agent();
    let account = account_of(&agent, url, user)?;
    let get = |path: String| {
        let answer = agent.get(format!("{url}{path}")).call();
        answer.with_context(|| format!("no relay answers at {url}; is it running? --at names another"))
    };
    let Replicas { replicas, .. } = get(format!("/api/replicas/{account}"))?.body_mut().read_json()?;
    let members: Vec<ListedRelay> = get("/api/network".to_owned())?.body_mut().read_json()?;
    let about: About = get("/api/relay".to_owned())?.body_mut().read_json()?;
    ensure!(
        !members.is_empty(),
        "the relay at {url} knows of no relay, not even itself"
    );
    let (weights, whose) = weights(settings, &about, url);
    let mut candidates: Vec<Candidate> = members
        .into_iter()
        .map(|member| {
            let rank = replicas.iter().position(|replica| replica.peer == member.peer);
            let delay = rank.and_then(|rank| replicas[rank].delay_ms);
            let distance = settings.location.zip(member.location).map(|(here, there)| {
                let there = Location {
                    latitude: there[0],
                    longitude: there[1],
                };
                distance_km(here.0, there)
            });
            Candidate {
                place: if member.url.is_empty() {
                    url.to_string()
                } else {
                    plain(&member.url)
                },
                state: member.state,
                rank,
                lag: rank.and_then(|rank| replicas[rank].lag),
                measured: delay.is_some(),
                reached: false,
                terms: Terms {
                    replication_ms: match (delay, rank) {
                        (Some(delay), _) => delay as f32,
                        (None, Some(_)) => 0.0,
                        (None, None) => weights.usual_replication_ms,
                    },
                    response_ms: 0.0,
                    distance_km: distance.unwrap_or(0.0),
                    errors: member.errors_ppm as f32 / 1_000_000.0,
                },
                score: 0.0,
            }
        })
        .collect();
    probe(&mut candidates, PROBE_WITHIN);
    for candidate in candidates.iter_mut().filter(|candidate| candidate.reached) {
        candidate.score = weights.score(&candidate.terms);
    }
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut text = text(&candidates, &weights, explain);
    if explain {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{whose}");
    }
    Ok(text)
}

/// The account named by its id, by a profile link, or by its name in the registry.
fn account_of(agent: &ureq::Agent, url: &RelayUrl, user: &str) -> Result<AccountId> {
    let user = user
        .trim()
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    if let Ok(account) = user.parse() {
        return Ok(account);
    }
    let name = user.trim_start_matches('@');
    ensure!(
        !name.is_empty(),
        "say whose feeds: a name such as @ada, an account, or a profile link"
    );
    // Names have letters of all scripts, addresses have not.
    let path: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut answer = agent
        .get(format!("{url}/api/names/{path}"))
        .call()
        .with_context(|| format!("no relay answers at {url}; is it running? --at names another"))?;
    if !answer.status().is_success() {
        let why = answer.body_mut().read_to_string().unwrap_or_default();
        bail!("`{user}`: {}", plain(&Problem::detail_of(&why)));
    }
    let named: NameOwner = answer.body_mut().read_json()?;
    Ok(named.account.parse()?)
}

/// The weights to rank by: those of the settings, if they name any; otherwise those of the relay that is asked, by
/// which its browsers rank. With a sentence that says which.
fn weights(settings: &Settings, about: &About, url: &RelayUrl) -> (Routing, String) {
    let own = settings.routing();
    match about.routing.routing() {
        Some(theirs) if own == Routing::default() || own == theirs => (
            theirs,
            format!("The weights are those of the relay at {url}: its browsers rank by them."),
        ),
        _ => (
            own,
            format!(
                "The weights are those of these settings; browsers of the relay at {url} rank by others."
            ),
        ),
    }
}

/// Asks all relays that are said to live how soon they answer, several at a time.
fn probe(candidates: &mut [Candidate], within: Duration) {
    let agent = agent_within(within);
    let alive = candidates
        .iter_mut()
        .filter(|candidate| candidate.state == "alive");
    let waiting = Mutex::new(alive);
    // The lock is held only to take the next candidate.
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..PROBES_MAX {
            scope.spawn(|| {
                while let Some(candidate) = next() {
                    let began = Instant::now();
                    let answer = agent.get(format!("{}/healthz", candidate.place)).call();
                    candidate.reached = answer.is_ok_and(|answer| answer.status().is_success());
                    candidate.terms.response_ms = began.elapsed().as_secs_f32() * 1_000.0;
                }
            });
        }
    });
}

/// By the great circle (haversine).
fn distance_km(a: Location, b: Location) -> f32 {
    let radians = |hundredths: i16| f32::from(hundredths).to_radians() / 100.0;
    let half = |a: i16, b: i16| ((radians(a) - radians(b)) / 2.0).sin().powi(2);
    let across = half(a.longitude, b.longitude);
    let chord = half(a.latitude, b.latitude) + radians(a.latitude).cos() * radians(b.latitude).cos() * across;
    2.0 * EARTH_KM * chord.sqrt().min(1.0).asin()
}

fn text(candidates: &[Candidate], weights: &Routing, explain: bool) -> String {
    let mut head = vec!["RELAY", "STATE", "KEEPS THEM", "SCORE"];
    if explain {
        head.extend(["LACKS", "REPLICATION", "RESPONSE", "DISTANCE", "ERRORS"]);
    }
    let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for candidate in candidates {
        let keeps = match candidate.rank {
            Some(0) => "first".to_owned(),
            Some(n) => format!("replica {}", n + 1),
            None => "–".to_owned(),
        };
        let mut row = vec![candidate.place.clone(), candidate.state.clone(), keeps];
        if !candidate.reached {
            row.push("not reached".to_owned());
            row.extend(explain.then(|| ["–"; 5].map(str::to_owned)).into_iter().flatten());
            rows.push(row);
            continue;
        }
        row.push(format!("{:.2}", candidate.score * 1_000.0));
        if explain {
            let lacks = candidate.lag.map(|lag| counted(lag, "entry", "entries"));
            row.push(lacks.unwrap_or_else(|| "–".to_owned()));
            let usual = if candidate.measured { "" } else { " (not measured)" };
            let Terms {
                replication_ms,
                response_ms,
                distance_km,
                errors,
            } = candidate.terms;
            let values = [
                format!("{replication_ms:.0} ms{usual}"),
                format!("{response_ms:.1} ms"),
                format!("{distance_km:.0} km"),
                format!("{errors:.4}"),
            ];
            let parts = weights.parts(&candidate.terms);
            for ((weight, value), part) in weights.weights().into_iter().zip(values).zip(parts) {
                row.push(format!("{weight} × {value} = {part:.1}"));
            }
        }
        rows.push(row);
    }
    let mut text = table(&rows);
    if explain {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "\nscore = 1000 / (replication + response + distance + errors), each with its weight; higher is better. The \
             replication delay is as the relay that was asked measured it; where it did not, it counts as 0 for relays that \
             keep the feeds and as the usual {:.0} ms for others.",
            weights.usual_replication_ms
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::{Candidate, Duration, Instant, Location, Routing, Terms, distance_km, probe, text};

    fn candidate(place: String, state: &str) -> Candidate {
        Candidate {
            place,
            state: state.to_owned(),
            rank: None,
            lag: None,
            measured: false,
            reached: false,
            terms: Terms::default(),
            score: 0.0,
        }
    }

    #[test]
    fn relays_that_hang_delay_nobody_and_are_listed() {
        let well = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = format!("http://{}", well.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = well.accept().unwrap();
            let _ = stream.read(&mut [0; 1_024]);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
                .unwrap();
        });
        // They take connections and never answer.
        let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = format!("http://{}", hanging.local_addr().unwrap());
        let mut candidates = vec![candidate("http://127.0.0.1:1".to_owned(), "dead")];
        candidates.extend((0..8).map(|_| candidate(silent.clone(), "alive")));
        candidates.push(candidate(place, "alive"));
        let (began, within) = (Instant::now(), Duration::from_secs(2));
        probe(&mut candidates, within);
        assert!(
            began.elapsed() < within * 8,
            "they were asked one after the other: {:?}",
            began.elapsed()
        );
        let reached: Vec<bool> = candidates.iter().map(|candidate| candidate.reached).collect();
        assert_eq!(reached, [vec![false; 9], vec![true]].concat());
        let text = text(&candidates, &Routing::default(), true);
        assert_eq!(text.matches("not reached").count(), 9, "{text}");
    }

    #[test]
    fn the_score_is_explained_by_its_parts() {
        let weights = Routing::weighing([1.0, 3.0, 0.5, 100.0]).unwrap();
        let mut best = candidate("http://a".to_owned(), "alive");
        best.reached = true;
        best.measured = true;
        best.lag = Some(1);
        best.terms = Terms {
            replication_ms: 150.0,
            response_ms: 10.0,
            distance_km: 20.0,
            errors: 0.1,
        };
        best.score = weights.score(&best.terms);
        let text = text(&[best], &weights, true);
        for part in [
            "5.00",
            "1 entry ",
            "1 × 150 ms = 150.0",
            "3 × 10.0 ms = 30.0",
            "0.5 × 20 km = 10.0",
            "100 × 0.1000 = 10.0",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
    }

    #[test]
    fn distances_are_those_of_the_globe() {
        let at = |latitude, longitude| Location { latitude, longitude };
        let (berlin, lisbon) = (at(5_252, 1_340), at(3_872, -914));
        let km = distance_km(berlin, lisbon);
        assert!((2_300.0..2_330.0).contains(&km), "{km}");
        assert!(distance_km(berlin, berlin) < 0.001);
        let around = distance_km(at(0, 17_990), at(0, -17_990));
        assert!((20.0..25.0).contains(&around), "{around}");
    }
}
