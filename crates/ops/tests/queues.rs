//! What operators may do to queues, and what is refused with the field and the limit.

use ops::queues::{self, SendCall};
use ops::{ApiError, Caller};
use queue::call::Call;
use std::time::Duration;
use testkit::world::World;

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
    let ids = ops::dead_letters::Selection::Ids(vec!["first".to_owned(), "second".to_owned()]);
    let refused = ops::dead_letters::discard(&world.ops, &Caller::of_task("test"), &ids).await.unwrap_err();
    assert!(matches!(&refused, ApiError::Invalid { detail } if detail.contains("'first'")), "{refused}");
}
