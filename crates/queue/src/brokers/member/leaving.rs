//! What operators take out, over the socket: jobs are shown to whoever asked and removed once he has accounted for them.

use super::Place;
use super::server::answer::{Answer, of};
use super::wire::{self, Request};
use crate::broker::Leaving;
use crate::brokers::embedded::leave::Batch;
use crate::letters::{self, Going};
use crate::{JobId, QueueError};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::{Mutex, PoisonError};
use stdx::Timestamp;

/// A job without its payload, which stands in the tail.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    id: String,
    enqueued_at: Timestamp,
    /// Of the payload, if there is one.
    bytes: Option<usize>,
}

impl Head {
    fn new(leaving: &Leaving, tail: &mut Vec<u8>) -> Head {
        let payload = leaving.payload.as_deref();
        tail.extend_from_slice(payload.unwrap_or_default());
        Head { id: leaving.id.to_string(), enqueued_at: leaving.enqueued_at, bytes: payload.map(<[u8]>::len) }
    }

    fn into_leaving(self, tail: &mut Bytes) -> io::Result<Leaving> {
        let payload = self.bytes.map(|length| wire::take(tail, length)).transpose()?;
        Ok(Leaving { id: JobId::new(&self.id), enqueued_at: self.enqueued_at, payload })
    }
}

/// A batch on its way.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Heads {
    heads: Vec<Head>,
    hashes: Vec<String>,
    next: Option<u32>,
}

pub fn answer(batch: Result<Batch, QueueError>) -> Answer {
    let mut tail = Vec::new();
    let heads = batch.map(|Batch { leaving, hashes, next }| Heads {
        heads: leaving.iter().map(|leaving| Head::new(leaving, &mut tail)).collect(),
        hashes: words_of(&hashes),
        next,
    });
    Answer { tail, ..of(heads) }
}

/// Letters on their way, and how many of the ids were looked at.
#[derive(Debug, Default, Serialize, Deserialize)]
struct LetterHeads {
    heads: Vec<(String, Head)>,
    looked_at: usize,
}

pub fn answer_letters(shown: Result<(Vec<Going>, usize), QueueError>) -> Answer {
    let mut tail = Vec::new();
    let heads = shown.map(|(going, looked_at)| LetterHeads {
        heads: going.into_iter().map(|going| (going.name, Head::new(&going.leaving, &mut tail))).collect(),
        looked_at,
    });
    Answer { tail, ..of(heads) }
}

fn words_of(hashes: &[u128]) -> Vec<String> {
    hashes.iter().map(|hash| format!("{hash:032x}")).collect()
}

/// A word that is none names no job.
pub fn hashes_of(words: &[String]) -> Vec<u128> {
    words.iter().filter_map(|word| u128::from_str_radix(word, 16).ok()).collect()
}

impl Place {
    pub(super) fn leaving(&self, queue: &str, from: u32) -> Result<Batch, QueueError> {
        // Having become the owner meanwhile, it reads here.
        let here = Mutex::new(Batch::default());
        let request = Request::Leaving { queue: queue.to_owned(), from };
        let (heads, mut tail) = self.ask::<Heads>(&request, &[], |owner| {
            *here.lock().unwrap_or_else(PoisonError::into_inner) = owner.leaving(queue, from)?;
            Ok(Heads::default())
        })?;
        let mut batch = here.into_inner().unwrap_or_else(PoisonError::into_inner);
        batch.next = batch.next.or(heads.next);
        batch.hashes.extend(hashes_of(&heads.hashes));
        for head in heads.heads {
            batch.leaving.push(head.into_leaving(&mut tail).map_err(|error| self.unreachable(error.to_string()))?);
        }
        Ok(batch)
    }

    pub(super) fn remove(&self, queue: &str, hashes: &[u128]) -> Result<u64, QueueError> {
        let request = Request::Remove { queue: queue.to_owned(), hashes: words_of(hashes) };
        self.ask_only(&request, |owner| owner.remove(queue, hashes))
    }

    pub(super) fn show_letters(&self, ids: &[String]) -> Result<(Vec<Going>, usize), QueueError> {
        let here = Mutex::new(Vec::new());
        let request = Request::ShowLetters(ids.to_vec());
        let (heads, mut tail) = self.ask::<LetterHeads>(&request, &[], |owner| {
            let (going, looked_at) = owner.show_letters(ids)?;
            *here.lock().unwrap_or_else(PoisonError::into_inner) = going;
            Ok(LetterHeads { heads: Vec::new(), looked_at })
        })?;
        let mut going = here.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (name, head) in heads.heads {
            let leaving = head.into_leaving(&mut tail).map_err(|error| self.unreachable(error.to_string()))?;
            going.push(Going { name, leaving });
        }
        Ok((going, heads.looked_at))
    }

    pub(super) fn drop_letters(&self, going: &[Going]) -> Result<u64, QueueError> {
        let shown = letters::shown(going);
        self.ask_only(&Request::DropLetters(shown.clone()), |owner| owner.drop_letters(&shown))
    }
}
