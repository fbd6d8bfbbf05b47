//! Configuration: finds the file, overlays environment and flags, checks every value against the key table, and reports
//! all problems at once. It is the only place, with `cli`, that reads the environment.

pub mod keys;
mod sources;

use keys::{KEYS, Kind};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use stdx::{ByteSize, Proxies, Redacted};

/// Everything the process needs to know, typed.
#[derive(Clone, Debug)]
pub struct Config {
    pub url_prefix: Option<String>,
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    /// Who may say who the client is.
    pub trusted_proxies: Proxies,
    pub worker_concurrency: usize,
    pub shutdown_grace: Duration,
    pub has_child_processes: bool,
    /// Jobs, and resident bytes, after which a child process is replaced.
    pub child_jobs_max: Option<u64>,
    pub child_memory_max: Option<u64>,
    /// For Celery's tools.
    pub remote_control: bool,
    pub sends_events: bool,
    pub durable_against_power_loss: bool,
    /// `embedded:`, or the address of a broker; holds its password.
    pub broker_url: Redacted<String>,
    pub queue_bytes_max: ByteSize,
    pub queue_jobs_max: u64,
    pub spool_bytes_max: ByteSize,
    pub disk_free_min: ByteSize,
    pub envelope_bytes_max: ByteSize,
}

/// What the command line says about configuration.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub config: Option<PathBuf>,
    pub data_dir: Option<PathBuf>,
    pub listen: Option<String>,
    pub concurrency: Option<usize>,
    pub pool: Option<&'static str>,
    pub max_tasks_per_child: Option<u64>,
}

/// One thing that is wrong, with the place it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub place: String,
    pub text: String,
}

/// All that is wrong with the configuration; the process ends with exit code 78.
#[derive(Debug, thiserror::Error)]
#[error("{}", list(.0))]
pub struct ConfigError(pub Vec<Problem>);

fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|problem| format!("{}: {}", problem.place, problem.text)).collect();
    lines.join("\n")
}

/// A value and where it came from.
#[derive(Clone, Debug)]
struct Setting {
    text: String,
    place: String,
}

/// One key as it is set now, for people.
#[derive(Clone, Debug)]
pub struct Explained {
    pub name: &'static str,
    /// Empty = not set.
    pub value: String,
    /// Flag, environment variable, file and line, or `default`.
    pub place: String,
    pub help: &'static str,
}

/// Returns every key with its value and where that came from, also when some values are wrong.
pub fn explain(flags: &Flags) -> (Vec<Explained>, Vec<Problem>) {
    let mut problems = Vec::new();
    let settings = sources::gather(flags, &mut problems);
    let explained = KEYS.iter().map(|key| {
        let setting = settings.get(key.name);
        Explained {
            name: key.name,
            value: setting.map(|setting| shown(key, &setting.text)).unwrap_or_default(),
            place: setting.map_or_else(|| "not set".to_owned(), |setting| setting.place.clone()),
            help: key.help,
        }
    });
    (explained.collect(), problems)
}

/// Passwords inside addresses are for nobody to see.
fn shown(key: &keys::Key, text: &str) -> String {
    match key.kind {
        Kind::Broker | Kind::Store { .. } => without_password(text),
        Kind::Text
        | Kind::Address
        | Kind::Bytes
        | Kind::Number { .. }
        | Kind::Duration
        | Kind::Choice(_)
        | Kind::Networks => text.to_owned(),
    }
}

/// Returns addresses with `***` for their passwords.
pub fn without_password(text: &str) -> String {
    let hide = |url: &str| {
        let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
        let end = rest.find('/').unwrap_or(rest.len());
        let Some(at) = rest[..end].rfind('@') else { return url.to_owned() };
        match rest[..at].split_once(':') {
            Some((user, _)) => format!("{scheme}://{user}:***{}", &rest[at..]),
            None => url.to_owned(),
        }
    };
    text.split(';').map(hide).collect::<Vec<_>>().join(";")
}

type Settings = BTreeMap<&'static str, Setting>;

impl Config {
    /// Reads flags, environment and file, strongest first.
    ///
    /// # Errors
    /// Every problem found, each with its place.
    pub fn load(flags: &Flags) -> Result<Config, ConfigError> {
        let mut problems = Vec::new();
        let settings = sources::gather(flags, &mut problems);
        for (name, setting) in &settings {
            let key = KEYS.iter().find(|key| key.name == *name).expect("settings hold known keys only");
            if let Err(text) = sources::check(key, &setting.text) {
                problems.push(Problem { place: setting.place.clone(), text: format!("{name}: {text}") });
            }
        }
        if !problems.is_empty() {
            return Err(ConfigError(problems));
        }
        Ok(Config::from_checked(&settings))
    }

    fn from_checked(settings: &Settings) -> Config {
        const CHECKED: &str = "the value was checked against its kind";
        let text = |name: &str| settings.get(name).map(|setting| setting.text.as_str()).unwrap_or_default();
        let bytes = |name: &str| text(name).parse::<ByteSize>().expect(CHECKED);
        let number = |name: &str| text(name).parse::<u64>().expect(CHECKED);
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let concurrency = usize::try_from(number("worker.concurrency")).expect(CHECKED);
        Config {
            url_prefix: Some(text("system.url-prefix").trim_end_matches('/').to_owned()).filter(|url| !url.is_empty()),
            data_dir: PathBuf::from(text("system.data-dir")),
            listen: text("web.listen").parse().expect(CHECKED),
            trusted_proxies: Proxies::parse(text("web.trusted-proxies")).expect(CHECKED),
            worker_concurrency: if concurrency == 0 { cores } else { concurrency },
            has_child_processes: text("worker.pool") == "processes",
            child_jobs_max: Some(number("worker.max-tasks-per-child")).filter(|most| *most > 0),
            child_memory_max: Some(bytes("worker.max-memory-per-child").bytes()).filter(|most| *most > 0),
            shutdown_grace: sources::parse_duration(text("worker.shutdown-grace")).expect(CHECKED),
            remote_control: text("worker.remote-control") == "on",
            sends_events: text("worker.send-events") == "on",
            durable_against_power_loss: text("queue.durability") == "power",
            spool_bytes_max: bytes("queue.spool-max-bytes"),
            broker_url: Redacted::new(text("broker.url").to_owned()),
            queue_bytes_max: bytes("queue.max-bytes"),
            queue_jobs_max: number("queue.max-jobs"),
            disk_free_min: bytes("disk.min-free"),
            envelope_bytes_max: bytes("ingest.max-envelope-bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_addresses_are_not_shown() {
        assert_eq!(without_password("redis://:p:a@host:6379/0"), "redis://:***@host:6379/0");
        assert_eq!(without_password("redis://me:pass@host;redis://b/1"), "redis://me:***@host;redis://b/1");
        assert_eq!(without_password("redis://host:6379/0"), "redis://host:6379/0");
        assert_eq!(without_password("embedded:"), "embedded:");
    }
}
