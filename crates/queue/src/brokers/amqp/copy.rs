//! The ledger for a backup: what is nowhere but in it, namely delayed and parked jobs, dead letters, and which queues there
//! are. A job whose message RabbitMQ has is left out: brought back without its message it would wait for ever, and a
//! message that comes without its row is run all the same.

use super::tables::unsent;
use crate::QueueError;
use db::Snapshot;
use std::path::Path;

/// The ledger as it stood at one moment.
pub struct LedgerCopy(Snapshot);

impl LedgerCopy {
    /// Holds a ledger as it stands now; `None` if there is none. Nothing is created.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn of(path: &Path) -> Result<Option<LedgerCopy>, QueueError> {
        Ok(Snapshot::of_sqlite(path)?.map(LedgerCopy))
    }

    /// Writes it to a new file, which is not flushed.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub fn copy_to(&self, path: &Path) -> Result<(), QueueError> {
        self.0.copy_changed(path, unsent::forget_sent)
    }
}
