//! Where settings come from, and what is said of those that cannot be read.

use std::fmt;
use std::marker::PhantomData;

use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

/// Settings whose values are never printed.
const SECRET: &[&str] = &["registry_password"];

/// Options of numbers, whose default tells nothing of their type.
const NUMBERS: &[&str] = &["udp_port", "registry_lead_s"];

/// One variable of the environment. Text stays text, whatever it looks like: a password of digits, a zone called `5`.
pub(super) struct Variable {
    setting: &'static str,
    value: Value,
}

impl Variable {
    /// `defaults`: the settings without any source.
    pub(super) fn new(setting: &'static str, text: String, defaults: &serde_json::Value) -> Self {
        let is_text = match &defaults[setting] {
            serde_json::Value::Number(_) | serde_json::Value::Bool(_) => false,
            _ => !NUMBERS.contains(&setting),
        };
        let value = match is_text {
            true => Value::from(text),
            false => text
                .trim()
                .parse()
                .unwrap_or_else(|error: std::convert::Infallible| match error {}),
        };
        Self { setting, value }
    }

    /// Its name in the environment.
    pub(super) fn name(setting: &str) -> String {
        format!("STARLING_{}", setting.to_uppercase())
    }
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("the environment variable {}", Self::name(self.setting)))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let dict = Dict::from([(self.setting.to_owned(), self.value.clone())]);
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

/// What is wrong with settings: the setting, where it is, and why; never the value of a secret.
pub(super) fn explain(error: &Error) -> String {
    let each = error.clone().into_iter().map(|error| {
        let setting = error.path.last().cloned().unwrap_or_default();
        let place = error.metadata.as_ref().map(|metadata| match &metadata.source {
            Some(source) => format!(" in {source}"),
            None => format!(" in {}", metadata.name),
        });
        let place = place.unwrap_or_default();
        if SECRET.contains(&setting.as_str()) {
            return format!("the setting `{setting}`{place} is not right: it has to be text in quotes");
        }
        match setting.as_str() {
            "" => format!("{}{place}", error.kind),
            setting => format!("the setting `{setting}`{place} is not right: {}", error.kind),
        }
    });
    each.collect::<Vec<_>>().join("; ")
}

/// Text for a message, without what follows a `#`: the invitation in an address of `join`.
fn shown(text: &str) -> String {
    match text.split_once('#') {
        Some((before, _)) => format!("{before}#…"),
        None => text.to_owned(),
    }
}

/// A list, or one text with commas, as environments have it.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + std::str::FromStr<Err: fmt::Display>,
{
    deserializer.deserialize_any(List(PhantomData))
}

struct List<T>(PhantomData<T>);

fn element<T, E>(n: usize, text: &str) -> Result<T, E>
where
    T: std::str::FromStr<Err: fmt::Display>,
    E: serde::de::Error,
{
    let wrong = |error| E::custom(format!("element {n}, `{}`: {error}", shown(text)));
    text.parse().map_err(wrong)
}

impl<'de, T> Visitor<'de> for List<T>
where
    T: std::str::FromStr<Err: fmt::Display>,
{
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts, or one text with commas")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<T>, E> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.enumerate().map(|(n, item)| element(n + 1, item)).collect()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        loop {
            let n = all.len() + 1;
            let wrong = |error| serde::de::Error::custom(format!("element {n}: {error}"));
            let Some(text) = items.next_element::<String>().map_err(wrong)? else {
                return Ok(all);
            };
            all.push(element(n, text.trim())?);
        }
    }
}
