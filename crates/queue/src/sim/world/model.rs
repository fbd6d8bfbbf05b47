//! What is known of each job's name: which of its lives must be there, which may come back, who holds it, what its result
//! may be. It is told every answer and asks nobody.
//!
//! A *life* is one acceptance of a name. Between crashes everything is known exactly. A *ghost* is a life that ended, or was
//! refused, and may be found again: after a power loss, since records of ends are not flushed, and after a kill if the
//! disk had not taken the record. It stays one: the files that held it may be there once more after the next power loss.

use crate::sim::disk::Crash;
use crate::{Claimed, JobResult, JobState, LeaseId, NewJob};
use std::time::Duration;
use stdx::Timestamp;

/// Deaths of its workers that a job survives: one in company, two alone.
const LOSSES_MAX: u32 = 3;

/// What the broker says of jobs that stopped by themselves.
const EXPIRED: &str = "its time had passed before it began";
const POISON: &str = "its worker died while it ran alone";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Stands in its payload.
    pub number: u64,
    pub queue: String,
    pub key: u64,
    pub priority: u8,
    pub unique: Option<String>,
    pub expires_at: Option<Timestamp>,
    pub keeps_result: bool,
}

impl Life {
    pub fn of(job: &NewJob) -> Life {
        Life {
            number: number_in(&job.payload).unwrap_or_default(),
            queue: job.queue.to_string(),
            key: job.fairness_key,
            priority: job.priority,
            unique: job.options.unique_key.clone(),
            expires_at: job.options.expires_at,
            keeps_result: job.options.keeps_result,
        }
    }
}

pub fn payload(number: u64, id: &str) -> bytes::Bytes {
    bytes::Bytes::from(format!("{number} of {id}"))
}

fn number_in(payload: &[u8]) -> Option<u64> {
    std::str::from_utf8(payload).ok()?.split(' ').next()?.parse().ok()
}

#[derive(Clone, Debug)]
struct Ghost {
    life: Life,
    survives_kill: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub lease: LeaseId,
    /// By the world's own time.
    pub until: Duration,
    /// Not after a takeover, until its holder has asserted it.
    pub is_heard: bool,
}

/// What the model knows of a name.
#[derive(Default)]
pub struct Known {
    /// None: it does not live. One: that does. More: one of them does, its next run shows which.
    pub lives: Vec<Life>,
    ghosts: Vec<Ghost>,
    pub ever: Vec<Life>,
    pub held: Option<Held>,
    attempts: u32,
    /// Runs of all its lives.
    claims: u32,
    /// Runs of this life that ended without a word.
    losses: u32,
    /// So many more runs are allowed, since counts may be lost.
    slack: u32,
    is_blurred: bool,
    /// Waited at the last look, and could be begun.
    pub was_ready: bool,
    /// Which life stopped; there is a letter then.
    pub letter: Option<Vec<Life>>,
    /// One: that is its result. More: one of them is.
    results: Vec<Option<JobResult>>,
    results_ever: Vec<JobResult>,
    /// Whose its last run is; a crash may have brought an earlier one back.
    last_lease: Option<LeaseId>,
    is_lease_blurred: bool,
}

impl Known {
    pub fn lives(&self) -> bool {
        !self.lives.is_empty()
    }

    /// The life that surely is the one that lives.
    pub fn life(&self) -> Option<&Life> {
        match self.lives.as_slice() {
            [life] => Some(life),
            _ => None,
        }
    }

    pub fn accept(&mut self, lives: Vec<Life>) {
        self.ever.extend(lives.iter().cloned());
        self.lives = lives;
        (self.held, self.attempts, self.losses, self.slack) = (None, 0, 0, 0);
        self.is_blurred = self.lives.len() > 1;
    }

    /// Something of it may stand on the disk although it was refused.
    pub fn refuse(&mut self, life: Life) {
        self.ever.push(life.clone());
        self.ghosts.push(Ghost { life, survives_kill: true });
    }

    pub fn end(&mut self, is_recorded: bool) {
        let ghosts = self.lives.drain(..).map(|life| Ghost { life, survives_kill: !is_recorded });
        self.ghosts.extend(ghosts);
        self.held = None;
    }

    /// Of several letters of a name the others stay.
    pub fn forget_letter(&mut self, is_only: bool) {
        self.letter = self.letter.take().filter(|_| !is_only).map(|_| self.ever.clone());
    }

    pub fn stop(&mut self, is_recorded: bool) {
        self.letter = Some(self.lives.clone());
        self.end(is_recorded);
    }

    /// Records that waited for the disk are written now.
    pub fn settle(&mut self) {
        for ghost in &mut self.ghosts {
            ghost.survives_kill = false;
        }
    }

    /// A run begins; says what is wrong with that.
    pub fn begin(&mut self, run: &Claimed, passed: Duration, attempts_max: u32) -> Result<(), String> {
        let id = &run.id;
        if !self.lives() {
            return Err(format!("{id} was claimed after its end"));
        }
        let number = number_in(&run.payload);
        let Some(life) = self.lives.iter().find(|life| Some(life.number) == number).cloned() else {
            return Err(format!("{id} came as life {number:?}, {:?} may live", self.lives));
        };
        (self.last_lease, self.is_lease_blurred) = (Some(run.lease), false);
        // A retry of its letter, of which a crash may have hidden the answer, drops when it was to expire.
        let expires_at = run.options.expires_at.and(life.expires_at);
        let is_same_time = run.options.expires_at == expires_at;
        let options = (&run.options.unique_key, is_same_time, run.options.keeps_result);
        if options != (&life.unique, true, life.keeps_result) || *run.queue != life.queue {
            return Err(format!("{id} came with other options: {options:?} in {}, not {life:?}", run.queue));
        }
        self.lives = vec![life];
        if let Some(held) = self.held {
            if held.until > passed {
                return Err(format!("{id} is held by two leases"));
            }
            self.losses += 1;
        }
        self.count(run, attempts_max)
    }

    fn count(&mut self, run: &Claimed, attempts_max: u32) -> Result<(), String> {
        self.claims += 1;
        let (id, attempt) = (&run.id, run.attempt);
        let is_right = match self.is_blurred {
            true => (1..=self.claims).contains(&attempt),
            false => attempt == self.attempts + 1,
        };
        if !is_right {
            return Err(format!("{id} is at attempt {attempt}, {} were made, {} in all", self.attempts, self.claims));
        }
        (self.attempts, self.is_blurred) = (attempt, false);
        if attempt > attempts_max + self.losses + self.slack {
            return Err(format!("{id} was begun {attempt} times, {attempts_max} are allowed"));
        }
        if self.losses > LOSSES_MAX + self.slack {
            return Err(format!("{id} lost its worker {} times and was begun again", self.losses));
        }
        Ok(())
    }

    /// Whether a lease may be given back to whoever asserts it.
    pub fn may_be_asserted_by(&self, lease: LeaseId) -> bool {
        self.lives() && (self.is_lease_blurred || self.last_lease == Some(lease))
    }

    /// Whether a run is of the life that lives, as far as that is known.
    pub fn is_run_of_it(&self, run: &Claimed) -> bool {
        let number = number_in(&run.payload);
        self.lives.iter().any(|life| Some(life.number) == number)
    }

    /// Its worker was seen to die.
    pub fn lose(&mut self) {
        self.held = None;
        self.losses += 1;
    }

    /// A run ended that costs no attempt.
    pub fn give_back(&mut self) {
        self.held = None;
        self.attempts = self.attempts.saturating_sub(1);
    }

    /// The process ended. `is_exact`: every record that it wrote is there. `grace_end` is until when holders may be heard.
    pub fn crash(&mut self, is_exact: bool, grace_end: Option<Duration>, passed: Duration) {
        if !is_exact {
            (self.is_blurred, self.is_lease_blurred) = (true, true);
            // A claim may have been counted whose answer came to nobody.
            self.claims += 1;
            self.slack = self.slack.max(self.claims);
            // A later life may have been buried over the one that is known.
            self.letter = self.letter.take().map(|_| self.ever.clone());
            self.blur_results();
        }
        self.slack += u32::from(self.held.is_some());
        let stays = |held: &Held| is_exact && held.is_heard && held.until > passed;
        self.held = match grace_end {
            Some(until) => self.held.filter(stays).map(|held| Held { until, is_heard: false, ..held }),
            None => None,
        };
        self.was_ready = false;
    }

    /// Any result that it ever had may be found, and those of stops by itself that nobody saw.
    fn blur_results(&mut self) {
        if !self.ever.iter().any(|life| life.keeps_result) {
            return;
        }
        let unseen = [EXPIRED, POISON].map(|error| JobResult::Failure { error: error.to_owned() });
        self.results = self.results_ever.iter().cloned().chain(unseen).map(Some).chain([None]).collect();
    }

    /// What the next process found of it. Returns whether that may be.
    pub fn find(&mut self, state: Option<JobState>, crash: Crash) -> bool {
        let is_there = state.is_some_and(|state| state != JobState::Dead);
        if is_there && !self.lives() {
            let comes_back = |ghost: &&Ghost| crash == Crash::PowerLoss || ghost.survives_kill;
            self.lives = self.ghosts.iter().filter(comes_back).map(|ghost| ghost.life.clone()).collect();
            (self.is_blurred, self.slack) = (true, self.slack + self.claims);
            return self.lives();
        }
        self.settle();
        true
    }

    /// A result was given; `is_kept` if nothing can have hindered that.
    pub fn note_result(&mut self, result: JobResult, is_kept: bool) {
        self.results_ever.push(result.clone());
        if self.results.is_empty() {
            self.results.push(None);
        }
        if is_kept {
            self.results.clear();
        }
        self.results.push(Some(result));
    }

    /// Its result is looked at. Returns whether it may be that.
    pub fn see_result(&mut self, seen: Option<JobResult>) -> bool {
        let may_be = if self.results.is_empty() { seen.is_none() } else { self.results.contains(&seen) };
        self.results = vec![seen];
        may_be
    }
}
