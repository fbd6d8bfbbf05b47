//! Metrics of the pipeline. No project or issue ids in labels.

use telemetry::metrics::{Kind, Metric, counter, histogram};

pub const METRICS: &[Metric] = &[
    Metric {
        name: "vigie_digest_events_total",
        kind: Kind::Counter,
        unit: "events",
        help: "Events whose job was digested, by fate",
        labels: &["fate"],
        series_max: 6,
    },
    Metric {
        name: "vigie_digest_batch_duration_seconds",
        kind: Kind::Histogram,
        unit: "seconds",
        help: "Time of one digest batch, by stage",
        labels: &["stage"],
        series_max: 4,
    },
    Metric {
        name: "vigie_digest_issues_created_total",
        kind: Kind::Counter,
        unit: "issues",
        help: "Issues created by a first event",
        labels: &[],
        series_max: 1,
    },
    Metric {
        name: "vigie_digest_issues_regressed_total",
        kind: Kind::Counter,
        unit: "issues",
        help: "Resolved issues reopened by a newer event",
        labels: &[],
        series_max: 1,
    },
    Metric {
        name: "vigie_cleanup_duration_seconds",
        kind: Kind::Histogram,
        unit: "seconds",
        help: "Time of one sweep of retention, by who asked for it (`cleanup.duration`)",
        labels: &["origin"],
        series_max: 2,
    },
];

/// Records how long a sweep took.
pub fn record_cleanup(origin: &'static str, took: std::time::Duration) {
    histogram!("vigie_cleanup_duration_seconds", "origin" => origin).record(took.as_secs_f64());
}

pub(crate) fn count_events(fate: &'static str, count: usize) {
    counter!("vigie_digest_events_total", "fate" => fate).increment(count as u64);
}

pub(crate) fn record_stage(stage: &'static str, took: std::time::Duration) {
    histogram!("vigie_digest_batch_duration_seconds", "stage" => stage).record(took.as_secs_f64());
}

pub(crate) fn count_issues(created: usize, regressed: usize) {
    counter!("vigie_digest_issues_created_total").increment(created as u64);
    counter!("vigie_digest_issues_regressed_total").increment(regressed as u64);
}
