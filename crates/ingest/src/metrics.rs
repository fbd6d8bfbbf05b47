//! Metrics of ingest. No project or key in labels; reasons are a closed set.

use telemetry::metrics::{Kind, Metric, gauge, incr, timing};

pub const METRICS: &[Metric] = &[
    Metric {
        name: "vigie_ingest_requests_accepted_total",
        kind: Kind::Counter,
        unit: "requests",
        help: "Requests answered with 200 after their job was durable",
        labels: &[],
        series_max: 1,
    },
    Metric {
        name: "vigie_ingest_requests_refused_total",
        kind: Kind::Counter,
        unit: "requests",
        help: "Requests answered with an error, by reason",
        labels: &["reason"],
        series_max: 40,
    },
    Metric {
        name: "vigie_ingest_accept_duration_seconds",
        kind: Kind::Histogram,
        unit: "seconds",
        help: "Time from a complete head to the answer of an accepted request",
        labels: &[],
        series_max: 1,
    },
    Metric {
        name: "vigie_ingest_bytes_in_flight",
        kind: Kind::Gauge,
        unit: "bytes",
        help: "Request bodies held in memory",
        labels: &[],
        series_max: 1,
    },
];

pub(crate) fn count_accepted() {
    incr("vigie_ingest_requests_accepted_total", 1, &[]);
}

pub(crate) fn count_refused(reason: &'static str) {
    incr("vigie_ingest_requests_refused_total", 1, &[("reason", reason)]);
}

pub(crate) fn record_accept(took: std::time::Duration) {
    timing("vigie_ingest_accept_duration_seconds", took, &[]);
}

pub(crate) fn set_bytes_in_flight(bytes: usize) {
    gauge("vigie_ingest_bytes_in_flight", bytes as f64, &[]);
}
