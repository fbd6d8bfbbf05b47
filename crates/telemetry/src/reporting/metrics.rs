//! What became of reports, in the names that operators of Sentry know.

use crate::metrics::{Kind, Metric, counter};

const CAPTURED_UPSTREAM: &str = "internal_captured_events_upstream_total";
const CAPTURED_RELAY: &str = "internal_captured_events_relay_total";
const UNCAPTURED_RELAY: &str = "internal_uncaptured_events_relay_total";
const SENT_UPSTREAM: &str = "internal_sent_requests_upstream_events_total";
const SENT_RELAY: &str = "internal_sent_requests_relay_events_total";
const DROPPED: &str = "internal_dropped_events_total";

/// Every metric of this module.
pub const METRICS: &[Metric] = &[
    Metric {
        name: CAPTURED_UPSTREAM,
        kind: Kind::Counter,
        unit: "reports",
        help: "Reports on Vigie itself that were to go upstream",
        labels: &[],
        series_max: 1,
    },
    Metric {
        name: CAPTURED_RELAY,
        kind: Kind::Counter,
        unit: "reports",
        help: "Reports on Vigie itself that were to go to the relay",
        labels: &[],
        series_max: 1,
    },
    Metric {
        name: UNCAPTURED_RELAY,
        kind: Kind::Counter,
        unit: "reports",
        help: "Reports on Vigie itself that were kept from the relay, by reason: self, rate",
        labels: &["reason"],
        series_max: 2,
    },
    Metric {
        name: SENT_UPSTREAM,
        kind: Kind::Counter,
        unit: "requests",
        help: "Requests with a report that were answered upstream, by status",
        labels: &["status"],
        series_max: 60,
    },
    Metric {
        name: SENT_RELAY,
        kind: Kind::Counter,
        unit: "requests",
        help: "Reports that the relay answered, by status",
        labels: &["status"],
        series_max: 60,
    },
    Metric {
        name: DROPPED,
        kind: Kind::Counter,
        unit: "reports",
        help: "Reports that were captured and not sent, by destination and reason: full, limited, unreachable, rate",
        labels: &["destination", "reason"],
        series_max: 8,
    },
];

pub(super) fn captured(is_upstream: bool) {
    counter!(if is_upstream { CAPTURED_UPSTREAM } else { CAPTURED_RELAY }).increment(1);
}

pub(super) fn uncaptured(reason: &'static str) {
    counter!(UNCAPTURED_RELAY, "reason" => reason).increment(1);
}

pub(super) fn sent(is_upstream: bool, status: u16) {
    counter!(if is_upstream { SENT_UPSTREAM } else { SENT_RELAY }, "status" => status.to_string()).increment(1);
}

pub(super) fn dropped(destination: &'static str, reason: &'static str) {
    counter!(DROPPED, "destination" => destination, "reason" => reason).increment(1);
}
