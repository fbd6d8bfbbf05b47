//! `metrics`: what recording costs: nanoseconds of one `incr` on one thread, and the time of each of a million from many
//! threads, while a statsd server that nobody listens at is sent to without a pause. It links the crate, as `queue` does
//! (decision 0060): a request costs ten thousand times what is measured here.

use anyhow::{Context, ensure};
use bench::load::round;
use serde_json::{Value, json};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use telemetry::metrics::push::{PushConfig, Target};
use telemetry::metrics::{Backends, Kind, Metric, Registry, distribution, gauge, incr};

const TABLE: &[Metric] = &[
    metric("bench_jobs_total", Kind::Counter, &["task"]),
    metric("bench_events_total", Kind::Counter, &[]),
    metric("bench_level_bytes", Kind::Gauge, &[]),
    metric("bench_took_seconds", Kind::Histogram, &[]),
];
/// Records of one batch, and batches: the quickest batch is what recording costs, the others what ran beside it.
const BATCH: u32 = 100_000;
const BATCHES: usize = 20;
/// The processor's clock is asked before and after each record; that costs too, and is told.
const CLOCK_READINGS: u32 = 100_000;

/// What is measured.
#[derive(clap::Args, Clone)]
pub struct Options {
    /// Records in all
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    #[arg(long, default_value_t = 8)]
    threads: u64,
}

const fn metric(name: &'static str, kind: Kind, labels: &'static [&'static str]) -> Metric {
    Metric { name, kind, unit: "things", help: "Of the bench", labels, series_max: 10 }
}

/// Measures, and returns the report.
///
/// # Errors
/// If a record was lost or doubled.
pub fn run(options: &Options) -> anyhow::Result<Value> {
    let registry = install()?;
    let one_thread = json!({
        "incr": nanoseconds(|| incr("bench_events_total", 1, &[])),
        "incr_with_tag": nanoseconds(|| incr("bench_jobs_total", 1, &[("task", "alone")])),
        "gauge": nanoseconds(|| gauge("bench_level_bytes", 2.0, &[])),
        "distribution": nanoseconds(|| distribution("bench_took_seconds", 0.01, &[])),
    });
    let mut times = record_from_many(&registry, options);
    times.sort_unstable();
    let counted = counted(&registry.render());
    let recorded = options.records / options.threads * options.threads;
    ensure!(counted == Some(recorded), "{recorded} recorded, {counted:?} counted");
    let at = |share: f64| times.get(((times.len() as f64 * share) as usize).min(times.len() - 1)).copied();
    Ok(json!({
        "one_thread_ns": one_thread,
        "clock_ns": nanoseconds_of(CLOCK_READINGS, || { std::hint::black_box(Instant::now()); }),
        "threads": options.threads,
        "records": recorded,
        "counted": counted,
        "each_ns": { "p50": at(0.5), "p99": at(0.99), "p99_9": at(0.999), "p99_99": at(0.9999), "max": at(1.0) },
        "slower_than_1_ms": times.iter().filter(|time| **time > 1_000_000).count(),
    }))
}

/// To Prometheus, and to a server that refuses every datagram.
fn install() -> anyhow::Result<Registry> {
    let closed = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let push = PushConfig {
        targets: vec![Target::Statsd, Target::DogStatsd],
        prefix: String::new(),
        sample_rate: 1.0,
        address: closed,
        tags: Vec::new(),
    };
    let backends = Backends { push: Some(push), ..Backends::prometheus() };
    telemetry::metrics::install(&[TABLE, telemetry::metrics::METRICS], backends).context("install metrics")
}

fn nanoseconds(record: impl Fn()) -> f64 {
    let batches = (0..BATCHES).map(|_| nanoseconds_of(BATCH, &record));
    batches.fold(f64::INFINITY, f64::min)
}

fn nanoseconds_of(times: u32, act: impl Fn()) -> f64 {
    let started = Instant::now();
    (0..times).for_each(|_| act());
    round(started.elapsed().as_secs_f64() * 1e9 / f64::from(times))
}

/// Returns the nanoseconds of each record, the clock's own among them.
fn record_from_many(registry: &Registry, options: &Options) -> Vec<u64> {
    let has_ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !has_ended.load(Ordering::Relaxed) {
                registry.flush();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let count = options.records / options.threads;
        let threads: Vec<_> = (0..options.threads).map(|_| scope.spawn(move || record(count))).collect();
        let times = threads.into_iter().flat_map(|thread| thread.join().expect("recording does not panic")).collect();
        has_ended.store(true, Ordering::Relaxed);
        times
    })
}

fn record(count: u64) -> Vec<u64> {
    let mut times = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
    for _ in 0..count {
        let started = Instant::now();
        incr("bench_jobs_total", 1, &[("task", "many")]);
        times.push(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    times
}

fn counted(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("bench_jobs_total{task=\"many\"}"))?;
    line.rsplit_once(' ')?.1.parse().ok()
}
