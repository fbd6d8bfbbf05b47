//! Dead letters: jobs that stopped, to be looked at, tried again or thrown away. Superusers
//! look, and act with `queues.admin`; the system does both.

mod let_go;

use crate::audit::{self, Note};
use crate::withdrawal;
use crate::{Actor, ApiError, Caller, Ops, Permission};
pub use let_go::{LOOK_EVERY, let_go};
pub use queue::{DeadLetter, LetterCursor, Letters};
use queue::{LETTERS_PAGE_MAX, LetterPage, QueueError};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

/// Which of them an operator means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    Ids(Vec<String>),
    Queue(String),
    /// All that failed alike, by the group's key.
    Group(String),
    All,
}

/// Dead letters that failed alike: the same task, reason and error, whatever numbers are in it.
#[derive(Clone, Debug)]
pub struct LetterGroup<'a> {
    /// Names the group in a form.
    pub key: String,
    /// The oldest first; never empty.
    pub letters: Vec<&'a DeadLetter>,
}

/// Characters of an error that tell groups apart.
const GROUPED_CHARS: usize = 200;
/// Ids that the audit log names; a group may be all that are kept.
const IDS_NOTED: usize = 20;
/// Letters of one question to the queue, which shows them in batches of its own.
const DISCARDED_AT_ONCE: usize = 1_000;

/// Returns the groups, the largest first.
pub fn group(letters: &[DeadLetter]) -> Vec<LetterGroup<'_>> {
    let mut groups: HashMap<String, Vec<&DeadLetter>> = HashMap::new();
    for letter in letters {
        groups.entry(group_key(letter)).or_default().push(letter);
    }
    let mut groups: Vec<LetterGroup<'_>> =
        groups.into_iter().map(|(key, letters)| LetterGroup { key, letters }).collect();
    groups.sort_by(|a, b| b.letters.len().cmp(&a.letters.len()).then_with(|| a.key.cmp(&b.key)));
    groups
}

fn group_key(letter: &DeadLetter) -> String {
    let mut hash = Sha256::new();
    let error: String = letter.error.chars().filter(|c| !c.is_ascii_digit()).take(GROUPED_CHARS).collect();
    for part in [&letter.task, &letter.reason, &error] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    stdx::hex::encode(&hash.finalize()[..8])
}

/// Returns a page of them, the oldest first, and the cursor of the next.
///
/// # Errors
/// `SuperuserNeeded` or `PermissionMissing` for anybody else, `Invalid` for a cursor that is none, `Queue` if the ledger does
/// not answer; so for all of this file.
pub async fn page(
    cx: &Ops,
    actor: &Actor,
    queue: Option<&str>,
    cursor: Option<&str>,
    most: usize,
) -> Result<Letters, ApiError> {
    actor.require_superuser()?;
    let after = cursor.map(str::parse::<LetterCursor>).transpose();
    let after = after.map_err(|_| ApiError::invalid("Invalid cursor."))?;
    let page = LetterPage { queue: queue.map(str::to_owned), after, most };
    cx.ask("list the dead letters", move |queue| queue.letters(&page)).await
}

/// Returns all of them, the oldest first: as many as are kept.
///
/// # Errors
/// See `page`.
pub async fn list(cx: &Ops, actor: &Actor, queue: Option<&str>) -> Result<Vec<DeadLetter>, ApiError> {
    let (mut letters, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let some = page(cx, actor, queue, cursor.as_deref(), LETTERS_PAGE_MAX).await?;
        letters.extend(some.letters);
        match some.next {
            Some(next) => cursor = Some(next.to_string()),
            None => return Ok(letters),
        }
    }
}

/// # Errors
/// `NotFound` if there is none of this id.
pub async fn get(cx: &Ops, actor: &Actor, id: &str) -> Result<DeadLetter, ApiError> {
    actor.require_superuser()?;
    let id = id.to_owned();
    let letter = cx.ask("read a dead letter", move |queue| queue.dead_letter(&id)).await?;
    letter.ok_or(ApiError::NotFound)
}

/// What a retry did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retried {
    pub gone_back: Vec<String>,
    pub stays: Vec<Stays>,
}

/// A dead letter that did not go back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stays {
    pub id: String,
    pub why: String,
}

/// There is nothing in it that could be run.
const UNFIT: &str = "its message could not be read";

/// Puts them back into their queues with fresh attempts. What cannot go back stays, and the others go. The audit log says
/// what is meant before it begins, and what came of it after.
///
/// # Errors
/// `NotFound` if an id was named that is none of them; `Queue` while nothing can be published at all.
pub async fn retry(cx: &Ops, caller: &Caller, selection: &Selection) -> Result<Retried, ApiError> {
    caller.require_permission(Permission::QueuesAdmin)?;
    let act = Act::of("dead-letter.retry", select(cx, caller, selection).await?);
    act.begins(cx, caller).await?;
    let mut retried = Retried::default();
    let done = retry_each(cx, act.ids(), &mut retried).await;
    act.ended(cx, caller, retried.gone_back.len() as u64, &done).await?;
    done.map(|()| retried)
}

async fn retry_each(cx: &Ops, ids: impl Iterator<Item = &str>, retried: &mut Retried) -> Result<(), ApiError> {
    for id in ids.map(str::to_owned) {
        let asked = id.clone();
        match cx.ask("retry a dead letter", move |queue| Ok(queue.retry_dead(&asked))).await? {
            Ok(true) => retried.gone_back.push(id),
            Ok(false) => retried.stays.push(Stays { id, why: UNFIT.to_owned() }),
            // The next may be another matter.
            Err(
                error @ (QueueError::Lives { .. }
                | QueueError::Full { .. }
                | QueueError::IdTooLong { .. }
                | QueueError::Refused { .. }),
            ) => retried.stays.push(Stays { id, why: stdx::causes::on_one_line(&error) }),
            Err(source) => return Err(ApiError::Queue { what: "retry a dead letter", source }),
        }
    }
    Ok(())
}

/// Forgets them, each once it was accounted for; returns how many were thrown away. The audit log as with a retry.
///
/// # Errors
/// `NotFound` if an id was named that is none of them. Of a discard that fails in the middle a part has gone, and is
/// accounted for.
pub async fn discard(cx: &Ops, caller: &Caller, selection: &Selection) -> Result<u64, ApiError> {
    caller.require_permission(Permission::QueuesAdmin)?;
    let act = Act::of("dead-letter.discard", select(cx, caller, selection).await?);
    act.begins(cx, caller).await?;
    let mut gone = 0;
    let done = discard_each(cx, &act.chosen, &mut gone).await;
    act.ended(cx, caller, gone, &done).await?;
    done?;
    match selection {
        // Somebody else was faster.
        Selection::Ids(ids) if gone == 0 && !ids.is_empty() => Err(ApiError::NotFound),
        Selection::Ids(_) | Selection::Queue(_) | Selection::Group(_) | Selection::All => Ok(gone),
    }
}

async fn discard_each(cx: &Ops, chosen: &[Chosen], gone: &mut u64) -> Result<(), ApiError> {
    let mut by_queue: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for one in chosen {
        by_queue.entry(&one.queue).or_default().push(one.id.clone());
    }
    for (queue, ids) in by_queue {
        // Batch by batch, so that what has gone is known where a later one fails.
        for some in ids.chunks(DISCARDED_AT_ONCE) {
            *gone += discard_of_queue(cx, (queue, withdrawal::DISCARDED), some.to_vec()).await?;
        }
    }
    Ok(())
}

/// Letters of one queue, each batch accounted for in one transaction before it goes.
async fn discard_of_queue(cx: &Ops, of: (&str, &'static str), ids: Vec<String>) -> Result<u64, ApiError> {
    let discard = move |queue: &dyn queue::Queue, account: queue::Account<'_>| queue.discard_letters(&ids, account);
    withdrawal::take_out(cx, "discard dead letters", of, discard).await
}

/// A letter that is meant, and the queue it is of.
struct Chosen {
    id: String,
    queue: String,
}

/// What an operator does with letters, for the audit log: an entry with what is meant before the first goes, so that a
/// process that dies in the middle has said who did it; and one with what came of it.
struct Act {
    action: &'static str,
    target: String,
    chosen: Vec<Chosen>,
}

impl Act {
    fn of(action: &'static str, chosen: Vec<Chosen>) -> Act {
        let target = match chosen.as_slice() {
            [one] => one.id.clone(),
            _ => format!("{} dead letters", chosen.len()),
        };
        Act { action, target, chosen }
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.chosen.iter().map(|one| one.id.as_str())
    }

    async fn begins(&self, cx: &Ops, caller: &Caller) -> Result<(), ApiError> {
        if self.chosen.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = self.ids().take(IDS_NOTED).collect();
        self.note(cx, caller, &format!("begins: {}", ids.join(" "))).await
    }

    async fn ended(&self, cx: &Ops, caller: &Caller, done: u64, how: &Result<(), ApiError>) -> Result<(), ApiError> {
        if self.chosen.is_empty() {
            return Ok(());
        }
        let told = match how {
            Ok(()) => format!("done: {done} of {}", self.chosen.len()),
            Err(error) => {
                format!("stopped after {done} of {}: {}", self.chosen.len(), stdx::causes::on_one_line(error))
            }
        };
        self.note(cx, caller, &told).await
    }

    async fn note(&self, cx: &Ops, caller: &Caller, detail: &str) -> Result<(), ApiError> {
        audit::note_alone(cx, caller, Note::new(self.action, &self.target).detail(detail)).await
    }
}

async fn select(cx: &Ops, actor: &Actor, selection: &Selection) -> Result<Vec<Chosen>, ApiError> {
    let chosen = |letter: DeadLetter| Chosen { id: letter.id, queue: letter.queue };
    let queue = match selection {
        Selection::Group(key) => {
            let letters = list(cx, actor, None).await?;
            return Ok(letters.into_iter().filter(|letter| group_key(letter) == *key).map(chosen).collect());
        }
        Selection::Ids(ids) => {
            let mut letters = Vec::with_capacity(ids.len());
            for id in ids {
                match get(cx, actor, id).await {
                    Err(ApiError::NotFound) if ids.len() > 1 => {
                        return Err(ApiError::invalid(format!("No dead letter has the id '{id}'.")));
                    }
                    found => letters.push(chosen(found?)),
                }
            }
            return Ok(letters);
        }
        Selection::Queue(name) => Some(name.as_str()),
        Selection::All => None,
    };
    Ok(list(cx, actor, queue).await?.into_iter().map(chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_failed_alike_are_one_group_whatever_their_numbers() {
        let letter = |id: &str, error: &str| DeadLetter {
            id: id.to_owned(),
            queue: "q".to_owned(),
            task: "t".to_owned(),
            reason: "attempts".to_owned(),
            attempts: 5,
            deaths: 0,
            error: error.to_owned(),
            at: stdx::Timestamp::EPOCH,
            enqueued_at: stdx::Timestamp::EPOCH,
        };
        let letters =
            [letter("1", "port 80 is closed"), letter("2", "no such host"), letter("3", "port 443 is closed")];
        let groups = group(&letters);
        let ids: Vec<Vec<&str>> = groups.iter().map(|g| g.letters.iter().map(|l| l.id.as_str()).collect()).collect();
        assert_eq!(ids, [vec!["1", "3"], vec!["2"]]);
    }
}
