//! What became of reports, in the names that operators of Sentry know.

use crate::metrics::{Kind, Metric, incr};

/// Every metric of this module.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "internal_captured_events_upstream_total",
        kind: Kind::Counter,
        unit: "reports",
        help: "Reports on Vigie itself that were to go upstream",
        labels: &[],
        series_max: 1,
    },
    Metric {
        name: "internal_captured_events_relay_total",
        kind: Kind::Counter,
        unit: "reports",
        help: "Reports on Vigie itself that were to go to the relay",
        labels: &[],
        series_max: 1,
    },
    Metric {
        name: "internal_uncaptured_events_relay_total",
        kind: Kind::Counter,
        unit: "reports",
        help: "Reports on Vigie itself that were kept from the relay, by reason: self, rate",
        labels: &["reason"],
        series_max: 2,
    },
    Metric {
        name: "internal_uncaptured_events_upstream_total",
        kind: Kind::Counter,
        unit: "reports",
        help: "Reports on Vigie itself that were kept from upstream, by reason: self, rate",
        labels: &["reason"],
        series_max: 2,
    },
    Metric {
        name: "internal_sent_requests_upstream_events_total",
        kind: Kind::Counter,
        unit: "requests",
        help: "Requests with a report that were answered upstream, by status",
        labels: &["status"],
        series_max: 60,
    },
    Metric {
        name: "internal_sent_requests_relay_events_total",
        kind: Kind::Counter,
        unit: "requests",
        help: "Reports that the relay answered, by status",
        labels: &["status"],
        series_max: 60,
    },
    Metric {
        name: "internal_dropped_events_total",
        kind: Kind::Counter,
        unit: "reports",
        help: "Reports that were captured and not sent, by destination and reason: full, limited, unreachable, stopped",
        labels: &["destination", "reason"],
        series_max: 8,
    },
];

pub(super) fn captured(is_upstream: bool) {
    let (upstream, relay) = ("internal_captured_events_upstream_total", "internal_captured_events_relay_total");
    incr(if is_upstream { upstream } else { relay }, 1, &[]);
}

pub(super) fn uncaptured(is_upstream: bool, reason: &'static str) {
    let (upstream, relay) = ("internal_uncaptured_events_upstream_total", "internal_uncaptured_events_relay_total");
    incr(if is_upstream { upstream } else { relay }, 1, &[("reason", reason)]);
}

pub(super) fn sent(is_upstream: bool, status: u16) {
    let (upstream, relay) =
        ("internal_sent_requests_upstream_events_total", "internal_sent_requests_relay_events_total");
    incr(if is_upstream { upstream } else { relay }, 1, &[("status", &status.to_string())]);
}

pub(super) fn dropped(destination: &'static str, reason: &'static str) {
    incr("internal_dropped_events_total", 1, &[("destination", destination), ("reason", reason)]);
}
