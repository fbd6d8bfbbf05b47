//! What a claim takes: entries of the desk, leased in the ledger in one transaction. A job whose worker died is a suspect: it
//! runs with nothing beside it in its process, so that if the worker dies again it is known whose fault that is.

use super::desk::{Entry, Picked};
use super::lanes::Seat;
use super::leases::Held;
use super::link::lock;
use super::tables::jobs::{self, JobRow, Leasing, NewRow, State};
use super::tables::{messages, names};
use super::{POISON_DEATHS, Shared};
use crate::broker::POLL_MAX;
use crate::brokers::suspects::{Asking, Turn};
use crate::celery::Received;
use crate::{ClaimRequest, Claimed, DeadReason, Finish, LeaseId, QueueBounds, QueueError};
use db::Tx;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use stdx::Timestamp;

/// Pause before another look at what may have changed without a word.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A claim that has nothing waits for what is known to be on its way, unless it has stopped coming.
pub(super) const SETTLE_SILENCE: Duration = Duration::from_millis(400);
/// One that has something, but less than it asked for, waits no longer than this.
const SETTLE_MAX: Duration = Duration::from_millis(250);
const SETTLE_LOOK: Duration = Duration::from_millis(20);
/// One that has so many waits for no more: there is a batch, and the next claim takes the rest.
const SETTLE_ENOUGH: usize = 128;
/// Jobs of one claim, whatever is asked: more only make the server look after more that is under way.
const JOBS_MAX: usize = 128;
/// Rounds in which entries turn out to be no jobs before a claim gives up.
const ROUNDS_MAX: usize = 64;

/// What one look found.
enum Found {
    Jobs(Vec<Claimed>),
    /// Nothing; when the next delayed job is due.
    Nothing {
        due: Option<Timestamp>,
    },
    /// A suspect runs, or waits to.
    Held,
}

/// What the ledger makes of one entry.
enum Answer {
    Leased(Box<Held>),
    /// It has been run, or is in the ledger's keeping already.
    Superfluous,
    /// It must be asked again behind the durable door.
    Unsure,
}

impl Shared {
    pub(super) fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, QueueError> {
        let until = Instant::now() + POLL_MAX;
        loop {
            let found = self.look_for_jobs(request)?;
            let left = until.saturating_duration_since(Instant::now());
            let is_over = left.is_zero() || self.is_closed();
            match found {
                Found::Jobs(jobs) => return Ok(jobs),
                Found::Nothing { .. } | Found::Held if is_over => return Ok(Vec::new()),
                Found::Held => self.wait_for_arrivals(request, LOOK_EVERY.min(left)),
                Found::Nothing { due } => {
                    let now = self.clock.now();
                    let wait = due.map_or(left, |due| due.since(now).max(Duration::from_millis(1)).min(left));
                    self.wait_for_arrivals(request, wait);
                }
            }
        }
    }

    /// Waits until something lies on the desk for the claim.
    fn wait_for_arrivals(&self, request: &ClaimRequest, at_most: Duration) {
        let until = Instant::now() + at_most;
        let mut desk = lock(&self.desk);
        let before = request.queues.iter().map(|bounds| desk.count(&bounds.queue)).sum::<usize>();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let count = request.queues.iter().map(|bounds| desk.count(&bounds.queue)).sum::<usize>();
            if left.is_zero() || count > before || self.is_closed() {
                return;
            }
            desk = self.arrived.wait_timeout(desk, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn look_for_jobs(&self, request: &ClaimRequest) -> Result<Found, QueueError> {
        let open = self.open()?;
        for _ in 0..ROUNDS_MAX {
            self.free_own()?;
            let Some(asking) = self.begin() else { return Ok(Found::Held) };
            let taken = self.take(&open, request, asking.may_run_suspect);
            drop(asking);
            match taken? {
                Taken::Found(found) => return Ok(found),
                Taken::Again => {}
                Taken::MustDrain => {
                    if !self.drain() {
                        return Ok(Found::Held);
                    }
                }
            }
        }
        Ok(Found::Held)
    }

    /// Enters a claim; `None` if nothing may start now.
    fn begin(&self) -> Option<Asking<'_, Turn>> {
        let now = self.clock.now();
        let leases = lock(&self.leases);
        let mut claims = lock(&self.claims);
        if claims.is_exclusive() {
            return None;
        }
        if let Some((lease, until)) = claims.alone {
            if leases.contains(lease) && now < until {
                return None;
            }
            if !leases.contains(lease) {
                claims.alone = None;
            }
        }
        Some(Asking::enter(&self.claims, &mut claims, leases.is_empty(), now))
    }

    /// A suspect waits. Returns whether it may be asked for at once.
    fn drain(&self) -> bool {
        let has_no_leases = lock(&self.leases).is_empty();
        lock(&self.claims).drain(has_no_leases, self.clock.now())
    }

    fn take(
        &self,
        open: &Arc<super::connection::Open>,
        request: &ClaimRequest,
        may: bool,
    ) -> Result<Taken, QueueError> {
        for bounds in request.queues.iter().filter(|bounds| !self.is_paused(&bounds.queue)) {
            self.consume(open, bounds)?;
            self.settle(bounds);
            if lock(&self.desk).count(&bounds.queue) == 0 && self.send_due()? > 0 {
                self.consume(open, bounds)?;
                self.settle(bounds);
            }
            self.resolve_unsure(&bounds.queue)?;
            let picked = lock(&self.desk).pick(&bounds.queue, bounds.jobs_max.min(JOBS_MAX), bounds.bytes_max, may);
            match picked {
                Picked::Nothing => {}
                Picked::MustDrain => return Ok(Taken::MustDrain),
                Picked::Entries { entries, is_suspect } => {
                    let jobs = self.hold(bounds, entries, is_suspect)?;
                    return Ok(if jobs.is_empty() { Taken::Again } else { Taken::Found(Found::Jobs(jobs)) });
                }
            }
        }
        if may {
            lock(&self.claims).has_drained();
        }
        let due = self.tables.read(messages::next_due)?;
        Ok(Taken::Found(Found::Nothing { due }))
    }

    /// Waits a moment for what is known to be on its way, so that batches are whole and turns are fair.
    fn settle(&self, bounds: &QueueBounds) {
        let began = Instant::now();
        let mut desk = lock(&self.desk);
        loop {
            let count = desk.count(&bounds.queue);
            if count >= SETTLE_ENOUGH {
                return;
            }
            let at_most = if count > 0 { SETTLE_MAX } else { SETTLE_SILENCE };
            let buffered = |lane: &str| desk.count_lane(&bounds.queue, lane);
            let is_settling = lock(&self.streams).is_settling(&bounds.queue, bounds.jobs_max, buffered);
            if !is_settling || began.elapsed() >= at_most || self.is_closed() {
                return;
            }
            desk = self.arrived.wait_timeout(desk, SETTLE_LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Asks the ledger about entries that were delivered before.
    fn resolve_unsure(&self, queue: &str) -> Result<(), QueueError> {
        let mut unsure = lock(&self.desk).take_unsure(queue);
        if unsure.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = unsure.iter().map(Entry::id).collect();
        let rows = match self.tables.read(|tx| jobs::find_many(tx, &ids)) {
            Ok(rows) => rows,
            Err(error) => {
                let mut desk = lock(&self.desk);
                unsure.into_iter().for_each(|entry| desk.put(entry));
                return Err(error);
            }
        };
        let known: std::collections::HashMap<&str, &JobRow> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
        for entry in &mut unsure {
            if let Some(row) = known.get(entry.id()) {
                entry.deaths = (row.deaths, row.company_deaths);
                // Whoever holds its lease may come to lose it: the message is kept until then, durably.
                entry.is_unsure = row.state == State::Leased;
            } else {
                entry.is_unsure = false;
            }
        }
        let (held, free): (Vec<Entry>, Vec<Entry>) = unsure.into_iter().partition(|entry| entry.is_unsure);
        {
            let mut desk = lock(&self.desk);
            free.into_iter().for_each(|entry| desk.put(entry));
        }
        self.keep_for_their_holders(held)
    }

    /// Messages came again whose jobs are running: the ledger takes them, and RabbitMQ may forget them.
    fn keep_for_their_holders(&self, entries: Vec<Entry>) -> Result<(), QueueError> {
        if entries.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let kept = self.tables.write(|tx| {
            let mut freed = Vec::new();
            for (index, entry) in entries.iter().enumerate() {
                match jobs::find(tx, entry.id())? {
                    Some(row) if row.state == State::Leased && row.tag == *entry.tag => {
                        messages::keep(tx, entry.id(), &entry.message.to_text(), now)?;
                    }
                    _ => freed.push(index),
                }
            }
            Ok(freed)
        });
        let (mut done, mut again) = (Vec::new(), Vec::new());
        for (index, entry) in entries.into_iter().enumerate() {
            match &kept {
                Ok(freed) if !freed.contains(&index) => done.push(entry.ticket),
                Ok(_) => again.push(Entry { is_unsure: false, ..entry }),
                Err(_) => again.push(entry),
            }
        }
        self.acknowledge(done);
        let mut desk = lock(&self.desk);
        again.into_iter().for_each(|entry| desk.put(entry));
        kept.map(drop)
    }

    /// Leases entries. What cannot be read, has expired or is to run later is ended here and now.
    fn hold(&self, bounds: &QueueBounds, entries: Vec<Entry>, is_suspect: bool) -> Result<Vec<Claimed>, QueueError> {
        let now = self.clock.now();
        let until = now.plus(bounds.lease);
        let (readable, damaged): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(|entry| entry.job.is_ok());
        self.bury_unreadable(damaged);
        let leases: Vec<LeaseId> = readable.iter().map(|_| self.next_lease()).collect();
        let answers = self.tables.note(|tx| {
            let mut answers = Vec::with_capacity(readable.len());
            for (entry, lease) in readable.iter().zip(&leases) {
                let number = lease.0.cast_signed();
                let leasing = Leasing { lease: number, session: &self.session, until, now };
                answers.push(lease_entry(tx, entry, &leasing)?);
            }
            if is_suspect && let Some(entry) = readable.first() {
                names::mark_alone(tx, &self.session, Some(entry.id()), now)?;
            }
            Ok(answers)
        });
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                let mut desk = lock(&self.desk);
                readable.into_iter().for_each(|entry| desk.put(entry));
                return Err(error);
            }
        };
        self.sort_out(readable, leases, answers, is_suspect, now)
    }

    fn sort_out(
        &self,
        entries: Vec<Entry>,
        leases: Vec<LeaseId>,
        answers: Vec<Answer>,
        is_suspect: bool,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, QueueError> {
        let (mut claimed, mut ends, mut done) = (Vec::with_capacity(entries.len()), Vec::new(), Vec::new());
        for ((entry, lease), answer) in entries.into_iter().zip(leases).zip(answers) {
            match answer {
                Answer::Leased(held) => {
                    match unready(&held, now) {
                        Some(finish) => ends.push((lease, finish)),
                        None => claimed.push(claimed_job(lease, &held)),
                    }
                    lock(&self.leases).add(lease, *held);
                }
                Answer::Superfluous => done.push(entry.ticket),
                Answer::Unsure => lock(&self.desk).put(Entry { is_unsure: true, ..entry }),
            }
        }
        self.acknowledge(done);
        if is_suspect && let Some(job) = claimed.first() {
            let company = lock(&self.leases).get(job.lease).map_or(0, |held| held.deaths.1);
            lock(&self.claims).runs_alone(job.lease, company, now);
        }
        if !ends.is_empty()
            && let Err(error) = self.finish(ends)
        {
            tracing::warn!(error = %error, "jobs that cannot run now not put aside, their leases will end");
        }
        Ok(claimed)
    }
}

enum Taken {
    Found(Found),
    /// What was taken were no jobs.
    Again,
    MustDrain,
}

fn lease_entry(tx: &mut Tx<'_>, entry: &Entry, leasing: &Leasing<'_>) -> Result<Answer, QueueError> {
    let Ok(job) = &entry.job else { return Ok(Answer::Superfluous) };
    let retries = job.attempt.saturating_sub(1);
    if let Some(enqueued_at) = job.published_at.filter(|_| retries == 0 && entry.deaths == (0, 0))
        && jobs::lease_first(tx, (job.id.as_str(), &entry.tag), leasing)?
    {
        return Ok(held_as(entry, job, 1, (0, 0), enqueued_at, leasing));
    }
    if let Some(row) = jobs::lease(tx, (job.id.as_str(), &entry.tag), retries, leasing)? {
        return Ok(leased(entry, job, &row, leasing));
    }
    let is_strange = entry.message.tag().is_none();
    match jobs::find(tx, job.id.as_str())? {
        None => insert_leased(tx, entry, job, leasing),
        Some(row) if row.state == State::Ended && row.tag != *entry.tag && is_strange => {
            insert_leased(tx, entry, job, leasing)
        }
        // A Python worker took the message that we know of, and this is its retry.
        Some(row) if matches!(row.state, State::Sending | State::Ready) && is_strange => {
            jobs::adopt(tx, job.id.as_str(), &entry.tag)?;
            let row = jobs::lease(tx, (job.id.as_str(), &entry.tag), retries, leasing)?;
            Ok(row.map_or(Answer::Superfluous, |row| leased(entry, job, &row, leasing)))
        }
        Some(row) if row.state == State::Leased && row.tag == *entry.tag => Ok(Answer::Unsure),
        Some(_) => Ok(Answer::Superfluous),
    }
}

/// A job that the ledger does not know: a Python program's, or one whose row a power cut took. Run twice at worst.
fn insert_leased(
    tx: &mut Tx<'_>,
    entry: &Entry,
    job: &Arc<Received>,
    leasing: &Leasing<'_>,
) -> Result<Answer, QueueError> {
    let unique_key = match job.options.unique_key.as_deref() {
        Some(key) if !jobs::has_unique_key(tx, key, leasing.now)? => Some(key),
        _ => None,
    };
    let row = NewRow {
        id: job.id.as_str(),
        tag: &entry.tag,
        queue: &entry.queue,
        lane: &entry.lane,
        seat: if entry.message.tag().is_some() { entry.seat } else { Seat::PLAIN },
        task: &job.task,
        state: State::Leased,
        unique_key,
        fairness_key: 0,
        bytes: entry.message.body.len() as u64,
        attempts: job.attempt,
        deaths: entry.deaths.0.min(POISON_DEATHS - 1),
        company_deaths: entry.deaths.1,
        enqueued_at: job.published_at.unwrap_or(leasing.now),
        due_at: Some(leasing.until),
        lease: Some((leasing.lease, leasing.session)),
    };
    jobs::replace(tx, &row, leasing.now)?;
    let row = JobRow {
        id: job.id.to_string(),
        tag: entry.tag.to_string(),
        state: State::Leased,
        attempts: job.attempt,
        deaths: row.deaths,
        company_deaths: row.company_deaths,
        enqueued_at: row.enqueued_at,
    };
    Ok(leased(entry, job, &row, leasing))
}

fn leased(entry: &Entry, job: &Arc<Received>, row: &JobRow, leasing: &Leasing<'_>) -> Answer {
    held_as(entry, job, row.attempts, (row.deaths, row.company_deaths), row.enqueued_at, leasing)
}

fn held_as(
    entry: &Entry,
    job: &Arc<Received>,
    attempt: u32,
    deaths: (u32, u32),
    enqueued_at: Timestamp,
    leasing: &Leasing<'_>,
) -> Answer {
    Answer::Leased(Box::new(Held {
        entry: Entry { is_unsure: false, ..entry.clone() },
        job: job.clone(),
        attempt,
        deaths,
        enqueued_at,
        until: leasing.until,
        since: entry.arrived_at,
        is_kept: false,
        is_ending: false,
    }))
}

fn unready(held: &Held, now: Timestamp) -> Option<Finish> {
    let job = &held.job;
    // Its last worker died elsewhere: whoever freed its lease could not end it, for RabbitMQ had the message.
    if held.deaths.0 >= POISON_DEATHS {
        return Some(super::leases::poisoned());
    }
    if job.options.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Some(Finish::Dead { reason: DeadReason::Expired, error: "expired".to_owned() });
    }
    let eta = job.eta.filter(|eta| *eta > now)?;
    Some(Finish::GiveBack { after: eta.since(now) })
}

fn claimed_job(lease: LeaseId, held: &Held) -> Claimed {
    Claimed {
        lease,
        id: held.job.id.clone(),
        task: held.job.task.clone(),
        queue: held.entry.queue.clone(),
        attempt: held.attempt,
        enqueued_at: held.enqueued_at,
        payload: held.job.payload.clone(),
        options: held.job.options.clone(),
    }
}
