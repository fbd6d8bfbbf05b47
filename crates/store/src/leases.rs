//! Leases by name in the metadata: one process at a time does a piece of upkeep. Whoever dies is followed by another when
//! its lease ends.

use crate::{StoreError, settings};
use db::Tx;
use std::time::Duration;
use stdx::Timestamp;

/// Takes or extends a lease. Returns whether `holder` has it now.
///
/// # Errors
/// If the database fails.
pub fn take(tx: &mut Tx<'_>, name: &str, holder: &str, now: Timestamp, length: Duration) -> Result<bool, StoreError> {
    let key = format!("lease.{name}");
    let held = settings::get(tx, &key)?;
    let (other, until) = held.as_deref().and_then(|held| held.rsplit_once(' ')).unwrap_or_default();
    let until = Timestamp::from_micros(until.parse().unwrap_or(0));
    // One that ends too far ahead was written under a clock that ran ahead: it does not hold.
    let holds = until > now && until <= now.plus(length);
    if other != holder && holds {
        return Ok(false);
    }
    settings::set(tx, &key, &format!("{holder} {}", now.plus(length).micros()), now)?;
    Ok(true)
}
