//! What every listener of the relay does before and after its routes.
//!
//! Invariants: an HTTP/1.1 request without exactly one valid `Host` is refused (RFC 9112 section 3.2); every failure
//! has a body (`error`) and every response its headers (`policy`).

use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::{CONTENT_LENGTH, HOST, HeaderMap};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Method, Version};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use signaling::serve::{ServeLimits, serve as serve_router};
use signaling::sockets::SocketBudget;
use tokio::net::TcpListener;

use super::error::{self, WebError};
use super::policy;

/// Longest request body taken, in bytes: no route takes more than a short form.
const BODY_BYTES_MAX: usize = 4_096;

/// The routes of a listener with everything around them.
pub(crate) fn harden(routes: Router) -> Router {
    routes
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(require_host))
        .layer(from_fn(error::render))
        .layer(from_fn(policy::enforce))
        .layer(from_fn(without_body_for_head))
}

/// Serves a router that was made in this module's parent until `stop` is resolved.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    sockets: SocketBudget,
    stop: impl Future<Output = ()>,
) {
    serve_router(listener, router, ServeLimits::default(), sockets, stop).await;
}

async fn require_host(request: Request, next: Next) -> Result<Response, WebError> {
    if request.version() == Version::HTTP_11 && !has_one_host(request.headers()) {
        return Err(WebError::BadRequest(
            "an HTTP/1.1 request has exactly one Host header, with a host and perhaps a port",
        ));
    }
    Ok(next.run(request).await)
}

/// A fallback answers HEAD as it answers GET; the length is that of the body which is left out (RFC 9110 section
/// 9.3.2).
async fn without_body_for_head(request: Request, next: Next) -> Response {
    let is_head = request.method() == Method::HEAD;
    let mut response = next.run(request).await;
    if is_head {
        let length = std::mem::take(response.body_mut()).size_hint().exact();
        let headers = response.headers_mut();
        if let Some(length) = length {
            headers.entry(CONTENT_LENGTH).or_insert(HeaderValue::from(length));
        }
    }
    response
}

fn has_one_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let first = hosts.next();
    hosts.next().is_none() && first.is_some_and(is_host)
}

/// An authority without user information, or nothing: what a client sends whose target has no authority.
fn is_host(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    text.is_empty() || !text.contains('@') && text.parse::<Authority>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::{HOST, HeaderMap, has_one_host};

    #[test]
    fn exactly_one_valid_host() {
        let check = |values: &[&str], expected| {
            let hosts = values.iter().map(|value| (HOST, value.parse().unwrap()));
            assert_eq!(
                has_one_host(&hosts.collect::<HeaderMap>()),
                expected,
                "{values:?}"
            );
        };
        check(&[], false);
        check(&["relay.example"], true);
        check(&["[::1]:8080"], true);
        check(&[""], true);
        check(&["a.example", "a.example"], false);
        check(&["me@relay.example"], false);
        check(&["a b"], false);
        check(&["a/b"], false);
    }
}
