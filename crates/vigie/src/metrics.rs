//! The binary's own metrics, and the list of everybody's.

use queue::Broker;
use telemetry::metrics::{Kind, Metric, gauge};

pub const METRICS: &[Metric] = &[
    Metric {
        name: "vigie_queue_jobs",
        kind: Kind::Gauge,
        unit: "jobs",
        help: "Jobs in the queue by queue and state",
        labels: &["queue", "state"],
        series_max: 100,
    },
    Metric {
        name: "vigie_queue_oldest_age_seconds",
        kind: Kind::Gauge,
        unit: "seconds",
        help: "Age of the oldest job that is ready",
        labels: &["queue"],
        series_max: 20,
    },
    Metric {
        name: "vigie_process_resident_bytes",
        kind: Kind::Gauge,
        unit: "bytes",
        help: "Memory of this process that is in RAM",
        labels: &[],
        series_max: 1,
    },
];

/// Every table of the binary.
pub const TABLES: &[&[Metric]] = &[METRICS, ingest::metrics::METRICS, pipeline::metrics::METRICS];

/// Sets the gauges that are looked at rather than counted; called before each rendering.
pub fn look(broker: &dyn Broker) {
    for depth in broker.depths().unwrap_or_default() {
        let counts = [
            ("ready", depth.ready),
            ("delayed", depth.delayed),
            ("leased", depth.leased),
            ("dead", depth.dead),
            ("parked", depth.parked),
        ];
        for (state, count) in counts {
            gauge!("vigie_queue_jobs", "queue" => depth.queue.clone(), "state" => state).set(count as f64);
        }
        let age = depth.oldest_age.unwrap_or_default().as_secs_f64();
        gauge!("vigie_queue_oldest_age_seconds", "queue" => depth.queue.clone()).set(age);
    }
    if let Some(bytes) = crate::host::resident_bytes() {
        gauge!("vigie_process_resident_bytes").set(bytes as f64);
    }
}
