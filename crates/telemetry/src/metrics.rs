//! The metrics registry: names, kinds, units and helps are declared in tables; the Prometheus text is rendered from
//! what was recorded. Labels are bounded by the declaring crate: no project or issue ids.

pub mod forward;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

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

/// Renders what was recorded.
#[derive(Clone)]
pub struct Registry(PrometheusHandle);

/// The metrics recorder could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("install the metrics recorder: {0}")]
pub struct InstallError(String);

/// Seconds, from half a millisecond to ten seconds: wide enough for a disk that stalls.
const DURATION_BUCKETS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Installs the process-wide recorder and describes every metric of `tables`.
///
/// # Errors
/// If a recorder is installed already.
pub fn install(tables: &[&[Metric]]) -> Result<Registry, InstallError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BUCKETS)
        .map_err(|error| InstallError(error.to_string()))?
        .install_recorder()
        .map_err(|error| InstallError(error.to_string()))?;
    for metric in tables.iter().copied().flatten() {
        describe(metric);
    }
    Ok(Registry(handle))
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
        self.0.render()
    }

    /// Folds recorded samples into buckets; call it every few seconds, or memory grows with the samples.
    pub fn fold(&self) {
        self.0.run_upkeep();
    }
}
