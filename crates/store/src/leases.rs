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

/// Gives a lease back. Returns whether `holder` had it until now: what a transaction does under a lease it does with this,
/// so that of two that believe to have it one is told.
///
/// # Errors
/// If the database fails.
pub fn give_back(tx: &mut Tx<'_>, name: &str, holder: &str, now: Timestamp) -> Result<bool, StoreError> {
    let key = format!("lease.{name}");
    let Some(held) = settings::get(tx, &key)? else { return Ok(false) };
    let Some((other, until)) = held.rsplit_once(' ') else { return Ok(false) };
    if other != holder {
        return Ok(false);
    }
    settings::delete_if(tx, &key, &held)?;
    Ok(Timestamp::from_micros(until.parse().unwrap_or(0)) > now)
}
