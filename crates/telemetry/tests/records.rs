//! Recording from many threads, through the process's own metrics, which are installed once: so this is one test.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use telemetry::metrics::growth::{Growth, Marks};
use telemetry::metrics::push::{PushConfig, Target};
use telemetry::metrics::{Backends, InstallError, Kind, METRICS, Metric, Registry, forward};
use telemetry::metrics::{distribution, gauge, incr, install, timer};

const THREADS: u64 = 8;
const RECORDS: u64 = 1_000_000;
const SERIES_MAX: usize = 4;

const DECLARED: &[Metric] = &[
    Metric {
        name: "jobs_total",
        kind: Kind::Counter,
        unit: "jobs",
        help: "Jobs",
        labels: &["task"],
        series_max: SERIES_MAX,
    },
    Metric { name: "took_seconds", kind: Kind::Histogram, unit: "seconds", help: "Time", labels: &[], series_max: 1 },
];

#[test]
fn check_11_a_million_records_of_8_threads_are_exact_though_no_backend_listens() {
    incr("jobs_total", 5, &[("task", "before")]);
    let (registry, address) = install_without_a_listener();
    assert!(matches!(forward::install(&[DECLARED], None), Err(InstallError)), "once in a process");
    let has_ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            while !has_ended.load(Ordering::Relaxed) {
                registry.flush();
            }
        });
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || record(thread))).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("recording does not panic"));
        has_ended.store(true, Ordering::Relaxed);
        sender.join().expect("sending does not panic");
    });
    registry.flush();
    let text = registry.render();
    assert_eq!(value(&text, "jobs_total{task=\"digest\"}"), RECORDS, "{text}");
    assert_eq!(value(&text, "took_seconds_count"), RECORDS / 100);
    assert!(!text.contains("before"), "what is recorded before metrics are installed goes nowhere");
    // Memory: so many series and no more, and what is beyond is counted together.
    let series = text.lines().filter(|line| line.starts_with("jobs_total{")).count();
    assert_eq!(series, SERIES_MAX + 1);
    let flood: u64 = text.lines().filter(|line| line.starts_with("jobs_total{")).filter_map(number).sum();
    assert_eq!(flood - RECORDS, RECORDS / 100);
    assert!(value(&text, "vigie_metrics_records_merged_total") > 0);
    assert!(value(&text, "vigie_metrics_lines_dropped_total") > 0, "{text}");

    let socket = UdpSocket::bind(&address).expect("the port is free");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    incr("jobs_total", 3, &[("task", "digest")]);
    registry.flush();
    let mut heard = [0; 2_000];
    let length = socket.recv(&mut heard).expect("the server is back");
    let heard = String::from_utf8_lossy(&heard[..length]);
    assert!(heard.lines().any(|line| line == "jobs:3|c|#task:digest"), "only what is new: {heard}");
    timers_and_levels(&registry);
    growth_is_told_once_to_each(&registry);
    reports_of_children(&registry);
}

fn install_without_a_listener() -> (Registry, String) {
    let address = address_of_nobody();
    let push = PushConfig {
        targets: vec![Target::DogStatsd],
        prefix: String::new(),
        sample_rate: 1.0,
        address: address.clone(),
        tags: Vec::new(),
    };
    let backends = Backends { push: Some(push), ..Backends::prometheus() };
    (install(&[DECLARED, METRICS], backends).expect("the first"), address)
}

/// An address on which nobody listens. Its port is below those that systems give to whoever asks for any, so that none of
/// the sockets that other tests open meanwhile has it.
fn address_of_nobody() -> String {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).expect("below 10,000");
    let mut addresses = (first..32_000).map(|port| format!("127.0.0.1:{port}"));
    addresses.find(|address| UdpSocket::bind(address).is_ok()).expect("a port is free")
}

fn record(thread: u64) {
    for count in 0..RECORDS / THREADS {
        incr("jobs_total", 1, &[("task", "digest")]);
        if count % 100 == 0 {
            let task = format!("{thread}-{count}");
            incr("jobs_total", 1, &[("task", &task)]);
            distribution("took_seconds", 0.01, &[]);
        }
    }
}

fn timers_and_levels(registry: &Registry) {
    timer("run_seconds", &[("task", "a")]).succeed();
    drop(timer("run_seconds", &[("task", "a")]));
    gauge("level", 2.0, &[]);
    std::thread::spawn(|| gauge("level", -3.5, &[])).join().expect("it set a level");
    let text = registry.render();
    assert_eq!(value(&text, "run_seconds_count{task=\"a\",result=\"success\"}"), 1);
    assert_eq!(value(&text, "run_seconds_count{task=\"a\",result=\"failure\"}"), 1);
    assert!(text.contains("\nlevel -3.5\n"), "the last one counts: {text}");
}

fn growth_is_told_once_to_each(registry: &Registry) {
    let (mut first, mut second) = (Marks::default(), Marks::default());
    let of = |grown: Vec<Growth>| grown.into_iter().find(|growth| growth.series == "took_seconds");
    assert_eq!(of(registry.growth(&mut first)).map(|growth| growth.count), Some(RECORDS / 100));
    assert_eq!(of(registry.growth(&mut first)), None, "nothing is new");
    distribution("took_seconds", 0.5, &[]);
    assert!(of(registry.growth(&mut first)).is_some_and(|growth| growth.count == 1 && (growth.sum - 0.5).abs() < 1e-6));
    assert_eq!(of(registry.growth(&mut second)).map(|growth| growth.count), Some(RECORDS / 100 + 1));
    assert!(registry.growth(&mut second).iter().all(|growth| growth.series != "level"), "levels do not grow");
}

fn reports_of_children(registry: &Registry) {
    let report = br#"[{"name":"jobs_total","labels":[["task","digest"]],"kind":"counter",
        "change":{"count":7,"level":null,"counts":[],"sum":0.0,"samples":[],"lost":0}}]"#;
    let before = value(&registry.render(), "jobs_total{task=\"digest\"}");
    forward::record(report);
    forward::record(b"not a report");
    assert_eq!(value(&registry.render(), "jobs_total{task=\"digest\"}"), before + 7);
}

fn value(text: &str, series: &str) -> u64 {
    let line = text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(name, _)| name == series));
    line.and_then(number).unwrap_or_else(|| panic!("{series} is not in {text}"))
}

fn number(line: &str) -> Option<u64> {
    line.rsplit_once(' ')?.1.parse().ok()
}
