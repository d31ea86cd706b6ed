//! Where somebody's feeds are, and which relay is best asked from here: `relay-node route`.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use engine::io::{Routing, Terms};
use protocol::AccountId;
use protocol::directory::Location;

use crate::config::Settings;
use crate::http::Member;
use crate::network::RelayUrl;
use crate::status::{agent, table};

/// Mean radius of the Earth (IUGG), in kilometres.
const EARTH_KM: f32 = 6_371.0;

struct Candidate {
    place: String,
    state: String,
    /// Among those that keep the feeds, from 0.
    rank: Option<usize>,
    terms: Terms,
    score: f32,
}

/// Asks the relay at `url` who keeps the feeds of `account`, measures how soon each relay answers, and ranks them.
///
/// # Errors
/// If the relay does not answer, or `account` is none.
pub fn route(settings: &Settings, url: &RelayUrl, account: &str, explain: bool) -> Result<String> {
    let account: AccountId = account
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .parse()
        .with_context(|| format!("`{account}` is no account; a profile link ends with one"))?;
    let agent = agent();
    let get = |path: String| {
        let answer = agent.get(format!("{url}{path}")).call();
        answer.with_context(|| format!("no relay answers at {url}; is it running? --at names another"))
    };
    let replicas: Vec<String> = get(format!("/api/replicas/{account}"))?.body_mut().read_json()?;
    let members: Vec<Member> = get("/api/network".to_owned())?.body_mut().read_json()?;
    ensure!(
        !members.is_empty(),
        "the relay at {url} knows of no relay, not even itself"
    );
    let weights = Routing::default();
    let mut candidates: Vec<Candidate> = members
        .into_iter()
        .map(|member| {
            let place = if member.url.is_empty() {
                url.to_string()
            } else {
                member.url.clone()
            };
            let began = Instant::now();
            let alive = member.state == "alive";
            let answered = alive && agent.get(format!("{place}/healthz")).call().is_ok();
            let rank = replicas.iter().position(|replica| *replica == member.peer);
            let distance = settings.location.zip(member.location).map(|(here, there)| {
                let there = Location {
                    latitude: there[0],
                    longitude: there[1],
                };
                distance_km(here.0, there)
            });
            let terms = Terms {
                replication_ms: rank.map_or(weights.usual_replication_ms, |_| 0.0),
                response_ms: began.elapsed().as_secs_f32() * 1_000.0,
                distance_km: distance.unwrap_or(0.0),
                errors: if answered {
                    member.errors_ppm as f32 / 1_000_000.0
                } else {
                    1.0
                },
            };
            Candidate {
                place,
                state: member.state,
                rank,
                score: weights.score(&terms),
                terms,
            }
        })
        .collect();
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    Ok(text(&candidates, &weights, explain))
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
        head.extend(["REPLICATION", "RESPONSE", "DISTANCE", "ERRORS"]);
    }
    let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for candidate in candidates {
        let keeps = match candidate.rank {
            Some(0) => "first".to_owned(),
            Some(n) => format!("replica {}", n + 1),
            None => "–".to_owned(),
        };
        let mut row = vec![
            candidate.place.clone(),
            candidate.state.clone(),
            keeps,
            format!("{:.2}", candidate.score * 1_000.0),
        ];
        if explain {
            let terms = &candidate.terms;
            row.push(format!(
                "{} × {:.0} ms",
                weights.replication, terms.replication_ms
            ));
            row.push(format!("{} × {:.1} ms", weights.response, terms.response_ms));
            row.push(format!("{} × {:.0} km", weights.distance, terms.distance_km));
            row.push(format!("{} × {:.4}", weights.errors, terms.errors));
        }
        rows.push(row);
    }
    let mut text = table(&rows);
    if explain {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "\nscore = 1000 / (replication + response + distance + errors), each with its weight; higher is better. The \
             replication delay of relays that keep the feeds counts as 0, of others as the usual {:.0} ms.",
            weights.usual_replication_ms
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Location, distance_km};

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
