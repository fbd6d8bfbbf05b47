//! Metrics that are recorded in one process and shown by another: a child process notes what was recorded, tells it after
//! each run, and the process that renders records it again.

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Label, Level, Metadata, Recorder,
    SharedString, Unit,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Samples of one histogram between two reports; more are dropped, the first are kept.
const SAMPLES_MAX: usize = 10_000;
const METADATA: Metadata<'static> = Metadata::new("child", Level::INFO, None);

/// What was recorded since the last report.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<HashMap<Key, Arc<Note>>>>);

/// One metric with its labels.
#[derive(Default)]
struct Note(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    count: u64,
    gauge: Option<f64>,
    samples: Vec<f64>,
}

/// A line of a report; a report outlives no process, so its shape has no version.
#[derive(Serialize, Deserialize)]
struct Line {
    name: String,
    labels: Vec<(String, String)>,
    count: u64,
    gauge: Option<f64>,
    samples: Vec<f64>,
}

/// Installs the recorder of a process that tells another.
///
/// # Errors
/// If a recorder is installed already.
pub fn install() -> Result<Notes, super::InstallError> {
    let notes = Notes::default();
    metrics::set_global_recorder(notes.clone()).map_err(|error| super::InstallError(error.to_string()))?;
    Ok(notes)
}

impl Notes {
    /// Returns what was recorded since the last report, and forgets it.
    pub fn report(&self) -> Vec<u8> {
        let notes = lock(&self.0);
        let lines: Vec<Line> =
            notes.iter().filter_map(|(key, note)| line(key, std::mem::take(&mut *lock(&note.0)))).collect();
        if lines.is_empty() {
            return Vec::new();
        }
        serde_json::to_vec(&lines).expect("texts and numbers can be written")
    }

    fn note(&self, key: &Key) -> Arc<Note> {
        lock(&self.0).entry(key.clone()).or_default().clone()
    }
}

fn line(key: &Key, noted: Noted) -> Option<Line> {
    let Noted { count, gauge, samples } = noted;
    if count == 0 && gauge.is_none() && samples.is_empty() {
        return None;
    }
    let labels = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
    Some(Line { name: key.name().to_owned(), labels, count, gauge, samples })
}

/// Records in this process what another reported. What cannot be read is passed over: metrics stop nothing.
pub fn record(report: &[u8]) {
    let lines: Vec<Line> = serde_json::from_slice(report).unwrap_or_default();
    metrics::with_recorder(|recorder| lines.into_iter().for_each(|line| record_line(recorder, line)));
}

fn record_line(recorder: &dyn Recorder, line: Line) {
    let labels: Vec<Label> = line.labels.into_iter().map(|(key, value)| Label::new(key, value)).collect();
    let key = Key::from_parts(line.name, labels);
    if line.count > 0 {
        recorder.register_counter(&key, &METADATA).increment(line.count);
    }
    if let Some(value) = line.gauge {
        recorder.register_gauge(&key, &METADATA).set(value);
    }
    if !line.samples.is_empty() {
        let histogram = recorder.register_histogram(&key, &METADATA);
        line.samples.into_iter().for_each(|sample| histogram.record(sample));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder for Notes {
    fn describe_counter(&self, _key: KeyName, _unit: Option<Unit>, _text: SharedString) {}
    fn describe_gauge(&self, _key: KeyName, _unit: Option<Unit>, _text: SharedString) {}
    fn describe_histogram(&self, _key: KeyName, _unit: Option<Unit>, _text: SharedString) {}

    fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.note(key))
    }

    fn register_gauge(&self, key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.note(key))
    }

    fn register_histogram(&self, key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.note(key))
    }
}

impl CounterFn for Note {
    fn increment(&self, value: u64) {
        lock(&self.0).count += value;
    }

    /// Of a counter that somebody else keeps; a child's would be another than its worker's.
    fn absolute(&self, _value: u64) {}
}

impl GaugeFn for Note {
    fn increment(&self, value: f64) {
        *lock(&self.0).gauge.get_or_insert(0.0) += value;
    }

    fn decrement(&self, value: f64) {
        GaugeFn::increment(self, -value);
    }

    fn set(&self, value: f64) {
        lock(&self.0).gauge = Some(value);
    }
}

impl HistogramFn for Note {
    fn record(&self, value: f64) {
        let mut noted = lock(&self.0);
        if noted.samples.len() < SAMPLES_MAX {
            noted.samples.push(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics::{counter, gauge, histogram, with_local_recorder};

    #[test]
    fn what_a_child_recorded_its_worker_shows_once() {
        let child = Notes::default();
        with_local_recorder(&child, || {
            counter!("events_total", "fate" => "stored").increment(3);
            counter!("events_total", "fate" => "stored").increment(1);
            gauge!("level").set(2.5);
            histogram!("took_seconds").record(0.25);
            histogram!("took_seconds").record(0.5);
        });
        let worker = Notes::default();
        with_local_recorder(&worker, || record(&child.report()));
        assert!(child.report().is_empty(), "it was told");
        let mut lines: Vec<Line> = serde_json::from_slice(&worker.report()).expect("lines");
        lines.sort_by(|left, right| left.name.cmp(&right.name));
        assert_eq!((lines[0].count, lines[0].labels[0].1.as_str()), (4, "stored"));
        assert_eq!((lines[1].gauge, lines[2].samples.as_slice()), (Some(2.5), &[0.25, 0.5][..]));
        record(b"not a report");
    }
}
