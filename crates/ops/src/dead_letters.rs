//! Dead letters: jobs that stopped, to be looked at, tried again or thrown away. For superusers and the system.

use crate::{Actor, ApiError, Ops};
pub use queue::DeadLetter;

/// Which of them an operator means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    Ids(Vec<String>),
    Queue(String),
    All,
}

/// Returns them, the oldest first.
///
/// # Errors
/// `Forbidden` for anybody else, `Queue` if the ledger does not answer; so for all of this file.
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

/// Puts them back into their queues with fresh attempts; returns the ids that went back.
///
/// # Errors
/// `NotFound` if an id was named that is none of them, or cannot go back since its payload is damaged.
pub async fn retry(cx: &Ops, actor: &Actor, selection: &Selection) -> Result<Vec<String>, ApiError> {
    let ids = select(cx, actor, selection).await?;
    let mut gone_back = Vec::with_capacity(ids.len());
    for id in ids {
        let retried = cx.queue.retry_dead(&id).await;
        match retried.map_err(|source| ApiError::Queue { what: "retry a dead letter", source })? {
            true => gone_back.push(id),
            // Of a whole queue some may be gone by now or damaged; of ids that were named each must be there.
            false if matches!(selection, Selection::Ids(_)) => return Err(ApiError::NotFound),
            false => {}
        }
    }
    Ok(gone_back)
}

/// Forgets them; returns the ids that were thrown away.
///
/// # Errors
/// `NotFound` if an id was named that is none of them.
pub async fn discard(cx: &Ops, actor: &Actor, selection: &Selection) -> Result<Vec<String>, ApiError> {
    let ids = select(cx, actor, selection).await?;
    let mut discarded = Vec::with_capacity(ids.len());
    for id in ids {
        let asked = id.clone();
        match cx.ask("discard a dead letter", move |queue| queue.discard_dead(&asked)).await? {
            true => discarded.push(id),
            false if matches!(selection, Selection::Ids(_)) => return Err(ApiError::NotFound),
            false => {}
        }
    }
    Ok(discarded)
}

async fn select(cx: &Ops, actor: &Actor, selection: &Selection) -> Result<Vec<String>, ApiError> {
    let queue = match selection {
        Selection::Ids(ids) => {
            for id in ids {
                get(cx, actor, id).await?;
            }
            return Ok(ids.clone());
        }
        Selection::Queue(name) => Some(name.as_str()),
        Selection::All => None,
    };
    Ok(list(cx, actor, queue).await?.into_iter().map(|letter| letter.id).collect())
}
