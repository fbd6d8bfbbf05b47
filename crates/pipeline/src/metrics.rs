//! Metrics of the pipeline. No project or issue ids in labels.

use telemetry::metrics::{Kind, Metric, incr, timing};

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
        series_max: 3,
    },
];

/// Records how long a sweep took.
pub fn record_cleanup(origin: &'static str, took: std::time::Duration) {
    timing("vigie_cleanup_duration_seconds", took, &[("origin", origin)]);
}

pub(crate) fn count_events(fate: &'static str, count: usize) {
    incr("vigie_digest_events_total", count as u64, &[("fate", fate)]);
}

pub(crate) fn record_stage(stage: &'static str, took: std::time::Duration) {
    timing("vigie_digest_batch_duration_seconds", took, &[("stage", stage)]);
}

pub(crate) fn count_issues(created: usize, regressed: usize) {
    incr("vigie_digest_issues_created_total", created as u64, &[]);
    incr("vigie_digest_issues_regressed_total", regressed as u64, &[]);
}
