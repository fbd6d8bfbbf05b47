//! The metrics registry: names, kinds, units and helps are declared in tables; what was
//! recorded is rendered for Prometheus, sent to statsd, or logged. Labels are bounded by the declaring crate: no project or issue ids.

mod fan;
pub mod forward;
pub mod push;

use fan::Fan;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use push::{Push, PushConfig};
use std::sync::Arc;

pub use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// What a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The declaration of one metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// `vigie_<area>_<noun>_<unit>`, counters with `_total`.
    pub name: &'static str,
    pub kind: Kind,
    pub unit: &'static str,
    pub help: &'static str,
    pub labels: &'static [&'static str],
    /// The most label combinations there can be.
    pub series_max: usize,
}

/// Where metrics go.
#[derive(Clone, Debug)]
pub struct Backends {
    /// Kept to be asked for, at `/metrics`.
    pub has_prometheus: bool,
    /// Sent by `Registry::flush`.
    pub push: Option<PushConfig>,
}

impl Backends {
    /// Returns the default: they are kept to be asked for.
    pub fn prometheus() -> Backends {
        Backends { has_prometheus: true, push: None }
    }
}

/// Renders and sends what was recorded.
#[derive(Clone)]
pub struct Registry {
    prometheus: Option<PrometheusHandle>,
    push: Option<Arc<Push>>,
}

/// The metrics recorder could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("install the metrics recorder: {0}")]
pub struct InstallError(String);

pub const METRICS: &[Metric] = &[
    Metric {
        name: "vigie_metrics_lines_sent_total",
        kind: Kind::Counter,
        unit: "lines",
        help: "Lines that were sent to statsd servers or the log",
        labels: &[],
        series_max: 1,
    },
    Metric {
        name: "vigie_metrics_lines_dropped_total",
        kind: Kind::Counter,
        unit: "lines",
        help: "Lines that no statsd server took, and samples and series beyond their bounds",
        labels: &[],
        series_max: 1,
    },
];

/// Seconds, from half a millisecond to ten seconds: wide enough for a disk that stalls.
const DURATION_BUCKETS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Installs the process-wide recorder and describes every metric of `tables`.
///
/// # Errors
/// If a recorder is installed already.
pub fn install(tables: &[&[Metric]], backends: Backends) -> Result<Registry, InstallError> {
    let Backends { has_prometheus, push } = backends;
    let prometheus = if has_prometheus { Some(prometheus()?) } else { None };
    let push = push.map(|config| Arc::new(Push::new(config)));
    let registry = Registry { prometheus: prometheus.as_ref().map(PrometheusRecorder::handle), push: push.clone() };
    metrics::set_global_recorder(Fan { prometheus, push }).map_err(|error| InstallError(error.to_string()))?;
    for metric in tables.iter().copied().flatten() {
        describe(metric);
    }
    Ok(registry)
}

fn prometheus() -> Result<PrometheusRecorder, InstallError> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BUCKETS)
        .map_err(|error| InstallError(error.to_string()))?;
    Ok(builder.build_recorder())
}

/// Metrics without labels show zero before their first event; a gauge that vanishes looks like a dead process.
fn describe(metric: &Metric) {
    match metric.kind {
        Kind::Counter => {
            metrics::describe_counter!(metric.name, metric.help);
            if metric.labels.is_empty() {
                counter!(metric.name).absolute(0);
            }
        }
        Kind::Gauge => {
            metrics::describe_gauge!(metric.name, metric.help);
            if metric.labels.is_empty() {
                gauge!(metric.name).set(0.0);
            }
        }
        Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
    }
}

impl Registry {
    /// Returns everything in Prometheus' text format.
    pub fn render(&self) -> String {
        match &self.prometheus {
            Some(prometheus) => prometheus.render(),
            None => "# prometheus is not among metrics.backends\n".to_owned(),
        }
    }

    /// Folds recorded samples into buckets; call it every few seconds, or memory grows with the samples.
    pub fn fold(&self) {
        if let Some(prometheus) = &self.prometheus {
            prometheus.run_upkeep();
        }
    }

    /// Tells whether anything is to be sent.
    pub fn is_pushing(&self) -> bool {
        self.push.is_some()
    }

    /// Sends what was gathered, where something is to be sent; call it every few seconds on a thread that may wait.
    pub fn flush(&self) {
        if let Some(push) = &self.push {
            let sent = push.flush();
            counter!("vigie_metrics_lines_sent_total").increment(sent.lines);
            counter!("vigie_metrics_lines_dropped_total").increment(sent.dropped);
        }
    }
}
