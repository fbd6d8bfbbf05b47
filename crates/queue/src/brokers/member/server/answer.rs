//! What each request means for the owner's queue.

use super::Hall;
use crate::brokers::member::wire::{self, ClaimedHead, Depth, JobHead, Request, State, WireError};
use crate::brokers::member::{REASSERTED_FOR, leaving};
use crate::waiting::wait_for;
use crate::{BoxFuture, Broker, JobId, LeaseId, Ledger, Published, QueueError};
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use std::io;
use std::time::Duration;

/// A head that says how it went, and payloads.
pub(in super::super) struct Answer {
    pub head: Result<Value, WireError>,
    pub tail: Vec<u8>,
    /// What the answer hands over.
    pub claimed: Vec<LeaseId>,
}

pub(in super::super) fn of<T: Serialize>(result: Result<T, QueueError>) -> Answer {
    let head = result.map_err(WireError::from).and_then(|value| {
        serde_json::to_value(value).map_err(|error| WireError::Other(format!("write the answer: {error}")))
    });
    Answer { head, tail: Vec::new(), claimed: Vec::new() }
}

impl Hall {
    pub(super) fn answer(&self, session: u64, request: Request, mut tail: Bytes) -> io::Result<Answer> {
        let queue = &self.queue;
        Ok(match request {
            Request::Hello { .. } => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a second greeting on one connection"));
            }
            Request::Publish { requests } => self.publish(requests, &mut tail)?,
            Request::Claim { queues } => self.claim(session, queues),
            Request::Extend { leases, lease_ms } => {
                let leases: Vec<LeaseId> = leases.into_iter().map(LeaseId).collect();
                of(queue.extend(&leases, Duration::from_millis(lease_ms)).map(numbers))
            }
            Request::Finish { finished } => {
                let leases: Vec<LeaseId> = finished.iter().map(|(lease, _)| LeaseId(*lease)).collect();
                let ends = finished.into_iter().map(|(lease, end)| (LeaseId(lease), end.into())).collect();
                let ended = queue.finish(ends);
                if ended.is_ok() {
                    self.let_go(session, leases.iter());
                }
                of(ended.map(numbers))
            }
            Request::Reassert { held } => {
                let held: Vec<(JobId, LeaseId)> =
                    held.into_iter().map(|(id, lease)| (JobId::new(&id), LeaseId(lease))).collect();
                let lost = queue.reassert(&held, REASSERTED_FOR);
                self.hold(session, held.iter().map(|(_, lease)| *lease).filter(|lease| !lost.contains(lease)));
                of(Ok(numbers(lost)))
            }
            Request::Declare { queue: name } => of(queue.declare(&name)),
            Request::Depths => of(queue.depths().map(|rows| rows.into_iter().map(Depth::from).collect::<Vec<_>>())),
            Request::Locate { id } => of(queue.locate(&JobId::new(&id)).map(|state| state.map(State::from))),
            Request::Accepting => of(queue.accepting()),
            Request::Troubles => of(queue.troubles()),
            other => self.answer_ledger(other, &mut tail)?,
        })
    }

    fn answer_ledger(&self, request: Request, tail: &mut Bytes) -> io::Result<Answer> {
        let queue = &self.queue;
        Ok(match request {
            Request::Letters(page) => of(queue.letters(&page)),
            Request::DeadNames(since, from) => of(queue.dead_names(since, from.as_deref())),
            Request::DeadLetter { id } => of(queue.dead_letter(&id)),
            Request::RetryDead { id } => of(queue.retry_dead(&id)),
            Request::ShowLetters(ids) => leaving::answer_letters(queue.show_letters(&ids)),
            Request::DropLetters(shown) => of(queue.drop_letters(&shown)),
            Request::Pause { queue: name } => of(queue.pause(&name)),
            Request::Resume { queue: name } => of(queue.resume(&name)),
            Request::Leaving { queue: name, from } => leaving::answer(queue.leaving(&name, from)),
            Request::Remove { queue: name, hashes } => of(queue.remove(&name, &leaving::hashes_of(&hashes))),
            Request::Parked => of(queue.parked()),
            Request::Unpark { tasks } => {
                let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
                of(queue.unpark(&tasks))
            }
            Request::Result { id } => of(queue.result(&JobId::new(&id))),
            Request::Beat { worker } => of(queue.beat(&worker)),
            Request::Leave { name } => of(queue.leave(&name)),
            Request::Workers => of(queue.workers()),
            Request::Fire { entry, scheduled_at, job } => of(queue.fire(&entry, scheduled_at, job.into_job(tail)?)),
            Request::Cursors => of(queue.cursors()),
            other => return Err(io::Error::new(io::ErrorKind::InvalidData, format!("nobody answers {other:?}"))),
        })
    }

    /// All requests are handed over before one is waited for: they share a write and a flush.
    fn publish(&self, requests: Vec<Vec<JobHead>>, tail: &mut Bytes) -> io::Result<Answer> {
        let mut published: Vec<BoxFuture<'_, Result<Vec<Published>, QueueError>>> = Vec::with_capacity(requests.len());
        for heads in requests {
            let jobs: io::Result<Vec<_>> = heads.into_iter().map(|head| head.into_job(tail)).collect();
            published.push(self.queue.publish(jobs?));
        }
        type Publishing<'q> = BoxFuture<'q, Result<Vec<Published>, QueueError>>;
        let word = |future: Publishing<'_>| wait_for(future).map(wire::published_words).map_err(WireError::from);
        let words: Vec<Result<Vec<bool>, WireError>> = published.into_iter().map(word).collect();
        Ok(of(Ok(words)))
    }

    fn claim(&self, session: u64, queues: Vec<wire::Bounds>) -> Answer {
        let (mut tail, mut leases) = (Vec::new(), Vec::new());
        let claimed = self.queue.claim(&wire::request_of(queues)).map(|claimed| {
            leases.extend(claimed.iter().map(|job| job.lease));
            self.hold(session, leases.iter().copied());
            claimed.iter().map(|job| ClaimedHead::new(job, &mut tail)).collect::<Vec<_>>()
        });
        Answer { tail, claimed: leases, ..of(claimed) }
    }
}

fn numbers(leases: Vec<LeaseId>) -> Vec<u64> {
    leases.into_iter().map(|lease| lease.0).collect()
}
