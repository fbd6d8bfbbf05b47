//! The thread beside the runs: it extends their leases, does the broker's upkeep, says that the worker lives, gives back
//! what waits behind a long run, and ends runs beyond their time limit.

use super::run::{ENDS_WITHIN, How};
use super::seat::{Current, Seat, over_time_text};
use super::{Shared, lock};
use crate::{DeadReason, Finish, LeaseId, Outcome, QueueError, RunningRow, Task, WORKER_BEAT_EVERY, WorkerRow};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The keeper looks this often at the runs.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Pause between two extensions of leases, far below any lease, and between two rounds of upkeep.
const EXTEND_EVERY: Duration = Duration::from_secs(1);
/// What waits behind a run that has gone on for this long goes to other threads.
const WAITS_MAX: Duration = Duration::from_secs(1);
/// A task that is told that its time is over has so long to end by itself.
pub(super) const HARD_GRACE: Duration = Duration::from_secs(5);
/// What a thread had in hand that was left alone is kept so long for a broker that does not take it back.
const LEFT_MAX: Duration = Duration::from_secs(600);
/// Threads that hang in a task, for each seat; beyond it the worker takes nothing more and says so.
const HANGING_MAX: usize = 4;

/// When each of the keeper's duties was done last, and which failed then.
struct Rounds {
    extended: Instant,
    said: Option<Instant>,
    is_unparked: bool,
    has_twin: bool,
    failing: BTreeSet<&'static str>,
}

impl Shared {
    /// Keeps the worker until no thread may run anything any more, or nobody waits for those that do.
    pub(super) fn keep(self: &Arc<Self>) {
        let mut rounds = Rounds {
            extended: Instant::now(),
            said: None,
            is_unparked: false,
            has_twin: false,
            failing: BTreeSet::new(),
        };
        while !self.is_over() {
            self.look();
            if rounds.extended.elapsed() >= EXTEND_EVERY {
                rounds.extended = Instant::now();
                self.extend_leases();
                self.report(&mut rounds, "upkeep", self.queue.upkeep());
            }
            if rounds.said.is_none_or(|said| said.elapsed() >= WORKER_BEAT_EVERY) {
                rounds.said = Some(Instant::now());
                self.say(&mut rounds);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Whether there is nothing left to keep. A worker whose threads all hang says so for as long as nobody stops it.
    pub(super) fn is_over(&self) -> bool {
        let is_waited_for = self.is_waited_for.load(Ordering::SeqCst);
        !is_waited_for || self.is_stopping() && self.working.load(Ordering::SeqCst) == 0
    }

    /// Tells what ended behind which a long run goes on. The keeper must not wait for a broker: what cannot be told now
    /// is told by the next look, while its leases are kept.
    fn tell_once(&self, seat: &Seat) {
        let finished = seat.take_ended(ENDS_WITHIN);
        if finished.is_empty() {
            return;
        }
        match self.queue.finish(finished.clone()) {
            Ok(_lost) => {
                let leases: Vec<LeaseId> = finished.iter().map(|(lease, _)| *lease).collect();
                self.leases.let_go(&leases);
                self.progress.finished.fetch_add(finished.len() as u64, Ordering::Relaxed);
            }
            Err(error) => {
                tracing::warn!(error = %error, jobs = finished.len(), "runs not ended yet, tried again");
                seat.note_ended(finished);
            }
        }
    }

    fn extend_leases(&self) {
        for (lease, ids) in self.leases.due() {
            match self.queue.extend(&ids, lease) {
                Ok(lost) => self.leases.let_go(&lost),
                Err(error) => tracing::warn!(error = %error, jobs = ids.len(), "leases not extended, tried again"),
            }
        }
    }

    /// Says that the worker lives; the first time also what it can do.
    fn say(&self, rounds: &mut Rounds) {
        if !rounds.is_unparked {
            let begun = self.begin();
            rounds.is_unparked = begun.is_ok();
            self.report(rounds, "greet the broker", begun);
        }
        if self.children.is_some() {
            let unparked = self.unpark_own();
            self.report(rounds, "unpark", unparked);
        }
        let looked = self.look_for_twin(rounds);
        let said = looked.and_then(|()| self.queue.beat(&self.row()));
        self.report(rounds, "beat", said);
    }

    /// Two workers of one name would take turns in one row, and the death of one would not show: the younger is listed
    /// under another name. One that was killed is not heard after its successor has started.
    fn look_for_twin(&self, rounds: &mut Rounds) -> Result<(), QueueError> {
        if rounds.has_twin {
            return Ok(());
        }
        let pid = std::process::id();
        let is_twin = |row: &WorkerRow| {
            let is_other = (row.started_at, row.pid, &row.host) != (self.started_at, pid, &self.config.host);
            row.name == self.config.name && is_other && row.heard_at > self.started_at
        };
        let Some(twin) = self.queue.workers()?.into_iter().find(is_twin) else { return Ok(()) };
        rounds.has_twin = true;
        let name = &self.config.name;
        if (twin.started_at, twin.pid) < (self.started_at, pid) {
            let _ = self.other_name.set(format!("{name} (pid {pid})"));
        }
        tracing::error!(name, other_pid = twin.pid, other_host = twin.host, "another worker of this name runs");
        self.note_error(Some(format!("another worker is called {name}, its process is {} on {}", twin.pid, twin.host)));
        Ok(())
    }

    /// As workers are listed.
    fn listed_name(&self) -> &str {
        self.other_name.get().unwrap_or(&self.config.name)
    }

    /// A worker of threads beside this one may claim what must run in a process, and parks it as unknown.
    fn unpark_own(&self) -> Result<(), QueueError> {
        let needs_process = |task: &&Arc<dyn Task>| task.needs_process();
        let names: Vec<&str> = self.tasks.iter().filter(needs_process).map(|task| task.name()).collect();
        if names.is_empty() {
            return Ok(());
        }
        self.queue.unpark(&names).map(drop)
    }

    fn begin(&self) -> Result<(), QueueError> {
        for queue in self.served() {
            self.queue.declare(&queue)?;
        }
        let names: Vec<&str> = self.tasks.iter().map(|task| task.name()).collect();
        let unparked = self.queue.unpark(&names)?;
        if unparked > 0 {
            tracing::info!(jobs = unparked, "jobs that were parked can run now");
        }
        Ok(())
    }

    /// Logs a change from answering to not answering, and back; not each failure. Some duties need no answer: it answers
    /// again when all that failed have been done.
    fn report(&self, rounds: &mut Rounds, what: &'static str, result: Result<(), QueueError>) {
        match result {
            Err(error) => {
                if rounds.failing.is_empty() {
                    tracing::error!(
                        error = stdx::causes::on_one_line(&error),
                        what,
                        "the broker does not answer its worker"
                    );
                }
                rounds.failing.insert(what);
            }
            Ok(()) => {
                if rounds.failing.remove(what) && rounds.failing.is_empty() {
                    tracing::info!("the broker answers its worker again");
                }
            }
        }
    }

    fn row(&self) -> WorkerRow {
        let running = |seat: &Arc<Seat>| {
            let current = seat.current()?;
            let job = current.jobs.first().map(|job| job.id.to_string()).unwrap_or_default();
            let jobs = current.jobs.len() as u64;
            Some(RunningRow { task: current.task.to_owned(), job, jobs, since: current.started_at })
        };
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        WorkerRow {
            name: self.listed_name().to_owned(),
            host: self.config.host.clone(),
            pid: std::process::id(),
            version: self.config.version.clone(),
            started_at: self.started_at,
            heard_at: self.config.clock.now(),
            slots: u32::try_from(self.config.threads).unwrap_or(u32::MAX),
            queues: self.served(),
            tasks: self.tasks.iter().map(|task| task.name().to_owned()).collect(),
            running: lock(&self.seats).iter().filter_map(running).collect(),
            finished: count(&self.progress.finished),
            failed: count(&self.progress.failed),
            dead: count(&self.progress.dead),
            finished_by_queue: lock(&self.progress.by_queue).clone(),
            last_error: lock(&self.last_error).clone(),
            is_stopping: self.is_stopping(),
            pool: self.pool(),
            rate_limits: self.remote.rate_limits(),
            fallen: crate::tend::told(),
        }
    }

    /// Looks at every run.
    fn look(self: &Arc<Self>) {
        let seats: Vec<Arc<Seat>> = lock(&self.seats).clone();
        for seat in seats {
            let Some(held_up) = seat.held_up() else { continue };
            self.tell_once(&seat);
            if held_up >= WAITS_MAX {
                self.give_waiting_back(&seat);
            }
            let Some(current) = seat.current() else { continue };
            let age = current.since.elapsed();
            if age >= current.time_limit && !current.is_over_time.swap(true, Ordering::SeqCst) {
                tracing::warn!(task = current.task, limit_s = current.time_limit.as_secs(), "a run is over its time");
            }
            if age >= current.time_limit + HARD_GRACE || self.is_kill_due(&current.jobs) {
                self.abandon(&seat);
            }
        }
        self.tell_once(&self.left);
        self.give_waiting_back(&self.left);
    }

    fn give_waiting_back(&self, seat: &Seat) {
        if let Err(error) = self.give_back(seat, seat.take_waiting()) {
            tracing::warn!(error = %error, "jobs that wait not given back yet, tried again");
        }
    }

    /// Takes over what a thread had in hand that was left alone: nobody looks at its seat any more, and leases that end would
    /// count as deaths of what never ran.
    pub(super) fn take_over(&self, seat: &Seat) {
        let waiting = seat.take_waiting();
        for run in &waiting {
            self.leases.wait(&run.leases, run.policy.lease, LEFT_MAX);
        }
        self.left.fill(waiting);
        self.left.note_ended(seat.take_ended(Duration::ZERO));
    }

    /// A run that does not end: its jobs fail, its thread is left alone, and another takes its place.
    fn abandon(self: &Arc<Self>, seat: &Arc<Seat>) {
        let is_terminated = self.is_kill_due(&seat.current().map(|current| current.jobs).unwrap_or_default());
        let Some(current) = seat.abandon() else { return };
        let text = over_time_text(current.task, current.time_limit);
        if is_terminated {
            tracing::warn!(task = current.task, jobs = current.jobs.len(), "a run was terminated from outside");
        } else {
            tracing::error!(task = current.task, jobs = current.jobs.len(), "a run did not end at its time limit");
            self.note_error(Some(text.clone()));
        }
        self.end_from_outside(&current, &text);
        self.take_over(seat);
        let hanging = self.hanging.fetch_add(1, Ordering::SeqCst) + 1;
        lock(&self.seats).retain(|other| !Arc::ptr_eq(other, seat));
        if hanging <= HANGING_MAX * self.config.threads {
            self.seat(self.config.threads + hanging);
        } else {
            tracing::error!(threads = hanging, "too many threads hang in tasks: restart this worker");
            self.note_error(Some(format!("{hanging} threads hang in tasks: restart this worker")));
        }
        self.working.fetch_sub(1, Ordering::SeqCst);
    }

    fn end_from_outside(&self, current: &Current, text: &str) {
        let leases: Vec<LeaseId> = current.jobs.iter().map(|job| job.lease).collect();
        self.leases.let_go(&leases);
        let failed = || Outcome::Retry { error: text.to_owned() };
        let outcomes = current.jobs.iter().map(|_| failed()).collect();
        let how = How { policy: &current.policy, last_reason: DeadReason::TimeLimit, took: current.since.elapsed() };
        let finished = self.ends_of(&current.jobs, outcomes, &how);
        let count = finished.len() as u64;
        match self.queue.finish(finished) {
            Ok(_lost) => drop(self.progress.finished.fetch_add(count, Ordering::Relaxed)),
            Err(error) => tracing::error!(error = %error, "run not ended, its leases end by themselves"),
        }
    }

    /// The worker ends: what still runs goes back and spends no attempt.
    pub(super) fn part(&self) {
        let seats: Vec<Arc<Seat>> = lock(&self.seats).clone();
        let mut back: Vec<(LeaseId, Finish)> = Vec::new();
        for seat in seats.iter().map(|seat| &**seat).chain([&self.left]) {
            self.tell_once(seat);
            let waiting = seat.take_waiting();
            let running = seat.abandon();
            let leases = running.iter().flat_map(|current| current.jobs.iter().map(|job| job.lease));
            let leases: Vec<LeaseId> = leases.chain(waiting.into_iter().flat_map(|run| run.leases)).collect();
            back.extend(leases.iter().rev().map(|lease| (*lease, Finish::GiveBack { after: Duration::ZERO })));
        }
        if !back.is_empty() {
            tracing::warn!(jobs = back.len(), "jobs were not finished in time, they go back");
            if let Err(error) = self.queue.finish(back) {
                tracing::error!(error = %error, "jobs not given back, their leases end by themselves");
            }
        }
        if let Err(error) = self.queue.leave(self.listed_name()) {
            tracing::warn!(error = %error, "the broker was not told that this worker ends");
        }
    }
}
