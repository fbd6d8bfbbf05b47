//! The name by which a server knows the installation that this ledger belongs to.

use crate::QueueError;
use db::{Tx, Val};

/// Another process may have been first, and its word stands.
pub(in super::super) fn name(tx: &mut Tx<'_>, id: &str) -> Result<(), QueueError> {
    tx.execute(
        "INSERT INTO queue_installation (number, id) VALUES (1, $1) ON CONFLICT (number) DO NOTHING",
        &[Val::Text(id)],
    )?;
    Ok(())
}

pub(in super::super) fn id(tx: &mut Tx<'_>) -> Result<Option<String>, QueueError> {
    let row: Option<(String,)> = tx.query_opt("SELECT id FROM queue_installation WHERE number = 1", &[])?;
    Ok(row.map(|(id,)| id))
}
