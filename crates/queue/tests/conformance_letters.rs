//! What every broker must do with dead letters as a list: name them, page them, keep each until it was accounted for.

use crate::conformance::on_every_broker;
use crate::support::{AnyRig as Rig, Kind, job, unaccounted};
use queue::{DeadLetter, DeadName, DeadReason, Finish, JobId, JobState, LETTERS_KEPT, LetterPage, NewJob, QueueError};
use std::time::Duration;
use stdx::Timestamp;

on_every_broker!(
    letters_are_named_with_their_queue_and_the_time_since_when_their_jobs_wait,
    a_letter_of_another_job_of_the_same_id_takes_nobodys_place,
    letters_are_paged_the_oldest_first_by_queue_and_over_those_that_go,
    letters_go_in_batches_and_what_is_not_accounted_for_stays,
    a_letter_that_took_the_name_of_one_that_was_shown_stays,
    no_letter_goes_by_itself_however_old,
);

/// More than one batch.
const MANY: usize = 300;

fn since(number: i64) -> Timestamp {
    Timestamp::from_micros(900_000_000_123 + number)
}

fn waiting_since(id: &str, queue: &str, number: i64) -> NewJob {
    NewJob { enqueued_at: Some(since(number)), queue: queue.into(), ..job(id) }
}

/// Lets jobs die, in their order.
fn bury(rig: &Rig, jobs: Vec<NewJob>) {
    let (count, queue) = (jobs.len(), jobs[0].queue.clone());
    rig.publish(jobs).expect("kept");
    let mut left = count;
    while left > 0 {
        let claimed = rig.claim_from(&[&queue], left);
        assert!(!claimed.is_empty(), "{left} do not come");
        left -= claimed.len();
        for run in &claimed {
            rig.finish(run, Finish::Dead { reason: DeadReason::Rejected, error: "no".to_owned() });
        }
    }
}

fn names(rig: &Rig, since: Timestamp) -> Vec<DeadName> {
    let (mut names, mut from) = (Vec::new(), None);
    loop {
        let some = rig.broker.dead_names(since, from.as_deref()).expect("names");
        names.extend(some.names);
        from = some.next;
        if from.is_none() {
            names.sort();
            names.dedup();
            return names;
        }
    }
}

fn letters_are_named_with_their_queue_and_the_time_since_when_their_jobs_wait(kind: Kind) {
    let rig = Rig::new(kind);
    bury(&rig, vec![waiting_since("1-a", "q", 1), waiting_since("1-b", "q", 5)]);
    bury(&rig, vec![waiting_since("2-a", "other", 7)]);
    let name = |id: &str, queue: &str, number| DeadName {
        id: id.to_owned(),
        queue: queue.to_owned(),
        enqueued_at: since(number),
    };
    let all = [name("1-a", "q", 1), name("1-b", "q", 5), name("2-a", "other", 7)];
    assert_eq!(names(&rig, Timestamp::EPOCH), all);
    assert_eq!(names(&rig, since(5)), all[1..], "the older one is not asked for");
    let rig = rig.restart();
    assert_eq!(names(&rig, Timestamp::EPOCH), all, "also after a restart");
    assert!(rig.broker.retry_dead("1-a").expect("retried"));
    assert!(rig.broker.discard_dead("2-a", &mut unaccounted).expect("discarded"));
    assert_eq!(names(&rig, Timestamp::EPOCH), all[1..2]);
}

fn a_letter_of_another_job_of_the_same_id_takes_nobodys_place(kind: Kind) {
    let rig = Rig::new(kind);
    bury(&rig, vec![waiting_since("a", "q", 1)]);
    bury(&rig, vec![waiting_since("a", "q", 2)]);
    assert_eq!(rig.broker.depths().expect("depths")[0].dead, 2);
    let rig = rig.restart();
    let letters = rig.broker.dead_letters().expect("letters");
    let told: Vec<(&str, Timestamp)> = letters.iter().map(|letter| (letter.job_id(), letter.enqueued_at)).collect();
    assert_eq!(told, [("a", since(1)), ("a", since(2))]);
    assert_eq!(letters[0].id, "a", "whoever had the name keeps it");
    assert_eq!(rig.broker.dead_letter(&letters[1].id).expect("asked").as_ref(), Some(&letters[1]));
    // The same job may go back and stop again: its letter is its own.
    assert!(rig.broker.retry_dead(&letters[1].id).expect("retried"));
    let run = rig.claim(1).remove(0);
    assert_eq!((run.id.as_str(), run.enqueued_at), ("a", since(2)));
    let refused = rig.broker.retry_dead("a");
    assert!(matches!(&refused, Err(QueueError::Lives { by: "id", .. })), "{refused:?}");
    rig.finish(&run, Finish::Dead { reason: DeadReason::Rejected, error: "again".to_owned() });
    let times = |rig: &Rig| -> Vec<Timestamp> {
        names(rig, Timestamp::EPOCH).into_iter().map(|name| name.enqueued_at).collect()
    };
    assert_eq!(times(&rig), [since(1), since(2)]);
    assert!(rig.broker.retry_dead("a").expect("retried"));
    rig.finish(&rig.claim(1)[0], Finish::Done);
    assert_eq!(rig.broker.locate(&JobId::new("a")).expect("asked"), Some(JobState::Dead), "the other is still there");
    bury(&rig, vec![waiting_since("a", "q", 1)]);
    let mut shown = Vec::new();
    let ids: Vec<String> = letters.iter().map(|letter| letter.id.clone()).collect();
    let gone = rig.broker.discard_letters(&ids, &mut |leaving| {
        shown.extend(leaving.iter().map(|leaving| (leaving.id.to_string(), leaving.enqueued_at)));
        Ok(())
    });
    assert_eq!(gone.expect("discarded"), 2);
    assert_eq!(shown, [("a".to_owned(), since(1)), ("a".to_owned(), since(2))]);
    assert_eq!(rig.broker.locate(&JobId::new("a")).expect("asked"), None);
}

fn letters_are_paged_the_oldest_first_by_queue_and_over_those_that_go(kind: Kind) {
    let rig = Rig::new(kind);
    let jobs =
        |queue: &str| -> Vec<NewJob> { (0..7).map(|n| waiting_since(&format!("{queue}{n}"), queue, n)).collect() };
    bury(&rig, jobs("q"));
    rig.clock.advance(Duration::from_secs(1));
    bury(&rig, jobs("other"));
    let pages = |queue: Option<&str>, gone: Option<&str>| -> Vec<Vec<String>> {
        let mut page = LetterPage { queue: queue.map(str::to_owned), after: None, most: 3 };
        let mut pages = Vec::new();
        loop {
            let some = rig.broker.letters(&page).expect("a page");
            pages.push(some.letters.iter().map(|letter: &DeadLetter| letter.id.clone()).collect());
            if let Some(gone) = gone.filter(|_| pages.len() == 1) {
                assert!(rig.broker.discard_dead(gone, &mut unaccounted).expect("discarded"));
            }
            let Some(next) = some.next else { return pages };
            page.after = Some(next.to_string().parse().expect("a cursor"));
        }
    };
    let lengths = |pages: &[Vec<String>]| pages.iter().map(Vec::len).collect::<Vec<_>>();
    let all = pages(None, None);
    assert_eq!(lengths(&all), [3, 3, 3, 3, 2]);
    let mut flat = all.concat();
    assert!(flat[..7].iter().all(|id| id.starts_with('q')) && flat[7..].iter().all(|id| id.starts_with("other")));
    flat.sort();
    flat.dedup();
    assert_eq!(flat.len(), 14, "each once");
    assert_eq!(lengths(&pages(Some("other"), None)), [3, 3, 1]);
    // The cursor's own letter goes: the next page begins behind its place all the same.
    let last = pages(Some("other"), None)[0][2].clone();
    assert_eq!(lengths(&pages(Some("other"), Some(&last))), [3, 3, 1]);
    assert!(pages(Some("nobody knows"), None).concat().is_empty());
}

fn letters_go_in_batches_and_what_is_not_accounted_for_stays(kind: Kind) {
    let rig = Rig::new(kind);
    bury(&rig, (0..MANY).map(|n| waiting_since(&format!("{n:04}"), "q", n as i64)).collect());
    let ids: Vec<String> = rig.broker.dead_letters().expect("letters").into_iter().map(|letter| letter.id).collect();
    let (mut batches, mut gone) = (0, 0);
    let refused = rig.broker.discard_letters(&ids, &mut |leaving| {
        batches += 1;
        if batches == 2 {
            return Err(QueueError::Unaccounted { why: "the store is away".to_owned() });
        }
        gone += leaving.len();
        Ok(())
    });
    assert!(matches!(refused, Err(QueueError::Unaccounted { .. })), "{refused:?}");
    assert!(gone > 0 && gone < MANY, "{gone}");
    let rig = rig.restart();
    assert_eq!(names(&rig, Timestamp::EPOCH).len(), MANY - gone);
    assert_eq!(rig.broker.discard_letters(&ids, &mut unaccounted).expect("discarded"), (MANY - gone) as u64);
    assert!(rig.broker.depths().expect("depths").iter().all(|depth| depth.dead == 0));
}

fn a_letter_that_took_the_name_of_one_that_was_shown_stays(kind: Kind) {
    let rig = Rig::new(kind);
    bury(&rig, vec![waiting_since("a", "q", 1)]);
    let gone = rig.broker.discard_dead("a", &mut |leaving| {
        assert_eq!(leaving[0].enqueued_at, since(1));
        assert!(rig.broker.retry_dead("a").expect("retried"));
        rig.finish(&rig.claim(1)[0], Finish::Done);
        bury(&rig, vec![waiting_since("a", "q", 2)]);
        Ok(())
    });
    assert!(!gone.expect("asked"), "it is another job's, and nobody accounted for it");
    assert_eq!(rig.broker.dead_letter("a").expect("asked").expect("it is there").enqueued_at, since(2));
}

fn no_letter_goes_by_itself_however_old(kind: Kind) {
    let rig = Rig::new(kind);
    bury(&rig, vec![waiting_since("a", "q", 1)]);
    rig.clock.advance(LETTERS_KEPT * 2);
    rig.broker.upkeep().expect("kept up");
    assert_eq!(rig.broker.locate(&JobId::new("a")).expect("asked"), Some(JobState::Dead));
    assert_eq!(rig.restart().broker.dead_letters().expect("letters").len(), 1);
}
