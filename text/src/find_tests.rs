use protocol::EntryId;

use super::*;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn handle(name: &str) -> Option<Found> {
    Some(Found::Handle(name.to_owned()))
}

fn slug(name: &str) -> Option<Found> {
    Some(Found::Slug(name.to_owned()))
}

#[test]
fn handles_are_found_as_people_write_them() {
    for text in [
        "ada",
        "@ada",
        "@ada.",
        " @ada, ",
        "(@ada)",
        "“@ada”",
        "＠ada",
        "@ada\u{200b}",
        "/@ada",
        "/@ada/",
        "host/@ada",
        "relay.example/@ada",
        "http://host/@ada",
        "https://relay.example:8080/@ada/?from=chat#top",
        "<https://relay.example/@ada>",
        "Ada: @ada!",
        "find me at https://relay.example/@ada.",
    ] {
        assert_eq!(find(text), handle("ada"), "{text:?}");
    }
    assert_eq!(find("ada.lovelace"), handle("ada.lovelace"));
    assert_eq!(find("@中村"), handle("中村"));
    assert_eq!(
        find("https://relay.example/@%D0%B0%D0%BD%D0%BD%D0%B0"),
        handle("анна")
    );
}

#[test]
fn accounts_and_posts_are_found_in_links_and_by_id() {
    let account = AccountId([7; 32]);
    let id = account.to_string();
    for text in [
        id.clone(),
        format!("  {id} "),
        format!("@{id}"),
        format!("(https://host/u/{id})"),
        format!("https://example.org/u/{id}?from=chat"),
        format!("host/u/{id}/"),
        format!("/u/{id}"),
        format!("u/{id}"),
        format!("see https://example.org/u/{id}."),
        id.to_uppercase(),
    ] {
        assert_eq!(find(&text), Some(Found::Account(account)), "{text}");
    }
    let post = EntryRef {
        account,
        id: EntryId([9; 32]),
    };
    for start in ["https://example.org/", "host/", "/", "“http://host/"] {
        let text = format!("{start}p/{id}/{}”", post.id);
        assert_eq!(find(&text), Some(Found::Post(post)), "{text}");
    }
}

#[test]
fn slugs_are_found_in_links() {
    for text in [
        "https://host/some-slug/",
        "https://host/some-slug",
        "(https://relay.example/some-slug/).",
        "relay.example/some-slug/",
        "localhost:8080/some-slug",
        "/some-slug/",
    ] {
        assert_eq!(find(text), slug("some-slug"), "{text}");
    }
    assert_eq!(find("https://host/%E4%B8%AD%E6%9D%91/"), slug("中村"));
}

#[test]
fn what_names_nothing_is_nothing() {
    for text in [
        "",
        " ",
        "@",
        "/",
        "…",
        "https://example.org/",
        "https://example.org",
        "https://example.org/you",
        "https://example.org/robots.txt",
        "https://example.org/two/parts",
        "two/parts",
        "/two/parts",
        "https://example.org/u/nobody",
        "https://example.org/%ff/",
        "https://example.org/%é",
        "ada@example.org",
        "several words",
        "#tag",
        "aaaaaaaaaabbbbbbbbbbccccccccccd",
    ] {
        let found = find(text);
        assert!(
            found.is_none() || text == "#tag" && found == handle("tag"),
            "{text:?}: {found:?}"
        );
    }
}
