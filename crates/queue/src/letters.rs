//! Dead letters as lists and names: how they are paged, told apart and let go, the same on every broker.
//!
//! A job is told from another of its id by the time since when it waits. So is its letter: a letter whose id is taken by
//! that of another job gets a name of its own, `<id>~<microseconds>`, and neither takes the other's place.

use crate::broker::{Account, DeadLetter, LEAVING_BYTES_MAX, LEAVING_JOBS_MAX, Leaving};
use crate::{JobId, QueueError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use stdx::Timestamp;

/// So long a dead letter is kept, and so many of them; beyond either the oldest go, once they were accounted for. No
/// broker drops one by itself.
pub const LETTERS_KEPT: Duration = Duration::from_secs(14 * 24 * 3_600);
pub const LETTERS_MAX: u64 = 100_000;
/// Letters of one page, with their errors.
pub const LETTERS_PAGE_MAX: usize = 500;
/// Names of one answer.
pub(crate) const NAMES_MAX: usize = 5_000;

/// Between a letter's id and the time that tells it from an earlier one's.
const MARK: char = '~';

/// Which letters are asked for: of one queue or of all, the oldest first, from a place on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterPage {
    pub queue: Option<String>,
    pub after: Option<LetterCursor>,
    /// At most `LETTERS_PAGE_MAX`.
    pub most: usize,
}

/// The last letter that was looked at. Letters that go or come meanwhile do not move it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LetterCursor {
    pub at: Timestamp,
    pub id: String,
}

/// A page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letters {
    pub letters: Vec<DeadLetter>,
    /// `None` after the last.
    pub next: Option<LetterCursor>,
}

/// What whoever counts letters must know of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeadName {
    /// The letter's.
    pub id: String,
    pub queue: String,
    /// Since when the job waits.
    pub enqueued_at: Timestamp,
}

/// Some names, in no order. A letter that is there all the while is among them; one may be named twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadNames {
    pub names: Vec<DeadName>,
    /// Where to go on; `None` after the last.
    pub next: Option<String>,
}

impl LetterPage {
    pub(crate) fn most(&self) -> usize {
        self.most.clamp(1, LETTERS_PAGE_MAX)
    }
}

impl fmt::Display for LetterCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Ids may hold anything; a cursor stands in addresses and headers.
        write!(f, "{}:{}", self.at.micros(), stdx::hex::encode(self.id.as_bytes()))
    }
}

impl FromStr for LetterCursor {
    type Err = QueueError;

    fn from_str(text: &str) -> Result<Self, QueueError> {
        let read = text.split_once(':').and_then(|(at, id)| Some((at.parse().ok()?, id_of(id)?)));
        let (at, id) = read.ok_or_else(|| QueueError::Refused {
            broker: "the queue".to_owned(),
            why: "that is no cursor of a list of dead letters".to_owned(),
        })?;
        Ok(LetterCursor { at: Timestamp::from_micros(at), id })
    }
}

/// No letter is without an id.
fn id_of(text: &str) -> Option<String> {
    String::from_utf8(stdx::hex::decode_all(text)?).ok().filter(|id| !id.is_empty())
}

impl DeadLetter {
    /// The id of the job that stopped; its letter's may say more.
    pub fn job_id(&self) -> &str {
        job_id_of(&self.id)
    }

    /// Its place in a list.
    pub fn cursor(&self) -> LetterCursor {
        LetterCursor { at: self.at, id: self.id.clone() }
    }
}

impl DeadName {
    /// See `DeadLetter::job_id`.
    pub fn job_id(&self) -> &str {
        job_id_of(&self.id)
    }
}

pub(crate) fn job_id_of(letter: &str) -> &str {
    match letter.rsplit_once(MARK) {
        Some((id, time)) if !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit()) => id,
        _ => letter,
    }
}

/// The name of a letter whose id is taken by another job's.
pub(crate) fn name_apart(id: &str, enqueued_at: Timestamp) -> String {
    format!("{id}{MARK}{}", enqueued_at.micros().max(0))
}

/// A letter on its way out, with what tells it from one that took its name since.
#[derive(Clone, Debug)]
pub struct Going {
    pub name: String,
    pub leaving: Leaving,
}

/// Shows letters batch by batch, and lets each batch go once it was accounted for. Returns how many went. `show` answers
/// those of the ids that there are, at most about `LEAVING_BYTES_MAX` of them, and how many ids it has looked at.
pub(crate) fn discard(
    ids: &[String],
    account: Account<'_>,
    show: impl Fn(&[String]) -> Result<(Vec<Going>, usize), QueueError>,
    drop: impl Fn(&[Going]) -> Result<u64, QueueError>,
) -> Result<u64, QueueError> {
    let (mut rest, mut gone) = (ids, 0);
    while !rest.is_empty() {
        let (going, looked_at) = show(&rest[..rest.len().min(LEAVING_JOBS_MAX)])?;
        rest = &rest[looked_at.clamp(1, rest.len())..];
        if going.is_empty() {
            continue;
        }
        let leaving: Vec<Leaving> = going.iter().map(|going| going.leaving.clone()).collect();
        account(&leaving)?;
        gone += drop(&going)?;
    }
    Ok(gone)
}

/// Reads letters one by one until a batch is full.
pub(crate) fn show_each(
    ids: &[String],
    read: impl Fn(&str) -> Result<Option<Going>, QueueError>,
) -> Result<(Vec<Going>, usize), QueueError> {
    let (mut going, mut bytes) = (Vec::new(), 0);
    for (index, id) in ids.iter().enumerate() {
        if bytes >= LEAVING_BYTES_MAX {
            return Ok((going, index));
        }
        let Some(one) = read(id)? else { continue };
        bytes += one.leaving.payload.as_ref().map_or(0, bytes::Bytes::len);
        going.push(one);
    }
    Ok((going, ids.len()))
}

/// What is shown of a letter to whoever accounts for it.
pub(crate) fn going(letter: &DeadLetter, payload: Option<bytes::Bytes>) -> Going {
    let leaving = Leaving { id: JobId::new(letter.job_id()), enqueued_at: letter.enqueued_at, payload };
    Going { name: letter.id.clone(), leaving }
}

/// What tells shown letters from others: name, and time of the job.
pub(crate) fn shown(going: &[Going]) -> Vec<(String, Timestamp)> {
    going.iter().map(|going| (going.name.clone(), going.leaving.enqueued_at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_of_its_own_name_still_tells_its_job() {
        let check = |name: &str, job: &str| assert_eq!(job_id_of(name), job, "{name}");
        check("7-abc", "7-abc");
        check(&name_apart("7-abc", Timestamp::from_micros(12)), "7-abc");
        check("odd~", "odd~");
        check("odd~x1", "odd~x1");
    }

    #[test]
    fn a_cursor_comes_back_as_it_was_and_nonsense_is_refused() {
        let cursor = LetterCursor { at: Timestamp::from_micros(99), id: "a:b\"ä".to_owned() };
        assert_eq!(cursor.to_string().parse::<LetterCursor>().expect("a cursor"), cursor);
        for nonsense in ["", "a", "x:61", ":", "1:6", "1:ff", "1:+f", "1:"] {
            assert!(nonsense.parse::<LetterCursor>().is_err(), "{nonsense}");
        }
    }
}
