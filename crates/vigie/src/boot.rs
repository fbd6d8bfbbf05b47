//! Boot as a named list of steps, each timed, so that `status` and the log say what took how long and what failed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One step of boot, as it ended.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Step {
    pub name: &'static str,
    pub ms: f64,
    pub outcome: String,
}

/// The steps so far. Copies see what is recorded later.
#[derive(Clone, Debug, Default)]
pub struct Boot(Arc<Mutex<Vec<Step>>>);

impl Boot {
    /// Runs a step and records how long it took and how it ended.
    ///
    /// # Errors
    /// The step's own error, after it was recorded.
    pub fn step<T>(&mut self, name: &'static str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let started = Instant::now();
        let result = work();
        let outcome = match &result {
            Ok(_) => "done".to_owned(),
            Err(error) => format!("failed: {error:#}"),
        };
        self.record(name, started.elapsed(), outcome);
        result
    }

    /// Runs a step that ends with something to be said of it.
    ///
    /// # Errors
    /// The step's own error, after it was recorded.
    pub fn note(&mut self, name: &'static str, work: impl FnOnce() -> anyhow::Result<String>) -> anyhow::Result<()> {
        let started = Instant::now();
        let result = work();
        let outcome = match &result {
            Ok(text) => text.clone(),
            Err(error) => format!("failed: {error:#}"),
        };
        self.record(name, started.elapsed(), outcome);
        result.map(|_| ())
    }

    /// Says in one line of the log how the start went.
    pub fn tell(&self, role: &'static str) {
        let steps = self.steps();
        let took_ms: f64 = steps.iter().map(|step| step.ms).sum();
        let slowest = steps.iter().max_by(|left, right| left.ms.total_cmp(&right.ms)).map_or("none", |step| step.name);
        tracing::info!(role, took_ms = took_ms.round(), steps = steps.len(), slowest, "started");
    }

    /// Returns the steps so far, in order.
    pub fn steps(&self) -> Vec<Step> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Step>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&mut self, name: &'static str, took: Duration, outcome: String) {
        tracing::debug!(step = name, took_ms = took.as_millis() as u64, outcome, "boot step ended");
        self.lock().push(Step { name, ms: (took.as_secs_f64() * 10_000.0).round() / 10.0, outcome });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_is_recorded_with_its_reason() {
        let mut boot = Boot::default();
        let failed = boot.step("stores", || -> anyhow::Result<()> { anyhow::bail!("no room") });
        assert!(failed.is_err());
        assert_eq!(boot.steps()[0].outcome, "failed: no room");
    }
}
