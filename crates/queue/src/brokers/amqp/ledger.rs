//! What a broker cannot keep, as the tables have it: dead letters, pauses, parked jobs, results, workers, and how far
//! schedules have come.

use super::super::redis::{check_lengths, new_tag};
use super::tables::jobs::{self, NewRow, State};
use super::tables::letters::{self, Letter};
use super::tables::messages;
use super::tables::rows;
use super::{Amqp, Shared};
use crate::broker::{Account, Cursor, DeadLetter, Ledger, Parked, WorkerRow, lives_already};
use crate::celery::{self, Edit};
use crate::letters::{self as paging, DeadNames, Going, LetterPage, Letters, NAMES_MAX};
use crate::{JobId, JobResult, JobState, NewJob, QueueError};
use std::time::Duration;
use stdx::Timestamp;

/// So long a worker is shown that is not heard any more.
const WORKERS_KEPT: Duration = Duration::from_secs(3_600);

impl Shared {
    pub(super) fn locate(&self, id: &JobId) -> Result<Option<JobState>, QueueError> {
        let (row, has_letter) =
            self.tables.read(|tx| Ok((jobs::find(tx, id.as_str())?, letters::has_of(tx, id.as_str())?)))?;
        let living = row.and_then(|row| match row.state {
            State::Sending | State::Ready => Some(JobState::Ready),
            State::Leased => Some(JobState::Leased),
            State::Delayed => Some(JobState::Delayed),
            State::Parked => Some(JobState::Parked),
            State::Ended => None,
        });
        Ok(living.or(has_letter.then_some(JobState::Dead)))
    }

    fn retry_dead(&self, id: &str) -> Result<bool, QueueError> {
        let now = self.clock.now();
        let retried = self.tables.write(|tx| {
            let Some(letter) = letters::find(tx, id)? else { return Ok(false) };
            // Its own name may say more than its job's.
            let Some((text, tag, job)) = renewed(&letter, now) else { return Ok(false) };
            let (name, id) = (id, job.id.as_str());
            if jobs::find(tx, id)?.is_some_and(|row| row.state != State::Ended) {
                return Err(lives_already(id, "id"));
            }
            let unique_key = job.options.unique_key.as_deref();
            if let Some(key) = unique_key
                && jobs::has_unique_key(tx, key, now)?
            {
                return Err(lives_already(id, "unique key"));
            }
            let row = NewRow {
                id,
                tag: &tag,
                queue: &letter.letter.queue,
                lane: &letter.lane,
                seat: letter.seat,
                task: &letter.letter.task,
                state: State::Delayed,
                unique_key,
                fairness_key: letter.fairness_key,
                bytes: job.payload.len() as u64,
                attempts: 0,
                deaths: 0,
                company_deaths: 0,
                enqueued_at: letter.letter.enqueued_at,
                due_at: Some(now),
                lease: None,
            };
            jobs::replace(tx, &row, now)?;
            messages::keep(tx, id, &text, now)?;
            letters::remove(tx, name)
        })?;
        if retried {
            self.send_soon();
        }
        Ok(retried)
    }

    /// Sends what the ledger has been given to send. If the server is away now an upkeep does it.
    fn send_soon(&self) {
        if let Err(error) = self.send_due() {
            tracing::warn!(error = %error, "jobs not sent yet, the next upkeep sends them");
        }
    }

    fn unpark(&self, tasks: &[&str]) -> Result<u64, QueueError> {
        let now = self.clock.now();
        let moved = self.tables.write(|tx| {
            let mut moved = 0;
            for task in tasks {
                moved += jobs::unpark(tx, task, now)?;
            }
            Ok(moved)
        })?;
        if moved > 0 {
            self.send_soon();
        }
        Ok(moved)
    }

    /// Moves the cursor and keeps the job in one transaction: neither is without the other.
    fn fire(&self, entry: &str, scheduled_at: Timestamp, job: &NewJob) -> Result<bool, QueueError> {
        check_lengths(job)?;
        let lane = self.lane_of(job)?;
        let now = self.clock.now();
        let cursor = Cursor { entry: entry.to_owned(), scheduled_at, fired_at: now, job: job.id.to_string() };
        let document = serde_json::to_string(&cursor).expect("texts and numbers can be written");
        let fired = self.tables.write(|tx| {
            let is_later = rows::advance(tx, entry, scheduled_at, &document)?;
            if is_later {
                self.keep_delayed(tx, job, &lane, now)?;
            }
            Ok(is_later)
        })?;
        if fired {
            self.send_soon();
        }
        Ok(fired)
    }
}

/// Returns a letter's message as a new one, its tag, and what it says.
fn renewed(letter: &Letter, now: Timestamp) -> Option<(Vec<u8>, String, celery::Received)> {
    let edit = Edit { retries: Some(0), is_fresh: true, ..Edit::default() };
    let text = celery::rewrite(letter.body.as_deref()?, &edit)?;
    let tag = new_tag(now);
    let text = celery::retagged(&text, &tag)?;
    let job = celery::decode(&text).ok()?;
    Some((text, tag, job))
}

impl Shared {
    /// All of a batch that was accounted for, in one transaction.
    fn drop_letters(&self, going: &[Going]) -> Result<u64, QueueError> {
        self.tables.write(|tx| {
            let mut dropped = 0;
            for Going { name, leaving } in going {
                dropped += u64::from(letters::remove_shown(tx, name, leaving.enqueued_at)?);
            }
            Ok(dropped)
        })
    }
}

impl Ledger for Amqp {
    fn letters(&self, page: &LetterPage) -> Result<Letters, QueueError> {
        let most = page.most();
        let read = |tx: &mut db::Tx<'_>| letters::page(tx, page.queue.as_deref(), page.after.as_ref(), most + 1);
        let mut found: Vec<DeadLetter> =
            self.shared.tables.read(read)?.into_iter().map(|letter| letter.letter).collect();
        let next = (found.len() > most).then(|| found[most - 1].cursor());
        found.truncate(most);
        Ok(Letters { letters: found, next })
    }

    fn dead_names(&self, since: Timestamp, from: Option<&str>) -> Result<DeadNames, QueueError> {
        let mut names = self.shared.tables.read(|tx| letters::names(tx, from.unwrap_or_default(), NAMES_MAX))?;
        let is_last = names.len() < NAMES_MAX;
        let next = names.last().filter(|_| !is_last).map(|last| last.id.clone());
        names.retain(|name| name.enqueued_at >= since);
        Ok(DeadNames { names, next })
    }

    fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, QueueError> {
        let letter = self.shared.tables.read(|tx| letters::find(tx, id))?;
        Ok(letter.map(|letter| letter.letter))
    }

    fn retry_dead(&self, id: &str) -> Result<bool, QueueError> {
        self.shared.retry_dead(id)
    }

    fn discard_letters(&self, ids: &[String], account: Account<'_>) -> Result<u64, QueueError> {
        let read = |id: &str| {
            let letter = self.shared.tables.read(|tx| letters::find(tx, id))?;
            Ok(letter.map(|letter| {
                let job = letter.body.as_deref().and_then(|body| celery::decode(body).ok());
                paging::going(&letter.letter, job.map(|job| job.payload))
            }))
        };
        paging::discard(ids, account, |ids| paging::show_each(ids, read), |going| self.shared.drop_letters(going))
    }

    fn pause(&self, queue: &str) -> Result<(), QueueError> {
        self.shared.set_paused(queue, true)
    }

    fn resume(&self, queue: &str) -> Result<(), QueueError> {
        self.shared.set_paused(queue, false)
    }

    fn purge(&self, queue: &str, account: Account<'_>) -> Result<u64, QueueError> {
        self.shared.purge(queue, account)
    }

    fn parked(&self) -> Result<Vec<Parked>, QueueError> {
        let rows = self.shared.tables.read(jobs::parked)?;
        let parked = |(queue, task, jobs, since): (String, String, i64, Timestamp)| Parked {
            queue,
            task,
            jobs: jobs.unsigned_abs(),
            since,
        };
        Ok(rows.into_iter().map(parked).collect())
    }

    fn unpark(&self, tasks: &[&str]) -> Result<u64, QueueError> {
        self.shared.unpark(tasks)
    }

    fn result(&self, id: &JobId) -> Result<Option<JobResult>, QueueError> {
        self.shared.result(id)
    }

    fn beat(&self, worker: &WorkerRow) -> Result<(), QueueError> {
        let document = serde_json::to_string(worker).expect("texts and numbers can be written");
        self.shared.tables.note(|tx| {
            rows::hear_worker(tx, &worker.name, worker.heard_at, &document)?;
            rows::forget_workers(tx, worker.heard_at.minus(WORKERS_KEPT))
        })
    }

    fn leave(&self, name: &str) -> Result<(), QueueError> {
        self.shared.tables.note(|tx| rows::forget_worker(tx, name))
    }

    fn workers(&self) -> Result<Vec<WorkerRow>, QueueError> {
        let since = self.shared.clock.now().minus(WORKERS_KEPT);
        let documents = self.shared.tables.read(|tx| rows::workers(tx, since))?;
        // A row of a later release that cannot be read is not shown.
        Ok(documents.iter().filter_map(|document| serde_json::from_str(document).ok()).collect())
    }

    fn fire(&self, entry: &str, scheduled_at: Timestamp, job: NewJob) -> Result<bool, QueueError> {
        self.shared.fire(entry, scheduled_at, &job)
    }

    fn cursors(&self) -> Result<Vec<Cursor>, QueueError> {
        let documents = self.shared.tables.read(rows::cursors)?;
        Ok(documents.iter().filter_map(|document| serde_json::from_str(document).ok()).collect())
    }
}
