//! What operators may do to queues, and what is refused with the field and the limit.

use ops::dead_letters::Selection;
use ops::queues::{self, SendCall};
use ops::{ApiError, Caller};
use queue::QueueError;
use queue::call::Call;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use testkit::world::World;
use tokio::sync::Notify;

fn call(task: &str, queue: &str) -> SendCall {
    SendCall {
        task: task.to_owned(),
        queue: queue.to_owned(),
        call: Call::default(),
        delay: Duration::ZERO,
        priority: 5,
    }
}

#[tokio::test]
async fn a_name_that_nobody_could_name_again_is_refused() {
    let world = World::new().await;
    for (task, queue, word) in [
        ("", "q", "task"),
        ("t", "", "queue"),
        ("t", "a,b", "queue"),
        ("t", "a b", "queue"),
        ("t", "a\u{1b}[31m", "queue"),
        ("t\n", "q", "task"),
        (&"t".repeat(129), "q", "128"),
    ] {
        let refused = queues::send(&world.ops, &Caller::of_task("test"), call(task, queue)).await.unwrap_err();
        assert!(
            matches!(&refused, ApiError::Invalid { detail } if detail.contains(word)),
            "{task:?} {queue:?}: {refused}"
        );
    }
    queues::send(&world.ops, &Caller::of_task("test"), call("shop.tasks.bill", "celery")).await.unwrap();
}

#[tokio::test]
async fn one_missing_dead_letter_among_many_is_named() {
    let world = World::new().await;
    let ids = Selection::Ids(vec!["first".to_owned(), "second".to_owned()]);
    let refused = ops::dead_letters::discard(&world.ops, &Caller::of_task("test"), &ids).await.unwrap_err();
    assert!(matches!(&refused, ApiError::Invalid { detail } if detail.contains("'first'")), "{refused}");
}

/// The runtime has one thread: if it waited for the broker, nobody could let it answer.
#[tokio::test]
async fn a_broker_that_is_slow_to_retry_holds_no_other_request_up() {
    let world = World::new().await;
    let (let_answer, answers) = channel();
    let asked = Arc::new(Notify::new());
    let is_asked = asked.clone();
    *world.broker.retry.lock().unwrap() = Some(Box::new(move || {
        is_asked.notify_one();
        answers.recv_timeout(Duration::from_secs(2)).map_err(|_| QueueError::Closed)
    }));
    let (caller, letters) = (Caller::of_task("test"), Selection::Ids(vec!["1-a".to_owned()]));
    let retried = ops::dead_letters::retry(&world.ops, &caller, &letters);
    let other_request = async {
        asked.notified().await;
        let_answer.send(true).unwrap();
    };
    let (retried, ()) = tokio::join!(retried, other_request);
    assert_eq!(retried.unwrap().gone_back, ["1-a"]);
}
