//! Dead letters: an id in a sorted set by time, and the letter with its message beside it.

use super::leases::Held;
use super::publish::new_tag;
use super::scripts::Script;
use super::{ID_KEPT, Shared};
use crate::broker::{Account, DeadLetter, Leaving, lives_already};
use crate::celery::{self, Edit};
use crate::{DeadReason, JobId, QueueError};
use serde::{Deserialize, Serialize};
use stdx::Timestamp;

/// Letters of one answer; a list is read in so many steps as it takes.
const LISTED_MAX: isize = 5_000;
/// Bytes of an error's text that are kept.
const ERROR_BYTES_MAX: usize = 8 << 10;

/// What is stored; its shape has a version.
#[derive(Serialize, Deserialize)]
pub(super) struct Letter {
    version: u8,
    pub letter: DeadLetter,
    seat: String,
    /// `None` if it could not be read: it cannot go back.
    message: Option<String>,
}

impl Letter {
    pub fn of(held: &Held, reason: DeadReason, error: &str, now: Timestamp) -> Letter {
        let job = held.job.as_deref();
        let message = job.and_then(|_| std::str::from_utf8(&held.message).ok()).map(str::to_owned);
        // Of a message that could not be read whole, what could be.
        let rest = if job.is_none() { celery::decode(&held.message).err() } else { None };
        let (id, task) = rest.map(|rest| (rest.id, rest.task)).unwrap_or_default();
        let id = id.filter(|id| id.len() <= JobId::BYTES_MAX).unwrap_or_else(|| held.tag.clone());
        let letter = DeadLetter {
            id: job.map_or(id, |job| job.id.to_string()),
            queue: held.queue.to_string(),
            task: job.map_or(task.unwrap_or_default(), |job| job.task.to_string()),
            reason: reason.as_str().to_owned(),
            attempts: job.map_or(0, |job| job.attempt),
            deaths: job.map_or(0, |job| job.deaths),
            error: error[..error.floor_char_boundary(ERROR_BYTES_MAX)].to_owned(),
            at: now,
        };
        Letter { version: 1, letter, seat: held.seat.clone(), message }
    }

    pub fn to_text(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers can be written")
    }
}

impl Shared {
    pub(super) fn dead_letters(&self) -> Result<Vec<DeadLetter>, QueueError> {
        let mut letters = Vec::new();
        loop {
            // Letters that go meanwhile shift the others forward: some may be missed, none is told of twice in a step.
            let start = isize::try_from(letters.len()).unwrap_or(isize::MAX);
            let ids: Vec<String> = self.link.with(|open| {
                let mut command = redis::cmd("ZRANGE");
                command.arg(self.key("dead")).arg(start).arg(start + LISTED_MAX - 1).query(&mut open.connection)
            })?;
            if ids.is_empty() {
                return Ok(letters.into_iter().flatten().collect());
            }
            let texts: Vec<Option<Vec<u8>>> = self
                .link
                .with(|open| redis::cmd("HMGET").arg(self.key("letters")).arg(&ids).query(&mut open.connection))?;
            let read = |(id, text): (&String, Option<Vec<u8>>)| text.map(|text| read_letter(id, &text).letter);
            letters.extend(ids.iter().zip(texts).map(read));
        }
    }

    fn letter(&self, id: &str) -> Result<Option<Letter>, QueueError> {
        let text: Option<Vec<u8>> =
            self.link.with(|open| redis::cmd("HGET").arg(self.key("letters")).arg(id).query(&mut open.connection))?;
        Ok(text.map(|text| read_letter(id, &text)))
    }

    pub(super) fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, QueueError> {
        Ok(self.letter(id)?.map(|letter| letter.letter))
    }

    pub(super) fn discard_dead(&self, id: &str, account: Account<'_>) -> Result<bool, QueueError> {
        let Some(letter) = self.letter(id)? else { return Ok(false) };
        let unread = || Leaving { id: JobId::new(id), enqueued_at: letter.letter.at, payload: None };
        account(&[letter.message.as_deref().map_or_else(unread, |message| self.leaving(message.as_bytes()))])?;
        self.exhume(id, letter)
    }

    pub(super) fn forget_letter(&self, id: &str) -> Result<bool, QueueError> {
        self.letter(id)?.map_or(Ok(false), |letter| self.exhume(id, letter))
    }

    fn exhume(&self, id: &str, letter: Letter) -> Result<bool, QueueError> {
        let words = self.words().with(id).with(letter.letter.queue);
        let taken: u64 = self.link.run(Script::Exhume, &words.0)?;
        Ok(taken == 1)
    }

    pub(super) fn retry_dead(&self, id: &str) -> Result<bool, QueueError> {
        let Some(letter) = self.letter(id)? else { return Ok(false) };
        let edit = Edit { retries: Some(0), is_fresh: true, ..Edit::default() };
        let message = letter.message.as_deref().and_then(|message| celery::rewrite(message.as_bytes(), &edit));
        let Some(message) = message else { return Ok(false) };
        let message = celery::retagged(&message, &new_tag(self.clock.now())).unwrap_or(message);
        let tag = celery::tag_of(&message).unwrap_or_default();
        let unique = celery::decode(&message).ok().and_then(|job| job.options.unique_key);
        let unique = unique.map_or_else(String::new, |key| self.key(&format!("unique:{key}")));
        let DeadLetter { queue, .. } = letter.letter;
        let list = format!("{}{queue}{}", self.config.prefix, letter.seat);
        let words = self
            .words()
            .with(id)
            .with(queue.as_str())
            .with(list)
            .with(self.key(&format!("id:{id}")))
            .with(format!("{tag} {queue}"))
            .with(ID_KEPT.as_secs().to_string())
            .with(message)
            .with(unique);
        match self.link.run(Script::Exhume, &words.0)? {
            0_u64 => Ok(false),
            2 => Err(lives_already(id, "id")),
            3 => Err(lives_already(id, "unique key")),
            _ => Ok(true),
        }
    }
}

/// A letter that somebody damaged is still shown, and can be discarded.
fn read_letter(id: &str, text: &[u8]) -> Letter {
    serde_json::from_slice(text).unwrap_or_else(|error| Letter {
        version: 1,
        letter: DeadLetter {
            id: id.to_owned(),
            queue: String::new(),
            task: String::new(),
            reason: DeadReason::Damaged.as_str().to_owned(),
            attempts: 0,
            deaths: 0,
            error: format!("read the letter: {error}"),
            at: Timestamp::EPOCH,
        },
        seat: String::new(),
        message: None,
    })
}
