//! HTML the relay writes itself: the frame of its pages, error pages, and the page of a relay without an app.
//!
//! Invariant: all HTML is made by `maud`, which escapes every text.

use std::sync::LazyLock;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::policy::Policy;
use crate::text::plain;

/// The app's colours and sizes, and what only these pages have.
const STYLE: &str = concat!(
    include_str!("../../../../client-wasm/src/ui/kit/tokens.css"),
    include_str!("pages.css"),
);

/// The style as a source of a content security policy.
pub(crate) fn style_source() -> &'static str {
    static SOURCE: LazyLock<String> =
        LazyLock::new(|| format!("sha256-{}", BASE64.encode(&Sha256::digest(STYLE.as_bytes()))));
    &SOURCE
}

/// Where a page's style comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    /// Inside the page: it needs no other route.
    Inline,
    /// A stylesheet of this relay.
    Sheet(&'static str),
}

/// A whole page. `refresh_s`: the browser loads it again after this many seconds.
pub(crate) fn document(title: &str, style: Style, refresh_s: Option<u32>, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                @if let Some(seconds) = refresh_s {
                    meta http-equiv="refresh" content=(seconds);
                }
                title { (plain(title)) " · Starling relay" }
                @match style {
                    Style::Inline => style { (PreEscaped(STYLE)) },
                    Style::Sheet(href) => {
                        link rel="icon" href="/icons/favicon.svg" type="image/svg+xml";
                        link rel="stylesheet" href=(href);
                    }
                }
            }
            body.admin {
                header.admin__head { span.admin__brand { "Starling relay" } }
                main.admin__main {
                    h1 { (plain(title)) }
                    (main)
                }
            }
        }
    }
}

pub(crate) fn respond(status: StatusCode, page: Markup) -> Response {
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8")];
    (status, headers, page.into_string()).into_response()
}

/// Why a request failed, for a browser.
pub(crate) fn error(status: StatusCode, title: &str, detail: Option<&str>) -> Response {
    let main = html! {
        section.section {
            @if let Some(detail) = detail {
                p { (plain(&sentence(detail))) }
            }
            p.soft { "HTTP status " (status.as_u16()) ". " a href="/" { "To the start page" } }
        }
    };
    with_policy(respond(status, document(title, Style::Inline, None, &main)))
}

/// The start page of a relay that has the role `web` and no app.
pub(crate) fn not_built() -> Response {
    let main = html! {
        section.section {
            p {
                "Build the app and restart: " code { "scripts/run" } " does both. Or name a folder with a built app: "
                code { "relay-node --app-dir dist" } "."
            }
            p {
                "Apps served elsewhere can use this relay if their origin is allowed ("
                code { "--allowed-origin" } ")."
            }
        }
    };
    let title = "This relay runs, but it has no app to serve";
    with_policy(respond(
        StatusCode::OK,
        document(title, Style::Inline, None, &main),
    ))
}

fn with_policy(mut response: Response) -> Response {
    response.extensions_mut().insert(Policy::Page);
    response
}

/// Error messages begin in lower case and have no full stop.
fn sentence(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut characters = text.chars();
    let first = characters.next().map(char::to_uppercase);
    first
        .into_iter()
        .flatten()
        .chain(characters)
        .chain(['.'])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{STYLE, StatusCode, error, sentence, style_source};
    use axum::body::to_bytes;

    #[tokio::test]
    async fn details_are_text_and_the_style_is_the_one_the_policy_names() {
        let page = error(
            StatusCode::NOT_FOUND,
            "Not found",
            Some("<script>alert(1)</script>\u{1b}[31m"),
        );
        let page = to_bytes(page.into_body(), usize::MAX).await.unwrap();
        let page = String::from_utf8(page.into()).unwrap();
        assert!(page.starts_with("<!DOCTYPE html>"));
        assert!(!page.contains("<script") && !page.contains('\u{1b}'), "{page}");
        assert!(page.contains("404"), "{page}");
        let style = page
            .split("<style>")
            .nth(1)
            .and_then(|rest| rest.split("</style>").next());
        assert_eq!(style, Some(STYLE));
        assert!(style_source().starts_with("sha256-"));
    }

    #[test]
    fn details_read_as_sentences() {
        assert_eq!(sentence("the store fails"), "The store fails.");
        assert_eq!(sentence("Done.\n"), "Done.");
    }
}
