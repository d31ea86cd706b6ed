//! What pages and workers said: console lines, uncaught exceptions, failed loads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// Lines kept per browser; a flood drops the newest, since the first error is the telling one.
const LINES_MAX: usize = 20_000;

/// How loud a line was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Anything below a warning.
    Info,
    /// `console.warn` and browser warnings.
    Warning,
    /// `console.error`, failed loads, violated policies.
    Error,
    /// An exception nobody caught.
    Exception,
}

/// One thing said.
#[derive(Debug, Clone)]
pub struct Line {
    /// The browser context it belongs to.
    pub context: String,
    /// The page it belongs to, if it is one page's (a service worker is nobody's).
    pub page: Option<String>,
    /// `page`, `worker`, `service_worker` …
    pub speaker: String,
    /// How loud.
    pub level: Level,
    pub text: String,
}

/// Everything one browser said, shared by its pages.
#[derive(Debug, Clone, Default)]
pub struct Console(Arc<Mutex<Vec<Line>>>);

impl Console {
    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line.
    pub fn push(&self, line: Line) {
        let mut lines = self.lines();
        if lines.len() < LINES_MAX {
            lines.push(line);
        }
    }

    /// The lines a predicate picks.
    #[must_use]
    pub fn matching(&self, mut pick: impl FnMut(&Line) -> bool) -> Vec<Line> {
        self.lines().iter().filter(|line| pick(line)).cloned().collect()
    }
}

/// Lines as text, one per row.
#[must_use]
pub fn render(lines: &[Line]) -> String {
    lines
        .iter()
        .map(|line| format!("  {:?} [{}] {}\n", line.level, line.speaker, line.text))
        .collect()
}

/// What a DevTools event says, if it says anything.
pub(crate) fn spoken(method: &str, params: &Value) -> Option<(Level, String)> {
    match method {
        "Runtime.consoleAPICalled" => {
            let level = match params["type"].as_str() {
                Some("error" | "assert") => Level::Error,
                Some("warning") => Level::Warning,
                _ => Level::Info,
            };
            let words: Vec<String> = params["args"].as_array()?.iter().map(argument).collect();
            Some((level, words.join(" ")))
        }
        "Runtime.exceptionThrown" => {
            let details = &params["exceptionDetails"];
            let description = details["exception"]["description"].as_str();
            let text = description.or(details["text"].as_str()).unwrap_or("exception");
            Some((Level::Exception, text.to_owned()))
        }
        "Log.entryAdded" => {
            let entry = &params["entry"];
            let level = match entry["level"].as_str() {
                Some("error") => Level::Error,
                Some("warning") => Level::Warning,
                _ => Level::Info,
            };
            let url = entry["url"].as_str().unwrap_or_default();
            Some((
                level,
                format!("{} {url}", entry["text"].as_str().unwrap_or_default()),
            ))
        }
        _ => None,
    }
}

fn argument(value: &Value) -> String {
    match (&value["value"], value["description"].as_str()) {
        (Value::String(text), _) => text.clone(),
        (_, Some(description)) => description.to_owned(),
        (Value::Null, None) => value["type"].as_str().unwrap_or("?").to_owned(),
        (other, None) => other.to_string(),
    }
}
