//! The frame around a sweep: one at a time, written down from its beginning to its end, and carried on where the schedule
//! left it.

use super::plan::{Ask, Plan, plan};
use super::report::Report;
use super::sweep::{Hand, Ran, Run};
use super::work::{Bench, Unit};
use super::{thin, told};
use queue::{Queue, QueueDepth, QueueError};
use std::time::{Duration, Instant};
use stdx::Timestamp;
use store::clock_leaps::{self, Leap};
use store::sweeps::{self, SweepLock};
use store::{StoreError, Stores, tally};

/// A unit that is not done by then goes back among the others.
pub const UNIT_TIME: Duration = Duration::from_secs(10);
/// A scheduled sweep that was left incomplete is carried on for so long; later a new one begins.
const RESUMED_WITHIN: Duration = Duration::from_secs(12 * 3_600);
/// A body is put before its job, and a job may have been waiting since before it died.
const BODY_BEFORE_JOB: Duration = Duration::from_secs(24 * 3_600);
/// Longer than a job exists that nobody forgot: twice the fourteen days of a dead letter, since one may be retried on its
/// last, the attempts before either, and a day to spare.
const BODIES_KEPT: Duration = Duration::from_secs((2 * 14 + 1) * 24 * 3_600 + 2 * DEATH_AFTER_PUBLISH.as_secs());
/// Longer than a job's attempts take until it is a dead letter.
const DEATH_AFTER_PUBLISH: Duration = Duration::from_secs(8 * 24 * 3_600);

/// Who asked for a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Command,
    Schedule,
    /// The disk governor.
    Governor,
}

impl Origin {
    pub fn name(self) -> &'static str {
        match self {
            Origin::Command => "command",
            Origin::Schedule => "schedule",
            Origin::Governor => "governor",
        }
    }
}

/// A sweep that may change things: it has the lock and the newest fence. One that is dropped before it is finished ended
/// by an error, and is written down as incomplete.
pub struct Held<'s> {
    pub sweep: i64,
    stores: &'s Stores,
    /// What an earlier part of it did.
    earlier: String,
    begun_at: Timestamp,
    began: Instant,
    is_finished: bool,
    _lock: SweepLock,
}

const DROPPED: &str = "it was ended by an error before all was looked at; the log says which";

/// Begins a sweep, or carries on what the schedule left. `None` = another one runs.
///
/// # Errors
/// If a store fails.
pub fn begin(stores: &Stores, origin: Origin, now: Timestamp) -> Result<Option<Held<'_>>, StoreError> {
    let Some(lock) = sweeps::lock(&stores.data_dir)? else { return Ok(None) };
    thin::finish_noted(stores)?;
    let (sweep, earlier) = stores.db.write_blocking(|tx| {
        if origin == Origin::Schedule
            && let Some(last) = sweeps::resume(tx, origin.name(), now.minus(RESUMED_WITHIN))?
        {
            return Ok::<_, StoreError>((last.id, last.report));
        }
        report_the_dead(tx)?;
        Ok((sweeps::begin(tx, origin.name(), now)?, String::new()))
    })?;
    let (begun_at, began) = (now, Instant::now());
    Ok(Some(Held { sweep, stores, earlier, begun_at, began, is_finished: false, _lock: lock }))
}

/// Whoever has the lock and finds a sweep that says it runs was not there when it died: what it removed is in its tally.
fn report_the_dead(tx: &mut db::Tx<'_>) -> Result<(), StoreError> {
    for row in sweeps::running(tx)? {
        let mut report = Report::default();
        take_tally(tx, row.id, &mut report)?;
        report.add_json(&row.report);
        sweeps::set_report(tx, row.id, &report.to_json().to_string())?;
    }
    Ok(())
}

/// Moves what a sweep has removed from its tally to its report.
fn take_tally(tx: &mut db::Tx<'_>, sweep: i64, report: &mut Report) -> Result<(), StoreError> {
    told::collect(tx, sweep, report)?;
    tally::forget(tx, sweep)
}

/// Returns why a sweep must not begin: the clock may have leapt, and something is due by it. That is noted, so that the
/// doubt ends by itself.
///
/// # Errors
/// If a store fails.
pub fn refusal(stores: &Stores, ask: &Ask, now: Timestamp) -> Result<Option<Leap>, StoreError> {
    let Some(leap) = stores.db.read_blocking(|tx| clock_leaps::find(tx, now))? else { return Ok(None) };
    if plan(stores, ask, now)?.units.is_empty() {
        return Ok(None);
    }
    stores.db.write_blocking(|tx| clock_leaps::doubt(tx, &leap, now))?;
    Ok(Some(leap))
}

/// Carries out what a sweep noted and did not live to do; the next sweep would, too.
///
/// # Errors
/// If a store fails.
pub fn mend(stores: &Stores) -> Result<(), StoreError> {
    let Some(_lock) = sweeps::lock(&stores.data_dir)? else { return Ok(()) };
    thin::finish_noted(stores)
}

impl Held<'_> {
    /// Writes down what was done, and returns it with what was removed, without what an earlier part of the sweep did. A
    /// sweep that was stopped, or set units aside, is incomplete.
    ///
    /// # Errors
    /// If the store fails.
    pub fn finish(
        mut self,
        plan: &Plan,
        (report, is_whole): (Report, bool),
        now: Timestamp,
    ) -> Result<Report, StoreError> {
        let state = if is_whole && report.skipped.is_empty() { "done" } else { "incomplete" };
        let done = self.write_down(report, state, Some(plan), now)?;
        self.is_finished = true;
        Ok(done)
    }

    /// Returns how many rows it has removed so far.
    ///
    /// # Errors
    /// If the store fails.
    pub fn rows_so_far(&self) -> Result<u64, StoreError> {
        told::rows_so_far(self.stores, self.sweep)
    }

    fn write_down(
        &self,
        report: Report,
        state: &str,
        plan: Option<&Plan>,
        now: Timestamp,
    ) -> Result<Report, StoreError> {
        self.stores.db.write_blocking(|tx| {
            let mut report = report;
            take_tally(tx, self.sweep, &mut report)?;
            let mut json = self.with_earlier(&report);
            if let Some(plan) = plan {
                json["cutoff"] = plan.cutoff.to_string().into();
            }
            sweeps::finish(tx, self.sweep, state, &json.to_string(), now)?;
            Ok(report)
        })
    }

    fn with_earlier(&self, report: &Report) -> serde_json::Value {
        let mut all = report.clone();
        all.add_json(&self.earlier);
        all.to_json()
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        let mut report = Report::default();
        report.skipped.push(DROPPED.to_owned());
        let now = self.begun_at.plus(self.began.elapsed());
        if let Err(error) = self.write_down(report, "incomplete", None, now) {
            // Its row says running, and pages say died, as of one that was killed.
            tracing::warn!(error = stdx::causes::on_one_line(&error), "end of a failed sweep not written down");
        }
    }
}

/// A hand that works on its own thread, in the process that sweeps.
pub struct OwnHand<'a> {
    pub bench: Bench<'a>,
    /// Until when it takes units.
    pub until: Instant,
    pub is_stopping: &'a (dyn Fn() -> bool + Sync),
}

impl Hand for OwnHand<'_> {
    fn run(&mut self, unit: &Unit) -> Run {
        if Instant::now() >= self.until || (self.is_stopping)() {
            return Ran::Stopped.into();
        }
        let until = self.until.min(Instant::now() + UNIT_TIME);
        let mut returned_bytes = 0;
        let ran = match self.bench.run(unit, until, &mut |bytes| returned_bytes += bytes) {
            Ok(true) => Ran::Done,
            Ok(false) => Ran::Unfinished,
            Err(StoreError::SweepEnded) => Ran::Stopped,
            Err(error) => Ran::Failed { error: stdx::causes::on_one_line(&error) },
        };
        Run { ran, returned_bytes }
    }
}

/// Returns the time before which no job in the queue can have put its body. A body that is known to be spent may go
/// before; this is for those of which nothing is known.
///
/// # Errors
/// If the queue does not answer; then no body may be thought nobody's.
pub fn bodies_before(queue: &dyn Queue, now: Timestamp) -> Result<Timestamp, QueueError> {
    let letters = queue.dead_letters()?;
    Ok(bodies_before_of(&queue.depths()?, letters.iter().map(|letter| letter.at), now))
}

/// A queue tells the age of its oldest ready job and no other: what is parked, delayed, leased, or waits in a spool for it
/// may be older, and a dead letter that is retried has a fresh time. Hence never later than `BODIES_KEPT` says.
pub(super) fn bodies_before_of(
    depths: &[QueueDepth],
    letters: impl Iterator<Item = Timestamp>,
    now: Timestamp,
) -> Timestamp {
    let ready = depths.iter().filter_map(|depth| depth.oldest_age).map(|age| now.minus(age));
    let oldest = ready.chain(letters.map(|at| at.minus(DEATH_AFTER_PUBLISH))).min().unwrap_or(now);
    oldest.minus(BODY_BEFORE_JOB).min(now.minus(BODIES_KEPT))
}
