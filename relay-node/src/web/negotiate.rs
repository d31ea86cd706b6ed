//! What a client accepts (RFC 9110 section 12.5): content codings and media types with their weights.

use axum::http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName};

/// Elements of a list that are looked at; a browser sends half a dozen.
const ELEMENTS_MAX: usize = 64;

/// A weight in thousandths.
type Weight = u16;

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As it is.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
}

impl Encoding {
    /// The content coding; `None` for the body as it is.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }

    /// Of the variants that exist, the one the client weighs highest; of equals the smallest. The identity is always
    /// there, and taken when nothing else is acceptable.
    pub(crate) fn choose(headers: &HeaderMap, exists: impl Fn(Self) -> bool) -> Self {
        let accepted = list(headers, &ACCEPT_ENCODING);
        let weight = |encoding: Self| {
            let named = |name: &str| {
                accepted
                    .iter()
                    .find(|(other, _)| other == name)
                    .map(|(_, weight)| *weight)
            };
            match encoding.name() {
                Some(name) => named(name).or_else(|| named("*")).unwrap_or(0),
                // Not listed, it is acceptable, and every coding that is listed is preferred to it.
                None => named("identity").unwrap_or(1),
            }
        };
        [Self::Brotli, Self::Gzip, Self::Identity]
            .into_iter()
            .filter(|encoding| *encoding == Self::Identity || exists(*encoding))
            .map(|encoding| (weight(encoding), encoding))
            .filter(|(weight, _)| *weight > 0)
            // Of equals the first.
            .reduce(|best, next| if next.0 > best.0 { next } else { best })
            .map_or(Self::Identity, |(_, encoding)| encoding)
    }
}

/// Whether a client wants a page rather than a document for programs: it names HTML, and nothing for programs weighs
/// more.
pub(crate) fn prefers_html(headers: &HeaderMap) -> bool {
    let accepted = list(headers, &ACCEPT);
    let weight = |types: &[&str]| {
        let named = accepted.iter().filter(|(name, _)| types.contains(&name.as_str()));
        named.map(|(_, weight)| *weight).max().unwrap_or(0)
    };
    let html = weight(&["text/html", "application/xhtml+xml"]);
    html > 0 && html >= weight(&["application/json", "application/problem+json"])
}

/// The elements of a list header, lower-case, with their weights.
fn list(headers: &HeaderMap, name: &HeaderName) -> Vec<(String, Weight)> {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let elements = values.flat_map(|value| value.split(',')).take(ELEMENTS_MAX);
    let read = elements.map(|element| {
        let mut parts = element.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| {
            let (key, value) = part.split_once('=')?;
            key.trim()
                .eq_ignore_ascii_case("q")
                .then(|| quality(value.trim()))
        });
        (name, weight.unwrap_or(1_000))
    });
    read.filter(|(name, _)| !name.is_empty()).collect()
}

/// A weight from 0 to 1; what is none counts as 0.
fn quality(text: &str) -> Weight {
    let value = text.parse::<f32>().unwrap_or(0.0);
    if (0.0..=1.0).contains(&value) {
        (value * 1_000.0).round() as Weight
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::{ACCEPT, ACCEPT_ENCODING, Encoding, HeaderMap, prefers_html};

    fn check_encoding(header: Option<&str>, exist: &[Encoding], expected: Encoding) {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(ACCEPT_ENCODING, header.parse().unwrap());
        }
        let chosen = Encoding::choose(&headers, |encoding| exist.contains(&encoding));
        assert_eq!(chosen, expected, "{header:?} of {exist:?}");
    }

    #[test]
    fn the_coding_with_the_highest_weight_is_chosen_of_those_that_exist() {
        use Encoding::{Brotli, Gzip, Identity};
        let both = [Gzip, Brotli];
        check_encoding(None, &both, Identity);
        check_encoding(Some(""), &both, Identity);
        check_encoding(Some("gzip, deflate, br, zstd"), &both, Brotli);
        check_encoding(Some("gzip, deflate, br, zstd"), &[Gzip], Gzip);
        check_encoding(Some("gzip, deflate, br, zstd"), &[], Identity);
        check_encoding(Some("gzip;q=1.0, BR;q=0.1"), &both, Gzip);
        check_encoding(Some("gzip, br;q=0"), &both, Gzip);
        check_encoding(Some("br; Q=0.5 , gzip;q=0.499"), &both, Brotli);
        check_encoding(Some("*"), &both, Brotli);
        check_encoding(Some("*, br;q=0"), &both, Gzip);
        check_encoding(Some("*;q=0"), &both, Identity);
        check_encoding(Some("identity, br;q=0.5"), &both, Identity);
        check_encoding(Some("identity;q=0, br;q=0.001"), &both, Brotli);
        check_encoding(Some("identity;q=0"), &both, Identity);
        check_encoding(Some("deflate"), &both, Identity);
        check_encoding(Some(";;,q=0,br;q=nan,gzip;q=2"), &both, Identity);
    }

    #[test]
    fn pages_are_for_clients_that_ask_for_html() {
        for (accept, page) in [
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                true,
            ),
            ("TEXT/HTML", true),
            ("*/*", false),
            ("application/json", false),
            ("application/json, text/html;q=0.9", false),
            ("text/html;q=0", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(prefers_html(&headers), page, "{accept}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }
}
