//! How much the process's counters and histograms grew since somebody looked last: what a time series is made of. Each who
//! looks has marks of its own.

use super::{Kind, Registry, prometheus};
use std::collections::HashMap;

/// How far somebody has looked.
#[derive(Clone, Default)]
pub struct Marks(HashMap<String, (u64, f64)>);

/// What is new of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Growth {
    /// `name{label="value"}`
    pub series: String,
    pub count: u64,
    /// Of a histogram's samples, in its unit; else 0.
    pub sum: f64,
}

impl Registry {
    /// Returns what has grown since `marks`, and moves them.
    pub fn growth(&self, marks: &mut Marks) -> Vec<Growth> {
        self.gather();
        let mut grown = Vec::new();
        for series in self.hub.series() {
            let total = series.total();
            let count = match series.kind {
                Kind::Counter => total.count,
                Kind::Histogram => total.counts.iter().sum(),
                Kind::Gauge => continue,
            };
            let name = prometheus::name(&series);
            let before = marks.0.insert(name.clone(), (count, total.sum)).unwrap_or_default();
            if count > before.0 {
                grown.push(Growth { series: name, count: count - before.0, sum: total.sum - before.1 });
            }
        }
        grown
    }
}
