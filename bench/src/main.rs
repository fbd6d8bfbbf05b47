//! The load generator: `cargo run --release -p bench -- accept | sustained | startup | disk | pages | cleanup | fill |
//! queue | metrics | send | check`.
//! Each scenario starts a private server of the release build, measures, and prints one JSON report on standard output.

mod scenarios;

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// As in `vigie`: the queue is measured in this very process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Vigie.
#[derive(Parser)]
#[command(name = "bench", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// Accepted events a second and their latency, from a closed loop of connections
    Accept(Run),
    /// The same, then drained: events a second from the first one sent to the last one stored; every id is looked up
    Sustained(Run),
    /// Time from the start command on an empty directory to ready, and memory at rest
    Startup {
        /// Starts to measure
        #[arg(long, default_value_t = 5)]
        times: usize,
        #[command(flatten)]
        place: Place,
    },
    /// Bytes on disk an event, once drained and at rest
    Disk {
        #[arg(long, default_value_t = 100_000)]
        events: usize,
        #[command(flatten)]
        body: Body,
        #[command(flatten)]
        place: Place,
    },
    /// Latency of list, issue and event pages with few and with many events stored
    Pages {
        /// Numbers of stored events to measure at, ascending
        #[arg(long, value_delimiter = ',', default_values_t = [10_000, 1_000_000])]
        events: Vec<usize>,
        /// Requests for each kind of page
        #[arg(long, default_value_t = 300)]
        requests: usize,
        #[arg(long, default_value_t = 2_000)]
        groups: u64,
        #[command(flatten)]
        place: Place,
    },
    /// Retention beside a running server: whole days, days of two sizes, shared days by 1, 2 and 4 workers, ingest beside it
    Cleanup(scenarios::cleanup::Options),
    /// Events of days long past in a data directory, without a server
    Fill(scenarios::fill::Options),
    /// Publishing, consuming and waiting times of the queue, embedded, on Redis and on RabbitMQ, beside real Celery
    Queue(scenarios::queue::Options),
    /// What recording a metric costs, alone and from many threads while no server takes them
    Metrics(scenarios::metrics::Options),
    /// Load on a server that runs already
    Send(scenarios::send::Send),
    /// Compare accepted ids with stored ids, one by one; exit 1 if any was lost or doubled
    Check(scenarios::check::Check),
}

/// One run of load.
#[derive(Args, Clone)]
struct Run {
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    #[arg(short, long, default_value_t = 64)]
    connections: usize,
    /// Requests built before the clock starts; about 3 KB of memory each
    #[arg(long, default_value_t = 450_000)]
    prebuild: usize,
    #[command(flatten)]
    body: Body,
    #[command(flatten)]
    place: Place,
}

/// What is sent.
#[derive(Args, Clone, Copy)]
struct Body {
    /// Bytes of JSON an event
    #[arg(long, default_value_t = 10_000)]
    bytes: usize,
    #[arg(long, default_value_t = 200)]
    groups: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What is started, and where.
#[derive(Args, Clone)]
struct Place {
    /// The release build to measure
    #[arg(long, default_value = "target/release/vigie")]
    exe: PathBuf,
    /// Folder for the server's data; a fresh one under target/ unless given
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Keep the data afterwards
    #[arg(long)]
    keep: bool,
    /// Jobs go over a private Redis with appendonly in place of the embedded queue
    #[arg(long, conflicts_with = "rabbitmq")]
    redis: bool,
    /// Jobs go over a private RabbitMQ in place of the embedded queue
    #[arg(long)]
    rabbitmq: bool,
}

fn main() -> ExitCode {
    let result = match Cli::parse().scenario {
        Scenario::Accept(run) => scenarios::accept::accept(&run),
        Scenario::Sustained(run) => scenarios::accept::sustained(&run),
        Scenario::Startup { times, place } => scenarios::startup::run(times, &place),
        Scenario::Disk { events, body, place } => scenarios::disk::run(events, body, &place),
        Scenario::Pages { events, requests, groups, place } => scenarios::pages::run(&events, requests, groups, &place),
        Scenario::Cleanup(options) => scenarios::cleanup::run(&options),
        Scenario::Fill(options) => scenarios::fill::run(&options),
        Scenario::Queue(options) => scenarios::queue::run(&options),
        Scenario::Metrics(options) => scenarios::metrics::run(&options),
        Scenario::Send(send) => scenarios::send::run(&send),
        Scenario::Check(check) => scenarios::check::run(&check),
    };
    match result {
        Ok(report) => {
            println!("{report:#}");
            let is_good = report.get("good").and_then(serde_json::Value::as_bool).unwrap_or(true);
            if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
