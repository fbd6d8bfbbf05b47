//! What a broker cannot keep: pauses, parked jobs, results, workers, and how far schedules have come.

use super::leases::SEPARATOR;
use super::publish::{check_lengths, lane_of, new_tag, step_of};
use super::scripts::Script;
use super::{ID_KEPT, Redis, Shared, seconds, time};
use crate::broker::{
    Account, Cursor, DeadLetter, LEAVING_BYTES_MAX, LEAVING_JOBS_MAX, Leaving, Ledger, Parked, WorkerRow,
};
use crate::celery;
use crate::letters::{DeadNames, LetterPage, Letters};
use crate::{JobId, JobResult, NewJob, QueueError};
use std::collections::BTreeMap;
use std::time::Duration;
use stdx::Timestamp;

/// Jobs moved by one call.
const BATCH_MAX: usize = 500;
/// So long a worker is shown that is not heard any more.
const WORKERS_KEPT: Duration = Duration::from_secs(3_600);

impl Shared {
    /// What is published meanwhile may stay or go; what a worker took since it was shown stays with it.
    fn purge(&self, queue: &str, account: Account<'_>) -> Result<u64, QueueError> {
        let waiting = self.depths()?.into_iter().find(|depth| depth.queue == queue);
        let Some(waiting) = waiting else { return Ok(0) };
        let most = waiting.ready + waiting.delayed + waiting.parked;
        let (mut shown, mut removed) = (0, 0);
        while shown < most {
            let words = self.words().with(queue);
            let words = words.with(LEAVING_JOBS_MAX.to_string()).with(LEAVING_BYTES_MAX.to_string());
            let (list, some): (String, Vec<(String, Vec<u8>)>) = self.link.run(Script::Waiting, &words.0)?;
            if some.is_empty() {
                break;
            }
            let leaving: Vec<Leaving> = some.iter().map(|(_, message)| self.leaving(message)).collect();
            account(&leaving)?;
            let mut words = self.words().with(queue).with(list.as_str());
            for (tag, message) in &some {
                words = if list.is_empty() { words.with(tag.as_str()) } else { words.with(message.as_slice()) };
            }
            let gone: Vec<usize> = self.link.run(Script::Purge, &words.0)?;
            let messages: Vec<&[u8]> = gone.iter().filter_map(|at| Some(&*some.get(*at)?.1)).collect();
            self.forget_ids(&messages)?;
            shown += some.len() as u64;
            removed += gone.len() as u64;
        }
        Ok(removed)
    }

    /// A message as it is shown to whoever accounts for it.
    pub(super) fn leaving(&self, message: &[u8]) -> Leaving {
        match celery::decode(message) {
            Ok(job) => Leaving {
                id: job.id,
                enqueued_at: job.published_at.unwrap_or_else(|| self.clock.now()),
                payload: Some(job.payload),
            },
            Err(rest) => {
                Leaving { id: JobId::new(&rest.id.unwrap_or_default()), enqueued_at: self.clock.now(), payload: None }
            }
        }
    }

    fn forget_ids(&self, messages: &[&[u8]]) -> Result<(), QueueError> {
        let mut command = redis::cmd("UNLINK");
        for job in messages.iter().filter_map(|message| celery::decode(message).ok()) {
            command.arg(self.key(&format!("id:{}", job.id)));
            if let Some(key) = &job.options.unique_key {
                command.arg(self.key(&format!("unique:{key}")));
            }
        }
        if command.args_iter().count() == 1 {
            return Ok(());
        }
        self.link.with(|open| command.exec(&mut open.connection))
    }

    /// Queue and task of each field of the index, and since when.
    fn parked_fields(&self) -> Result<Vec<(String, String, Timestamp)>, QueueError> {
        let fields: BTreeMap<String, String> =
            self.link.with(|open| redis::cmd("HGETALL").arg(self.key("parked")).query(&mut open.connection))?;
        let read = |(field, since): (String, String)| {
            let (queue, task) = field.split_once(SEPARATOR)?;
            Some((queue.to_owned(), task.to_owned(), time(&since)))
        };
        Ok(fields.into_iter().filter_map(read).collect())
    }

    fn parked(&self) -> Result<Vec<Parked>, QueueError> {
        let mut parked = Vec::new();
        for (queue, task, since) in self.parked_fields()? {
            let key = self.key(&format!("parked:{queue}{SEPARATOR}{task}"));
            let jobs: u64 = self.link.with(|open| redis::cmd("ZCARD").arg(&key).query(&mut open.connection))?;
            parked.push(Parked { queue, task, jobs, since });
        }
        Ok(parked)
    }

    fn unpark(&self, tasks: &[&str]) -> Result<u64, QueueError> {
        let mut moved = 0;
        for (queue, task, _) in self.parked_fields()? {
            if !tasks.contains(&task.as_str()) {
                continue;
            }
            loop {
                let words = self.words().with(queue.as_str()).with(task.as_str()).with(BATCH_MAX.to_string());
                let (some, left): (u64, u64) = self.link.run(Script::Unpark, &words.0)?;
                moved += some;
                if left == 0 || some == 0 {
                    break;
                }
            }
        }
        Ok(moved)
    }

    fn beat(&self, worker: &WorkerRow) -> Result<(), QueueError> {
        let text = serde_json::to_string(worker).expect("texts and numbers can be written");
        let forgotten = seconds(worker.heard_at.minus(WORKERS_KEPT));
        let (rows, heard) = (self.key("workers"), self.key("workers:heard"));
        let gone: Vec<String> = self.link.with(|open| {
            let mut pipeline = redis::pipe();
            pipeline.atomic().cmd("HSET").arg(&rows).arg(&worker.name).arg(&text).ignore();
            pipeline.cmd("ZADD").arg(&heard).arg(seconds(worker.heard_at)).arg(&worker.name).ignore();
            pipeline.cmd("ZRANGEBYSCORE").arg(&heard).arg("-inf").arg(&forgotten);
            let (gone,) = pipeline.query(&mut open.connection)?;
            Ok(gone)
        })?;
        gone.iter().try_for_each(|name| self.leave(name))
    }

    fn leave(&self, name: &str) -> Result<(), QueueError> {
        self.link.with(|open| {
            let mut pipeline = redis::pipe();
            pipeline.atomic().cmd("HDEL").arg(self.key("workers")).arg(name).ignore();
            pipeline.cmd("ZREM").arg(self.key("workers:heard")).arg(name).ignore();
            pipeline.exec(&mut open.connection)
        })
    }

    fn workers(&self) -> Result<Vec<WorkerRow>, QueueError> {
        let rows: BTreeMap<String, Vec<u8>> =
            self.link.with(|open| redis::cmd("HGETALL").arg(self.key("workers")).query(&mut open.connection))?;
        let limit = self.now()?.minus(WORKERS_KEPT);
        // A row of a later release that cannot be read is not shown.
        let read = rows.into_values().filter_map(|text| serde_json::from_slice::<WorkerRow>(&text).ok());
        Ok(read.filter(|row| row.heard_at >= limit).collect())
    }

    fn fire(&self, entry: &str, scheduled_at: Timestamp, job: &NewJob) -> Result<bool, QueueError> {
        check_lengths(job)?;
        let now = self.now()?;
        let cursor = Cursor { entry: entry.to_owned(), scheduled_at, fired_at: now, job: job.id.to_string() };
        let tag = new_tag(now);
        let message = celery::encode(job, &tag, &self.origin, now);
        let words = self
            .words()
            .with(entry)
            .with(scheduled_at.micros().to_string())
            .with(serde_json::to_string(&cursor).expect("texts and numbers can be written"))
            .with(self.key(&format!("id:{}", job.id)))
            .with(job.queue.as_bytes())
            .with(lane_of(job.fairness_key) + &step_of(job.priority))
            .with(format!("{:.6}", job.delay.as_secs_f64()))
            .with(tag)
            .with(message)
            .with((ID_KEPT + job.delay).as_secs().to_string());
        let fired: u64 = self.link.run(Script::Fire, &words.0)?;
        Ok(fired == 1)
    }

    fn cursors(&self) -> Result<Vec<Cursor>, QueueError> {
        let texts: BTreeMap<String, String> =
            self.link.with(|open| redis::cmd("HGETALL").arg(self.key("cursors")).query(&mut open.connection))?;
        let read = |text: &String| serde_json::from_str(text.split_once(' ')?.1).ok();
        Ok(texts.values().filter_map(read).collect())
    }

    fn set_of_paused(&self, command: &str, queue: &str) -> Result<(), QueueError> {
        self.link.with(|open| redis::cmd(command).arg(self.key("paused")).arg(queue).exec(&mut open.connection))
    }

    fn result(&self, id: &JobId) -> Result<Option<JobResult>, QueueError> {
        let key = self.result_key("celery-task-meta-", id.as_str());
        let text: Option<Vec<u8>> = self.link.with(|open| redis::cmd("GET").arg(&key).query(&mut open.connection))?;
        Ok(text.and_then(|text| celery::read_result(&text)))
    }
}

impl Ledger for Redis {
    fn letters(&self, page: &LetterPage) -> Result<Letters, QueueError> {
        self.shared.letters(page)
    }

    fn dead_names(&self, since: Timestamp, from: Option<&str>) -> Result<DeadNames, QueueError> {
        self.shared.dead_names(since, from)
    }

    fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, QueueError> {
        self.shared.dead_letter(id)
    }

    fn retry_dead(&self, id: &str) -> Result<bool, QueueError> {
        self.shared.retry_dead(id)
    }

    fn discard_letters(&self, ids: &[String], account: Account<'_>) -> Result<u64, QueueError> {
        self.shared.discard_letters(ids, account)
    }

    fn pause(&self, queue: &str) -> Result<(), QueueError> {
        self.shared.set_of_paused("SADD", queue)
    }

    fn resume(&self, queue: &str) -> Result<(), QueueError> {
        self.shared.set_of_paused("SREM", queue)
    }

    fn purge(&self, queue: &str, account: Account<'_>) -> Result<u64, QueueError> {
        self.shared.purge(queue, account)
    }

    fn parked(&self) -> Result<Vec<Parked>, QueueError> {
        self.shared.parked()
    }

    fn unpark(&self, tasks: &[&str]) -> Result<u64, QueueError> {
        self.shared.unpark(tasks)
    }

    fn result(&self, id: &JobId) -> Result<Option<JobResult>, QueueError> {
        self.shared.result(id)
    }

    fn beat(&self, worker: &WorkerRow) -> Result<(), QueueError> {
        self.shared.beat(worker)
    }

    fn leave(&self, name: &str) -> Result<(), QueueError> {
        self.shared.leave(name)
    }

    fn workers(&self) -> Result<Vec<WorkerRow>, QueueError> {
        self.shared.workers()
    }

    fn fire(&self, entry: &str, scheduled_at: Timestamp, job: NewJob) -> Result<bool, QueueError> {
        self.shared.fire(entry, scheduled_at, &job)
    }

    fn cursors(&self) -> Result<Vec<Cursor>, QueueError> {
        self.shared.cursors()
    }
}
