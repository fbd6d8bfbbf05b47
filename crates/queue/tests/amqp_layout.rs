//! What Celery finds on a RabbitMQ server beside us, and what we make of what it sends.

use crate::support::{RabbitPlace, Stranger, claim_from, job, rabbit_is_here, wait_for};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use queue::brokers::amqp::{Amqp, AmqpConfig, Naming};
use queue::call::Call;
use queue::{Broker, Finish, JobId, JobOptions, JobResult, JobState, Ledger, NewJob, QueueError};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdx::{ManualClock, SystemClock, Timestamp};

/// A message as a Python client writes it.
fn python_call(id: &str, task: &str, reply_to: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    let text = |text: &str| AMQPValue::LongString(text.into());
    for (name, value) in [("lang", "py"), ("task", task), ("id", id), ("root_id", id), ("origin", "gen1@host")] {
        headers.insert(name.into(), text(value));
    }
    for name in ["shadow", "eta", "expires", "group", "parent_id"] {
        headers.insert(name.into(), AMQPValue::Void);
    }
    headers.insert("retries".into(), AMQPValue::LongInt(0));
    headers.insert("ignore_result".into(), AMQPValue::Boolean(false));
    headers.insert("timelimit".into(), AMQPValue::FieldArray(vec![AMQPValue::Void, AMQPValue::Void].into()));
    BasicProperties::default()
        .with_headers(headers)
        .with_correlation_id(id.into())
        .with_reply_to(reply_to.into())
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_delivery_mode(2)
}

const BODY: &[u8] = br#"[["hi"],{"n":1},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]"#;

/// A broker on a place whose queue `celery` has a name of the test's own.
fn with_celery_queue(place: &RabbitPlace) -> (Amqp, String) {
    let queue = format!("{}celery", place.prefix);
    let config = place.config();
    let naming = Naming { shared: vec![queue.clone()], ..config.naming };
    let broker = Amqp::open(AmqpConfig { naming, ..config }, Arc::new(SystemClock)).expect("the broker opens");
    (broker, queue)
}

#[test]
fn a_python_call_is_run_and_answered() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let stranger = Stranger::on(&place);
    let (broker, queue) = with_celery_queue(&place);
    broker.declare(&queue).expect("declared");
    stranger.declare(&queue);
    let replies = format!("{queue}.replies");
    stranger.declare(&replies);
    stranger.send(&queue, &queue, python_call("one", "add", &replies), BODY);
    let claimed = claim_from(&broker, &[&queue], 10);
    assert_eq!((claimed[0].id.as_str(), &*claimed[0].task, claimed[0].attempt), ("one", "add", 1));
    assert!(claimed[0].options.is_call && claimed[0].options.keeps_result);
    let call = Call::parse(&claimed[0].payload).expect("a call");
    assert_eq!((&call.args[0], &call.kwargs["n"]), (&json!("hi"), &json!(1)));
    let ended = broker.finish(vec![(claimed[0].lease, Finish::Returned { value: json!(3) })]);
    assert!(ended.expect("ended").is_empty());
    let began = Instant::now();
    let (properties, body) = loop {
        if let Some(reply) = stranger.get(&replies) {
            break reply;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "no reply");
    };
    assert_eq!(properties.correlation_id().as_ref().map(|id| id.as_str()), Some("one"));
    let document: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((&document["status"], &document["result"]), (&json!("SUCCESS"), &json!(3)));
    let result = broker.result(&JobId::new("one")).expect("asked");
    assert_eq!(result, Some(JobResult::Success { value: json!(3) }));
    assert_eq!(stranger.declare(&queue), 0);
}

#[test]
fn our_call_is_celerys_message() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let stranger = Stranger::on(&place);
    let (broker, queue) = with_celery_queue(&place);
    let options = JobOptions { is_call: true, keeps_result: true, ..JobOptions::default() };
    let payload = bytes::Bytes::from_static(BODY);
    let call = NewJob { options, priority: 9, ..NewJob::new(JobId::new("two"), "their.task", &queue, payload) };
    wait_for(broker.publish(vec![call.clone()])).expect("kept");
    assert_eq!(broker.depths().expect("depths")[0].ready, 1);
    let (properties, body) = stranger.get(&queue).expect("a message");
    assert_eq!((&body[..], properties.priority()), (BODY, &Some(9)));
    assert_eq!((properties.delivery_mode(), properties.expiration()), (&Some(2), &None));
    let headers = properties.headers().clone().expect("headers");
    let text = |name: &str| match headers.inner().get(name) {
        Some(AMQPValue::LongString(text)) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        other => panic!("{name} is {other:?}"),
    };
    assert_eq!((text("task"), text("id"), text("argsrepr")), ("their.task".into(), "two".into(), "('hi',)".into()));
    assert_eq!(broker.depths().expect("depths")[0].ready, 0, "what Python took is not waiting");
    // Its retry is a new message with the same id, sent before ours is known to be gone.
    stranger.send("", &queue, python_call("two", "their.task", ""), BODY);
    let claimed = claim_from(&broker, &[&queue], 10);
    assert_eq!(claimed[0].id.as_str(), "two");
}

#[test]
fn what_ended_out_of_turn_is_acknowledged_before_the_broker_closes() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let stranger = Stranger::on(&place);
    let (broker, queue) = with_celery_queue(&place);
    broker.declare(&queue).expect("declared");
    let of = |id| NewJob { queue: queue.as_str().into(), ..job(id) };
    wait_for(broker.publish(vec![of("runs on"), of("ended")])).expect("kept");
    let claimed = claim_from(&broker, &[&queue], 10);
    assert_eq!(claimed.len(), 2);
    assert!(broker.finish(vec![(claimed[1].lease, Finish::Done)]).expect("ended").is_empty());
    drop(broker);
    let (properties, _) = stranger.get(&queue).expect("what runs came back");
    assert_eq!(properties.correlation_id().as_ref().map(|id| id.as_str()), Some("runs on"));
    assert!(stranger.get(&queue).is_none(), "what ended did not");
}

#[test]
fn a_delayed_job_of_a_celery_queue_is_sent_when_its_time_comes() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let stranger = Stranger::on(&place);
    let queue = format!("{}celery", place.prefix);
    let config = place.config();
    let naming = Naming { shared: vec![queue.clone()], ..config.naming };
    let clock = ManualClock::at(Timestamp::from_seconds(1_000_000));
    let broker = Amqp::open(AmqpConfig { naming, ..config }, Arc::new(clock.clone())).expect("the broker opens");
    broker.declare(&queue).expect("declared");
    let later = NewJob { queue: queue.as_str().into(), delay: Duration::from_secs(60), ..job("later") };
    wait_for(broker.publish(vec![later])).expect("kept");
    broker.upkeep().expect("kept up");
    assert!(stranger.get(&queue).is_none());
    clock.advance(Duration::from_secs(60));
    broker.upkeep().expect("kept up");
    assert!(stranger.get(&queue).is_some());
}

#[test]
fn what_cannot_be_read_is_a_dead_letter_that_says_why() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let stranger = Stranger::on(&place);
    let (broker, queue) = with_celery_queue(&place);
    broker.declare(&queue).expect("declared");
    let pickle = python_call("bad", "t", "").with_content_type("application/x-python-serialize".into());
    stranger.send("", &queue, pickle, b"\x80\x04.");
    stranger.send("", &queue, python_call("good", "t", ""), BODY);
    let claimed = claim_from(&broker, &[&queue], 10);
    assert_eq!(claimed[0].id.as_str(), "good");
    let letter = broker.dead_letter("bad").expect("asked").expect("a letter");
    assert!(letter.reason == "rejected" && letter.error.contains("not accepted"), "{letter:?}");
    assert!(!broker.retry_dead("bad").expect("asked"), "it cannot go back");
    assert_eq!(broker.locate(&JobId::new("good")).expect("asked"), Some(JobState::Leased));
}

/// Headers come in one frame, however small the frames are that we ask for.
#[test]
fn a_call_with_large_headers_and_a_large_body_is_run_and_retried() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let stranger = Stranger::on(&place);
    let (broker, queue) = with_celery_queue(&place);
    broker.declare(&queue).expect("declared");
    let call = python_call("large", "add", "");
    let mut headers = call.headers().clone().expect("headers");
    headers.insert("stamps".into(), AMQPValue::LongString("x".repeat(100 << 10).into()));
    let body = format!(r#"[["{}"],{{}},{{}}]"#, "y".repeat(3 << 20));
    stranger.send("", &queue, call.with_headers(headers), body.as_bytes());
    for attempt in 1..=2 {
        let began = Instant::now();
        let claimed = loop {
            let claimed = claim_from(&broker, &[&queue], 10);
            if !claimed.is_empty() {
                break claimed;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "attempt {attempt} does not come");
        };
        let said = (claimed[0].id.as_str(), claimed[0].attempt, claimed[0].payload.len());
        assert_eq!(said, ("large", attempt, body.len()));
        let retry = Finish::Retry { after: Duration::ZERO, error: "again".to_owned() };
        assert!(broker.finish(vec![(claimed[0].lease, retry)]).expect("ended").is_empty());
    }
}

#[test]
fn a_queue_of_ours_is_none_of_celerys() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let stranger = Stranger::on(&place);
    let broker = place.live_broker();
    wait_for(broker.publish(vec![NewJob { fairness_key: 0, ..job("a") }])).expect("kept");
    assert_eq!(stranger.count(&format!("{}q", place.prefix)), Some(1));
}

#[test]
fn a_wrong_password_and_a_wrong_host_are_told_apart() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let wrong = place.config_at(&place.url.replace("guest:guest", "guest:wrong"));
    let refused = Amqp::probe(wrong).expect_err("refused");
    assert!(matches!(&refused, QueueError::Refused { why, .. } if why.contains("ACCESS_REFUSED")), "{refused}");
    let nowhere = place.config_at("amqp://guest:guest@127.0.0.1:1/");
    let refused = Amqp::probe(nowhere).expect_err("nobody there");
    assert!(matches!(refused, QueueError::Unreachable { .. }), "{refused}");
    let no_host = place.config_at(&format!("{}nowhere", place.url));
    let refused = Amqp::probe(no_host).expect_err("refused");
    assert!(matches!(&refused, QueueError::Refused { why, .. } if why.contains("nowhere")), "{refused}");
    assert!(Amqp::probe(place.config()).expect("it answers").alarm.is_none());
}
