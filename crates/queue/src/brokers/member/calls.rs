//! The two seams, answered here by the owner's queue or over the socket by a guest. A call whose owner goes away is made
//! again with the next one: publishing is idempotent, claims give what is free, ends are fenced.

use super::guest::Broken;
use super::wire::{self, ClaimedHead, Depth, End, JobHead, Request, State, WireError};
use super::{Member, Place, Role};
use crate::broker::Account;
use crate::brokers::embedded::{Embedded, leave};
use crate::letters::{self, DeadNames, LetterPage, Letters};
use crate::waiting::wait_for;
use crate::{
    BoxFuture, Broker, ClaimRequest, Claimed, Cursor, DeadLetter, Finish, JobId, JobResult, JobState, LeaseId, Ledger,
    NewJob, Parked, Published, QueueDepth, QueueError, WorkerRow, tend,
};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use std::sync::Weak;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};
use stdx::Timestamp;
use tokio::sync::oneshot;

/// A call is made again for at most so long, however often its owner goes away.
const RETRIED_MAX: Duration = Duration::from_secs(10);
/// Publishers of one process that share a message.
const GROUP_MAX: usize = 512;
/// Payload bytes of one message.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// Publishers that wait for the thread; further ones are refused as a full queue.
const WAITING_MAX: usize = 8_192;

type Answer = oneshot::Sender<Result<Vec<Published>, QueueError>>;
/// Jobs that are to be kept together, and whoever waits for that.
pub(super) type Publishing = (Vec<NewJob>, Answer);

/// Starts the thread that publishes for all callers of a guest, in one message for all who wait. It ends with its place.
pub(super) fn start_publisher(place: &Weak<Place>) -> std::io::Result<SyncSender<Publishing>> {
    let (sender, waiting) = sync_channel::<Publishing>(WAITING_MAX);
    let place = place.clone();
    let run = move || {
        while let Ok(first) = waiting.recv() {
            let mut bytes = size_of_jobs(&first);
            let mut group = vec![first];
            while group.len() < GROUP_MAX && bytes < GROUP_BYTES_MAX {
                let Ok(next) = waiting.try_recv() else { break };
                bytes += size_of_jobs(&next);
                group.push(next);
            }
            let Some(place) = place.upgrade() else { return };
            place.send_group(group);
        }
    };
    let run = move || tend::tend("queue-publisher", || false, run);
    std::thread::Builder::new().name("queue-publisher".to_owned()).spawn(run)?;
    Ok(sender)
}

fn size_of_jobs(publishing: &Publishing) -> usize {
    publishing.0.iter().map(|job| job.payload.len()).sum()
}

impl Place {
    /// Asks whoever owns the queue.
    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        request: &Request,
        tail: &[u8],
        here: impl Fn(&Embedded) -> Result<T, QueueError>,
    ) -> Result<(T, Bytes), QueueError> {
        let started = Instant::now();
        loop {
            match self.role() {
                Role::Owner(owner) => match here(&owner.queue) {
                    // It lost its folder, and looks for its place again.
                    Err(QueueError::Closed) => std::thread::sleep(super::LOOK_EVERY),
                    answer => return Ok((answer?, Bytes::new())),
                },
                Role::Guest(guest) => match guest.call::<T>(request, tail) {
                    // An owner that is closing has a successor in a moment.
                    Ok((Err(QueueError::Closed), _)) => std::thread::sleep(super::LOOK_EVERY),
                    Ok((answer, tail)) => return Ok((answer?, tail)),
                    Err(Broken::Hangs) => return Err(self.hangs()),
                    Err(Broken::Odd(why)) => return Err(self.unreachable(why)),
                    Err(Broken::Gone(_)) => self.replace(&guest)?,
                },
                Role::Nobody => std::thread::sleep(super::LOOK_EVERY),
            }
            if started.elapsed() >= RETRIED_MAX {
                return Err(self.unreachable("its owner goes away again and again".to_owned()));
            }
        }
    }

    pub(super) fn ask_only<T: DeserializeOwned>(
        &self,
        request: &Request,
        here: impl Fn(&Embedded) -> Result<T, QueueError>,
    ) -> Result<T, QueueError> {
        self.ask(request, &[], here).map(|(value, _)| value)
    }

    fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, QueueError> {
        let asked = Request::Claim { queues: wire::bounds_of(request) };
        let claimed = match self.role() {
            Role::Owner(owner) if owner.queue.owns_its_folder() => owner.queue.claim(request)?,
            Role::Owner(_) | Role::Guest(_) | Role::Nobody => self.claim_as_guest(&asked, request)?,
        };
        self.held().extend(claimed.iter().map(|job| (job.lease, job.id.clone())));
        Ok(claimed)
    }

    fn claim_as_guest(&self, asked: &Request, request: &ClaimRequest) -> Result<Vec<Claimed>, QueueError> {
        let mut here = Vec::new();
        let claiming = std::sync::Mutex::new(&mut here);
        // Having become the owner meanwhile, it claims here.
        let (heads, mut tail) = self.ask::<Vec<ClaimedHead>>(asked, &[], |queue| {
            let mut claimed = claiming.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            **claimed = queue.claim(request)?;
            Ok(Vec::new())
        })?;
        for head in heads {
            here.push(head.into_claimed(&mut tail).map_err(|error| self.unreachable(error.to_string()))?);
        }
        Ok(here)
    }

    fn send_group(&self, requests: Vec<(Vec<NewJob>, Answer)>) {
        let mut tail = Vec::new();
        let heads: Vec<Vec<JobHead>> =
            requests.iter().map(|(jobs, _)| jobs.iter().map(|job| JobHead::new(job, &mut tail)).collect()).collect();
        let jobs = || requests.iter().map(|(jobs, _)| jobs.clone());
        type Words = Vec<Result<Vec<bool>, WireError>>;
        let answered = self.ask::<Words>(&Request::Publish { requests: heads }, &tail, |queue| {
            // Having become the owner meanwhile, it publishes here.
            let futures: Vec<_> = jobs().map(|jobs| queue.publish(jobs)).collect();
            type Kept<'q> = BoxFuture<'q, Result<Vec<Published>, QueueError>>;
            let wait = |future: Kept<'_>| wait_for(future).map(wire::published_words).map_err(WireError::from);
            Ok(futures.into_iter().map(wait).collect())
        });
        match answered {
            Ok((words, _)) => {
                for ((_, answer), words) in requests.into_iter().zip(words) {
                    // A publisher that went away does not take its job back.
                    let _ = answer.send(words.map(wire::published_of).map_err(WireError::into_error));
                }
            }
            Err(error) => {
                let (broker, why) = match error {
                    QueueError::Unreachable { broker, why } => (broker, why),
                    other => ("the process that owns the queue".to_owned(), stdx::causes::on_one_line(&other)),
                };
                for (_, answer) in requests {
                    let _ = answer.send(Err(QueueError::Unreachable { broker: broker.clone(), why: why.clone() }));
                }
            }
        }
    }
}

impl Broker for Member {
    fn publish(&self, jobs: Vec<NewJob>) -> BoxFuture<'_, Result<Vec<Published>, QueueError>> {
        if let Role::Owner(owner) = self.0.role()
            && owner.queue.owns_its_folder()
        {
            return Box::pin(async move { owner.queue.publish(jobs).await });
        }
        let (answer, answered) = oneshot::channel();
        let sent = self.0.publisher.try_send((jobs, answer)).map_err(|error| match error {
            TrySendError::Full(_) => QueueError::Full { bound: "requests waiting to be written" },
            TrySendError::Disconnected(_) => QueueError::Closed,
        });
        Box::pin(async move {
            sent?;
            answered.await.map_err(|_| QueueError::Closed)?
        })
    }

    fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, QueueError> {
        self.0.claim(request)
    }

    fn extend(&self, leases: &[LeaseId], lease: Duration) -> Result<Vec<LeaseId>, QueueError> {
        let request =
            Request::Extend { leases: leases.iter().map(|lease| lease.0).collect(), lease_ms: wire::millis(lease) };
        let here = |queue: &Embedded| queue.extend(leases, lease).map(numbers);
        let lost: Vec<LeaseId> = self.0.ask_only(&request, here)?.into_iter().map(LeaseId).collect();
        self.0.forget(&lost);
        Ok(lost)
    }

    fn finish(&self, finished: Vec<(LeaseId, Finish)>) -> Result<Vec<LeaseId>, QueueError> {
        let leases: Vec<LeaseId> = finished.iter().map(|(lease, _)| *lease).collect();
        let lost = match self.0.role() {
            Role::Owner(owner) if owner.queue.owns_its_folder() => owner.queue.finish(finished)?,
            Role::Owner(_) | Role::Guest(_) | Role::Nobody => {
                let ends = finished.iter().map(|(lease, finish)| (lease.0, End::from(finish.clone()))).collect();
                let here = |queue: &Embedded| queue.finish(finished.clone()).map(numbers);
                let lost = self.0.ask_only(&Request::Finish { finished: ends }, here)?;
                lost.into_iter().map(LeaseId).collect()
            }
        };
        self.0.forget(&leases);
        Ok(lost)
    }

    fn declare(&self, queue: &str) -> Result<(), QueueError> {
        self.0.ask_only(&Request::Declare { queue: queue.to_owned() }, |here| here.declare(queue))?;
        self.0.declared().insert(queue.to_owned());
        Ok(())
    }

    fn depths(&self) -> Result<Vec<QueueDepth>, QueueError> {
        let here = |queue: &Embedded| queue.depths().map(|rows| rows.into_iter().map(Depth::from).collect());
        let rows: Vec<Depth> = self.0.ask_only(&Request::Depths, here)?;
        Ok(rows.into_iter().map(QueueDepth::from).collect())
    }

    fn locate(&self, id: &JobId) -> Result<Option<JobState>, QueueError> {
        let here = |queue: &Embedded| queue.locate(id).map(|state| state.map(State::from));
        let state: Option<State> = self.0.ask_only(&Request::Locate { id: id.to_string() }, here)?;
        Ok(state.map(JobState::from))
    }

    /// The owner's writer does it.
    fn upkeep(&self) -> Result<(), QueueError> {
        Ok(())
    }

    fn accepting(&self) -> Result<(), QueueError> {
        self.0.ask_only(&Request::Accepting, |queue| queue.accepting())
    }

    fn troubles(&self) -> Result<Vec<String>, QueueError> {
        self.0.ask_only(&Request::Troubles, |queue| queue.troubles())
    }
}

fn numbers(leases: Vec<LeaseId>) -> Vec<u64> {
    leases.into_iter().map(|lease| lease.0).collect()
}

impl Ledger for Member {
    fn letters(&self, page: &LetterPage) -> Result<Letters, QueueError> {
        self.0.ask_only(&Request::Letters(page.clone()), |queue| queue.letters(page))
    }

    fn dead_names(&self, since: Timestamp, from: Option<&str>) -> Result<DeadNames, QueueError> {
        let request = Request::DeadNames(since, from.map(str::to_owned));
        self.0.ask_only(&request, |queue| queue.dead_names(since, from))
    }

    fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, QueueError> {
        self.0.ask_only(&Request::DeadLetter { id: id.to_owned() }, |queue| queue.dead_letter(id))
    }

    fn retry_dead(&self, id: &str) -> Result<bool, QueueError> {
        self.0.ask_only(&Request::RetryDead { id: id.to_owned() }, |queue| queue.retry_dead(id))
    }

    fn discard_letters(&self, ids: &[String], account: Account<'_>) -> Result<u64, QueueError> {
        letters::discard(ids, account, |ids| self.0.show_letters(ids), |going| self.0.drop_letters(going))
    }

    fn pause(&self, queue: &str) -> Result<(), QueueError> {
        self.0.ask_only(&Request::Pause { queue: queue.to_owned() }, |here| here.pause(queue))
    }

    fn resume(&self, queue: &str) -> Result<(), QueueError> {
        self.0.ask_only(&Request::Resume { queue: queue.to_owned() }, |here| here.resume(queue))
    }

    fn purge(&self, queue: &str, account: Account<'_>) -> Result<u64, QueueError> {
        leave::purge(account, |from| self.0.leaving(queue, from), |hashes| self.0.remove(queue, hashes))
    }

    fn parked(&self) -> Result<Vec<Parked>, QueueError> {
        self.0.ask_only(&Request::Parked, |queue| queue.parked())
    }

    fn unpark(&self, tasks: &[&str]) -> Result<u64, QueueError> {
        let names = tasks.iter().map(|&task| task.to_owned()).collect();
        self.0.ask_only(&Request::Unpark { tasks: names }, |queue| queue.unpark(tasks))
    }

    fn result(&self, id: &JobId) -> Result<Option<JobResult>, QueueError> {
        self.0.ask_only(&Request::Result { id: id.to_string() }, |queue| queue.result(id))
    }

    fn beat(&self, worker: &WorkerRow) -> Result<(), QueueError> {
        self.0.ask_only(&Request::Beat { worker: Box::new(worker.clone()) }, |queue| queue.beat(worker))
    }

    fn leave(&self, name: &str) -> Result<(), QueueError> {
        self.0.ask_only(&Request::Leave { name: name.to_owned() }, |queue| queue.leave(name))
    }

    fn workers(&self) -> Result<Vec<WorkerRow>, QueueError> {
        self.0.ask_only(&Request::Workers, |queue| queue.workers())
    }

    fn fire(&self, entry: &str, scheduled_at: Timestamp, job: NewJob) -> Result<bool, QueueError> {
        let mut tail = Vec::new();
        let head = Box::new(JobHead::new(&job, &mut tail));
        let request = Request::Fire { entry: entry.to_owned(), scheduled_at, job: head };
        let here = |queue: &Embedded| queue.fire(entry, scheduled_at, job.clone());
        self.0.ask(&request, &tail, here).map(|(fired, _)| fired)
    }

    fn cursors(&self) -> Result<Vec<Cursor>, QueueError> {
        self.0.ask_only(&Request::Cursors, |queue| queue.cursors())
    }
}
