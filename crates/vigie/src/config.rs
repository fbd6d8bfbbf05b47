//! Configuration: finds the file, overlays environment and flags, checks every value against the key table, and reports
//! all problems at once. It is the only place, with `cli`, that reads the environment. Reading it twice is harmless: it
//! leaves nothing behind.

mod environment;
mod explain;
mod file;
pub mod keys;
mod kind;
mod layers;
mod live;
mod roles;
pub mod sentry;
mod suggestion;
pub mod template;

pub use environment::Environment;
pub use explain::{Explained, explain, shown, without_password};
pub use file::FILE_NAME;
pub use kind::Kind;
pub use layers::{Layer, Layers, Setting};
pub use live::Live;
pub use suggestion::hint;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use stdx::{ByteSize, Proxies, Redacted};
use store::options::OptionRow;
use telemetry::metrics::Backends;
use telemetry::metrics::push::{PushConfig, Target};
use telemetry::reporting::{Dsn, TracesSampler};

/// Everything the process needs to know, typed.
#[derive(Clone, Debug)]
pub struct Config {
    /// What every source says.
    pub layers: Layers,
    flags: Flags,
    pub log_level: String,
    pub url_prefix: Option<String>,
    pub data_dir: PathBuf,
    /// Days events are kept; a project may set less.
    pub event_retention_days: i64,
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
    /// Of its time limit, beyond which a run is slow.
    pub slow_share: f64,
    /// Of a worker's or scheduler's own process; `None`: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    pub durable_against_power_loss: bool,
    /// `embedded:`, or the address of a broker; holds its password.
    pub broker_url: Redacted<String>,
    pub queue_bytes_max: ByteSize,
    pub queue_jobs_max: u64,
    pub spool_bytes_max: ByteSize,
    pub disk_free_min: ByteSize,
    pub envelope_bytes_max: ByteSize,
    pub metrics: Backends,
    pub self_reporting: SelfReporting,
}

/// Where what goes wrong in Vigie itself is reported to.
#[derive(Clone, Debug)]
pub struct SelfReporting {
    pub is_enabled: bool,
    /// They hold keys.
    pub upstream: Option<Redacted<Dsn>>,
    pub relay: Option<Redacted<Dsn>>,
    pub sample_rate: f32,
    pub upstream_metrics_rate: f32,
    pub traces: TracesSampler,
    pub environment: String,
}

/// What the command line says about configuration.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub config: Option<PathBuf>,
    pub data_dir: Option<PathBuf>,
    pub log_level: Option<String>,
    pub log_format: Option<&'static str>,
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

/// Reads all sources: what each says, and what is wrong with them, in the order of their lines.
fn read(flags: &Flags, environment: &Environment) -> (Layers, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut layers = Layers::of_defaults();
    let named = flags.config.clone().or_else(|| environment.config_path());
    file::overlay(&file::choose(named), &mut layers, &mut problems);
    environment.overlay(&mut layers, &mut problems);
    overlay_flags(flags, &mut layers);
    problems.extend(layers.problems());
    problems.extend(roles::disagreements(&layers));
    problems.sort_by_key(Problem::order);
    (layers, problems)
}

fn overlay_flags(flags: &Flags, layers: &mut Layers) {
    let Flags { config: _, data_dir, log_level, log_format, listen, concurrency, pool, max_tasks_per_child } = flags;
    let said = [
        ("system.data-dir", "--data-dir", data_dir.as_ref().map(|path| path.display().to_string())),
        ("log.level", "--loglevel", log_level.clone()),
        ("log.format", "--log-format", log_format.map(str::to_owned)),
        ("web.listen", "--listen", listen.clone()),
        ("worker.concurrency", "-c", concurrency.map(|count| count.to_string())),
        ("worker.pool", "--pool", pool.map(str::to_owned)),
        ("worker.max-tasks-per-child", "--max-tasks-per-child", max_tasks_per_child.map(|count| count.to_string())),
    ];
    for (name, flag, text) in said {
        if let Some(text) = text {
            layers.put(name, Setting { layer: Layer::Flag, place: format!("flag {flag}"), text });
        }
    }
}

impl Problem {
    /// By file, then by line: the order in which a person goes through them.
    fn order(&self) -> (String, usize) {
        match self.place.rsplit_once(':').map(|(path, line)| (path, line.parse())) {
            Some((path, Ok(line))) => (path.to_owned(), line),
            Some((_, Err(_))) | None => (self.place.clone(), 0),
        }
    }
}

/// How log lines are written until a command has read the rest, from whatever can be read: a configuration that is wrong
/// elsewhere must not hide what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    pub level: String,
    pub is_json: bool,
}

impl Logging {
    pub fn load(flags: &Flags) -> Logging {
        let (layers, _) = read(flags, &Environment::of_process());
        let valid = |name: &str| {
            let key = keys::find(name).expect("logging keys are in the table");
            let settings = layers.of(name).iter().rev();
            let mut valid = settings.filter(|setting| key.kind.check(&setting.text).is_ok());
            valid.next().map(|setting| setting.text.clone()).unwrap_or_default()
        };
        Logging { level: valid("log.level"), is_json: valid("log.format") == "json" }
    }
}

impl Config {
    /// Reads flags, environment and file, strongest first.
    ///
    /// # Errors
    /// Every problem found, each with its place.
    pub fn load(flags: &Flags) -> Result<Config, ConfigError> {
        let (layers, problems) = read(flags, &Environment::of_process());
        if !problems.is_empty() {
            return Err(ConfigError(problems));
        }
        Ok(Config::from_checked(layers, flags.clone()))
    }

    /// Returns the configuration with these runtime options, where nothing stronger speaks.
    #[must_use]
    pub fn with_options(&self, options: &[OptionRow]) -> Config {
        let mut layers = self.layers.clone();
        layers.put_options(options);
        Config::from_checked(layers, self.flags.clone())
    }

    fn from_checked(layers: Layers, flags: Flags) -> Config {
        const CHECKED: &str = "the value was checked against its kind";
        let text = |name: &str| layers.in_force(name).map(|setting| setting.text.as_str()).unwrap_or_default();
        let bytes = |name: &str| text(name).parse::<ByteSize>().expect(CHECKED);
        let number = |name: &str| text(name).parse::<u64>().expect(CHECKED);
        let switch = |name: &str| kind::parse_switch(text(name)).expect(CHECKED);
        let fraction = |name: &str| text(name).parse::<f32>().expect(CHECKED);
        let dsn = |name: &str| {
            Some(text(name)).filter(|dsn| !dsn.is_empty()).map(|dsn| Redacted::new(dsn.parse().expect(CHECKED)))
        };
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let concurrency = usize::try_from(number("worker.concurrency")).expect(CHECKED);
        let config = Config {
            layers: Layers::default(),
            flags,
            log_level: text("log.level").to_owned(),
            url_prefix: Some(text("system.url-prefix").trim_end_matches('/').to_owned()).filter(|url| !url.is_empty()),
            data_dir: PathBuf::from(text("system.data-dir")),
            event_retention_days: i64::try_from(number("system.event-retention-days")).expect(CHECKED),
            listen: text("web.listen").parse().expect(CHECKED),
            trusted_proxies: Proxies::parse(text("web.trusted-proxies")).expect(CHECKED),
            worker_concurrency: if concurrency == 0 { cores } else { concurrency },
            has_child_processes: text("worker.pool") == "processes",
            child_jobs_max: Some(number("worker.max-tasks-per-child")).filter(|most| *most > 0),
            child_memory_max: Some(bytes("worker.max-memory-per-child").bytes()).filter(|most| *most > 0),
            shutdown_grace: kind::parse_duration(text("worker.shutdown-grace")).expect(CHECKED),
            remote_control: switch("worker.remote-control"),
            sends_events: switch("worker.send-events"),
            slow_share: text("worker.slow-share").parse().expect(CHECKED),
            metrics_listen: Some(text("worker.metrics-listen"))
                .filter(|address| !address.is_empty())
                .map(|address| address.parse().expect(CHECKED)),
            durable_against_power_loss: text("queue.durability") == "power",
            spool_bytes_max: bytes("queue.spool-max-bytes"),
            broker_url: Redacted::new(text("broker.url").to_owned()),
            queue_bytes_max: bytes("queue.max-bytes"),
            queue_jobs_max: number("queue.max-jobs"),
            disk_free_min: bytes("disk.min-free"),
            envelope_bytes_max: bytes("ingest.max-envelope-bytes"),
            metrics: Backends {
                has_prometheus: kind::list(text("metrics.backends")).any(|name| name == "prometheus"),
                push: push_of(text, text("metrics.sample-rate").parse().expect(CHECKED)),
                tags: tags_of(text),
            },
            self_reporting: SelfReporting {
                is_enabled: switch("self-reporting.enabled"),
                upstream: dsn("self-reporting.upstream-dsn"),
                relay: dsn("self-reporting.relay-dsn"),
                sample_rate: fraction("self-reporting.sample-rate"),
                upstream_metrics_rate: fraction("self-reporting.upstream-metrics-rate"),
                traces: TracesSampler {
                    share: text("self-reporting.traces-sample-rate").parse().expect(CHECKED),
                    by_task: kind::list(text("self-reporting.traces-by-task"))
                        .filter_map(kind::share)
                        .map(|(task, share)| (task.to_owned(), share))
                        .collect(),
                },
                environment: text("self-reporting.environment").to_owned(),
            },
        };
        Config { layers, ..config }
    }
}

/// Where metrics are sent; `None` where they are only asked for, or not at all.
fn push_of<'a>(text: impl Fn(&str) -> &'a str, sample_rate: f64) -> Option<PushConfig> {
    let target = |name| match name {
        "statsd" => Some(Target::Statsd),
        "dogstatsd" => Some(Target::DogStatsd),
        "logging" => Some(Target::Log),
        _ => None,
    };
    let targets: Vec<Target> = kind::list(text("metrics.backends")).filter_map(target).collect();
    let (prefix, address) = (text("metrics.prefix").to_owned(), text("metrics.statsd-address").to_owned());
    let tags = tags_of(text);
    (!targets.is_empty()).then_some(PushConfig { targets, prefix, sample_rate, address, tags })
}

fn tags_of<'a>(text: impl Fn(&str) -> &'a str) -> Vec<(String, String)> {
    let labels = kind::list(text("metrics.tags")).filter_map(kind::label);
    labels.map(|(label, value)| (label.to_owned(), value.to_owned())).collect()
}
