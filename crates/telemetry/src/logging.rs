//! Log output on standard error, for people or as JSON lines. Standard output belongs to the commands' answers.

use tracing_subscriber::EnvFilter;

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

/// Starts logging for the process. Calling it twice is harmless: the first call wins.
///
/// # Errors
/// If `level` is neither a level nor a filter directive.
pub fn init(level: &str, format: LogFormat) -> Result<(), BadLevel> {
    // RabbitMQ's client calls every refusal an error, also those that are answers; the queue says which matter.
    let level_but_clients = format!("lapin=off,{level}");
    let filter = EnvFilter::builder().parse(level_but_clients).map_err(|_| BadLevel(level.to_owned()))?;
    // A log that cannot be written (a full disk) is no reason to stop: the library would print that and panic on failure.
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    // A second init fails only because a subscriber is set already, which is what we want.
    let _ = match format {
        LogFormat::Human => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    Ok(())
}
