//! Dead letters: jobs that stopped, to be looked at, tried again or thrown away. Superusers
//! look, and act with `queues.admin`; the system does both.

use crate::audit::{self, Note};
use crate::{Actor, ApiError, Caller, Ops, Permission, withdrawal};
pub use queue::DeadLetter;
use queue::QueueError;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

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

/// Returns them, the oldest first.
///
/// # Errors
/// `SuperuserNeeded` or `PermissionMissing` for anybody else, `Queue` if the ledger does not answer; so for all of this file.
pub async fn list(cx: &Ops, actor: &Actor, queue: Option<&str>) -> Result<Vec<DeadLetter>, ApiError> {
    actor.require_superuser()?;
    let mut letters = cx.ask("list the dead letters", |queue| queue.dead_letters()).await?;
    letters.retain(|letter| queue.is_none_or(|name| letter.queue == name));
    Ok(letters)
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

/// Puts them back into their queues with fresh attempts. What cannot go back stays, and the others go.
///
/// # Errors
/// `NotFound` if an id was named that is none of them; `Queue` while nothing can be published at all.
pub async fn retry(cx: &Ops, caller: &Caller, selection: &Selection) -> Result<Retried, ApiError> {
    caller.require_permission(Permission::QueuesAdmin)?;
    let ids = select(cx, caller, selection).await?;
    let mut retried = Retried::default();
    for id in ids {
        match cx.queue.retry_dead(&id).await {
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
    note(cx, caller, "dead-letter.retry", &retried.gone_back).await?;
    Ok(retried)
}

/// Forgets them; returns the ids that were thrown away.
///
/// # Errors
/// `NotFound` if an id was named that is none of them.
pub async fn discard(cx: &Ops, caller: &Caller, selection: &Selection) -> Result<Vec<String>, ApiError> {
    caller.require_permission(Permission::QueuesAdmin)?;
    let ids = select(cx, caller, selection).await?;
    let mut discarded = Vec::with_capacity(ids.len());
    for id in ids {
        match discard_one(cx, &id).await? {
            true => discarded.push(id),
            false if matches!(selection, Selection::Ids(_)) => return Err(ApiError::NotFound),
            false => {}
        }
    }
    note(cx, caller, "dead-letter.discard", &discarded).await?;
    Ok(discarded)
}

async fn note(cx: &Ops, caller: &Caller, action: &'static str, ids: &[String]) -> Result<(), ApiError> {
    let target = match ids {
        [] => return Ok(()),
        [id] => id.clone(),
        _ => format!("{} dead letters", ids.len()),
    };
    audit::note_alone(cx, caller, Note::new(action, &target).detail(&ids.join(" "))).await
}

async fn discard_one(cx: &Ops, id: &str) -> Result<bool, ApiError> {
    let asked = id.to_owned();
    let letter = cx.ask("read a dead letter", move |queue| queue.dead_letter(&asked)).await?;
    let Some(letter) = letter else { return Ok(false) };
    let asked = id.to_owned();
    let discard = move |queue: &dyn queue::Queue, account: queue::Account<'_>| queue.discard_dead(&asked, account);
    withdrawal::take_out(cx, "discard a dead letter", (&letter.queue, withdrawal::DISCARDED), discard).await
}

async fn select(cx: &Ops, actor: &Actor, selection: &Selection) -> Result<Vec<String>, ApiError> {
    let queue = match selection {
        Selection::Group(key) => {
            let letters = list(cx, actor, None).await?;
            return Ok(letters
                .into_iter()
                .filter(|letter| group_key(letter) == *key)
                .map(|letter| letter.id)
                .collect());
        }
        Selection::Ids(ids) => {
            for id in ids {
                match get(cx, actor, id).await {
                    Err(ApiError::NotFound) if ids.len() > 1 => {
                        return Err(ApiError::invalid(format!("No dead letter has the id '{id}'.")));
                    }
                    found => drop(found?),
                }
            }
            return Ok(ids.clone());
        }
        Selection::Queue(name) => Some(name.as_str()),
        Selection::All => None,
    };
    Ok(list(cx, actor, queue).await?.into_iter().map(|letter| letter.id).collect())
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
        };
        let letters =
            [letter("1", "port 80 is closed"), letter("2", "no such host"), letter("3", "port 443 is closed")];
        let groups = group(&letters);
        let ids: Vec<Vec<&str>> = groups.iter().map(|g| g.letters.iter().map(|l| l.id.as_str()).collect()).collect();
        assert_eq!(ids, [vec!["1", "3"], vec!["2"]]);
    }
}
