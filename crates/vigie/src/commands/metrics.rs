//! `vigie metrics catalogue`: every metric that is declared, from the tables that the processes install. It needs no
//! configuration and no store, and creates none.

use super::{output, unknown};
use crate::cli::MetricsCommand;
use crate::metrics::TABLES;
use serde_json::json;
use std::process::ExitCode;
use telemetry::metrics::{Kind, Metric};

const NOT_YET: &[&str] = &["test"];

pub fn run(command: &MetricsCommand) -> anyhow::Result<ExitCode> {
    let listing = match command {
        MetricsCommand::Catalogue(listing) => listing,
        MetricsCommand::Unknown(words) => {
            let name = words.first().map(String::as_str).unwrap_or_default();
            anyhow::ensure!(!NOT_YET.contains(&name), "'metrics {name}' is not built yet (README, \"Not yet\")");
            return Err(unknown("metrics command", words));
        }
    };
    let metrics = catalogue();
    if listing.json {
        output::json(&metrics.iter().copied().map(shape).collect())?;
    } else {
        let rows: Vec<Vec<String>> = metrics.iter().copied().map(row).collect();
        output::table(&["METRIC", "KIND", "UNIT", "LABELS", "MEANING"], &rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Every declared metric, by name.
fn catalogue() -> Vec<&'static Metric> {
    let mut metrics: Vec<&'static Metric> = TABLES.iter().copied().flatten().collect();
    metrics.sort_by_key(|metric| metric.name);
    metrics
}

fn shape(metric: &Metric) -> serde_json::Value {
    json!({
        "name": metric.name, "kind": kind(metric.kind), "unit": metric.unit, "labels": metric.labels,
        "series_max": metric.series_max, "help": metric.help,
    })
}

fn row(metric: &Metric) -> Vec<String> {
    let cells = [metric.name, kind(metric.kind), metric.unit, &metric.labels.join(", "), metric.help];
    cells.map(str::to_owned).to_vec()
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_declared_metric_is_listed_once_and_bears_no_id() {
        let metrics = catalogue();
        assert_eq!(metrics.len(), TABLES.iter().map(|table| table.len()).sum::<usize>());
        for pair in metrics.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} is declared twice", pair[0].name);
        }
        for metric in metrics {
            assert!(!metric.help.is_empty() && !metric.unit.is_empty(), "{}", metric.name);
            for &label in metric.labels {
                let is_id = label.ends_with("_id") || ["event", "project", "group"].contains(&label);
                assert!(!is_id, "{} has the label {label}", metric.name);
            }
        }
    }
}
