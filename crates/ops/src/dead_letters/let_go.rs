//! Dead letters that go by policy: after `LETTERS_KEPT`, and the oldest of more than `LETTERS_MAX`. Like those that an
//! operator discards, each is accounted for before it goes, under its own project and hour; whatever is interrupted is
//! begun anew and counts nothing twice. Any number of processes may do it.

use super::discard_of_queue;
use crate::{ApiError, Ops};
use queue::{DeadLetter, LETTERS_KEPT, LETTERS_MAX, LETTERS_PAGE_MAX, LetterPage};
use std::collections::BTreeMap;
use std::time::Duration;
use stdx::Timestamp;
use store::clock_leaps;

/// Pause between two looks.
pub const LOOK_EVERY: Duration = Duration::from_secs(600);

/// Why letters go, as it stands among the outcomes and in receipts.
const AGED: &str = "14 days among the dead letters";
const CROWDED: &str = "more dead letters than are kept";

/// Lets go what is past its age or beyond the number that is kept, the oldest first. Returns how many letters went.
///
/// # Errors
/// If the queue or the store does not answer: what was accounted for until then is gone, the rest stays.
pub async fn let_go(cx: &Ops) -> Result<u64, ApiError> {
    let now = cx.clock.now();
    // Under a clock that leapt ahead everything is old.
    let is_doubted =
        cx.read("look for a leap of the clock", move |tx| Ok(clock_leaps::find(tx, now)?.is_some())).await?;
    let aged_before = (!is_doubted).then(|| now.minus(LETTERS_KEPT));
    let depths = cx.ask("count the dead letters", |queue| queue.depths()).await?;
    let mut left: u64 = depths.iter().map(|depth| depth.dead).sum();
    let mut gone = 0;
    loop {
        let page = LetterPage { most: LETTERS_PAGE_MAX, ..LetterPage::default() };
        let page = cx.ask("list the dead letters", move |queue| queue.letters(&page)).await?;
        let mut went = 0;
        for ((queue, reason), ids) in due(&page.letters, aged_before, left.saturating_sub(LETTERS_MAX)) {
            went += discard_of_queue(cx, (&queue, reason), ids).await?;
        }
        (gone, left) = (gone + went, left.saturating_sub(went));
        if went == 0 || page.next.is_none() {
            return Ok(gone);
        }
    }
}

/// What of a page is to go, by queue and reason.
fn due(
    letters: &[DeadLetter],
    aged_before: Option<Timestamp>,
    beyond: u64,
) -> BTreeMap<(String, &'static str), Vec<String>> {
    let mut due: BTreeMap<(String, &'static str), Vec<String>> = BTreeMap::new();
    for (index, letter) in letters.iter().enumerate() {
        let is_aged = aged_before.is_some_and(|before| letter.at <= before);
        let reason = match (is_aged, (index as u64) < beyond) {
            (true, _) => AGED,
            (false, true) => CROWDED,
            (false, false) => continue,
        };
        due.entry((letter.queue.clone(), reason)).or_default().push(letter.id.clone());
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_and_those_past_their_age() {
        let letter = |id: &str, queue: &str, at| DeadLetter {
            id: id.to_owned(),
            queue: queue.to_owned(),
            task: String::new(),
            reason: String::new(),
            attempts: 1,
            deaths: 0,
            error: String::new(),
            at: Timestamp::from_seconds(at),
            enqueued_at: Timestamp::from_seconds(at),
        };
        let letters = [letter("a", "q", 1), letter("b", "r", 2), letter("c", "q", 3), letter("d", "q", 4)];
        let check = |aged_before: Option<i64>, beyond, expected: &[(&str, &str, &[&str])]| {
            let due = due(&letters, aged_before.map(Timestamp::from_seconds), beyond);
            let due: Vec<(&str, &str, Vec<&str>)> = due
                .iter()
                .map(|((queue, reason), ids)| (queue.as_str(), *reason, ids.iter().map(String::as_str).collect()))
                .collect();
            let expected: Vec<(&str, &str, Vec<&str>)> =
                expected.iter().map(|(queue, reason, ids)| (*queue, *reason, ids.to_vec())).collect();
            assert_eq!(due, expected);
        };
        check(Some(0), 0, &[]);
        check(Some(2), 0, &[("q", AGED, &["a"]), ("r", AGED, &["b"])]);
        check(Some(1), 3, &[("q", AGED, &["a"]), ("q", CROWDED, &["c"]), ("r", CROWDED, &["b"])]);
        check(None, 1, &[("q", CROWDED, &["a"])]);
    }
}
