//! The forwarder: takes what the spool holds in order, publishes it to the broker, and only then lets go of it. A batch that
//! cannot be published is kept in hand and tried again, so that nothing overtakes it.

use super::apart::Refused;
use super::kept::Kept;
use super::{Inner, QUEUE, parcel};
use crate::brokers::embedded::Embedded;
use crate::waiting::wait_for;
use crate::{Broker, ClaimRequest, Claimed, DeadReason, Finish, LeaseId, Ledger, NewJob, QueueBounds};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;
use std::time::Duration;
use stdx::Backoff;

/// One call to the broker.
const BATCH_JOBS_MAX: usize = 256;
const BATCH_BYTES_MAX: usize = 4 << 20;
/// A batch in hand is asserted again before each attempt, which is more often than this.
const LEASE: Duration = Duration::from_secs(60);
/// Pauses between two attempts: a broker that is back is noticed within the longest.
const PAUSE: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

/// A batch of a spool that was taken over, and one of the own: neither waits for the other to be empty.
pub(super) fn forward_in_turn(inner: &Inner) {
    let first_left = inner.lock_left().front().cloned();
    let near = inner.near();
    let Some(left) = first_left else { return forward_some(inner, &near) };
    // Nothing in it is waited for while the own one has something to forward.
    if left.ahead() > 0 || near.ahead() == 0 {
        forward_some(inner, &left);
    }
    // It is left alone once it is empty, not before: this thread may begin anew. One that somebody removed is over.
    if super::kept::jobs_in(&left.queue).unwrap_or(0) == 0 {
        inner.let_go(&left);
        inner.lock_left().pop_front();
    }
    if near.held() > 0 {
        forward_some(inner, &near);
    }
}

/// Waits for jobs and forwards one batch of them.
fn forward_some(inner: &Inner, spool: &Kept) {
    let bounds =
        QueueBounds { queue: QUEUE.to_owned(), jobs_max: BATCH_JOBS_MAX, bytes_max: BATCH_BYTES_MAX, lease: LEASE };
    let claimed = match spool.queue.claim(&ClaimRequest { queues: vec![bounds] }) {
        Ok(claimed) => claimed,
        Err(error) => {
            tracing::error!(error = %error, "spool not read, tried again");
            inner.pause(PAUSE.ceiling(3));
            return;
        }
    };
    match claimed.is_empty() {
        true => revive(&spool.queue),
        false => forward_or_give_back(inner, spool, claimed),
    }
}

/// A batch in hand goes back at once if this thread panics with it, not when its lease ends: nothing overtakes it.
fn forward_or_give_back(inner: &Inner, spool: &Kept, claimed: Vec<Claimed>) {
    let leases = leases_of(&claimed);
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| forward(inner, spool, claimed))) {
        give_back(&spool.queue, &leases);
        resume_unwind(panic);
    }
}

fn forward(inner: &Inner, spool: &Kept, claimed: Vec<Claimed>) {
    let (jobs, finished) = unpack(&claimed);
    let mut attempt = 0;
    while !jobs.is_empty() {
        match wait_for(inner.far.publish(jobs.clone())) {
            Ok(_) => {
                inner.note_back();
                break;
            }
            Err(error) if super::is_away(&error) => inner.note_away(&error),
            // One of them is too much for a bound: the others must not wait for it.
            Err(error) => {
                tracing::debug!(error = %error, "batch of the spool refused, its jobs go in parts");
                return in_parts(inner, spool, claimed);
            }
        }
        if inner.is_stopping() {
            give_back(&spool.queue, &leases_of(&claimed));
            return;
        }
        attempt += 1;
        inner.pause(PAUSE.ceiling(attempt));
        // A lease that was lost, because the machine slept, means a second publication of the same id.
        let _ = spool.queue.extend(&leases_of(&claimed), LEASE);
    }
    clear(inner, spool, &claimed, finished);
}

/// The broker has them.
fn clear(inner: &Inner, spool: &Kept, claimed: &[Claimed], finished: Vec<(LeaseId, Finish)>) {
    let done = finished.iter().filter(|(_, finish)| matches!(finish, Finish::Done)).count();
    inner.forwarded.fetch_add(done as u64, Ordering::Relaxed);
    match spool.queue.finish(finished) {
        Ok(lost) => {
            // Whose lease was lost is forwarded once more, and counted out then.
            let cleared = claimed.len().saturating_sub(lost.len());
            spool.apart.take(claimed.iter().map(|job| &job.id));
            spool.count_out(cleared as u64);
        }
        Err(error) => tracing::error!(error = %error, "spool not cleared of forwarded jobs, they are forwarded again"),
    }
}

/// Publishes a batch in halves of halves, in its order, until what the broker refuses stands alone. That is set apart, and
/// what would be refused with it is not asked for.
fn in_parts(inner: &Inner, spool: &Kept, claimed: Vec<Claimed>) {
    let mut refused = Refused::default();
    let mut parts = vec![claimed];
    while let Some(part) = parts.pop() {
        let mut part = set_apart(spool, &refused, part);
        let (jobs, finished) = unpack(&part);
        if jobs.is_empty() {
            clear(inner, spool, &part, finished);
            continue;
        }
        if inner.is_stopping() {
            return give_back(&spool.queue, &leases_of(&rest_of(part, parts)));
        }
        let first_key = jobs[0].fairness_key;
        match wait_for(inner.far.publish(jobs)) {
            Ok(_) => {
                inner.note_back();
                clear(inner, spool, &part, finished);
            }
            Err(error) if super::is_away(&error) => {
                inner.note_away(&error);
                give_back(&spool.queue, &leases_of(&rest_of(part, parts)));
                return inner.pause(PAUSE.ceiling(3));
            }
            Err(error) if part.len() == 1 => {
                tracing::debug!(job.id = %part[0].id, error = %error, "a job of the spool was refused, it is tried again");
                inner.note_refused();
                refused.note(first_key, &error);
                put_apart(spool, &part);
            }
            Err(_) => {
                let after = part.split_off(part.len() / 2);
                parts.extend([after, part]);
            }
        }
    }
}

/// What is not published yet, in its order.
fn rest_of(part: Vec<Claimed>, parts: Vec<Vec<Claimed>>) -> Vec<Claimed> {
    std::iter::once(part).chain(parts.into_iter().rev()).flatten().collect()
}

/// Sets apart what would be refused, and returns the rest.
fn set_apart(spool: &Kept, refused: &Refused, part: Vec<Claimed>) -> Vec<Claimed> {
    let key_of = |parcel: &Claimed| parcel::unpack(&parcel.id, &parcel.payload).map(|job| job.fairness_key);
    let (apart, rest): (Vec<Claimed>, Vec<Claimed>) =
        part.into_iter().partition(|parcel| key_of(parcel).is_some_and(|key| refused.has(key)));
    put_apart(spool, &apart);
    rest
}

fn put_apart(spool: &Kept, parcels: &[Claimed]) {
    if parcels.is_empty() {
        return;
    }
    spool.apart.put(parcels.iter().map(|parcel| &parcel.id));
    let after = spool.apart.pause();
    let back = parcels.iter().map(|parcel| (parcel.lease, Finish::GiveBack { after })).collect();
    // They are on disk: without this they wait for the end of their leases.
    if let Err(error) = spool.queue.finish(back) {
        tracing::warn!(error = %error, "refused jobs of the spool not given back");
    }
}

fn leases_of(claimed: &[Claimed]) -> Vec<LeaseId> {
    claimed.iter().map(|job| job.lease).collect()
}

/// A process that was killed with a batch in hand counts as its death, and after three such deaths the job would stop as
/// poison. Here nothing runs a job, so its deaths say nothing about it.
pub(super) fn revive(spool: &Embedded) {
    let Ok(letters) = spool.dead_letters() else { return };
    for letter in letters.iter().filter(|letter| letter.reason == DeadReason::Poison.as_str()) {
        if let Err(error) = spool.retry_dead(&letter.id) {
            tracing::error!(error = %error, "a job that had stopped in the spool does not go on");
        }
    }
}

/// Jobs to publish, and how each parcel ends once they are. A parcel that cannot be read becomes a dead letter of the
/// spool: its bytes are damaged, or of a newer release.
fn unpack(claimed: &[Claimed]) -> (Vec<NewJob>, Vec<(crate::LeaseId, Finish)>) {
    let mut jobs = Vec::with_capacity(claimed.len());
    let mut finished = Vec::with_capacity(claimed.len());
    for parcel in claimed {
        let end = match parcel::unpack(&parcel.id, &parcel.payload) {
            Some(job) => {
                jobs.push(job);
                Finish::Done
            }
            None => {
                tracing::error!(job.id = %parcel.id, "a job in the spool cannot be read");
                Finish::Dead { reason: DeadReason::Rejected, error: "the spool cannot read it".to_owned() }
            }
        };
        finished.push((parcel.lease, end));
    }
    (jobs, finished)
}

fn give_back(spool: &Embedded, leases: &[LeaseId]) {
    // The last goes first, so that they stand in their order again.
    let back = leases.iter().rev().map(|lease| (*lease, Finish::GiveBack { after: Duration::ZERO })).collect();
    // They are on disk: without this they wait for the end of their leases.
    if let Err(error) = spool.finish(back) {
        tracing::warn!(error = %error, "spool's batch not given back");
    }
}
