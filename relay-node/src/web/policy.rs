//! The one place for response headers that are about security, caching and other origins.
//!
//! Invariant: every response of every listener carries the headers of exactly one [`Policy`]. Routes name theirs with
//! [`with`]; a response without one gets [`Policy::Plain`], the strictest. [`enforce`] is the outermost layer, so that
//! answers the router makes itself (405, rejected extractors) are covered as well.
//!
//! Headers that describe one response are set where it is made: `ETag` and `Content-Encoding` of a file in `site`,
//! `Vary` there (`Accept-Encoding`) and in `error` (`Accept`), `Allow` by axum's router, by `error`, and in `web` for
//! WebSocket endpoints.
//!
//! `Strict-Transport-Security` is not sent: TLS ends at the operator's proxy, which knows whether its certificate
//! stays.

use std::sync::LazyLock;

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::middleware::Next;
use axum::response::{IntoResponseParts, Response, ResponseParts};

use super::pages;

/// Which headers a response carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Health, metrics, WebSocket endpoints, and whatever names no other policy.
    Plain,
    /// The JSON API. There is nothing secret in it, so pages of other origins may read it: apps that are served
    /// elsewhere do.
    Api,
    /// The app's files, with the content security policy that its build wrote.
    App(HeaderValue),
    /// A page the relay writes itself, with its style inside and no script.
    Page,
    /// The admin page: forms and a stylesheet of its own.
    Admin,
}

/// The policy of responses that load nothing.
const NO_CONTENT: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// The policy of the app if its build specifies none: its own files, its WebSockets, and generated images.
pub(crate) const APP_DEFAULT: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; \
     connect-src 'self' ws: wss:; font-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// The policy of the admin pages: no scripts, nothing from other origins, no frames.
const ADMIN: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// The style is inside the page, named by its hash.
static PAGE: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; style-src '{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        pages::style_source()
    );
    HeaderValue::from_str(&policy).unwrap_or(NO_CONTENT)
});

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

impl Policy {
    /// The headers of this policy, `Cache-Control` excepted.
    pub(crate) fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let content = match self {
            Self::Plain | Self::Api => NO_CONTENT,
            Self::App(policy) => policy.clone(),
            Self::Page => PAGE.clone(),
            Self::Admin => ADMIN,
        };
        // What a person reads is nobody else's business; but forms need an origin, which "no-referrer" takes from them.
        let referrer = match self {
            Self::Admin => "same-origin",
            _ => "no-referrer",
        };
        let readers = match self {
            Self::Api => "cross-origin",
            _ => "same-origin",
        };
        let mut headers = vec![
            (CONTENT_SECURITY_POLICY, content),
            (REFERRER_POLICY, HeaderValue::from_static(referrer)),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
            (OPENER_POLICY, HeaderValue::from_static("same-origin")),
            (RESOURCE_POLICY, HeaderValue::from_static(readers)),
        ];
        if *self == Self::Api {
            headers.push((ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")));
        }
        headers
    }
}

/// How long a response may be kept. Without it: not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caching {
    /// The name changes with the content.
    Immutable,
    /// Kept, and asked for again each time.
    Revalidate,
}

impl IntoResponseParts for Caching {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        let value = match self {
            Self::Immutable => "public, max-age=31536000, immutable",
            Self::Revalidate => "no-cache",
        };
        parts
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static(value));
        Ok(parts)
    }
}

/// For `axum::middleware::map_response`: names the policy of a group of routes. One that a handler named stays.
pub(crate) fn with(policy: Policy) -> impl Fn(Response) -> std::future::Ready<Response> + Clone {
    move |mut response: Response| {
        if response.extensions().get::<Policy>().is_none() {
            response.extensions_mut().insert(policy.clone());
        }
        std::future::ready(response)
    }
}

/// The outermost layer: writes the headers.
pub(crate) async fn enforce(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let policy = response.extensions_mut().remove::<Policy>();
    let headers = response.headers_mut();
    for (name, value) in policy.unwrap_or(Policy::Plain).headers() {
        headers.insert(name, value);
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::{ACCESS_CONTROL_ALLOW_ORIGIN, APP_DEFAULT, CONTENT_SECURITY_POLICY, Policy};

    #[test]
    fn no_policy_lets_a_page_be_framed_or_run_inline_scripts() {
        let all = [
            Policy::Plain,
            Policy::Api,
            Policy::App(APP_DEFAULT),
            Policy::Page,
            Policy::Admin,
        ];
        for policy in all {
            let headers = policy.headers();
            let value = |name| {
                headers
                    .iter()
                    .find(|(other, _)| *other == name)
                    .map(|(_, value)| value)
            };
            let content = value(CONTENT_SECURITY_POLICY)
                .and_then(|value| value.to_str().ok())
                .unwrap();
            assert!(content.contains("default-src 'none'"), "{policy:?}");
            assert!(content.contains("frame-ancestors 'none'"), "{policy:?}");
            assert!(!content.contains("unsafe-inline"), "{policy:?}");
            let open = value(ACCESS_CONTROL_ALLOW_ORIGIN).is_some();
            assert_eq!(open, policy == Policy::Api, "{policy:?}");
        }
    }
}
