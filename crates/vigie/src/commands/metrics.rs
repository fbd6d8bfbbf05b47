//! `vigie metrics catalogue`: every metric that is declared, from the tables that the processes install. `vigie metrics
//! test`: whether backends take a value. Neither needs a store.

use super::{output, unknown};
use crate::cli::MetricsCommand;
use crate::config::{Config, Flags};
use crate::metrics::TABLES;
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;
use telemetry::metrics::Metric;
use telemetry::metrics::push::{Push, PushConfig, Target};

/// A refusal of the first datagram is heard by the next one.
const TRIES: usize = 3;
const PAUSE: Duration = Duration::from_millis(100);

pub fn run(flags: &Flags, command: &MetricsCommand) -> anyhow::Result<ExitCode> {
    let listing = match command {
        MetricsCommand::Catalogue(listing) => listing,
        MetricsCommand::Test => return test(&Config::load(flags)?),
        MetricsCommand::Unknown(words) => return Err(unknown("metrics", words)),
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

/// Sends a test value by each backend on its own.
fn test(config: &Config) -> anyhow::Result<ExitCode> {
    let metrics = &config.metrics;
    if metrics.has_prometheus {
        output::line("prometheus: ask the running web role at /metrics")?;
    }
    let targets = metrics.push.iter().flat_map(|push| push.targets.iter().map(move |target| (push, *target)));
    let mut is_all_sent = true;
    for (push, target) in targets {
        let config = PushConfig { targets: vec![target], ..push.clone() };
        let dropped = tries(&Push::new(config));
        is_all_sent &= dropped == 0;
        let name = match target {
            Target::Statsd => format!("statsd at {} by UDP", push.address),
            Target::DogStatsd => format!("dogstatsd at {} by UDP", push.address),
            Target::Log => "logging".to_owned(),
        };
        output::line(&match (dropped, target) {
            (0, Target::Log) => format!("{name}: written"),
            (0, Target::Statsd | Target::DogStatsd) => {
                format!("{name}: {}metrics.test was sent and not refused; look for it there", push.prefix)
            }
            (_, _) => format!("{name}: refused: nobody listens there, or the name is not known"),
        })?;
    }
    if !metrics.has_prometheus && metrics.push.is_none() {
        output::line("metrics.backends is none: metrics go nowhere")?;
    }
    Ok(if is_all_sent { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns how many of the tries were refused.
fn tries(push: &Push) -> u64 {
    let mut dropped = 0;
    for attempt in 0..TRIES {
        if attempt > 0 {
            std::thread::sleep(PAUSE);
        }
        dropped += push.send_one("metrics.test").dropped;
    }
    dropped
}

/// Every declared metric, by name.
fn catalogue() -> Vec<&'static Metric> {
    let mut metrics: Vec<&'static Metric> = TABLES.iter().copied().flatten().collect();
    metrics.sort_by_key(|metric| metric.name);
    metrics
}

fn shape(metric: &Metric) -> serde_json::Value {
    json!({
        "name": metric.name, "kind": metric.kind.name(), "unit": metric.unit, "labels": metric.labels,
        "series_max": metric.series_max, "help": metric.help,
    })
}

fn row(metric: &Metric) -> Vec<String> {
    let cells = [metric.name, metric.kind.name(), metric.unit, &metric.labels.join(", "), metric.help];
    cells.map(str::to_owned).to_vec()
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
