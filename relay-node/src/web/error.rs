//! Why a request failed, as a status and a problem document (RFC 9457).
//!
//! Handlers return [`WebError`]. [`render`], a layer around all routes, writes the body: `application/problem+json`,
//! or an HTML page for a browser that asks for a page. Failures the router finds itself (no such method, a form that
//! is too long) and those of the WebSocket endpoints get the same form.
//!
//! Invariant: a response with a status of 400 or more has a problem document or an HTML page as its body.

use std::sync::LazyLock;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{
    ACCEPT, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, VARY,
};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use engine::api::Error;
use serde::{Deserialize, Serialize};

use super::negotiate;
use super::pages;
use super::policy::Policy;
use super::rate_limit::RateLimiter;
use crate::health::{Condition, HealthReport};

/// Longest text of an error of others that becomes the detail of a problem.
const DETAIL_BYTES_MAX: usize = 1_024;
/// Server errors logged in a minute: strangers can cause them as often as they like.
const LOGGED_PER_MINUTE: u32 = 30;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebError {
    /// Nothing is there. The text says what.
    #[error("{0}")]
    NotFound(&'static str),
    /// The request itself is wrong. The text says how.
    #[error("{0}")]
    BadRequest(&'static str),
    /// Only reading is possible here.
    #[error("only GET and HEAD are possible here")]
    ReadOnly,
    /// Too many requests of one client, or of all of them.
    #[error("{what}; try again in {retry_after_s} seconds")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// When to try again.
        retry_after_s: u32,
    },
    /// It works later, and not now. The text says why.
    #[error("{0}")]
    Unavailable(String),
    /// The relay does not serve people well now.
    #[error("{}", .0.why_not_ready().unwrap_or_default())]
    NotReady(HealthReport),
    /// The engine refused.
    #[error("{}", error_text(.0))]
    Refused(Error),
    /// The engine's thread has ended, or is about to.
    #[error("the relay is stopping")]
    Stopping,
    /// The engine answered something else than it was asked. A bug of this program.
    #[error("the relay made a mistake; its log says which")]
    Unexpected,
}

impl WebError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::ReadOnly => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Refused(error) => error_status(error),
            Self::Unavailable(_) | Self::NotReady(_) | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unexpected => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

fn error_status(error: &Error) -> StatusCode {
    match error {
        Error::Starting | Error::Busy | Error::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        Error::NotFound => StatusCode::NOT_FOUND,
        Error::Empty | Error::TooLong { .. } | Error::NotAnEmoji => StatusCode::UNPROCESSABLE_ENTITY,
        // About an account of this device's own, which a relay has not.
        _ => StatusCode::CONFLICT,
    }
}

fn error_text(error: &Error) -> &'static str {
    match error {
        Error::Starting => "the relay is reading its store",
        Error::Busy => "the relay is busy",
        Error::Store(_) => "the relay's store does not answer",
        Error::NotFound => "nothing like that is stored here",
        Error::Empty => "it is empty",
        Error::TooLong { .. } => "it is too long",
        Error::NotAnEmoji => "it is not one emoji",
        _ => "a relay has no account of its own",
    }
}

impl IntoResponse for WebError {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = status.into_response();
        let headers = response.headers_mut();
        if let Self::TooMany { retry_after_s, .. } = self {
            headers.insert(RETRY_AFTER, HeaderValue::from(retry_after_s));
        }
        if let Self::ReadOnly = self {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        let detail = Some(self.to_string());
        response.extensions_mut().insert(Detail(detail));
        if let Self::NotReady(report) = self {
            response.extensions_mut().insert(Conditions(report.conditions));
        }
        response
    }
}

/// What holds while the relay is not ready: a part of the problem document.
#[derive(Clone, Debug, Default)]
struct Conditions(Vec<Condition>);

/// What [`render`] writes into the body.
#[derive(Clone, Debug)]
struct Detail(Option<String>);

/// A problem document (RFC 9457). Its `type` is always `about:blank`: the title is that of the status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The status in words.
    pub title: String,
    pub status: u16,
    /// What is wrong with this request, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Of a relay that is not ready: the conditions that hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl Problem {
    /// What a response body says is wrong: the detail of a problem document, or the text itself.
    #[must_use]
    pub fn detail_of(body: &str) -> String {
        let problem = serde_json::from_str::<Self>(body).ok();
        let text = problem.map(|problem| problem.detail.unwrap_or(problem.title));
        text.unwrap_or_else(|| body.trim().to_owned())
    }
}

/// Gives every failure its body.
pub(crate) async fn render(request: Request, next: Next) -> Response {
    let as_page = negotiate::prefers_html(request.headers());
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    if is_html(response.headers()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let detail = match parts.extensions.remove::<Detail>() {
        Some(Detail(detail)) => detail,
        None => text_of(body).await,
    };
    let conditions = parts.extensions.remove::<Conditions>();
    // What holds is in the log already, once.
    if status.is_server_error() && conditions.is_none() {
        log_failure(&method, &uri, status, detail.as_deref());
    }
    let title = status.canonical_reason().unwrap_or("Error").to_owned();
    let rendered = if as_page {
        pages::error(status, &title, detail.as_deref())
    } else {
        document(status, title, detail, conditions.unwrap_or_default())
    };
    let (written, body) = rendered.into_parts();
    for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING] {
        parts.headers.remove(name);
    }
    parts.headers.extend(written.headers);
    parts.headers.append(VARY, HeaderValue::from(ACCEPT));
    if as_page {
        parts.extensions.insert(Policy::Page);
    }
    Response::from_parts(parts, body)
}

fn document(
    status: StatusCode,
    title: String,
    detail: Option<String>,
    Conditions(conditions): Conditions,
) -> Response {
    let problem = Problem {
        title,
        status: status.as_u16(),
        detail,
        conditions,
    };
    // Strings and a number: it cannot fail.
    let body = serde_json::to_string(&problem).unwrap_or_default();
    (status, [(CONTENT_TYPE, "application/problem+json")], body).into_response()
}

fn is_html(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|content_type| content_type.starts_with("text/html"))
}

/// What a handler that knows no problem documents wrote.
async fn text_of(body: Body) -> Option<String> {
    let bytes = to_bytes(body, DETAIL_BYTES_MAX).await.ok()?;
    let text = String::from_utf8(bytes.into()).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn log_failure(method: &Method, uri: &Uri, status: StatusCode, detail: Option<&str>) {
    static LOGGED: LazyLock<RateLimiter> = LazyLock::new(|| RateLimiter::new(LOGGED_PER_MINUTE));
    if !LOGGED.take() {
        return;
    }
    let (status, path) = (status.as_u16(), uri.path());
    if status == StatusCode::SERVICE_UNAVAILABLE.as_u16() {
        tracing::debug!(%method, path, status, detail, "request not served");
    } else {
        tracing::error!(%method, path, status, detail, "request failed");
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Problem, StatusCode, WebError, render};
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use axum::response::Response;
    use axum::routing::get;
    use engine::api::StoreState;
    use tower::ServiceExt as _;

    async fn ask(path: &str, accept: &str) -> Response {
        let router = Router::new()
            .route("/typed", get(async || WebError::NotFound("no such file")))
            .route("/text", get(async || (StatusCode::CONFLICT, "an old text\n")))
            .route("/bare", get(async || StatusCode::IM_A_TEAPOT))
            .route(
                "/page",
                get(async || (StatusCode::FORBIDDEN, axum::response::Html("<p>own page</p>"))),
            )
            .route(
                "/long",
                get(async || (StatusCode::BAD_GATEWAY, "x".repeat(10_000))),
            )
            .route(
                "/wait",
                get(async || WebError::TooMany {
                    what: "too many",
                    retry_after_s: 7,
                }),
            )
            .layer(axum::middleware::from_fn(render));
        let request = Request::get(path).header("accept", accept).body(Body::empty());
        router.oneshot(request.unwrap()).await.unwrap()
    }

    fn content_type(response: &Response) -> &str {
        response.headers()["content-type"].to_str().unwrap()
    }

    async fn text(response: Response) -> String {
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(bytes.into()).unwrap()
    }

    async fn check(path: &str, status: u16, detail: Option<&str>) {
        let response = ask(path, "*/*").await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(content_type(&response), "application/problem+json", "{path}");
        assert_eq!(response.headers()["vary"], "accept", "{path}");
        let problem: Problem = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!(
            (problem.status, problem.detail.as_deref()),
            (status, detail),
            "{path}"
        );
    }

    #[tokio::test]
    async fn every_failure_becomes_a_problem_document() {
        check("/typed", 404, Some("no such file")).await;
        check("/text", 409, Some("an old text")).await;
        check("/bare", 418, None).await;
        check("/missing", 404, None).await;
        check("/long", 502, None).await;
        let wait = ask("/wait", "*/*").await;
        assert_eq!(wait.headers()["retry-after"], "7");
    }

    #[tokio::test]
    async fn browsers_get_a_page_and_pages_of_handlers_stay() {
        let page = ask("/typed", "text/html,application/xhtml+xml,*/*;q=0.8").await;
        assert_eq!(page.status(), 404);
        assert_eq!(content_type(&page), "text/html; charset=utf-8");
        assert!(text(page).await.contains("No such file."));
        for accept in ["text/html", "application/json"] {
            assert_eq!(text(ask("/page", accept).await).await, "<p>own page</p>");
        }
        let other_method = Request::post("/typed").header("accept", "text/html");
        let router = Router::new()
            .route("/typed", get(async || "ok"))
            .layer(axum::middleware::from_fn(render));
        let response = router
            .oneshot(other_method.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["allow"]),
            (405, &"GET,HEAD".parse().unwrap())
        );
        assert!(text(response).await.contains("Method Not Allowed"));
    }

    #[test]
    fn refusals_of_the_engine_have_their_status() {
        for (error, status) in [
            (Error::Starting, 503),
            (Error::Busy, 503),
            (Error::Store(StoreState::Failing), 503),
            (Error::NotFound, 404),
            (Error::TooLong { max: 1 }, 422),
            (Error::NoAccount, 409),
        ] {
            assert_eq!(WebError::Refused(error.clone()).status(), status, "{error:?}");
        }
    }

    #[test]
    fn the_detail_is_read_from_documents_and_from_text() {
        assert_eq!(
            Problem::detail_of(r#"{"title":"Not Found","status":404,"detail":"why"}"#),
            "why"
        );
        assert_eq!(
            Problem::detail_of(r#"{"title":"Not Found","status":404}"#),
            "Not Found"
        );
        assert_eq!(Problem::detail_of("a proxy's text\n"), "a proxy's text");
    }
}
