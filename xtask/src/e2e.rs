//! End-to-end tests: the release binary on a private port and folder, against real clients, recorded requests, hostile
//! input, kills and a full disk. One file a test; a test speaks to the public face only.

mod backup_restore;
mod browser_sdk;
mod celery;
mod celery_interop;
mod celery_remote_control;
mod corpus;
mod disk_governor;
mod envelope_reader;
mod full_disk;
mod health_red;
mod hostile;
mod house;
mod kill_test;
mod last_byte;
mod many_processes;
mod native_crash;
mod node_sdk;
mod one_issue;
mod pages;
mod place;
mod pool_processes;
pub mod programs;
mod python_sdk;
mod queue_faults;
mod redis;
mod retention;
mod ruby_sdk;
mod rust_sdk;
mod sdk;
mod secrets;
mod security_reports;
mod self_reporting;
mod servers;
mod spool_outage;
mod spool_takeover;

use crate::command::say;
use crate::root::root;
pub use place::Place;
use std::time::Instant;

/// What may be asked of the tests.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Only tests whose name holds one of these words
    pub filter: Vec<String>,
    /// Test this binary instead of building the release
    #[arg(long)]
    pub exe: Option<std::path::PathBuf>,
    /// Kills of the kill test, and of many_processes on each broker
    #[arg(long, default_value_t = 20)]
    pub kills: u32,
    /// Seed of the moments and victims of kills
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Jobs that run in queue_faults_kills while workers are killed
    #[arg(long, default_value_t = 1_500)]
    pub jobs: u64,
    /// Events of one issue in one_issue
    #[arg(long, default_value_t = 100_000)]
    pub increments: u64,
    /// Seconds in which queue_faults_kills kills a worker each second
    #[arg(long, default_value_t = 15)]
    pub kill_seconds: u64,
    /// Seconds of a black hole between a worker and its broker
    #[arg(long, default_value_t = 8)]
    pub hole_seconds: u64,
    /// Seconds that spool_outage keeps the broker away
    #[arg(long, default_value_t = 20)]
    pub outage_seconds: u64,
}

/// How a test that did not fail ended, with what it saw in a few words.
pub enum Verdict {
    Passed(String),
    /// Something it needs is not on this machine; the words say what.
    Skipped(String),
}

/// What a test gets.
pub struct Case<'a> {
    pub name: &'static str,
    pub options: &'a Options,
}

impl Case<'_> {
    /// The program under test.
    pub fn exe(&self) -> std::path::PathBuf {
        self.options.exe.clone().unwrap_or_else(|| root().join("target/release/vigie"))
    }
}

type Test = fn(&Case<'_>) -> anyhow::Result<Verdict>;

const TESTS: &[(&str, Test)] = &[
    ("python_sdk", python_sdk::run),
    ("node_sdk", node_sdk::run),
    ("browser_sdk", browser_sdk::run),
    ("ruby_sdk", ruby_sdk::run),
    ("rust_sdk", rust_sdk::run),
    ("native_crash", native_crash::run),
    ("secrets", secrets::run),
    ("security_reports", security_reports::run),
    ("corpus", corpus::run),
    ("hostile", hostile::run),
    ("pages", pages::run),
    ("full_disk", full_disk::run),
    ("kill_test", kill_test::run),
    ("one_issue", one_issue::run),
    ("celery_interop_messages", celery_interop::messages),
    ("celery_interop_workflows", celery_interop::workflows),
    ("celery_interop_takeover", celery_interop::takeover),
    ("celery_interop_servers", celery_interop::servers),
    ("celery_interop_versions", celery_interop::versions),
    ("celery_rabbitmq_interop", celery_interop::on_rabbitmq),
    ("celery_remote_control", celery_remote_control::run),
    ("celery_rabbitmq_control", celery_remote_control::on_rabbitmq),
    ("queue_faults_kills", queue_faults::kills),
    ("queue_faults_rabbitmq_kills", queue_faults::kills_on_rabbitmq),
    ("queue_faults_rabbitmq_down", queue_faults::rabbitmq_down),
    ("queue_faults_owner", queue_faults::owner),
    ("queue_faults_frozen_owner", queue_faults::frozen_owner),
    ("queue_faults_broker_down", queue_faults::broker_down),
    ("queue_faults_poison", queue_faults::poison),
    ("queue_faults_stops", queue_faults::stops),
    ("queue_faults_unknown", queue_faults::unknown),
    ("many_processes", many_processes::run),
    ("many_rabbitmq_processes", many_processes::on_rabbitmq),
    ("pool_processes", pool_processes::run),
    ("self_reporting", self_reporting::run),
    ("self_reporting_crash", self_reporting::crash::run),
    ("spool_outage", spool_outage::of_redis),
    ("spool_rabbitmq_outage", spool_outage::of_rabbitmq),
    ("spool_takeover", spool_takeover::of_redis),
    ("spool_rabbitmq_takeover", spool_takeover::of_rabbitmq),
    ("health_red", health_red::run),
    ("backup_restore", backup_restore::run),
    ("disk_governor", disk_governor::run),
    ("last_byte", last_byte::run),
    ("retention_whole_days", retention::whole_days),
    ("retention_scopes", retention::scopes),
    ("retention_kills", retention::kills),
    ("retention_writers", retention::writers),
];

/// How many tests ended in which way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

/// Runs the tests that the options name, all if they name none.
pub fn run(options: &Options) -> Counts {
    let mut counts = Counts::default();
    for (name, test) in TESTS {
        if !options.filter.is_empty() && !options.filter.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        say(&format!("end-to-end test {name}"));
        let started = Instant::now();
        let result = test(&Case { name, options });
        let seconds = started.elapsed().as_secs_f64();
        match result {
            Ok(Verdict::Passed(saw)) => {
                counts.passed += 1;
                println!("ok      {name} ({seconds:.1} s): {saw}");
            }
            Ok(Verdict::Skipped(reason)) => {
                counts.skipped += 1;
                println!("skipped {name}: {reason}");
            }
            Err(error) => {
                counts.failed += 1;
                println!("FAILED  {name} ({seconds:.1} s): {error:#}");
            }
        }
    }
    counts
}

/// Asks until there is an answer.
///
/// # Errors
/// If `ask` fails, or there is none within the time; `what` says what was waited for.
pub fn eventually<T>(
    what: &str,
    within: std::time::Duration,
    mut ask: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if started.elapsed() > within {
            anyhow::bail!("{what}: not within {within:?}");
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
