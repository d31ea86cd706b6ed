//! The log of a running relay: lines on standard error, which never hold the relay up.
//!
//! ```text
//! events ─► repeats (what repeats is left out and counted) ─► queue (bounded) ─► one thread ─► standard error
//! ```
//!
//! Invariants:
//! - no thread of the relay waits for the reader of the log, and no failure of it ends anything: lines that cannot be
//!   written are dropped and counted ([`lost`]);
//! - a line that left others out says how many.

mod queue;
mod repeats;

use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use queue::Queue;
use repeats::{Key, Repeats};

/// At the end, how long the last lines may take to be written.
const FLUSHED_WITHIN: Duration = Duration::from_secs(1);
/// What a library that logs for each link is filtered by, unless the setting names it.
const LIBRARIES: &str =
    "fjall=warn,lsm_tree=warn,rtc=error,rtc_ice=error,rtc_dtls=error,rtc_sctp=error,webrtc=error";

/// Lines lost since the start of the process.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Log lines that could not be written since the start.
#[must_use]
pub fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// The filter that a setting names.
///
/// # Errors
/// If it is none, saying what one looks like.
pub fn filter(setting: &str) -> Result<EnvFilter, String> {
    check(setting)?;
    let parts: Vec<&str> = setting.split(',').map(str::trim).collect();
    format!("{LIBRARIES},{}", parts.join(","))
        .parse()
        .map_err(|error| format!("{error}; {EXAMPLES}"))
}

const EXAMPLES: &str = "a level is off, error, warn, info, debug or trace, and one of a module looks like info,starling_relay_node=debug";

/// Refuses what the filter would take for the name of a module: a misspelt level would turn the log off.
fn check(setting: &str) -> Result<(), String> {
    let is_level = |text: &str| {
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        levels.iter().any(|level| level.eq_ignore_ascii_case(text))
    };
    for part in setting.split(',').map(str::trim) {
        // What has brackets selects spans and is the filter's own to read.
        let level = match part.rsplit_once('=') {
            _ if part.contains('[') => continue,
            Some((_, level)) => level.trim(),
            None => part,
        };
        if !is_level(level) {
            return Err(format!("`{level}` is no level; {EXAMPLES}"));
        }
    }
    Ok(())
}

/// The log of this process, until dropped.
pub struct Logging {
    queue: Arc<Queue>,
    set_filter: Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>,
}

impl std::fmt::Debug for Logging {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logging").finish_non_exhaustive()
    }
}

impl Logging {
    /// Begins to log. `json`: one JSON object a line.
    ///
    /// # Errors
    /// If the filter is none, or there is no thread.
    pub fn start(setting: &str, json: bool) -> Result<Self, String> {
        let queue = Arc::new(Queue::default());
        let writing = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writing.run(&mut io::stderr(), &LOST, |lost| notice(lost, json)))
            .map_err(|error| error.to_string())?;
        let builder = tracing_subscriber::fmt()
            .with_env_filter(filter(setting)?)
            .with_ansi(io::stderr().is_terminal())
            .with_writer(Sink(Arc::clone(&queue)))
            .log_internal_errors(false);
        let set_filter: Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync> = if json {
            let builder = builder.json().flatten_event(true);
            let builder = builder
                .map_event_format(|inner| Sparse::new(inner, json))
                .with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().map_err(|error| error.to_string())?;
            Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
        } else {
            let builder = builder
                .map_event_format(|inner| Sparse::new(inner, json))
                .with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().map_err(|error| error.to_string())?;
            Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
        };
        Ok(Self { queue, set_filter })
    }

    /// Logs by another filter from here on.
    ///
    /// # Errors
    /// If it is none; then nothing changes.
    pub fn set(&self, setting: &str) -> Result<(), String> {
        (self.set_filter)(filter(setting)?)
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.queue.flush(FLUSHED_WITHIN);
    }
}

fn notice(lost: u64, json: bool) -> String {
    if json {
        format!("{{\"level\":\"WARN\",\"message\":\"log lines were lost\",\"lost\":{lost}}}\n")
    } else {
        format!("WARN log lines were lost because the log could not be written lost={lost}\n")
    }
}

/// Puts lines into the queue.
#[derive(Clone, Debug)]
struct Sink(Arc<Queue>);

impl io::Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !line.is_empty() && !self.0.push(line) {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Sink {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// A format that leaves repeated lines out.
#[derive(Debug)]
struct Sparse<F> {
    inner: F,
    json: bool,
    start: Instant,
    repeats: Mutex<Repeats>,
}

impl<F> Sparse<F> {
    fn new(inner: F, json: bool) -> Self {
        Self {
            inner,
            json,
            start: Instant::now(),
            repeats: Mutex::default(),
        }
    }
}

impl<S, N, F> FormatEvent<S, N> for Sparse<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        // Who turns these on wants all of them.
        if *event.metadata().level() > Level::INFO {
            return self.inner.format_event(ctx, writer, event);
        }
        let key = key_of(event);
        let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = repeats.admit(self.start.elapsed(), key);
        drop(repeats);
        match left_out {
            None => Ok(()),
            Some(0) => self.inner.format_event(ctx, writer, event),
            Some(left_out) => {
                let mut line = String::new();
                self.inner.format_event(ctx, Writer::new(&mut line), event)?;
                writer.write_str(&with_count(&line, left_out, self.json))
            }
        }
    }
}

/// A line that says how many like it were left out before it.
fn with_count(line: &str, left_out: u64, json: bool) -> String {
    let line = line.trim_end();
    match line.strip_suffix('}').filter(|_| json) {
        Some(open) => format!("{open},\"left_out\":{left_out}}}\n"),
        None => format!("{line} left_out={left_out}\n"),
    }
}

/// What makes two events the same line: what is said, and of whom.
fn key_of(event: &Event<'_>) -> Key {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let target = fields.target.as_deref().unwrap_or(event.metadata().target());
    let ours = ["starling", "native", "signaling", "engine", "relay_node"];
    let says = match ours.iter().any(|name| target.starts_with(name)) {
        true => fields.message,
        // Lines of libraries have numbers in their text.
        false => String::new(),
    };
    Key {
        says: format!("{target} {says}"),
        about: fields.about,
    }
}

/// Fields by which lines with one text differ for an operator.
const ABOUT: [&str; 7] = ["address", "condition", "device", "path", "peer", "relay", "url"];

#[derive(Default)]
struct Fields {
    message: String,
    about: String,
    target: Option<String>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            // An event that comes from the crate `log`.
            "log.target" => self.target = Some(value.to_owned()),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name if ABOUT.contains(&name) => self.about += &format!("{value:?} "),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{check, filter, with_count};

    #[test]
    fn a_level_is_one_of_those_there_are() {
        for good in [
            "info",
            "WARN",
            "off",
            "info,starling_relay_node=debug",
            "warn, native=info",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
            filter(good).unwrap();
        }
        for (wrong, named) in [
            ("loud", "`loud`"),
            ("info,native=much", "`much`"),
            ("", "``"),
            ("native", "`native`"),
        ] {
            let error = check(wrong).unwrap_err();
            assert!(
                error.contains(named) && error.contains("debug or trace"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_line_says_how_many_were_left_out() {
        assert_eq!(with_count("{\"a\":1}\n", 7, true), "{\"a\":1,\"left_out\":7}\n");
        assert_eq!(with_count("INFO a\n", 7, false), "INFO a left_out=7\n");
    }
}
