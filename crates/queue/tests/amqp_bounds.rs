//! How much a queue on RabbitMQ takes: that its bounds are met, and that what others took or nobody can read does not count
//! against them.

use crate::support::Stranger;
use crate::support::{RabbitPlace, job, rabbit_is_here, unaccounted, wait_for};
use bytes::Bytes;
use db::{Db, SqliteConfig, Val};
use lapin::BasicProperties;
use queue::brokers::amqp::{Amqp, AmqpConfig, Naming};
use queue::{Broker, JobId, JobOptions, JobResult, JobState, Ledger, NewJob, Published, QueueError};
use std::sync::Arc;
use std::time::Duration;
use stdx::{ManualClock, Timestamp};

/// After which a job of a shared queue that is nowhere is another's.
const ELSEWHERE_AFTER: Duration = Duration::from_secs(60);

struct Rig {
    place: RabbitPlace,
    clock: ManualClock,
    broker: Amqp,
    /// A queue that Python programs touch.
    shared: Arc<str>,
}

fn rig(jobs_max: u64, bytes_max: u64) -> Rig {
    let place = RabbitPlace::shared();
    let clock = ManualClock::at(Timestamp::from_seconds(1_000_000));
    let config = place.config();
    let shared: Arc<str> = format!("{}celery", place.prefix).into();
    let naming = Naming { shared: vec![shared.to_string()], ..config.naming };
    let config = AmqpConfig { naming, jobs_max, bytes_max, ..config };
    let broker = Amqp::open(config, Arc::new(clock.clone())).expect("the broker opens");
    Rig { place, clock, broker, shared }
}

impl Rig {
    fn publish(&self, job: NewJob) -> Result<Published, QueueError> {
        wait_for(self.broker.publish(vec![job])).map(|published| published[0])
    }

    /// A call that a Python worker may run, one at a time by its key.
    fn call(&self, id: &str, key: &str) -> NewJob {
        let options =
            JobOptions { is_call: true, keeps_result: true, unique_key: Some(key.to_owned()), ..JobOptions::default() };
        NewJob { queue: self.shared.clone(), options, fairness_key: 0, ..job(id) }
    }

    /// How many of these are taken before one is refused, and by which bound.
    fn taken(&self, jobs: impl IntoIterator<Item = NewJob>) -> (usize, Option<&'static str>) {
        let mut taken = 0;
        for job in jobs {
            match self.publish(job) {
                Ok(_) => taken += 1,
                Err(QueueError::Full { bound }) => return (taken, Some(bound)),
                Err(error) => panic!("{error}"),
            }
        }
        (taken, None)
    }
}

fn of_key(key: u64, count: usize) -> impl Iterator<Item = NewJob> {
    (0..count).map(move |number| NewJob { fairness_key: key, ..job(&format!("{key}-{number}")) })
}

#[test]
fn a_flood_far_from_the_bounds_is_noticed_when_it_meets_them() {
    if !rabbit_is_here() {
        return;
    }
    let rig = rig(100, u64::MAX);
    assert_eq!(rig.taken(of_key(1, 20)), (20, None));
    assert_eq!(rig.taken(of_key(2, 60)), (50, Some("half of the queue for one key")));
    assert_eq!(rig.taken(of_key(3, 40)), (30, Some("queue.max-jobs")));
    assert!(rig.broker.accepting().is_err());
    rig.broker.purge("q", &mut unaccounted).expect("purged");
    rig.broker.accepting().expect("what has ended does not count");
    assert_eq!(rig.taken(of_key(4, 20)), (20, None));
}

#[test]
fn bytes_that_were_published_since_the_last_look_count_too() {
    if !rabbit_is_here() {
        return;
    }
    let rig = rig(1_000, 10_000);
    let large = |job| NewJob { payload: Bytes::from(vec![b'x'; 1_000]), ..job };
    assert_eq!(rig.taken(of_key(1, 30).map(large)), (10, Some("queue.max-bytes")));
    assert_eq!(rig.publish(large(job("1-3"))).expect("known"), Published::AlreadyThere);
    rig.broker.purge("q", &mut unaccounted).expect("purged");
    assert_eq!(rig.taken(of_key(2, 5).map(large)), (5, None), "as soon as there is room");
}

#[test]
fn what_python_workers_took_leaves_room_and_its_key() {
    if !rabbit_is_here() {
        return;
    }
    let rig = rig(10, u64::MAX);
    let calls = |ids: std::ops::Range<usize>| {
        let jobs: Vec<NewJob> = ids.map(|id| rig.call(&format!("n{id}"), &format!("key {id}"))).collect();
        rig.taken(jobs)
    };
    assert_eq!(calls(0..20), (10, Some("queue.max-jobs")));
    let python = Stranger::on(&rig.place);
    (0..6).for_each(|_| drop(python.get(&rig.shared).expect("a call waits")));
    let two_looks = || (0..2).for_each(|_| rig.broker.upkeep().expect("kept up"));
    two_looks();
    assert_eq!(calls(20..21).0, 0, "they may be on their way");
    rig.clock.advance(ELSEWHERE_AFTER);
    rig.broker.upkeep().expect("kept up");
    assert_eq!(calls(20..21).0, 0, "one look is none");
    two_looks();
    assert_eq!(rig.publish(rig.call("n9", "key 9")).expect("known"), Published::AlreadyThere, "it waits here");
    assert_eq!(rig.publish(rig.call("another", "key 0")).expect("kept"), Published::Accepted);
    assert_eq!(calls(20..40), (5, Some("queue.max-jobs")));
}

#[test]
fn an_answer_ends_a_call_and_a_retry_does_not() {
    if !rabbit_is_here() {
        return;
    }
    let rig = rig(1_000, u64::MAX);
    let replies = format!("{}:replies", rig.place.prefix);
    let python = Stranger::on(&rig.place);
    rig.publish(rig.call("first", "key")).expect("kept");
    python.get(&rig.shared).expect("a call waits");
    for (status, next) in [("RETRY", Published::AlreadyThere), ("SUCCESS", Published::Accepted)] {
        let properties = BasicProperties::default().with_correlation_id("first".into());
        python.send("", &replies, properties, format!(r#"{{"status":"{status}","result":{{}}}}"#).as_bytes());
        rig.broker.upkeep().expect("kept up");
        assert_eq!(rig.publish(rig.call("second", "key")).expect("kept"), next, "{status}");
    }
    let result = rig.broker.result(&JobId::new("first")).expect("asked");
    assert!(matches!(result, Some(JobResult::Success { .. })), "{result:?}");
    assert_eq!(rig.broker.locate(&JobId::new("first")).expect("asked"), None);
}

#[test]
fn a_kept_message_that_cannot_be_read_is_a_dead_letter() {
    if !rabbit_is_here() {
        return;
    }
    let rig = rig(1_000, u64::MAX);
    rig.publish(NewJob { delay: Duration::from_secs(5), ..job("later") }).expect("kept");
    let ledger = Db::open_sqlite(&rig.place.folder.path().join("queue.db"), SqliteConfig::default()).expect("opened");
    let torn = ledger.write_blocking(|tx| {
        tx.execute("UPDATE queue_message SET body = $1 WHERE id = 'later'", &[Val::Blob(b"\0torn")])
    });
    assert_eq!(torn.map_err(|error: db::DbError| error.to_string()), Ok(1));
    rig.clock.advance(Duration::from_secs(5));
    rig.broker.upkeep().expect("kept up");
    let letters = rig.broker.dead_letters().expect("letters");
    let said: Vec<_> = letters.iter().map(|letter| (&*letter.id, &*letter.task, &*letter.reason)).collect();
    assert_eq!(said, [("later", "t", "damaged")]);
    assert_eq!(rig.broker.locate(&JobId::new("later")).expect("asked"), Some(JobState::Dead));
    rig.clock.advance(ELSEWHERE_AFTER * 2);
    rig.broker.upkeep().expect("kept up");
    let depths = rig.broker.depths().expect("depths");
    assert_eq!(depths.iter().map(|depth| depth.ready + depth.delayed).sum::<u64>(), 0, "it does not go round");
}
