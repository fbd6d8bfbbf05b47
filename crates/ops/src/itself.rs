//! What Vigie says of itself: how this process started, what became of the reports on its own errors, and its own metrics
//! as the store keeps them by hour. For superusers and the system.

use crate::{Actor, ApiError, Ops};
use std::collections::BTreeMap;
use std::sync::Arc;
use stdx::{Hour, Timestamp};
use store::internal_series::{self, HourRow};

/// Hours that a look at the series goes back, the current one among them.
pub const HOURS_SHOWN: i64 = 48;

/// What only the process knows: passed in by the binary, which started it.
pub type Told = Arc<dyn Fn() -> Process + Send + Sync>;

/// This process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// The steps of its start, in order.
    pub boot: Vec<Step>,
    /// Where reports go, or why nowhere.
    pub reporting: String,
    pub destinations: Vec<Destination>,
}

/// One step of the start.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub name: String,
    pub ms: f64,
    pub outcome: String,
}

/// What became of reports to one destination: captured = sent + dropped + waiting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    pub name: String,
    pub captured: u64,
    pub sent: u64,
    /// Of those, answered with a status other than 2xx.
    pub refused: u64,
    pub dropped: u64,
    pub waiting: u64,
    /// Never captured: they speak of a report.
    pub kept_self: u64,
    /// Never captured: more than ten a minute.
    pub kept_rate: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Itself {
    pub seen_at: Timestamp,
    pub process: Process,
    /// By name.
    pub series: Vec<Series>,
}

/// How much one of Vigie's own series grew.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// `name{label="value"}`
    pub name: String,
    /// In all hours that are shown.
    pub count: i64,
    /// Of a histogram's samples, in its unit; else 0.
    pub sum: f64,
    /// Each hour's count, the oldest first.
    pub hours: Vec<(Hour, i64)>,
}

/// Looks.
///
/// # Errors
/// `Forbidden` for anybody but superusers and the system.
pub async fn get(cx: &Ops, actor: &Actor) -> Result<Itself, ApiError> {
    actor.require_superuser()?;
    let now = cx.clock.now();
    let since = Hour(now.hour().0 - HOURS_SHOWN + 1);
    let rows = cx.read("read Vigie's own series", move |tx| Ok(internal_series::since(tx, since)?)).await?;
    let process = cx.process.as_ref().map(|told| told()).unwrap_or_default();
    Ok(Itself { seen_at: now, process, series: by_series(rows, since) })
}

fn by_series(rows: Vec<HourRow>, since: Hour) -> Vec<Series> {
    let hours: Vec<(Hour, i64)> = (0..HOURS_SHOWN).map(|hour| (Hour(since.0 + hour), 0)).collect();
    let mut series: BTreeMap<String, Series> = BTreeMap::new();
    for row in rows {
        let new = || Series { name: row.series.clone(), count: 0, sum: 0.0, hours: hours.clone() };
        let of_all = series.entry(row.series.clone()).or_insert_with(new);
        of_all.count += row.count;
        of_all.sum += row.sum;
        // A row of the next hour, written since `since` was taken, has no place yet.
        let place = usize::try_from(row.hour.0 - since.0).ok();
        if let Some(hour) = place.and_then(|place| of_all.hours.get_mut(place)) {
            hour.1 += row.count;
        }
    }
    series.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_hours_become_series_with_a_place_for_each_hour() {
        let row = |hour, series: &str, count| HourRow { hour: Hour(hour), series: series.to_owned(), count, sum: 0.5 };
        let rows = vec![row(100, "b", 2), row(100, "a", 1), row(101, "a", 4), row(1_000, "a", 8)];
        let series = by_series(rows, Hour(100));
        assert_eq!(series.iter().map(|series| series.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((series[0].count, series[0].sum), (13, 1.5));
        assert_eq!(series[0].hours.len(), 48);
        assert_eq!((series[0].hours[0].1, series[0].hours[1].1, series[1].hours[0].1), (1, 4, 2));
    }
}
