//! Dead letters: an id in a sorted set by time, the letter with its message beside it, and its name: since when its job
//! waits, and the queue.

use super::leases::Held;
use super::publish::new_tag;
use super::scripts::Script;
use super::{ID_KEPT, Shared, seconds};
use crate::broker::{Account, DeadLetter, lives_already};
use crate::celery::{self, Edit};
use crate::letters::{self, DeadName, DeadNames, Going, LetterCursor, LetterPage, Letters, NAMES_MAX};
use crate::{DeadReason, JobId, QueueError};
use serde::{Deserialize, Serialize};
use stdx::Timestamp;

/// Ids of one step; a page is read in so many steps as it takes.
const STEP: usize = 500;
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
            enqueued_at: job.and_then(|job| job.published_at).unwrap_or(now),
        };
        Letter { version: 1, letter, seat: held.seat.clone(), message }
    }

    pub fn to_text(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers can be written")
    }
}

impl Shared {
    pub(super) fn letters(&self, page: &LetterPage) -> Result<Letters, QueueError> {
        let (most, mut after) = (page.most(), page.after.clone());
        let mut found: Vec<(LetterCursor, DeadLetter)> = Vec::new();
        // One more than is wanted tells whether there are more.
        while found.len() <= most {
            let cursors = self.cursors_after(after.as_ref())?;
            let Some(last) = cursors.last() else { break };
            after = Some(last.clone());
            let of_queue = self.of_queue(cursors, page.queue.as_deref())?;
            for some in of_queue.chunks(most + 1 - found.len().min(most)) {
                found.extend(self.read_letters(some)?);
                if found.len() > most {
                    break;
                }
            }
        }
        let next = (found.len() > most).then(|| found[most - 1].0.clone());
        found.truncate(most);
        Ok(Letters { letters: found.into_iter().map(|(_, letter)| letter).collect(), next })
    }

    /// The next ids by time, then by id, as the set has them.
    fn cursors_after(&self, after: Option<&LetterCursor>) -> Result<Vec<LetterCursor>, QueueError> {
        let from = after.map_or_else(|| "-inf".to_owned(), |after| seconds(after.at));
        let mut offset = 0;
        loop {
            let scored: Vec<(String, f64)> = self.link.with(|open| {
                let mut command = redis::cmd("ZRANGEBYSCORE");
                command.arg(self.key("dead")).arg(&from).arg("+inf").arg("WITHSCORES");
                command.arg("LIMIT").arg(offset).arg(STEP).query(&mut open.connection)
            })?;
            let is_last = scored.len() < STEP;
            offset += scored.len();
            let cursor = |(id, score): (String, f64)| LetterCursor {
                at: Timestamp::from_micros((score * 1e6).round() as i64),
                id,
            };
            let cursors: Vec<LetterCursor> =
                scored.into_iter().map(cursor).filter(|cursor| after.is_none_or(|after| cursor > after)).collect();
            // So many stopped at the very same time that a step holds none that is new.
            if !cursors.is_empty() || is_last {
                return Ok(cursors);
            }
        }
    }

    /// Those whose names say this queue; of one without a name its letter says it.
    fn of_queue(&self, cursors: Vec<LetterCursor>, queue: Option<&str>) -> Result<Vec<LetterCursor>, QueueError> {
        let Some(queue) = queue else { return Ok(cursors) };
        let ids: Vec<&str> = cursors.iter().map(|cursor| cursor.id.as_str()).collect();
        let names: Vec<Option<String>> = self.fields_of("dead:names", &ids)?;
        let mut of_queue = Vec::new();
        for (cursor, name) in cursors.into_iter().zip(names) {
            let is_of_queue = match name.as_deref().and_then(|name| name.split_once(' ')) {
                Some((_, of)) => of == queue,
                None => self.letter(&cursor.id)?.is_some_and(|letter| letter.letter.queue == queue),
            };
            if is_of_queue {
                of_queue.push(cursor);
            }
        }
        Ok(of_queue)
    }

    fn read_letters(&self, cursors: &[LetterCursor]) -> Result<Vec<(LetterCursor, DeadLetter)>, QueueError> {
        let ids: Vec<&str> = cursors.iter().map(|cursor| cursor.id.as_str()).collect();
        let texts: Vec<Option<Vec<u8>>> = self.fields_of("letters", &ids)?;
        let read = |(cursor, text): (&LetterCursor, Option<Vec<u8>>)| {
            text.map(|text| (cursor.clone(), read_letter(&cursor.id, &text).letter))
        };
        Ok(cursors.iter().zip(texts).filter_map(read).collect())
    }

    fn fields_of<T: redis::FromRedisValue>(&self, hash: &str, ids: &[&str]) -> Result<Vec<Option<T>>, QueueError> {
        self.link.with(|open| redis::cmd("HMGET").arg(self.key(hash)).arg(ids).query(&mut open.connection))
    }

    /// As the server goes through its hash: whatever is in it all the while comes.
    pub(super) fn dead_names(&self, since: Timestamp, from: Option<&str>) -> Result<DeadNames, QueueError> {
        if from.is_none() {
            self.mend_names()?;
        }
        let (next, fields) = self.scan_names(from.unwrap_or("0"))?;
        let name = |(id, name): (String, String)| {
            let (micros, queue) = name.split_once(' ')?;
            let enqueued_at = Timestamp::from_micros(micros.parse().ok()?);
            Some(DeadName { id, queue: queue.to_owned(), enqueued_at })
        };
        let names = fields.into_iter().filter_map(name).filter(|name| name.enqueued_at >= since).collect();
        Ok(DeadNames { names, next: (next != "0").then_some(next) })
    }

    fn scan_names(&self, from: &str) -> Result<(String, Vec<(String, String)>), QueueError> {
        self.link.with(|open| {
            let mut command = redis::cmd("HSCAN");
            command.arg(self.key("dead:names")).arg(from).arg("COUNT").arg(NAMES_MAX).query(&mut open.connection)
        })
    }

    /// Letters and their names are as many, but where a process of an earlier release buried or took away one.
    fn mend_names(&self) -> Result<(), QueueError> {
        let (letters, names): (u64, u64) = self.link.with(|open| {
            let mut pipeline = redis::pipe();
            pipeline.atomic().cmd("ZCARD").arg(self.key("dead")).cmd("HLEN").arg(self.key("dead:names"));
            pipeline.query(&mut open.connection)
        })?;
        if letters == names {
            return Ok(());
        }
        let mut after = None;
        loop {
            let cursors = self.cursors_after(after.as_ref())?;
            let Some(last) = cursors.last() else { break };
            after = Some(last.clone());
            let ids: Vec<&str> = cursors.iter().map(|cursor| cursor.id.as_str()).collect();
            let known: Vec<Option<String>> = self.fields_of("dead:names", &ids)?;
            let nameless: Vec<LetterCursor> =
                cursors.into_iter().zip(known).filter(|(_, known)| known.is_none()).map(|(cursor, _)| cursor).collect();
            let named = self.read_letters(&nameless)?;
            self.set_names(named.iter().map(|(cursor, letter)| (cursor.id.as_str(), name_of(letter))))?;
        }
        let mut from = "0".to_owned();
        loop {
            let (next, fields) = self.scan_names(&from)?;
            self.set_names(fields.iter().map(|(id, _)| (id.as_str(), String::new())))?;
            if next == "0" {
                return Ok(());
            }
            from = next;
        }
    }

    fn set_names<'a>(&self, names: impl Iterator<Item = (&'a str, String)>) -> Result<(), QueueError> {
        let words = names.fold(self.words(), |words, (id, name)| words.with(id).with(name));
        self.link.run::<u64>(Script::Names, &words.0).map(drop)
    }

    fn letter(&self, id: &str) -> Result<Option<Letter>, QueueError> {
        let text: Option<Vec<u8>> =
            self.link.with(|open| redis::cmd("HGET").arg(self.key("letters")).arg(id).query(&mut open.connection))?;
        Ok(text.map(|text| read_letter(id, &text)))
    }

    pub(super) fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, QueueError> {
        Ok(self.letter(id)?.map(|letter| letter.letter))
    }

    pub(super) fn discard_letters(&self, ids: &[String], account: Account<'_>) -> Result<u64, QueueError> {
        let read = |id: &str| {
            let letter = self.letter(id)?;
            Ok(letter.map(|letter| {
                let job = letter.message.as_deref().and_then(|message| celery::decode(message.as_bytes()).ok());
                letters::going(&letter.letter, job.map(|job| job.payload))
            }))
        };
        letters::discard(ids, account, |ids| letters::show_each(ids, read), |going| self.drop_letters(going))
    }

    fn drop_letters(&self, going: &[Going]) -> Result<u64, QueueError> {
        let mut dropped = 0;
        for Going { name, leaving } in going {
            let Some(letter) = self.letter(name)? else { continue };
            // Another job's may have its name since.
            if letter.letter.enqueued_at == leaving.enqueued_at {
                let words = self.words().with(name.as_str()).with(letter.letter.queue.as_str());
                dropped += self.link.run::<u64>(Script::Exhume, &words.with(name_of(&letter.letter)).0)?;
            }
        }
        Ok(dropped)
    }

    pub(super) fn retry_dead(&self, id: &str) -> Result<bool, QueueError> {
        let Some(letter) = self.letter(id)? else { return Ok(false) };
        let edit = Edit { retries: Some(0), is_fresh: true, ..Edit::default() };
        let message = letter.message.as_deref().and_then(|message| celery::rewrite(message.as_bytes(), &edit));
        let Some(message) = message else { return Ok(false) };
        let message = celery::retagged(&message, &new_tag(self.clock.now())).unwrap_or(message);
        let tag = celery::tag_of(&message).unwrap_or_default();
        let job = celery::decode(&message).ok();
        let job_id = job.as_ref().map_or(id, |job| job.id.as_str()).to_owned();
        let unique = job.and_then(|job| job.options.unique_key);
        let unique = unique.map_or_else(String::new, |key| self.key(&format!("unique:{key}")));
        let name = name_of(&letter.letter);
        let DeadLetter { queue, .. } = letter.letter;
        let list = format!("{}{queue}{}", self.config.prefix, letter.seat);
        let words = self
            .words()
            .with(id)
            .with(queue.as_str())
            .with(name)
            .with(list)
            .with(self.key(&format!("id:{job_id}")))
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

/// Since when a letter's job waits, as the sets of names have it.
pub(super) fn since_of(letter: &DeadLetter) -> String {
    letter.enqueued_at.micros().max(0).to_string()
}

fn name_of(letter: &DeadLetter) -> String {
    format!("{} {}", since_of(letter), letter.queue)
}

/// A letter that somebody damaged is still shown, and can be discarded.
fn read_letter(id: &str, text: &[u8]) -> Letter {
    let mut letter: Letter = serde_json::from_slice(text).unwrap_or_else(|error| Letter {
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
            enqueued_at: Timestamp::EPOCH,
        },
        seat: String::new(),
        message: None,
    });
    // The letter was written by whoever did not know whether its name was free.
    id.clone_into(&mut letter.letter.id);
    if letter.letter.enqueued_at == Timestamp::EPOCH {
        // Of a release that did not write it.
        let job = letter.message.as_deref().and_then(|message| celery::decode(message.as_bytes()).ok());
        letter.letter.enqueued_at = job.and_then(|job| job.published_at).unwrap_or(letter.letter.at);
    }
    letter
}
