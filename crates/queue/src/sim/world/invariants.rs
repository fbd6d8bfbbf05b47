//! What must hold after every step, and at the end.

use super::ledger::with_letters;
use super::{Checked, DRAIN_ROUNDS, Lie, QUEUES, World};
use crate::sim::disk::Crash;
use crate::{Broker, Claimed, DeadLetter, Finish, JobId, JobResult, JobState, Ledger, QueueError};
use std::collections::HashSet;
use std::time::Duration;
use stdx::Timestamp;

/// Rounds of upkeep after which nothing is left of a segment that is over.
const SEGMENT_GOES_IN: usize = 4;

impl World {
    pub(super) fn state_of(&self, id: &str) -> Result<Option<JobState>, String> {
        self.broker().locate(&JobId::new(id)).map_err(|error| error.to_string())
    }

    pub(super) fn living_states(&self) -> Result<Vec<(String, Option<JobState>)>, String> {
        let living = self.jobs.iter().filter(|(_, known)| known.lives());
        living.map(|(id, _)| Ok((id.clone(), self.state_of(id)?))).collect()
    }

    fn names(&self) -> Vec<String> {
        self.jobs.keys().cloned().collect()
    }

    /// Nothing accepted is lost, nothing that ended lives, and the counts are those of a recount.
    pub(super) fn check(&mut self) -> Checked {
        let mut counted = [0; 4];
        for id in self.names() {
            let state = self.state_of(&id)?;
            let known = self.jobs.entry(id.clone()).or_default();
            known.was_ready = state == Some(JobState::Ready);
            match state {
                Some(JobState::Ready) => counted[0] += 1,
                Some(JobState::Delayed) => counted[1] += 1,
                Some(JobState::Leased) => counted[2] += 1,
                Some(JobState::Parked) => counted[3] += 1,
                Some(JobState::Dead) if known.lives() => self.see_stop(&id, !self.is_behind)?,
                None if known.lives() => return Err(format!("{id} was accepted and is lost")),
                Some(JobState::Dead) | None => continue,
            }
            if state != Some(JobState::Dead) && !self.jobs[&id].lives() {
                return Err(format!("{id} lives after its end: {state:?}"));
            }
        }
        self.forget_turns();
        self.check_counts(counted)?;
        self.check_letters()?;
        self.check_result()
    }

    fn check_counts(&self, counted: [u64; 4]) -> Checked {
        let depths = self.broker().depths().map_err(|error: QueueError| error.to_string())?;
        let sum = |count: fn(&crate::QueueDepth) -> u64| depths.iter().map(count).sum::<u64>();
        let shown = [
            sum(|depth| depth.ready),
            sum(|depth| depth.delayed),
            sum(|depth| depth.leased),
            sum(|depth| depth.parked),
        ];
        if shown != counted {
            return Err(format!("depths say {shown:?}, a recount {counted:?}"));
        }
        Ok(())
    }

    /// It stopped by itself, with a letter that says why; `is_kept` if nothing can have hindered its result.
    fn see_stop(&mut self, id: &str, is_kept: bool) -> Checked {
        let letters = self.broker().dead_letters().map_err(|error| error.to_string())?;
        let mut of_id: Vec<_> = letters.into_iter().filter(|letter| letter.job_id() == id).collect();
        // Another job of the name may have one since long.
        of_id.sort_by_key(|letter| !self.letters.contains(&key_of(letter)));
        let letter = of_id.pop().ok_or_else(|| format!("{id} is dead and has no letter"))?;
        let (latest, is_recorded) = (self.latest_time(), self.is_recorded());
        let known = self.jobs.entry(id.to_owned()).or_default();
        let may_be_overdue = known.lives.iter().any(|life| life.expires_at.is_some_and(|at| at <= latest));
        match letter.reason.as_str() {
            "poison" => {}
            "expired" if may_be_overdue => {}
            reason => return Err(format!("{id} stopped by itself: {reason}; its time has passed: {may_be_overdue}")),
        }
        if known.lives.iter().any(|life| life.keeps_result) {
            let is_kept = is_kept && known.life().is_some();
            known.note_result(JobResult::Failure { error: letter.error }, is_kept);
        }
        known.stop(is_recorded);
        self.turns.forget();
        Ok(())
    }

    fn check_letters(&mut self) -> Checked {
        let letters = self.broker().dead_letters().map_err(|error| error.to_string())?;
        let now = letters.iter().map(key_of).collect();
        if let Some((id, since)) = self.letters.difference(&now).next() {
            return Err(format!("the letter of {id}, which waited since {since}, went by itself"));
        }
        self.letters = now;
        let there: HashSet<&str> = letters.iter().map(DeadLetter::job_id).collect();
        match self.jobs.iter().filter_map(with_letters).find(|id| !there.contains(id.as_str())) {
            Some(id) => Err(format!("the letter of {id} is lost")),
            None => Ok(()),
        }
    }

    /// One result in turn: each is read from the disk.
    fn check_result(&mut self) -> Checked {
        if self.jobs.is_empty() {
            return Ok(());
        }
        let index = self.dice.below(self.jobs.len() as u64) as usize;
        let Some(id) = self.jobs.keys().nth(index).cloned() else { return Ok(()) };
        let result = self.broker().result(&JobId::new(&id)).map_err(|error| error.to_string())?;
        let shown = format!("{result:?}");
        let known = self.jobs.entry(id.clone()).or_default();
        if !known.see_result(result) {
            return Err(format!("{id} came to {shown}, which it did not"));
        }
        Ok(())
    }

    /// After a crash: what was accepted is there, and what ended is not, unless its end may have been lost.
    pub(super) fn recognise(&mut self, how: Crash, is_exact: bool, grace_end: Option<Duration>) -> Checked {
        let passed = self.passed;
        for id in self.names() {
            let state = self.state_of(&id)?;
            let known = self.jobs.entry(id.clone()).or_default();
            known.crash(is_exact, grace_end, passed);
            if state.is_none() && known.lives() {
                return Err(format!("{id} was accepted and is lost"));
            }
            if !known.find(state, how) {
                return Err(format!("{id} is back after its end: {state:?}"));
            }
            if known.lives() && state == Some(JobState::Dead) {
                // In the process before, unseen: its letter was flushed, its result was not.
                self.see_stop(&id, is_exact)?;
            }
        }
        self.turns.forget();
        self.check_unique_keys()?;
        self.check_damages()?;
        self.recognise_ledger()
    }

    /// Nothing a crash does is damage, unless the disk gave errors: then what it refused may stand there for ever.
    fn check_damages(&self) -> Checked {
        match self.broker().damages() {
            0 => Ok(()),
            _ if self.was_ill => Ok(()),
            damages => Err(format!("{damages} places are called damaged and were not")),
        }
    }

    fn check_unique_keys(&self) -> Checked {
        let mut seen = HashSet::new();
        let living = self.jobs.values().filter_map(|known| known.life());
        match living.filter_map(|life| life.unique.as_deref()).find(|unique| !seen.insert(*unique)) {
            Some(unique) => Err(format!("two jobs live with the unique key {unique}")),
            None => Ok(()),
        }
    }

    /// Everything is run in bounded time, whatever happened before, and leaves nothing behind.
    pub(super) fn drain(&mut self) -> Checked {
        self.note("drain".to_owned());
        let is_exact = self.is_recorded();
        self.restart(Crash::Kill);
        self.open(Duration::ZERO)?;
        self.recognise(Crash::Kill, is_exact, None)?;
        for queue in QUEUES {
            self.broker().resume(queue).map_err(|error| error.to_string())?;
            self.paused.insert(queue, vec![false]);
        }
        for _ in 0..DRAIN_ROUNDS {
            self.drain_round()?;
        }
        let left: Vec<&String> = self.jobs.iter().filter(|(_, known)| known.lives()).map(|(id, _)| id).collect();
        if !left.is_empty() {
            return Err(format!("never came: {left:?}"));
        }
        self.check_nothing_is_left()
    }

    /// Queues take turns, as with a worker. Some jobs never succeed.
    fn drain_round(&mut self) -> Checked {
        self.unpark()?;
        let mut queues = QUEUES.to_vec();
        if self.lies(Lie::StarvedQueue) {
            queues.truncate(1);
        } else if self.dice.one_in(2) {
            queues.reverse();
        }
        let claimed: Vec<Claimed> = self.claim_from(&queues, 10)?;
        for run in claimed {
            let fails = run.id.as_str().ends_with('7');
            let finish = if fails { self.fail(&run, Duration::from_secs(1)) } else { Finish::Done };
            self.finish_with(&run, finish)?;
        }
        self.clock.advance(Duration::from_secs(2));
        self.passed += Duration::from_secs(2);
        self.keep_up();
        self.check()
    }

    fn check_nothing_is_left(&mut self) -> Checked {
        for letter in self.broker().dead_letters().map_err(|error| error.to_string())? {
            self.broker().discard_dead(&letter.id, &mut |_| Ok(())).map_err(|error| error.to_string())?;
        }
        // Results are kept for a day, and the clock may have been set back by many hours.
        self.clock.advance(13 * crate::RESULT_KEPT);
        self.passed += 13 * crate::RESULT_KEPT;
        for _ in 0..SEGMENT_GOES_IN {
            self.keep_up();
        }
        let is_log = |(name, _): &(String, usize)| [".log", ".state", ".over"].iter().any(|kind| name.ends_with(kind));
        let files: Vec<(String, usize)> = self.disk.listing().into_iter().filter(is_log).collect();
        if !files.is_empty() {
            return Err(format!("files were left: {files:?}"));
        }
        Ok(())
    }
}

/// What tells letters apart, whatever their names.
pub(super) fn key_of(letter: &DeadLetter) -> (String, Timestamp) {
    (letter.job_id().to_owned(), letter.enqueued_at)
}
