//! The disk governor: while less than `disk.min-free` is free, events go before their time, the most redundant first and of
//! those the oldest. What is past its limit goes before them; each group's first and last stored event never go.
//!
//! It begins a little above the limit, so that no event need be refused, and ends well above it, so that it does not begin
//! again at once. It is a sweep like any other: under the same lock and fence, in bounded steps, written down. It does not
//! go through the queue, which takes no jobs on a full disk. It fails closed: where the machine does not say how much is
//! free, nothing is removed.

use super::conduct::{self, Held, Origin, OwnHand};
use super::thin::{Place, Thinning};
use super::{Ask, Bench, Plan, Report, plan, sweep};
use crate::metrics;
use crate::pace;
use crate::tasks::EventDays;
use queue::Queue;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdx::component::ComponentError;
use stdx::{Clock, Shutdown};
use store::clock_leaps;
use store::days::{self, OpenDay};
use store::governor::{self, Said, Verdict};
use store::{StoreError, Stores, attachments, reserve};

/// Of each group and day so many events stay, the newest; level after level until enough is free.
const LEVELS: &[i64] = &[1_000, 100, 10, 1, 0];
/// It begins below this much of the limit, in percent.
const BEGINS_BELOW_PERCENT: u64 = 110;
/// It ends at this much.
const ENDS_AT_PERCENT: u64 = 125;
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// When nothing more could be removed, it looks again after this time: looking reads every day's counts.
const RESTS: Duration = Duration::from_secs(300);
/// A store that failed, most likely for want of room, is asked again.
const RETRIES_AFTER: Duration = Duration::from_secs(10);
/// Half of the time is left to ingest and pages, which wait for the disk too.
const SHARE: f64 = 0.5;
/// Steps are looked at one by one; the whole has no other end than enough, nothing left, or a stop.
const NO_END: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Answers how many bytes may still be written.
pub type FreeSpace = Arc<dyn Fn() -> std::io::Result<u64> + Send + Sync>;

/// Watches the disk. Any number may run; the lock of sweeps lets one work.
#[derive(Clone)]
pub struct Governor {
    pub stores: Arc<Stores>,
    pub clock: Arc<dyn Clock>,
    /// `None` = bodies of large requests are left where they are.
    pub queue: Option<Arc<dyn Queue>>,
    pub event_days: EventDays,
    pub free_space: FreeSpace,
    /// `disk.min-free`; 0 = nothing is governed.
    pub free_min: u64,
}

/// What one look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    Enough,
    /// Another sweep runs: it frees disk too.
    Busy,
    Done(Verdict),
    Stopped,
}

impl Governor {
    /// Looks each second until the shutdown.
    ///
    /// # Errors
    /// None: what fails is logged once and tried again.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), ComponentError> {
        let (mut rests_until, mut is_failing) = (Instant::now(), false);
        self.mend().await;
        loop {
            tokio::select! {
                () = shutdown.triggered() => return Ok(()),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if Instant::now() < rests_until {
                continue;
            }
            match self.look_on_a_thread(&shutdown).await {
                Ok(looked) => {
                    is_failing = false;
                    if matches!(looked, Looked::Done(verdict) if verdict.is_bad()) {
                        rests_until = Instant::now() + RESTS;
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::error!(error = error, "disk not governed, tried again");
                    }
                    rests_until = Instant::now() + RETRIES_AFTER;
                }
            }
        }
    }

    /// A process that was killed while it removed events may have left some that are noted as removed.
    async fn mend(&self) {
        let stores = self.stores.clone();
        match tokio::task::spawn_blocking(move || conduct::mend(&stores)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = stdx::causes::on_one_line(&error), "removal not finished yet"),
            Err(panic) => tracing::error!(error = %panic, "finishing a removal panicked"),
        }
    }

    /// A thread of its own, for its priority is lowered.
    async fn look_on_a_thread(&self, shutdown: &Shutdown) -> Result<Looked, String> {
        if !self.is_short().map_err(|error| stdx::causes::on_one_line(&error))? {
            self.keep_reserve().await?;
            return Ok(Looked::Enough);
        }
        let (governor, shutdown) = (self.clone(), shutdown.clone());
        let body = move || {
            pace::lower_thread_priority();
            governor.look(&|| shutdown.is_triggered()).map_err(|error| stdx::causes::on_one_line(&error))
        };
        let thread = std::thread::Builder::new().name("governor".to_owned()).spawn(body);
        let thread = thread.map_err(|error| format!("start a thread: {error}"))?;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        match joined {
            Ok(Ok(looked)) => looked,
            Ok(Err(_)) | Err(_) => Err("its thread panicked".to_owned()),
        }
    }

    /// Room for the day on which there is none.
    async fn keep_reserve(&self) -> Result<(), String> {
        let data_dir = self.stores.data_dir.clone();
        let free = self.free().map_err(|error| stdx::causes::on_one_line(&error))?;
        if reserve::is_there(&data_dir) || !reserve::is_affordable(free, percent(self.free_min, BEGINS_BELOW_PERCENT)) {
            return Ok(());
        }
        match tokio::task::spawn_blocking(move || reserve::restore(&data_dir)).await {
            Ok(restored) => restored.map_err(|error| stdx::causes::on_one_line(&error)),
            Err(_) => Err("writing the reserve panicked".to_owned()),
        }
    }

    /// Looks once, and does what is to be done.
    ///
    /// # Errors
    /// If a store fails, or the machine does not say how much is free; what was removed stays removed.
    pub fn look(&self, is_stopping: &(dyn Fn() -> bool + Sync)) -> Result<Looked, StoreError> {
        if !self.is_short()? {
            return Ok(Looked::Enough);
        }
        if reserve::is_needed(self.free()?) && reserve::give_up(&self.stores.data_dir)? {
            tracing::warn!(bytes = reserve::BYTES, "disk is full, the reserve was given up to remove events");
        }
        let Some(held) = conduct::begin(&self.stores, Origin::Governor, self.clock.now())? else {
            self.say_waiting()?;
            return Ok(Looked::Busy);
        };
        self.say(Verdict::Freeing)?;
        tracing::warn!(free_bytes = self.free()?, free_min_bytes = self.free_min, "disk ran short, events go early");
        let looked = self.relieve(held, is_stopping);
        if looked.is_err() {
            // What a write that failed left in the logs takes room, too. If they cannot be folded, it stays as it is.
            let _ = self.stores.checkpoint_truncate();
        }
        looked
    }

    fn relieve(&self, held: Held<'_>, is_stopping: &(dyn Fn() -> bool + Sync)) -> Result<Looked, StoreError> {
        let started = Instant::now();
        let bench = Bench { stores: &self.stores, clock: &*self.clock, sweep: held.sweep, share: SHARE };
        let (plan, mut report) = self.remove_due(&bench, is_stopping)?;
        let looked = match self.thin_out(&bench, &mut report, is_stopping) {
            // Whoever has begun another sweep goes on.
            Err(StoreError::SweepEnded) => Looked::Busy,
            looked => looked?,
        };
        if let Looked::Done(verdict) = looked {
            self.say(verdict)?;
            if verdict.is_bad() {
                report.skipped.push(verdict.text().to_owned());
                tracing::error!(free_bytes = self.free()?, rows = held.rows_so_far()?, "disk stays short");
            }
        }
        let is_whole = matches!(looked, Looked::Done(_));
        let report = held.finish(&plan, (report, is_whole), self.clock.now())?;
        metrics::record_cleanup(Origin::Governor.name(), started.elapsed());
        tracing::info!(
            rows = report.rows_total(),
            returned_bytes = report.returned_bytes,
            is_whole,
            took_ms = started.elapsed().as_millis() as u64,
            "disk governed"
        );
        Ok(looked)
    }

    /// What is past its limit anyway goes first: whole days need no room to go.
    fn remove_due(
        &self,
        bench: &Bench<'_>,
        is_stopping: &(dyn Fn() -> bool + Sync),
    ) -> Result<(Plan, Report), StoreError> {
        let now = self.clock.now();
        let bodies_before = self.queue.as_ref().and_then(|queue| conduct::bodies_before(&**queue, now).ok());
        let ask = Ask { installation_days: (self.event_days)(), bodies_before, share: Some(SHARE), ..Ask::default() };
        let mut plan = plan(&self.stores, &ask, now)?;
        if self.stores.db.read_blocking(|tx| clock_leaps::find(tx, now))?.is_some() {
            // What is past its limit by a clock in doubt is not: what repeats itself gives room.
            plan.units.clear();
        }
        let is_over = || is_stopping() || self.has_enough().unwrap_or(true);
        let bench = Bench { ..*bench };
        let hand = OwnHand { bench, until: Instant::now() + NO_END, is_stopping: &is_over };
        let (report, _) = sweep::run(&plan, vec![Box::new(hand)], |_| {});
        Ok((plan, report))
    }

    fn thin_out(
        &self,
        bench: &Bench<'_>,
        report: &mut Report,
        is_stopping: &(dyn Fn() -> bool + Sync),
    ) -> Result<Looked, StoreError> {
        if self.has_enough()? {
            return Ok(Looked::Done(Verdict::Relieved));
        }
        let mut open = self.stores.db.read_blocking(days::list_open)?;
        open.reverse();
        if self.is_helpless(&open)? {
            return Ok(Looked::Done(Verdict::Helpless));
        }
        for keep in LEVELS {
            for day in &open {
                match self.thin_day(bench, (day, *keep), report, is_stopping) {
                    Ok(Some(looked)) => return Ok(looked),
                    Ok(None) => {}
                    Err(error) if error.is_unwritable() => return Err(error),
                    // A damaged day keeps nobody from the others.
                    Err(error) => {
                        let error = stdx::causes::on_one_line(&error);
                        tracing::warn!(day = %day.day, error, "a day cannot be thinned, the others are");
                    }
                }
            }
        }
        Ok(Looked::Done(Verdict::Exhausted))
    }

    /// Returns how it ends, if it ends within this day.
    fn thin_day(
        &self,
        bench: &Bench<'_>,
        (day, keep): (&OpenDay, i64),
        report: &mut Report,
        is_stopping: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Looked>, StoreError> {
        let mut place = Place::BEGINNING;
        loop {
            if is_stopping() {
                return Ok(Some(Looked::Stopped));
            }
            let started = Instant::now();
            let thinned = bench.thin(&Thinning { day, keep, room: self.free()? }, &mut place)?;
            report.returned_bytes += thinned.returned_bytes;
            if self.has_enough()? {
                return Ok(Some(Looked::Done(Verdict::Relieved)));
            }
            if thinned.is_done {
                return Ok(None);
            }
            bench.rest(started.elapsed());
        }
    }

    /// Removing all would not lift the disk over its limit: then nothing is removed for nothing.
    fn is_helpless(&self, open: &[OpenDay]) -> Result<bool, StoreError> {
        let missing = self.free_min.saturating_sub(self.free()?);
        let mut stored = self.stores.db.read_blocking(attachments::bytes_total)?;
        for day in open {
            stored += self.stores.events.size_bytes(day)?;
        }
        Ok(stored < missing)
    }

    fn is_short(&self) -> Result<bool, StoreError> {
        Ok(self.free()? < percent(self.free_min, BEGINS_BELOW_PERCENT))
    }

    fn has_enough(&self) -> Result<bool, StoreError> {
        Ok(self.free()? >= percent(self.free_min, ENDS_AT_PERCENT))
    }

    fn free(&self) -> Result<u64, StoreError> {
        (self.free_space)().map_err(|source| StoreError::File { what: "ask how much disk is free".to_owned(), source })
    }

    /// Once, so that it can be told since when.
    fn say_waiting(&self) -> Result<(), StoreError> {
        let last = self.stores.db.read_blocking(governor::last)?;
        if last.is_some_and(|said| said.verdict == Verdict::Waiting) {
            return Ok(());
        }
        self.say(Verdict::Waiting)
    }

    fn say(&self, verdict: Verdict) -> Result<(), StoreError> {
        let said = Said { verdict, at: self.clock.now(), free_bytes: self.free()?, free_min_bytes: self.free_min };
        self.stores.db.write_blocking(|tx| governor::say(tx, &said))
    }
}

fn percent(bytes: u64, percent: u64) -> u64 {
    bytes / 100 * percent
}
