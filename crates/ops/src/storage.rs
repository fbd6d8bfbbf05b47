//! What the stores take on disk, how fast that grows, how long it lasts, and what retention did last. For superusers and
//! the system. Looking costs reads of files and indexes, so one look is used for a while.

use crate::context::Failure;
use crate::{Actor, ApiError, Ops};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stdx::{Day, Timestamp};
use store::governor;
use store::{StoreError, Stores, clock_leaps, days, projects, removals, sizes, sweeps, tally};

pub use store::clock_leaps::Leap;
pub use store::governor::{Said, Verdict};

/// Pages refresh every few seconds; what they show changes by the minute.
const FRESH_FOR: Duration = Duration::from_secs(30);
/// Days that tell how fast events grow.
const GROWTH_DAYS: usize = 7;
/// A forecast beyond this is "more than a year".
pub const FORECAST_DAYS_MAX: i64 = 366;
const SWEEPS_SHOWN: usize = 10;

/// What the process knows of limits: passed in, for only the binary reads configuration and asks the machine.
#[derive(Clone)]
pub struct Limits {
    /// As is set now.
    pub event_days: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// `disk.min-free`
    pub free_min_bytes: u64,
    /// Bytes that may still be written in the data directory; `None` if the machine does not say.
    pub free_bytes: Arc<dyn Fn() -> Option<u64> + Send + Sync>,
}

/// The last look.
#[derive(Default)]
pub(crate) struct Looks(Mutex<Option<(Timestamp, Arc<Storage>)>>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    pub seen_at: Timestamp,
    /// Bytes on disk by store: metadata, events, blobs, queue and the rest.
    pub stores: Vec<(&'static str, u64)>,
    /// Bytes of the metadata's largest tables, with their indexes; none where that would take too long to say.
    pub tables: Vec<(String, u64)>,
    pub projects: Vec<ProjectSize>,
    pub days: Vec<DaySize>,
    pub event_days: i64,
    pub free_bytes: Option<u64>,
    pub free_min_bytes: u64,
    /// What the disk governor last said; `None` if it never had to.
    pub governor: Option<Said>,
    /// The clock may have leapt: sweeps wait.
    pub leap: Option<Leap>,
    /// Bytes of events of one day, of the last days that are over; 0 while there is none.
    pub growth_bytes: u64,
    pub forecast: Forecast,
    pub sweeps: Vec<Sweep>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectSize {
    /// `org/project`
    pub name: String,
    /// Stored events.
    pub events: i64,
    /// Its part of the days' files, by events.
    pub bytes: u64,
    /// Days its events are kept.
    pub days: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaySize {
    pub day: Day,
    pub bytes: u64,
}

/// How long the disk lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forecast {
    /// No day is over yet, or the machine does not say how much is free.
    Unknown,
    /// Until less than `disk.min-free` is left, at the pace of the last days and with what retention gives back.
    Days(i64),
    /// At least `FORECAST_DAYS_MAX`.
    Lasting,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    pub origin: String,
    /// running, done, incomplete, abandoned, or died
    pub state: String,
    pub started_at: Timestamp,
    pub took: Option<Duration>,
    pub rows: u64,
    pub bytes: u64,
    /// What went, by model and project.
    pub models: Vec<Removed>,
    pub returned_bytes: u64,
    pub retried: u64,
    /// Units that were set aside, and workers that could not live, with why.
    pub skipped: Vec<String>,
}

/// What a sweep removed of a model and a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    pub model: String,
    /// `org/project`; `None` = of no project.
    pub project: Option<String>,
    pub rows: u64,
    pub bytes: u64,
}

/// Returns the last look, or a new one if it is old.
///
/// # Errors
/// `Forbidden` for anybody but superusers and the system.
pub async fn get(cx: &Ops, actor: &Actor) -> Result<Arc<Storage>, ApiError> {
    actor.require_superuser()?;
    let now = cx.clock.now();
    let last = cx.storage_looks.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((seen_at, storage)) = last
        && now.since(seen_at) < FRESH_FOR
        && storage.sweeps.first().is_none_or(|sweep| sweep.state != "running")
        && storage.sweeps.first() == latest_sweep(cx).await?.as_ref()
    {
        return Ok(storage);
    }
    let limits = cx.storage_limits.clone();
    let looked = cx.blocking("look at the stores", move |stores| look(stores, limits.as_ref(), now)).await?;
    let looked = Arc::new(looked);
    *cx.storage_looks.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, looked.clone()));
    Ok(looked)
}

/// A sweep that began or ended since the last look makes it old at once.
async fn latest_sweep(cx: &Ops) -> Result<Option<Sweep>, ApiError> {
    let latest = cx.blocking("look at the last sweep", |stores| Ok(last_sweeps(stores, 1)?.pop()));
    latest.await
}

fn look(stores: &Stores, limits: Option<&Limits>, now: Timestamp) -> Result<Storage, Failure> {
    let open = stores.db.read_blocking(days::list_open)?;
    let all = stores.db.read_blocking(projects::retention)?;
    let event_days = limits.map_or(0, |limits| (limits.event_days)());
    let mut day_sizes = Vec::with_capacity(open.len());
    let mut sums: BTreeMap<i64, (i64, u64)> = BTreeMap::new();
    for day in &open {
        let bytes = stores.events.size_bytes(day)?;
        day_sizes.push(DaySize { day: day.day, bytes });
        let stored = stores.db.read_blocking(|tx| removals::stored_by_project(tx, day.day))?;
        let events: i64 = stored.iter().map(|(_, events)| events).sum();
        for (project, count) in stored {
            let sum = sums.entry(project).or_default();
            sum.0 += count;
            sum.1 += (u128::from(bytes) * u128::from(count.unsigned_abs()) / u128::from(events.max(1).unsigned_abs()))
                as u64;
        }
    }
    let mut projects: Vec<ProjectSize> = all
        .into_iter()
        .filter_map(|row| {
            let (events, bytes) = sums.remove(&row.id)?;
            let days = row.days.map_or(event_days, |days| days.min(event_days));
            Some(ProjectSize { name: row.name, events, bytes, days })
        })
        .collect();
    projects.sort_by_key(|project| std::cmp::Reverse(project.bytes));
    let free_bytes = limits.and_then(|limits| (limits.free_bytes)());
    let free_min_bytes = limits.map_or(0, |limits| limits.free_min_bytes);
    let growth_bytes = growth(&day_sizes, now.day());
    let spare = free_bytes.map(|free| free.saturating_sub(free_min_bytes));
    Ok(Storage {
        seen_at: now,
        stores: by_store(&stores.data_dir),
        tables: sizes::tables(stores)?,
        projects,
        forecast: forecast(spare, growth_bytes, &day_sizes, event_days, now.day()),
        days: day_sizes,
        event_days,
        free_bytes,
        free_min_bytes,
        governor: stores.db.read_blocking(governor::last)?,
        leap: stores.db.read_blocking(|tx| clock_leaps::find(tx, now))?,
        growth_bytes,
        sweeps: last_sweeps(stores, SWEEPS_SHOWN)?,
    })
}

/// One whose process was killed cannot say so: nobody has its lock.
fn last_sweeps(stores: &Stores, limit: usize) -> Result<Vec<Sweep>, Failure> {
    let read = |tx: &mut db::Tx<'_>| {
        let rows = sweeps::latest(tx, limit)?;
        let running = rows.first().filter(|last| last.state == "running").map(|last| last.id);
        let so_far = running.map(|id| tally::of_sweep(tx, id)).transpose()?.unwrap_or_default();
        Ok::<_, StoreError>((rows, so_far, projects::retention(tx)?))
    };
    let (rows, so_far, names) = stores.db.read_blocking(read)?;
    let mut sweeps: Vec<Sweep> = rows.iter().map(|row| sweep(row, &names)).collect();
    if let Some(last) = sweeps.first_mut()
        && last.state == "running"
    {
        last.add(so_far.into_iter().map(|sum| removed(sum, &names)));
        if sweeps::is_dead(&stores.data_dir)? {
            last.state = "died".to_owned();
        }
    }
    Ok(sweeps)
}

impl Sweep {
    fn add(&mut self, removed: impl Iterator<Item = Removed>) {
        for removed in removed {
            self.rows += removed.rows;
            self.bytes += removed.bytes;
            let place = |other: &&mut Removed| (&other.model, &other.project) == (&removed.model, &removed.project);
            match self.models.iter_mut().find(place) {
                Some(other) => {
                    other.rows += removed.rows;
                    other.bytes += removed.bytes;
                }
                None => self.models.push(removed),
            }
        }
    }
}

fn removed(sum: tally::Sum, names: &[projects::RetentionRow]) -> Removed {
    let project = names.iter().find(|row| row.id == sum.project_id).map(|row| row.name.clone());
    Removed { model: sum.model, project, rows: sum.rows, bytes: sum.bytes }
}

fn sweep(row: &sweeps::SweepRow, names: &[projects::RetentionRow]) -> Sweep {
    // A report of another release says less; what is not there counts nothing.
    let report: serde_json::Value = serde_json::from_str(&row.report).unwrap_or_default();
    let models = report["models"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sum_of = |model: &serde_json::Value| tally::Sum {
        model: model["model"].as_str().unwrap_or_default().to_owned(),
        project_id: model["project_id"].as_i64().unwrap_or_default(),
        rows: model["rows"].as_u64().unwrap_or_default(),
        bytes: model["bytes"].as_u64().unwrap_or_default(),
    };
    let number = |name: &str| report[name].as_u64().unwrap_or_default();
    let texts = |name: &str| report[name].as_array().cloned().unwrap_or_default();
    let left_out = texts("skipped").into_iter().chain(texts("lost"));
    let mut sweep = Sweep {
        origin: row.origin.clone(),
        state: row.state.clone(),
        started_at: row.started_at,
        took: row.ended_at.map(|ended| ended.since(row.started_at)),
        rows: 0,
        bytes: 0,
        models: Vec::new(),
        returned_bytes: number("returned_bytes"),
        retried: number("retried"),
        skipped: left_out.filter_map(|text| text.as_str().map(str::to_owned)).collect(),
    };
    sweep.add(models.iter().map(|model| removed(sum_of(model), names)));
    sweep
}

/// The mean of the last days that are over.
fn growth(days: &[DaySize], today: Day) -> u64 {
    let over: Vec<u64> = days
        .iter()
        .filter(|size| size.day < today && size.day.0 >= today.0 - GROWTH_DAYS as i64)
        .map(|size| size.bytes)
        .collect();
    over.iter().sum::<u64>() / (over.len() as u64).max(1)
}

/// Goes day by day: events come at the pace of the last days, and the day that is due goes.
fn forecast(spare: Option<u64>, growth: u64, days: &[DaySize], event_days: i64, today: Day) -> Forecast {
    let Some(spare) = spare.filter(|_| growth > 0) else { return Forecast::Unknown };
    let mut spare = i128::from(spare);
    for ahead in 1..FORECAST_DAYS_MAX {
        let due = Day(today.0 + ahead - event_days - 1);
        let given = match due < today {
            true => days.iter().find(|size| size.day == due).map_or(0, |size| size.bytes),
            false => growth,
        };
        spare += i128::from(given) - i128::from(growth);
        if spare < 0 {
            return Forecast::Days(ahead);
        }
    }
    Forecast::Lasting
}

fn by_store(data_dir: &Path) -> Vec<(&'static str, u64)> {
    let mut sums = [("metadata", 0), ("events", 0), ("blobs", 0), ("queue and the rest", 0)];
    for (name, bytes) in sizes::of_folder(data_dir) {
        let place = match name.as_str() {
            "events" => 1,
            "blobs" => 2,
            name if name.starts_with("metadata.sqlite") => 0,
            _ => 3,
        };
        sums[place].1 += bytes;
    }
    sums.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Day = Day(1_000);

    fn sizes(ages: std::ops::RangeInclusive<i64>, bytes: u64) -> Vec<DaySize> {
        ages.map(|age| DaySize { day: Day(TODAY.0 - age), bytes }).collect()
    }

    #[test]
    fn a_disk_lasts_until_what_comes_exceeds_what_goes() {
        let check = |spare, growth, days: &[DaySize], event_days, expected| {
            assert_eq!(forecast(spare, growth, days, event_days, TODAY), expected);
        };
        check(None, 10, &[], 90, Forecast::Unknown);
        check(Some(1_000), 0, &[], 90, Forecast::Unknown);
        check(Some(195), 10, &sizes(0..=5, 10), 90, Forecast::Days(20));
        check(Some(5), 10, &sizes(0..=5, 10), 90, Forecast::Days(1));
        // Ninety days are there: each day one goes as one comes.
        check(Some(5), 10, &sizes(0..=90, 10), 90, Forecast::Lasting);
        check(Some(901), 10, &sizes(0..=5, 10), 90, Forecast::Lasting);
        assert_eq!(growth(&sizes(0..=20, 10), TODAY), 10);
        assert_eq!(growth(&sizes(0..=0, 10), TODAY), 0, "today is not over");
    }
}
