//! The two witnesses, hour by hour. An hour that balances is kept, so that a look reads the others only; now and then all
//! are read, for a web process that could not reach the store for long adds its counts to an hour that was kept.

use super::{BalanceRow, HOURS};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stdx::{Hour, Timestamp};
use store::conservation::{AcceptedRow, SettledRow};

/// Pause between two looks that read all hours.
const WHOLE_EVERY: Duration = Duration::from_secs(60);
/// Hours that are always read: the one that runs, and the one before, whose last events are on their way.
const RUNNING: i64 = 2;
/// Hours ahead that are read: clocks of hosts differ.
const AHEAD: i64 = 1;

/// What the witnesses say of one hour.
#[derive(Clone, Debug, Default)]
pub(super) struct HourRows {
    pub by_project: BTreeMap<i64, BalanceRow>,
    /// Events that an operator took out of the queue and that nothing tells the project of.
    pub withdrawn: i64,
}

pub(super) type ByHour = BTreeMap<Hour, Arc<HourRows>>;

impl HourRows {
    fn balances(&self) -> bool {
        self.by_project.values().all(|row| row.in_flight() == 0)
    }
}

/// Puts the words of both witnesses together.
pub(super) fn by_hour(accepted: Vec<AcceptedRow>, settled: Vec<SettledRow>) -> ByHour {
    let mut hours: BTreeMap<Hour, HourRows> = BTreeMap::new();
    for row in accepted {
        let hour = hours.entry(row.hour).or_default();
        hour.by_project.entry(row.project_id).or_default().accepted += row.quantity;
    }
    for row in settled {
        let hour = hours.entry(row.hour).or_default();
        if row.project_id == 0 {
            hour.withdrawn += row.quantity;
            continue;
        }
        let balance = hour.by_project.entry(row.project_id).or_default();
        match row.outcome.as_str() {
            "stored" => balance.stored += row.quantity,
            "filtered" => balance.filtered += row.quantity,
            "duplicate" => balance.duplicate += row.quantity,
            "expired" => balance.expired += row.quantity,
            _ => balance.dead += row.quantity,
        }
    }
    hours.into_iter().map(|(hour, rows)| (hour, Arc::new(rows))).collect()
}

/// Hours that balanced when they were read.
#[derive(Default)]
pub(crate) struct Kept(Mutex<State>);

#[derive(Default)]
struct State {
    read_whole_at: Option<Timestamp>,
    hours: ByHour,
}

/// One look at the hours.
pub(super) struct Reading {
    at: Timestamp,
    is_whole: bool,
    /// Those that must be read.
    pub hours: Vec<Hour>,
    kept: ByHour,
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is kept: the next look reads everything.
    pub fn forget(&self) {
        *self.lock() = State::default();
    }

    pub(super) fn begin(&self, at: Timestamp) -> Reading {
        let state = self.lock();
        // A clock that was set back tells nothing of how long ago it was.
        let is_whole = state.read_whole_at.is_none_or(|whole| whole > at || at.since(whole) >= WHOLE_EVERY);
        let kept = if is_whole { ByHour::new() } else { state.hours.clone() };
        let all = (first_hour(at).0..=at.hour().0 + AHEAD).map(Hour);
        Reading { at, is_whole, hours: all.filter(|hour| !kept.contains_key(hour)).collect(), kept }
    }

    /// Returns all hours: those that were read, and those that are known.
    pub(super) fn end(&self, reading: Reading, read: ByHour) -> ByHour {
        let Reading { at, is_whole, hours, mut kept } = reading;
        kept.retain(|hour, _| *hour >= first_hour(at));
        let mut all = kept.clone();
        for hour in hours {
            let rows = read.get(&hour).cloned().unwrap_or_default();
            if hour.0 <= at.hour().0 - RUNNING && rows.balances() {
                kept.insert(hour, rows.clone());
            }
            all.insert(hour, rows);
        }
        let mut state = self.lock();
        state.hours = kept;
        if is_whole {
            state.read_whole_at = Some(at);
        }
        all
    }
}

/// The oldest hour that is compared.
pub(super) fn first_hour(now: Timestamp) -> Hour {
    Hour(now.hour().0 - HOURS + 1)
}
