//! What must become of dead letters at the worst moment.

use crate::support::{claim_from, config, job};
use queue::brokers::embedded::Embedded;
use queue::brokers::embedded::disk::RealDisk;
use queue::{BoxFuture, Broker, DeadReason, Finish, Ledger, QueueError};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use stdx::{ManualClock, Timestamp};

fn polled<T>(future: &mut BoxFuture<'_, Result<T, QueueError>>) -> Poll<Result<T, QueueError>> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn die(broker: &Embedded, error: &str) {
    let jobs = claim_from(broker, &["q"], 1);
    let finish = Finish::Dead { reason: DeadReason::Rejected, error: error.to_owned() };
    broker.finish(vec![(jobs[0].lease, finish)]).expect("ended");
}

#[test]
fn a_job_that_dies_again_before_its_retry_is_answered_stays_a_letter() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_000_000)));
    let broker = Embedded::open_on(Arc::new(RealDisk), config(folder.path()), clock).expect("the broker opens");
    let mut kept = broker.publish(vec![job("a")]);
    assert!(polled(&mut kept).is_pending());
    broker.commit();
    die(&broker, "first");
    let mut retried = Box::pin(broker.retry_letter("a")) as BoxFuture<'_, _>;
    assert!(polled(&mut retried).is_pending());
    broker.commit();
    die(&broker, "second");
    assert!(matches!(polled(&mut retried), Poll::Ready(Ok(true))));
    assert_eq!(broker.dead_letter("a").expect("asked").expect("a letter").error, "second");
}
