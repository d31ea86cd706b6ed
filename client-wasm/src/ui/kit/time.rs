//! Times as people read them. Relative ones are short; exact ones follow the browser's own language.

use js_sys::{Date, Object, Reflect};
use protocol::Timestamp;
use wasm_bindgen::JsValue;
use yew::{Html, html};

use super::strings;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// The wall clock, in milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    Date::now() as u64
}

/// How long ago, in a few letters; the date once that says more.
pub fn relative(time: Timestamp, now_ms: u64) -> String {
    let age_ms = now_ms.saturating_sub(time.0);
    if age_ms < MINUTE_MS {
        strings::NOW.to_owned()
    } else if age_ms < HOUR_MS {
        strings::minutes(age_ms / MINUTE_MS)
    } else if age_ms < DAY_MS {
        strings::hours(age_ms / HOUR_MS)
    } else if age_ms < 7 * DAY_MS {
        strings::days(age_ms / DAY_MS)
    } else if age_ms < 300 * DAY_MS {
        localised(time, &[("day", "numeric"), ("month", "short")])
    } else {
        localised(
            time,
            &[("day", "numeric"), ("month", "short"), ("year", "numeric")],
        )
    }
}

/// The whole date and time.
pub fn exact(time: Timestamp) -> String {
    localised(time, &[("dateStyle", "long"), ("timeStyle", "short")])
}

/// How long ago, with the whole date and time behind it.
pub fn ago(time: Timestamp, now_ms: u64) -> Html {
    html! { <time datetime={machine(time)} title={exact(time)}>{ relative(time, now_ms) }</time> }
}

/// The date alone.
pub fn day(time: Timestamp) -> String {
    localised(time, &[("dateStyle", "medium")])
}

/// For the `datetime` attribute.
pub fn machine(time: Timestamp) -> String {
    if time.0 > 8_640_000_000_000_000 {
        return String::new();
    }
    Date::new(&JsValue::from_f64(time.0 as f64))
        .to_iso_string()
        .into()
}

fn localised(time: Timestamp, options: &[(&str, &str)]) -> String {
    if time.0 > 8_640_000_000_000_000 {
        // Beyond what a date can say: an author's clock gone astray.
        return strings::NO_DATE.to_owned();
    }
    let wanted = Object::new();
    for (key, value) in options {
        // Setting a property of a fresh object cannot fail.
        let _ = Reflect::set(&wanted, &JsValue::from_str(key), &JsValue::from_str(value));
    }
    Date::new(&JsValue::from_f64(time.0 as f64))
        .to_locale_string("default", &wanted)
        .into()
}
