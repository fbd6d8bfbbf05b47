//! Metrics: names, kinds, units and helps are declared in tables; code records by `incr`, `gauge`, `timing`, `distribution`
//! and `timer`; what was recorded is rendered for Prometheus, sent to statsd, or logged. A record goes to the thread's own
//! slot, a timer gathers the slots into series, and backends are told of series: the three know nothing of each other's pace.

pub mod forward;
pub mod growth;
mod hub;
mod key;
mod prometheus;
pub mod push;
mod record;
mod series;
mod slot;
#[cfg(test)]
mod tests;

pub use key::Tags;
pub use record::{RESULT_LABEL, Timer, distribution, gauge, incr, timer, timing};

use hub::Hub;
use push::{Push, PushConfig};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};

/// What a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
    /// The most label combinations there can be; what is beyond is counted in one whose values are `other`.
    pub series_max: usize,
}

/// Where metrics go.
#[derive(Clone, Debug)]
pub struct Backends {
    /// Kept to be asked for, at `/metrics`.
    pub has_prometheus: bool,
    /// Sent by `Registry::flush`.
    pub push: Option<PushConfig>,
    /// Labels of every series.
    pub tags: Vec<(String, String)>,
}

impl Backends {
    /// Returns the default: they are kept to be asked for.
    pub fn prometheus() -> Backends {
        Backends { has_prometheus: true, push: None, tags: Vec::new() }
    }
}

/// Renders and sends what was recorded.
#[derive(Clone)]
pub struct Registry {
    hub: Arc<Hub>,
    has_prometheus: bool,
    tags: Arc<[(String, String)]>,
    push: Option<Arc<Push>>,
}

/// Metrics are installed once in a process.
#[derive(Debug, thiserror::Error)]
#[error("install metrics: they were installed before in this process")]
pub struct InstallError;

/// What records go to.
static HUB: OnceLock<Arc<Hub>> = OnceLock::new();

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
        help: "Lines that no statsd server took, and samples beyond their bound between two sendings",
        labels: &[],
        series_max: 1,
    },
    Metric {
        name: "vigie_metrics_records_merged_total",
        kind: Kind::Counter,
        unit: "records",
        help: "Records beyond their metric's bound of label combinations, counted in the one whose labels say other",
        labels: &[],
        series_max: 1,
    },
];

/// Installs the process's metrics.
///
/// # Errors
/// If they are installed already.
pub fn install(tables: &[&'static [Metric]], backends: Backends) -> Result<Registry, InstallError> {
    let mut registry = install_hub(tables, backends.push.as_ref().map(|push| push.sample_rate))?;
    registry.hub.show_zeroes();
    registry.has_prometheus = backends.has_prometheus;
    registry.tags = backends.tags.into();
    registry.push = backends.push.map(|config| Arc::new(Push::new(config)));
    Ok(registry)
}

fn install_hub(tables: &[&'static [Metric]], sample_rate: Option<f64>) -> Result<Registry, InstallError> {
    let hub = Arc::new(Hub::new(tables, sample_rate));
    HUB.set(hub.clone()).map_err(|_| InstallError)?;
    Ok(Registry { hub, has_prometheus: false, tags: Arc::default(), push: None })
}

impl Kind {
    /// Returns its name, in Prometheus' words too.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

impl Registry {
    /// Returns everything in Prometheus' text format.
    pub fn render(&self) -> String {
        if !self.has_prometheus {
            return "# prometheus is not among metrics.backends\n".to_owned();
        }
        self.gather();
        prometheus::render(&self.hub, &self.tags)
    }

    /// Brings together what threads have recorded; call it every few seconds, which also frees what ended threads left.
    pub fn gather(&self) {
        self.hub.gather();
    }

    /// Tells whether anything is to be sent.
    pub fn is_pushing(&self) -> bool {
        self.push.is_some()
    }

    /// Sends what was recorded, where something is to be sent; call it every few seconds on a thread that may wait.
    pub fn flush(&self) {
        self.gather();
        if let Some(push) = &self.push {
            let sent = push.flush(&self.hub);
            incr("vigie_metrics_lines_sent_total", sent.lines, &[]);
            incr("vigie_metrics_lines_dropped_total", sent.dropped, &[]);
        }
    }
}
