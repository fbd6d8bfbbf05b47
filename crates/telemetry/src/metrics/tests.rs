//! From a record to what backends hear.

use super::hub::Hub;
use super::key::{Asked, Tags};
use super::push::{PushConfig, Target};
use super::record::Buffer;
use super::{Kind, METRICS, Metric, Push, prometheus};
use std::net::UdpSocket;
use std::time::Duration;

const DECLARED: &[Metric] = &[
    metric("vigie_jobs_done_total", Kind::Counter, &["task"]),
    metric("vigie_queue_jobs", Kind::Gauge, &[]),
    metric("vigie_jobs_run_seconds", Kind::Histogram, &[]),
    metric("vigie_a_b_bytes", Kind::Histogram, &["task"]),
];

const fn metric(name: &'static str, kind: Kind, labels: &'static [&'static str]) -> Metric {
    Metric { name, kind, unit: "things", help: "A \\ thing", labels, series_max: 3 }
}

/// What one thread records.
struct Thread<'a>(&'a Hub, Buffer);

impl Thread<'_> {
    fn incr(&mut self, name: &'static str, amount: u64, tags: Tags<'_>) {
        self.1.record(self.0, Kind::Counter, Asked { name, tags }, |slot| slot.add(amount));
    }

    fn gauge(&mut self, name: &'static str, level: f64) {
        self.1.record(self.0, Kind::Gauge, Asked { name, tags: &[] }, |slot| slot.set(level));
    }

    fn sample(&mut self, name: &'static str, value: f64) {
        self.1.record(self.0, Kind::Histogram, Asked { name, tags: &[] }, |slot| slot.sample(value));
    }
}

fn hub(sample_rate: Option<f64>) -> Hub {
    Hub::new(&[DECLARED, METRICS], sample_rate)
}

fn push(targets: Vec<Target>, address: String, sample_rate: f64) -> Push {
    Push::new(PushConfig { targets, prefix: "vigie.".to_owned(), sample_rate, address, tags: Vec::new() })
}

fn listener() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    let address = socket.local_addr().expect("an address").to_string();
    (socket, address)
}

fn lines(socket: &UdpSocket) -> Vec<String> {
    let mut bytes = [0; 2_000];
    let length = socket.recv(&mut bytes).expect("a datagram");
    let mut lines: Vec<String> = String::from_utf8_lossy(&bytes[..length]).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn check_12_a_udp_listener_hears_series_by_task_and_no_ids() {
    let (socket, address) = listener();
    let hub = hub(Some(1.0));
    let mut thread = Thread(&hub, Buffer::default());
    thread.incr("vigie_jobs_done_total", 3, &[("task", "ingest.digest"), ("project_id", "7")]);
    thread.incr("vigie_jobs_done_total", 1, &[("task", "ingest.digest"), ("project_id", "8")]);
    thread.incr("vigie_jobs_done_total", 1, &[("task", "debug.echo"), ("group", "x")]);
    thread.gauge("vigie_queue_jobs", 2.0);
    thread.sample("vigie_jobs_run_seconds", 0.5);
    hub.gather();
    let push = push(vec![Target::Statsd, Target::DogStatsd], address, 1.0);
    assert_eq!(push.flush(&hub).lines, 8, "four series to each of two");
    assert_eq!(
        lines(&socket),
        [
            "vigie.jobs.done.debug.echo:1|c",
            "vigie.jobs.done.ingest.digest:4|c",
            "vigie.jobs.run_seconds:500|ms",
            "vigie.queue.jobs:2|g",
        ]
    );
    assert_eq!(
        lines(&socket),
        [
            "vigie.jobs.done:1|c|#task:debug.echo",
            "vigie.jobs.done:4|c|#task:ingest.digest",
            "vigie.jobs.run_seconds:500|ms",
            "vigie.queue.jobs:2|g",
        ]
    );
    hub.gather();
    push.flush(&hub);
    assert_eq!(lines(&socket), ["vigie.queue.jobs:2|g"], "counts are sent once, levels again");
}

#[test]
fn check_11_what_no_server_took_is_counted_and_what_comes_after_is_exact() {
    let (socket, address) = listener();
    drop(socket);
    let hub = hub(None);
    let mut thread = Thread(&hub, Buffer::default());
    let push = push(vec![Target::DogStatsd], address.clone(), 1.0);
    let mut flush = |count: u64| {
        (0..count).for_each(|_| thread.incr("vigie_jobs_done_total", 1_000, &[]));
        hub.gather();
        push.flush(&hub)
    };
    // Nobody listens: the first datagram is answered with a refusal, which the next one hears.
    let (first, second) = (flush(1), flush(1));
    assert_eq!((first.lines, second.dropped), (1, 1));
    let socket = UdpSocket::bind(&address).expect("the port is free again");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    flush(1_000);
    assert_eq!(lines(&socket), ["vigie.jobs.done:1000000|c"]);
}

#[test]
fn samples_are_sent_at_their_rate_and_bounded() {
    let (socket, address) = listener();
    let hub = hub(Some(0.25));
    let mut thread = Thread(&hub, Buffer::default());
    let push = push(vec![Target::DogStatsd], address, 0.25);
    (0..8).for_each(|_| thread.sample("vigie_a_b_bytes", 4.0));
    hub.gather();
    push.flush(&hub);
    assert_eq!(lines(&socket), ["vigie.a.b_bytes:4|d|@0.25", "vigie.a.b_bytes:4|d|@0.25"]);
    (0..10_000).for_each(|_| thread.sample("vigie_a_b_bytes", 4.0));
    hub.gather();
    assert_eq!(push.flush(&hub).dropped, 1_476, "2,500 were drawn, 1,024 are kept");
    let text = prometheus::render(&hub, &[]);
    assert!(text.contains("vigie_a_b_bytes_count 10008"), "asked for, they are whole: {text}");
}

#[test]
fn beyond_its_bound_a_metric_counts_as_other_and_sums_stay_exact() {
    let hub = hub(None);
    let mut first = Thread(&hub, Buffer::default());
    let mut second = Thread(&hub, Buffer::default());
    for count in 0..1_000 {
        let task = count.to_string();
        first.incr("vigie_jobs_done_total", 1, &[("task", &task)]);
        second.incr("vigie_jobs_done_total", 1, &[("task", &task)]);
    }
    hub.gather();
    let series = hub.series();
    let of = |name: &str| series.iter().filter(|series| series.key.name() == name).collect::<Vec<_>>();
    let done = of("vigie_jobs_done_total");
    assert_eq!(done.len(), 4, "three and the other");
    assert_eq!(done.iter().map(|series| series.total().count).sum::<u64>(), 2_000);
    assert_eq!(of("vigie_metrics_records_merged_total")[0].total().count, 1_994);
    assert!(hub.slots() <= 10, "a flood of labels makes no slots: {}", hub.slots());
}

#[test]
fn what_an_ended_thread_recorded_is_gathered_once_and_its_slots_freed() {
    let hub = hub(None);
    for _ in 0..100 {
        Thread(&hub, Buffer::default()).incr("vigie_jobs_done_total", 2, &[]);
    }
    hub.gather();
    assert_eq!(hub.slots(), 0);
    hub.gather();
    assert_eq!(hub.series()[0].total().count, 200);
}

#[test]
fn prometheus_reads_help_kinds_buckets_and_escaped_labels() {
    let hub = hub(None);
    let mut thread = Thread(&hub, Buffer::default());
    thread.incr("vigie_jobs_done_total", 7, &[("task", "a\"b\\c\n")]);
    thread.incr("internal.events", 1, &[]);
    thread.sample("vigie_jobs_run_seconds", 0.002);
    thread.sample("vigie_jobs_run_seconds", 0.0025);
    thread.sample("vigie_jobs_run_seconds", 60.0);
    // Of another kind than its table says: passed over.
    thread.sample("vigie_queue_jobs", 9.0);
    hub.gather();
    hub.show_zeroes();
    let text = prometheus::render(&hub, &[("region".to_owned(), "eu".to_owned())]);
    for line in [
        "# HELP vigie_jobs_done_total A \\\\ thing",
        "# TYPE vigie_jobs_done_total counter",
        "vigie_jobs_done_total{task=\"a\\\"b\\\\c\\n\",region=\"eu\"} 7",
        "internal_events{region=\"eu\"} 1",
        "# TYPE vigie_jobs_run_seconds histogram",
        "vigie_jobs_run_seconds_bucket{region=\"eu\",le=\"0.001\"} 0",
        "vigie_jobs_run_seconds_bucket{region=\"eu\",le=\"0.0025\"} 2",
        "vigie_jobs_run_seconds_bucket{region=\"eu\",le=\"10\"} 2",
        "vigie_jobs_run_seconds_bucket{region=\"eu\",le=\"+Inf\"} 3",
        "vigie_jobs_run_seconds_sum{region=\"eu\"} 60.0045",
        "vigie_jobs_run_seconds_count{region=\"eu\"} 3",
        "vigie_queue_jobs{region=\"eu\"} 0",
        "vigie_metrics_lines_sent_total{region=\"eu\"} 0",
    ] {
        assert!(text.lines().any(|said| said == line), "{line} is not in {text}");
    }
}
