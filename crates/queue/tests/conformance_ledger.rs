//! What every ledger must keep, and what every broker must make of a job's options.

use crate::conformance::on_every_broker;
use crate::support::{AnyRig as Rig, Kind, job, unaccounted};
use queue::{
    Cursor, DeadReason, Finish, JobId, JobOptions, JobResult, JobState, NewJob, Parked, Published, QueueDepth,
    RateLimitRow, RunningRow, WorkerRow,
};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

on_every_broker!(
    a_job_that_expired_is_not_begun,
    a_unique_key_is_kept_by_one_living_job,
    a_unique_key_is_free_after_a_dead_letter_and_a_purge,
    options_travel_with_the_job,
    a_result_is_kept_for_whoever_asks_and_for_nobody_else,
    a_retry_shows_until_the_end,
    parked_jobs_are_listed_and_come_back_when_their_task_is_known,
    a_job_can_be_found_in_each_of_its_states,
    an_occurrence_is_fired_once_and_never_after_a_later_one,
    workers_are_listed_until_they_leave_or_are_forgotten,
    a_declared_queue_has_a_row,
    a_dead_letter_that_is_retried_has_fresh_attempts_and_its_options,
    a_letter_that_expired_runs_when_it_is_retried,
    a_job_that_dies_again_while_it_is_retried_is_a_letter_again,
    a_given_back_job_is_the_next,
    jobs_of_one_request_keep_their_order_over_a_restart,
);

fn with(id: &str, options: JobOptions) -> NewJob {
    NewJob { options, ..job(id) }
}

fn result_kept() -> JobOptions {
    JobOptions { keeps_result: true, ..JobOptions::default() }
}

fn retry(error: &str) -> Finish {
    Finish::Retry { after: Duration::ZERO, error: error.to_owned() }
}

fn dead(error: &str) -> Finish {
    Finish::Dead { reason: DeadReason::Rejected, error: error.to_owned() }
}

fn state(rig: &Rig, id: &str) -> Option<JobState> {
    rig.broker.locate(&JobId::new(id)).expect("the broker answers")
}

fn result(rig: &Rig, id: &str) -> Option<JobResult> {
    rig.broker.result(&JobId::new(id)).expect("the broker answers")
}

fn depth(rig: &Rig, queue: &str) -> QueueDepth {
    let depths = rig.broker.depths().expect("the broker answers");
    depths.into_iter().find(|depth| depth.queue == queue).expect("the queue is known")
}

fn a_job_that_expired_is_not_begun(kind: Kind) {
    let rig = Rig::new(kind);
    let expires_at = Some(rig.clock_now().plus(Duration::from_secs(10)));
    let options = JobOptions { expires_at, ..JobOptions::default() };
    rig.publish(vec![with("early", options.clone()), with("late", options)]).expect("kept");
    assert_eq!(rig.claim_ids(1), ["early"]);
    rig.clock.advance(Duration::from_secs(10));
    assert!(rig.claim(1).is_empty());
    let letter = rig.broker.dead_letter("late").expect("asked").expect("a letter");
    assert_eq!(letter.reason, "expired");
    assert_eq!(state(&rig, "early"), Some(JobState::Leased), "what has begun goes on");
}

fn a_unique_key_is_kept_by_one_living_job(kind: Kind) {
    let rig = Rig::new(kind);
    let unique = || JobOptions { unique_key: Some("one".to_owned()), ..JobOptions::default() };
    let published = rig.publish(vec![with("a", unique()), with("b", unique()), job("c")]).expect("answered");
    assert_eq!(published, [Published::Accepted, Published::AlreadyThere, Published::Accepted]);
    let claimed = rig.claim(10);
    assert_eq!(claimed.len(), 2);
    assert_eq!(rig.publish(vec![with("d", unique())]).expect("answered"), [Published::AlreadyThere]);
    rig.finish(&claimed[0], retry("no"));
    rig.finish(&claimed[1], Finish::Done);
    assert_eq!(rig.publish(vec![with("d", unique())]).expect("answered"), [Published::AlreadyThere]);
    let rig = rig.restart();
    assert_eq!(rig.publish(vec![with("d", unique())]).expect("answered"), [Published::AlreadyThere]);
    let again = rig.claim(10).into_iter().find(|job| job.id.as_str() == "a").expect("it is ready");
    rig.finish(&again, Finish::Done);
    assert_eq!(rig.publish(vec![with("d", unique())]).expect("answered"), [Published::Accepted]);
}

fn a_unique_key_is_free_after_a_dead_letter_and_a_purge(kind: Kind) {
    let rig = Rig::new(kind);
    let unique = || JobOptions { unique_key: Some("one".to_owned()), ..JobOptions::default() };
    rig.publish(vec![with("a", unique())]).expect("kept");
    rig.finish(&rig.claim(1)[0], dead("no"));
    assert_eq!(rig.publish(vec![with("b", unique())]).expect("answered"), [Published::Accepted]);
    assert_eq!(rig.broker.purge("q", &mut unaccounted).expect("purged"), 1);
    assert_eq!(rig.publish(vec![with("b", unique())]).expect("answered"), [Published::Accepted]);
}

fn options_travel_with_the_job(kind: Kind) {
    let rig = Rig::new(kind);
    let options = JobOptions {
        expires_at: Some(rig.clock_now().plus(Duration::from_secs(100))),
        unique_key: Some("key".to_owned()),
        is_call: false,
        keeps_result: true,
        time_limit_s: Some(30),
        headers: Some(r#"{"traceparent":"00-ab"}"#.to_owned()),
        reply_to: Some("whoever called".to_owned()),
        outside_bytes: 0,
    };
    rig.publish(vec![with("a", options.clone())]).expect("kept");
    let first = rig.claim(1);
    assert_eq!(first[0].options, options);
    assert_eq!(first[0].enqueued_at, rig.clock_now());
    rig.clock.advance(Duration::from_secs(5));
    rig.finish(&first[0], retry("no"));
    let rig = rig.restart();
    let second = rig.claim(1);
    assert_eq!((&second[0].options, second[0].enqueued_at), (&options, first[0].enqueued_at));
}

fn a_result_is_kept_for_whoever_asks_and_for_nobody_else(kind: Kind) {
    let rig = Rig::new(kind);
    let kept = ["value", "nothing", "failed"].map(|id| with(id, result_kept()));
    rig.publish(kept.to_vec()).expect("kept");
    rig.publish_ids(&["forgotten"]);
    assert_eq!(result(&rig, "value"), None);
    let claimed = rig.claim(4);
    rig.finish(&claimed[0], Finish::Returned { value: json!({"sum": [1, 2.5, null]}) });
    rig.finish(&claimed[1], Finish::Done);
    rig.finish(&claimed[2], dead("ValueError: no use"));
    rig.finish(&claimed[3], Finish::Returned { value: json!(1) });
    let rig = rig.restart();
    assert_eq!(result(&rig, "value"), Some(JobResult::Success { value: json!({"sum": [1, 2.5, null]}) }));
    assert_eq!(result(&rig, "nothing"), Some(JobResult::Success { value: json!(null) }));
    assert_eq!(result(&rig, "failed"), Some(JobResult::Failure { error: "ValueError: no use".to_owned() }));
    assert_eq!((result(&rig, "forgotten"), result(&rig, "never")), (None, None));
}

fn a_retry_shows_until_the_end(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish(vec![with("a", result_kept())]).expect("kept");
    rig.finish(&rig.claim(1)[0], retry("OSError: not yet"));
    assert_eq!(result(&rig, "a"), Some(JobResult::Retry { error: "OSError: not yet".to_owned() }));
    rig.finish(&rig.claim(1)[0], Finish::Returned { value: json!(true) });
    assert_eq!(result(&rig, "a"), Some(JobResult::Success { value: json!(true) }));
}

fn parked_jobs_are_listed_and_come_back_when_their_task_is_known(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish_ids(&["a", "b"]);
    rig.publish(vec![NewJob { task: "other".into(), ..job("c") }]).expect("kept");
    let since = rig.clock_now();
    for claimed in rig.claim(3) {
        rig.finish(&claimed, Finish::Park);
        rig.clock.advance(Duration::from_secs(1));
    }
    let mut parked = rig.broker.parked().expect("asked");
    parked.sort_by(|left, right| right.task.cmp(&left.task));
    assert_eq!(parked[0], Parked { queue: "q".to_owned(), task: "t".to_owned(), jobs: 2, since });
    assert_eq!((parked.len(), parked[1].task.as_str(), parked[1].jobs), (2, "other", 1));
    let rig = rig.restart();
    assert_eq!(rig.broker.unpark(&["nobody"]).expect("asked"), 0);
    assert_eq!(rig.broker.unpark(&["t", "nobody"]).expect("asked"), 2);
    let claimed = rig.claim(10);
    let seen: Vec<(&str, u32)> = claimed.iter().map(|job| (job.id.as_str(), job.attempt)).collect();
    assert_eq!(seen, [("a", 1), ("b", 1)], "in their order, with no attempt spent");
    assert_eq!(rig.broker.parked().expect("asked").len(), 1);
    assert_eq!(depth(&rig, "q").parked, 1);
}

fn a_job_can_be_found_in_each_of_its_states(kind: Kind) {
    let rig = Rig::new(kind);
    assert_eq!(state(&rig, "a"), None);
    rig.publish(vec![NewJob { delay: Duration::from_secs(5), ..job("a") }]).expect("kept");
    assert_eq!(state(&rig, "a"), Some(JobState::Delayed));
    rig.clock.advance(Duration::from_secs(5));
    rig.broker.upkeep().expect("kept up");
    let claimed = rig.claim(1);
    assert_eq!(state(&rig, "a"), Some(JobState::Leased));
    rig.finish(&claimed[0], Finish::Park);
    assert_eq!(state(&rig, "a"), Some(JobState::Parked));
    rig.broker.unpark(&["t"]).expect("asked");
    assert_eq!(state(&rig, "a"), Some(JobState::Ready));
    rig.finish(&rig.claim(1)[0], dead("no"));
    assert_eq!(state(&rig, "a"), Some(JobState::Dead));
    assert!(rig.broker.discard_dead("a", &mut unaccounted).expect("asked"));
    assert_eq!(state(&rig, "a"), None);
}

fn an_occurrence_is_fired_once_and_never_after_a_later_one(kind: Kind) {
    let rig = Rig::new(kind);
    let at = rig.clock_now();
    let later = at.plus(Duration::from_secs(60));
    rig.clock.advance(Duration::from_secs(1));
    assert!(rig.broker.cursors().expect("asked").is_empty());
    let fire = |rig: &Rig, entry: &str, at, id: &str| rig.broker.fire(entry, at, job(id)).expect("asked");
    assert!(fire(&rig, "nightly", at, "n1"));
    assert!(!fire(&rig, "nightly", at, "n2"));
    assert!(fire(&rig, "nightly", later, "n3"));
    let rig = rig.restart();
    assert!(!fire(&rig, "nightly", at, "n4"), "an earlier one");
    assert!(fire(&rig, "hourly", at, "h1"), "another entry");
    assert_eq!(rig.claim_ids(10), ["n1", "n3", "h1"]);
    let cursors = rig.broker.cursors().expect("asked");
    let nightly = cursors.iter().find(|cursor| cursor.entry == "nightly").expect("a cursor");
    let expected =
        Cursor { entry: "nightly".to_owned(), scheduled_at: later, fired_at: rig.clock_now(), job: "n3".to_owned() };
    assert_eq!((nightly, cursors.len()), (&expected, 2));
}

fn workers_are_listed_until_they_leave_or_are_forgotten(kind: Kind) {
    let rig = Rig::new(kind);
    let row = |name: &str| WorkerRow {
        name: name.to_owned(),
        host: "host".to_owned(),
        pid: 7,
        version: "1".to_owned(),
        started_at: rig.clock_now(),
        heard_at: rig.clock_now(),
        slots: 2,
        queues: vec!["q".to_owned()],
        tasks: vec!["t".to_owned()],
        running: vec![RunningRow { task: "t".to_owned(), job: "a".to_owned(), jobs: 1, since: rig.clock_now() }],
        finished: 3,
        failed: 2,
        dead: 1,
        finished_by_queue: [("q".to_owned(), 3)].into(),
        last_error: Some("no".to_owned()),
        is_stopping: false,
        fallen: Vec::new(),
        pool: queue::pool::PoolRow::default(),
        rate_limits: vec![RateLimitRow { task: "t".to_owned(), rate: "6/m".to_owned(), holds_jobs: true }],
    };
    rig.broker.beat(&row("one@host")).expect("heard");
    rig.broker.beat(&row("two@host")).expect("heard");
    let again = WorkerRow { finished: 4, ..row("one@host") };
    rig.broker.beat(&again).expect("heard");
    let mut workers = rig.broker.workers().expect("asked");
    workers.sort_by(|left, right| left.name.cmp(&right.name));
    assert_eq!(workers, [again, row("two@host")]);
    rig.broker.leave("two@host").expect("left");
    rig.clock.advance(Duration::from_secs(1_800));
    assert_eq!(rig.broker.workers().expect("asked").len(), 1, "a dead one is shown for an hour");
    rig.clock.advance(Duration::from_secs(1_801));
    assert!(rig.broker.workers().expect("asked").is_empty());
}

fn a_declared_queue_has_a_row(kind: Kind) {
    let rig = Rig::new(kind);
    assert!(rig.broker.depths().expect("depths").is_empty());
    rig.broker.declare("q").expect("declared");
    rig.broker.declare("q").expect("declared twice");
    let rows = rig.broker.depths().expect("depths");
    assert_eq!(rows, [QueueDepth { queue: "q".to_owned(), ..QueueDepth::default() }]);
}

fn a_dead_letter_that_is_retried_has_fresh_attempts_and_its_options(kind: Kind) {
    let rig = Rig::new(kind);
    let options = JobOptions { time_limit_s: Some(9), unique_key: Some("u".to_owned()), ..result_kept() };
    rig.publish(vec![with("a", options.clone())]).expect("kept");
    rig.finish(&rig.claim(1)[0], retry("no"));
    rig.finish(&rig.claim(1)[0], dead("no"));
    let rig = rig.restart();
    let letter = rig.broker.dead_letter("a").expect("asked").expect("a letter");
    assert_eq!((letter.attempts, letter.task.as_str(), letter.error.as_str()), (2, "t", "no"));
    assert!(rig.broker.retry_dead("a").expect("asked"));
    assert_eq!(rig.publish(vec![job("a")]).expect("answered"), [Published::AlreadyThere]);
    assert_eq!(rig.publish(vec![with("b", options.clone())]).expect("answered"), [Published::AlreadyThere]);
    let claimed = rig.claim(1);
    assert_eq!((claimed[0].attempt, &claimed[0].options), (1, &options));
    assert!(rig.broker.dead_letters().expect("asked").is_empty());
}

fn a_letter_that_expired_runs_when_it_is_retried(kind: Kind) {
    let rig = Rig::new(kind);
    let options = JobOptions { expires_at: Some(rig.clock_now().plus(Duration::from_secs(10))), ..result_kept() };
    rig.publish(vec![with("late", options)]).expect("kept");
    rig.clock.advance(Duration::from_secs(10));
    assert!(rig.claim(1).is_empty());
    assert_eq!(state(&rig, "late"), Some(JobState::Dead));
    assert!(rig.broker.retry_dead("late").expect("asked"));
    let claimed = rig.claim(1);
    assert_eq!((claimed[0].id.as_str(), claimed[0].options.expires_at), ("late", None));
    assert!(rig.broker.dead_letters().expect("asked").is_empty());
}

fn a_job_that_dies_again_while_it_is_retried_is_a_letter_again(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish_ids(&["a"]);
    rig.finish(&rig.claim(1)[0], dead("no"));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let began = Instant::now();
            while !is_over.load(Ordering::SeqCst) && began.elapsed() < Duration::from_secs(60) {
                rig.claim(1).iter().for_each(|job| rig.finish(job, dead("again")));
            }
        });
        for _ in 0..5 {
            assert!(rig.broker.retry_dead("a").expect("asked"));
            let began = Instant::now();
            while state(&rig, "a") != Some(JobState::Dead) {
                assert!(began.elapsed() < Duration::from_secs(20), "neither a job nor a letter");
                std::thread::park_timeout(Duration::from_millis(5));
            }
        }
        is_over.store(true, Ordering::SeqCst);
    });
    assert_eq!(rig.broker.dead_letter("a").expect("asked").expect("a letter").error, "again");
}

fn a_given_back_job_is_the_next(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish_ids(&["a", "b", "c"]);
    let claimed = rig.claim(2);
    let back = |index: usize| (claimed[index].lease, Finish::GiveBack { after: Duration::ZERO });
    assert!(rig.broker.finish(vec![back(1), back(0)]).expect("given back").is_empty());
    assert_eq!(rig.claim_ids(3), ["a", "b", "c"]);
}

fn jobs_of_one_request_keep_their_order_over_a_restart(kind: Kind) {
    let rig = Rig::new(kind);
    let ids: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    rig.publish_ids(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let rig = rig.restart();
    assert_eq!(rig.claim_ids(20), ids[..20]);
    assert_eq!(rig.claim_ids(100), ids[20..]);
}
