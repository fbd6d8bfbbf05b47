//! Vigie's own metrics, kept by hour in its own store: each process adds what grew in it, every minute and at its end.

use std::sync::Arc;
use std::time::Duration;
use stdx::component::ComponentError;
use stdx::{Clock, Hour, Shutdown};
use store::Stores;
use store::internal_series::{self, HourRow};
use telemetry::metrics::Registry;
use telemetry::metrics::growth::{Growth, Marks};
use tokio::sync::Mutex;

/// Pause between two writings: what a killed process forgets.
const WRITE_EVERY: Duration = Duration::from_secs(60);

/// What this process adds to the store.
pub struct History {
    registry: Registry,
    stores: Arc<Stores>,
    clock: Arc<dyn Clock>,
    /// Up to where it has been written.
    marks: Mutex<Marks>,
}

impl History {
    pub fn new(registry: Registry, stores: Arc<Stores>, clock: Arc<dyn Clock>) -> Arc<History> {
        Arc::new(History { registry, stores, clock, marks: Mutex::default() })
    }

    /// Writes every minute until the process is to end; what its last work recorded is for `write`.
    pub async fn keep_writing(self: Arc<History>, shutdown: Shutdown) -> Result<(), ComponentError> {
        loop {
            tokio::select! {
                () = shutdown.triggered() => return Ok(()),
                () = tokio::time::sleep(WRITE_EVERY) => self.write().await,
            }
        }
    }

    /// Writes what grew since the last time. A process at rest writes nothing; what the store does not take is written
    /// the next time.
    pub async fn write(&self) {
        let mut marks = self.marks.lock().await;
        let mut moved = marks.clone();
        let hour = self.clock.now().hour();
        let rows = rows(self.registry.growth(&mut moved), hour);
        if rows.is_empty() {
            return;
        }
        match self.stores.db.write(move |tx| internal_series::add(tx, &rows)).await {
            Ok(()) => *marks = moved,
            Err(error) => {
                tracing::warn!(error = %stdx::causes::on_one_line(&error), "metrics not kept in the store, tried again");
            }
        }
    }
}

fn rows(grown: Vec<Growth>, hour: Hour) -> Vec<HourRow> {
    let count = |count| i64::try_from(count).unwrap_or(i64::MAX);
    let row = |growth: Growth| HourRow { hour, series: growth.series, count: count(growth.count), sum: growth.sum };
    grown.into_iter().map(row).collect()
}
