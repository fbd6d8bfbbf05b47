//! What this broker holds. A lease is a tag and the score that we wrote last into kombu's index of what was delivered: as
//! long as it stands there, nobody else has taken the message.

use super::scripts::Script;
use super::{Shared, Words, lock};
use crate::celery::Received;
use crate::{LeaseId, QueueError};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use stdx::Timestamp;

/// What kombu puts between the parts of its names.
pub(super) const SEPARATOR: &str = "\u{6}\u{16}";
/// Leases of one call of a script.
const CALL_MAX: usize = 1_000;

/// Scores that may stand in the index while answers fail to come: the one that was confirmed last, and later ones.
const SCORES_MAX: usize = 16;

/// A message that we hold.
#[derive(Clone)]
pub(super) struct Held {
    pub tag: String,
    pub queue: Arc<str>,
    /// The end of its list's name.
    pub seat: String,
    pub scores: Vec<String>,
    /// As it came; `None` where it could not be read.
    pub message: Arc<[u8]>,
    pub job: Option<Arc<Received>>,
}

impl Held {
    pub fn member(&self) -> String {
        format!("{}{SEPARATOR}{}", self.tag, self.queue)
    }

    /// Adds the words of its fence.
    pub fn push_scores(&self, words: &mut Words) {
        words.push(self.scores.len().to_string());
        for score in &self.scores {
            words.push(score.as_str());
        }
    }
}

pub(super) struct Leases {
    held: HashMap<LeaseId, Held>,
    /// Whose end is on its way with the scores of that moment: an extension must not write another one before it arrives,
    /// or the end would meet a score it does not know and the job would be nobody's.
    ending: HashSet<LeaseId>,
    next: u64,
}

impl Leases {
    /// Leases are numbered from `now`, so that those of an earlier broker are not met again.
    pub fn new(now: Timestamp) -> Leases {
        Leases { held: HashMap::new(), ending: HashSet::new(), next: now.micros().unsigned_abs() }
    }

    pub fn add(&mut self, held: Held) -> LeaseId {
        self.next += 1;
        self.held.insert(LeaseId(self.next), held);
        LeaseId(self.next)
    }

    pub fn get(&self, lease: LeaseId) -> Option<Held> {
        self.held.get(&lease).cloned()
    }

    /// Returns what ends now; it is not extended any more, until `remove` or `goes_on`.
    pub fn end(&mut self, lease: LeaseId) -> Option<Held> {
        let held = self.held.get(&lease).cloned()?;
        self.ending.insert(lease);
        Some(held)
    }

    /// An end that was not heard of has not happened.
    pub fn goes_on(&mut self, lease: LeaseId) {
        self.ending.remove(&lease);
    }

    pub fn contains(&self, lease: LeaseId) -> bool {
        self.held.contains_key(&lease)
    }

    pub fn remove(&mut self, lease: LeaseId) {
        self.ending.remove(&lease);
        self.held.remove(&lease);
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub fn tags(&self) -> HashSet<String> {
        self.held.values().map(|held| held.tag.clone()).collect()
    }

    /// Forgets what somebody else has taken.
    pub fn forget_tags(&mut self, tags: &[String]) {
        self.held.retain(|_, held| !tags.contains(&held.tag));
    }
}

impl Shared {
    /// Writes the time of now beside what we hold. Until the answer is here both the old score and any new one may stand
    /// there; a fence accepts both, for another holder's would be a third.
    pub(super) fn extend(&self, leases: &[LeaseId], lease: Duration) -> Result<Vec<LeaseId>, QueueError> {
        let mut lost = Vec::new();
        for some in leases.chunks(CALL_MAX) {
            lost.extend(self.extend_some(some, lease)?);
        }
        Ok(lost)
    }

    fn extend_some(&self, leases: &[LeaseId], lease: Duration) -> Result<Vec<LeaseId>, QueueError> {
        let mut lost = Vec::new();
        // The score is ours to know before it is written: it takes part in the fence of an end that overtakes us.
        let score = super::seconds(self.now()?);
        let mut words =
            Words(vec![self.config.prefix.clone().into(), score.clone().into()]).with(self.session.as_str());
        let mut asked = Vec::with_capacity(leases.len());
        {
            let mut all = lock(&self.leases);
            for id in leases {
                if all.ending.contains(id) {
                    continue;
                }
                let Some(held) = all.held.get_mut(id) else {
                    lost.push(*id);
                    continue;
                };
                words.push(held.tag.as_str());
                words.push(held.member());
                words.push(format!("{:.6}", lease.as_secs_f64()));
                held.push_scores(&mut words);
                if !held.scores.contains(&score) {
                    held.scores.truncate(SCORES_MAX - 1);
                    held.scores.push(score.clone());
                }
                asked.push(*id);
            }
        }
        if asked.is_empty() {
            return Ok(lost);
        }
        let (_now, gone): (String, Vec<usize>) = self.link.run(Script::Extend, &words.0)?;
        let gone: Vec<LeaseId> = gone.into_iter().filter_map(|index| asked.get(index).copied()).collect();
        let mut all = lock(&self.leases);
        for id in asked {
            if gone.contains(&id) {
                all.remove(id);
            } else if let Some(held) = all.held.get_mut(&id) {
                held.scores = vec![score.clone()];
            }
        }
        lost.extend(gone);
        Ok(lost)
    }

    /// Returns the time of whichever clock rules.
    pub(super) fn now(&self) -> Result<Timestamp, QueueError> {
        match self.config.time {
            super::TimeSource::Clock => Ok(self.clock.now()),
            super::TimeSource::Server => {
                let (seconds, micros): (i64, i64) =
                    self.link.with(|open| redis::cmd("TIME").query(&mut open.connection))?;
                Ok(Timestamp::from_micros(seconds.saturating_mul(1_000_000) + micros))
            }
        }
    }
}
