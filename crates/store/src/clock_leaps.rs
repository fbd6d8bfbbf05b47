//! Did the clock leap ahead? Retention goes by it, and a clock that is months ahead makes everything due. What lives leaves
//! marks: days that were opened, sweeps that began. A long time without any, which ended just now, is either a leap or an
//! installation that was off (or restored from a backup); only people can tell.
//!
//! Nothing is lost by doubting: sweeps wait until somebody agrees, or until the clock has gone on for `DOUBTED_FOR`.

use crate::{StoreError, settings};
use db::Tx;
use std::time::Duration;
use stdx::Timestamp;

const SETTING: &str = "retention.clock-leap";
/// A time without marks that may be a leap. Shorter ones are holidays, and cost as many days of events at most.
const LEAP_MIN: Duration = Duration::from_secs(14 * 24 * 3_600);
/// After this time under the new clock it is believed: somebody has seen it by then, or nobody looks.
pub const DOUBTED_FOR: Duration = Duration::from_secs(3 * 24 * 3_600);

/// A time without marks that ended less than `DOUBTED_FOR` ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leap {
    /// The last mark before it.
    pub from: Timestamp,
    /// The first mark after it; now, if there is none.
    pub to: Timestamp,
}

/// A leap for which a sweep was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Doubt {
    pub from: Timestamp,
    pub to: Timestamp,
    /// When a sweep was first refused for it; a mark, too.
    pub at: Timestamp,
    /// Somebody has said that the clock is right.
    pub is_settled: bool,
}

impl Leap {
    /// In words, for messages and pages.
    pub fn text(&self) -> String {
        let days = self.to.since(self.from).as_secs() / (24 * 3_600);
        let [from, to] = [self.from, self.to].map(|time| time.to_rfc3339());
        format!("nothing is known of the {days} days from {from} to {to}: the clock may have leapt ahead")
    }

    /// Until when it is doubted.
    pub fn doubted_until(&self) -> Timestamp {
        self.to.plus(DOUBTED_FOR)
    }
}

/// Returns the leap that a sweep has to doubt; `None` if there is none, or people have said that the clock is right.
///
/// # Errors
/// If the database fails.
pub fn find(tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Leap>, StoreError> {
    let doubt = last(tx)?.filter(|doubt| doubt.at <= now);
    let mut marks = marks(tx, now)?;
    marks.extend(doubt.map(|doubt| doubt.at));
    let since = now.minus(DOUBTED_FOR);
    let Some(from) = marks.iter().copied().filter(|mark| *mark <= since).max() else { return Ok(None) };
    let to = marks.into_iter().filter(|mark| *mark > since).min().unwrap_or(now);
    let is_settled = doubt.is_some_and(|doubt| doubt.is_settled && doubt.from == from);
    Ok((to.since(from) >= LEAP_MIN && !is_settled).then_some(Leap { from, to }))
}

/// Notes that a sweep was refused for a leap.
///
/// # Errors
/// If the database fails.
pub fn doubt(tx: &mut Tx<'_>, leap: &Leap, now: Timestamp) -> Result<(), StoreError> {
    if last(tx)?.is_some_and(|doubt| doubt.from == leap.from && doubt.at <= now) {
        return Ok(());
    }
    write(tx, &Doubt { from: leap.from, to: leap.to, at: now, is_settled: false }, now)
}

/// Notes that somebody has said that the clock is right.
///
/// # Errors
/// If the database fails.
pub fn settle(tx: &mut Tx<'_>, leap: &Leap, now: Timestamp) -> Result<(), StoreError> {
    let at = last(tx)?.filter(|doubt| doubt.from == leap.from && doubt.at <= now).map_or(now, |doubt| doubt.at);
    write(tx, &Doubt { from: leap.from, to: leap.to, at, is_settled: true }, now)
}

/// Returns the last leap that a sweep was refused for; `None` if none was, or a later release wrote it in words of its own.
///
/// # Errors
/// If the database fails.
pub fn last(tx: &mut Tx<'_>) -> Result<Option<Doubt>, StoreError> {
    Ok(settings::get(tx, SETTING)?.and_then(|text| serde_json::from_str(&text).ok()))
}

fn write(tx: &mut Tx<'_>, doubt: &Doubt, now: Timestamp) -> Result<(), StoreError> {
    let text = serde_json::to_string(doubt).expect("plain data is JSON");
    settings::set(tx, SETTING, &text, now)
}

/// One a day at most for each kind, as long as retention of sweeps goes back. What a clock that was ahead has left is no mark.
fn marks(tx: &mut Tx<'_>, now: Timestamp) -> Result<Vec<Timestamp>, StoreError> {
    let rows: Vec<(Timestamp,)> = tx.query(
        "SELECT created_at FROM event_day WHERE created_at <= $1
         UNION SELECT started_at FROM retention_sweep WHERE started_at <= $1",
        &[db::Val::from(now)],
    )?;
    Ok(rows.into_iter().map(|(at,)| at).collect())
}
