//! Log output on standard error, for people or as JSON lines. Standard output belongs to the commands' answers.

use crate::reporting::ReportLayer;
use std::sync::OnceLock;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Human,
    Json,
}

/// A log level or filter directive that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("read log level '{0}': expected error, warn, info, debug, trace, or a filter such as 'queue=debug'")]
pub struct BadLevel(String);

/// Changes what is logged by the running process.
static LEVEL: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Says whether a text is a level or a filter directive.
///
/// # Errors
/// If it is neither.
pub fn check(level: &str) -> Result<(), BadLevel> {
    filter(level).map(|_| ())
}

/// Starts logging for the process. Calling it twice is harmless: the first call wins.
///
/// # Errors
/// If `level` is neither a level nor a filter directive.
pub fn init(level: &str, format: LogFormat) -> Result<(), BadLevel> {
    let (shown, handle) = reload::Layer::new(filter(level)?);
    // A log that cannot be written (a full disk) is no reason to stop: the library would print that and panic on failure.
    let lines = fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    let lines = match format {
        LogFormat::Human => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let reports = ReportLayer.with_filter(filter("error")?);
    let started = tracing_subscriber::registry().with(lines.with_filter(shown)).with(reports).try_init();
    // It fails only because a subscriber is set already, which is what we want.
    if started.is_ok() {
        let _ = LEVEL.set(handle);
    }
    Ok(())
}

/// Changes what is logged from now on; without an effect before `init`.
///
/// # Errors
/// If `level` is neither a level nor a filter directive; what was logged before is logged still.
pub fn set_level(level: &str) -> Result<(), BadLevel> {
    let filter = filter(level)?;
    if let Some(handle) = LEVEL.get() {
        // It fails only when the subscriber is gone, and that lives as long as the process.
        let _ = handle.reload(filter);
    }
    Ok(())
}

fn filter(level: &str) -> Result<EnvFilter, BadLevel> {
    // RabbitMQ's client calls every refusal an error, also those that are answers; the queue says which matter.
    let level_but_clients = format!("lapin=off,{level}");
    if !level.split(',').all(is_directive) {
        return Err(BadLevel(level.to_owned()));
    }
    EnvFilter::builder().parse(level_but_clients).map_err(|_| BadLevel(level.to_owned()))
}

/// The library takes any word for the name of a module, and leaves out what it cannot read.
fn is_directive(text: &str) -> bool {
    let is_level = |text: &str| text.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    match text.split_once('=') {
        None => !text.is_empty() && is_level(text),
        Some((target, level)) => {
            let is_name = target.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:-".contains(&byte));
            is_name && !target.is_empty() && !level.is_empty() && is_level(level)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_filters_are_told_from_other_words() {
        for level in ["info", "WARN", "off", "queue=debug", "info,queue=trace"] {
            assert!(check(level).is_ok(), "{level}");
        }
        for level in ["loud", "queue=loud", "inof,", "info,debgu", "queue=", "", "info\n", "a b=info", "=info"] {
            assert!(check(level).is_err(), "{level}");
        }
    }
}
