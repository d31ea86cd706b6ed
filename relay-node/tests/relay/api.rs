//! The JSON API over what a relay holds: profiles, timelines and threads, to read for everybody.

use protocol::kinds::{Body, Post, Profile, ReplyTo};
use protocol::{AccountId, VerifiedEntry};
use serde_json::Value;

use crate::peer::{Author, link};
use crate::process::Relay;

async fn json(relay: &Relay, path: &str) -> (u16, Value) {
    let response = relay.get(path, &[("Origin", "https://elsewhere.example")]).await;
    assert_eq!(response.header("access-control-allow-origin"), "*", "{path}");
    let kind = match response.status {
        200 => "application/json",
        _ => "application/problem+json",
    };
    assert_eq!(response.header("content-type"), kind, "{path}");
    let value = serde_json::from_slice(&response.body);
    (
        response.status,
        value.unwrap_or_else(|error| panic!("{path}: {error}")),
    )
}

fn texts(posts: &Value) -> Vec<&str> {
    let posts = posts.as_array().expect("a list of posts");
    posts.iter().map(|post| post["text"].as_str().unwrap()).collect()
}

fn reply(author: &mut Author, text: &str, to: &VerifiedEntry) -> VerifiedEntry {
    let to = to.entry_ref();
    author.write(&Body::Post(Post {
        text: text.to_owned(),
        reply: Some(ReplyTo { root: to, parent: to }),
    }))
}

async fn push_all(relay: &Relay, author: &Author) {
    let mut linked = link(relay, author).await;
    for entry in &author.feed {
        linked.push(entry.clone()).await;
    }
    linked.durable(author, author.feed.len() as u64).await;
}

/// Ada has a profile and five posts, Bob answered the first.
async fn with_ada_and_bob(relay: &Relay) -> (Author, Author) {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    ada.write(&Body::Profile(Profile {
        name: "Ada".to_owned(),
        bio: "counts".to_owned(),
    }));
    for n in 1..=5 {
        ada.post(&format!("post {n}"));
    }
    reply(&mut bob, "an answer", &ada.feed[2].clone());
    push_all(relay, &ada).await;
    push_all(relay, &bob).await;
    (ada, bob)
}

#[tokio::test]
async fn it_shows_the_profile_it_holds() {
    let relay = Relay::start().await;
    let (ada, _) = with_ada_and_bob(&relay).await;
    let (status, profile) = json(&relay, &format!("/api/profile/{}", ada.account)).await;
    assert_eq!(status, 200);
    assert_eq!(profile["account"], ada.account.to_string());
    assert_eq!(
        (&profile["name"], &profile["bio"], &profile["handle"]),
        (&"Ada".into(), &"counts".into(), &"".into())
    );
    assert_eq!((&profile["entries"], &profile["posts"]), (&7.into(), &5.into()));
    assert_eq!(profile["feeds"][0]["device"], ada.device_id().to_string());
    let (status, problem) = json(&relay, &format!("/api/profile/{}", AccountId([9; 32]))).await;
    assert_eq!((status, &problem["status"]), (404, &404.into()));
}

#[tokio::test]
async fn it_shows_timelines_page_by_page() {
    let relay = Relay::start().await;
    let (ada, bob) = with_ada_and_bob(&relay).await;
    let path = format!("/api/timeline/account/{}", ada.account);
    let (mut seen, mut sizes) = (Vec::new(), Vec::new());
    let mut cursor = String::new();
    loop {
        let (status, page) = json(&relay, &format!("{path}?limit=2{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        seen.extend(texts(&page["posts"]).into_iter().map(str::to_owned));
        sizes.push(page["posts"].as_array().unwrap().len());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["post 5", "post 4", "post 3", "post 2", "post 1"]);
    assert_eq!(sizes, [2, 2, 1]);
    // A cursor is good for its own timeline.
    let (_, first) = json(&relay, &format!("{path}?limit=2")).await;
    let next = first["next"].as_str().unwrap();
    let other = format!("/api/timeline/account/{}?cursor={next}", bob.account);
    assert_eq!(json(&relay, &other).await.0, 400);
    let (status, public) = json(&relay, "/api/timeline/public").await;
    assert_eq!(status, 200);
    assert_eq!(texts(&public["posts"]).len(), 6);
    assert!(texts(&public["posts"]).contains(&"an answer"));
}

#[tokio::test]
async fn it_shows_a_thread_and_what_the_post_answers() {
    let relay = Relay::start().await;
    let (ada, bob) = with_ada_and_bob(&relay).await;
    let (first, answer) = (ada.feed[2].entry_ref(), bob.feed[1].entry_ref());
    let path = |entry: protocol::EntryRef| format!("/api/thread/{}/{}", entry.account, entry.id);
    let (status, thread) = json(&relay, &path(first)).await;
    assert_eq!(status, 200, "{thread}");
    assert_eq!(
        (&thread["post"]["text"], &thread["post"]["name"]),
        (&"post 1".into(), &"Ada".into())
    );
    assert_eq!(thread["post"]["replies"], 1);
    assert_eq!(texts(&thread["replies"]), ["an answer"]);
    assert_eq!(texts(&thread["ancestors"]), [""; 0]);
    let (status, thread) = json(&relay, &path(answer)).await;
    assert_eq!(status, 200, "{thread}");
    assert_eq!(texts(&thread["ancestors"]), ["post 1"]);
    assert_eq!(
        thread["post"]["reply_to"]["parent"]["entry"],
        first.id.to_string()
    );
    // The same entry under another account is no address of it.
    let wrong = protocol::EntryRef {
        account: bob.account,
        ..first
    };
    assert_eq!(json(&relay, &path(wrong)).await.0, 404);
}
