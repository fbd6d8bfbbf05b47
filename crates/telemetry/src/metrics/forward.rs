//! Metrics that are recorded in one process and shown by another: a child process tells what it recorded after each run,
//! and the process that renders and sends takes it over.

use super::key::Key;
use super::series::Change;
use super::{HUB, InstallError, Kind, Metric, Registry};
use serde::{Deserialize, Serialize};

/// A line of a report; a report outlives no process, so its shape has no version.
#[derive(Serialize, Deserialize)]
struct Line {
    name: String,
    labels: Vec<(String, String)>,
    kind: Kind,
    change: Change,
}

/// Tells what this process recorded.
pub struct Notes(Registry);

/// Installs the metrics of a process that tells another, which sends `sample_rate` of a histogram's samples one by one;
/// `None`: it sends none.
///
/// # Errors
/// If metrics are installed already.
pub fn install(tables: &[&'static [Metric]], sample_rate: Option<f64>) -> Result<Notes, InstallError> {
    Ok(Notes(super::install_hub(tables, sample_rate)?))
}

impl Notes {
    /// Returns what was recorded since the last report; empty if nothing was.
    pub fn report(&self) -> Vec<u8> {
        self.0.gather();
        // A level is told once: said again, it would hide what the other process has set since.
        let told = self.0.hub.series().into_iter().map(|series| {
            let level = series.level.take();
            (Change { level, ..series.tell() }, series)
        });
        let told = told.filter(|(change, _)| !change.is_empty());
        let lines: Vec<Line> = told
            .map(|(change, series)| Line {
                name: series.key.name().to_owned(),
                labels: series.key.labels().map(|(label, value)| (label.to_owned(), value.to_owned())).collect(),
                kind: series.kind,
                change,
            })
            .collect();
        if lines.is_empty() {
            return Vec::new();
        }
        serde_json::to_vec(&lines).expect("texts and numbers can be written")
    }
}

/// Takes over what another process reported. What cannot be read is passed over: metrics stop nothing.
pub fn record(report: &[u8]) {
    let Some(hub) = HUB.get() else { return };
    let lines: Vec<Line> = serde_json::from_slice(report).unwrap_or_default();
    for line in lines {
        let labels = line.labels.into_iter().map(|(label, value)| (label.into(), value)).collect();
        hub.absorb(Key::new(line.name.into(), labels), line.kind, line.change);
    }
}
