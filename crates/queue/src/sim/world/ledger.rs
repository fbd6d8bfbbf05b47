//! What operators and the clock do: purges, pauses, dead letters, parked jobs, occurrences.

use super::invariants::key_of;
use super::model::{Known, Life};
use super::{Checked, Lie, QUEUES, World};
use crate::{BoxFuture, Broker, JobState, Ledger, NewJob, QueueError};
use std::collections::HashSet;
use std::task::{Context, Poll, Waker};
use stdx::Timestamp;

const ENTRIES: [&str; 2] = ["nightly", "hourly"];

impl World {
    pub(super) fn purge(&mut self) -> Checked {
        if !self.dice.one_in(3) {
            return Ok(());
        }
        let queue = QUEUES[self.dice.below(2) as usize];
        let before = self.living_states()?;
        let mut shown = HashSet::new();
        let purged = self.broker().purge(queue, &mut |leaving| {
            shown.extend(leaving.iter().map(|leaving| leaving.id.to_string()));
            Ok(())
        });
        self.note(format!("purge {queue}: {purged:?}"));
        let is_recorded = self.is_recorded();
        let mut gone = 0;
        for (id, was) in before {
            if self.state_of(&id)?.is_some_and(|state| state != JobState::Dead) {
                continue;
            }
            if was == Some(JobState::Leased) {
                return Err(format!("{id} was purged while it ran"));
            }
            if !shown.contains(&id) {
                return Err(format!("{id} was purged and nobody was shown it"));
            }
            gone += 1;
            self.jobs.entry(id).and_modify(|known| known.end(is_recorded));
        }
        match purged {
            Ok(purged) if purged != gone => Err(format!("purging took {gone} jobs and said {purged}")),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    pub(super) fn may_be_paused(&self, queue: &str) -> bool {
        self.paused.get(queue).is_some_and(|paused| paused.contains(&true))
    }

    pub(super) fn pause_or_resume(&mut self) -> Checked {
        let queue = QUEUES[self.dice.below(2) as usize];
        let pauses = self.dice.one_in(3);
        let answer = if pauses { self.broker().pause(queue) } else { self.broker().resume(queue) };
        self.note(format!("pause {queue} {pauses}: {answer:?}"));
        if answer.is_ok() {
            self.paused.insert(queue, vec![pauses]);
        } else {
            // Not now; but the next process may find it.
            self.paused.entry(queue).or_insert_with(|| vec![false]).push(pauses);
        }
        if pauses && answer.is_ok() && self.lies(Lie::ForgottenPause) {
            // A disk that refuses this only hides the bug.
            let _ = self.broker().resume(queue);
        }
        Ok(())
    }

    pub(super) fn unpark(&mut self) -> Checked {
        let parked = self.broker().parked().map_err(|error| error.to_string())?;
        let jobs: u64 = parked.iter().map(|row| row.jobs).sum();
        let unparked = self.broker().unpark(&["t"]).map_err(|error| error.to_string())?;
        self.note(format!("unpark: {unparked}"));
        if jobs != unparked {
            return Err(format!("{jobs} jobs were parked, {unparked} came back"));
        }
        Ok(())
    }

    pub(super) fn settle_letter(&mut self) -> Checked {
        let letters = self.broker().dead_letters().unwrap_or_default();
        if letters.is_empty() {
            return Ok(());
        }
        let letter = letters[self.dice.below(letters.len() as u64) as usize].clone();
        let (name, id) = (&letter.id, letter.job_id());
        // Another job of the name may have a letter of its own.
        let is_only = letters.iter().filter(|other| other.job_id() == id).count() == 1;
        if self.dice.one_in(2) {
            let answer = self.broker().discard_dead(name, &mut |_| Ok(()));
            self.note(format!("discard {name}: {answer:?}"));
            if answer.is_ok() {
                self.letters.remove(&key_of(&letter));
                self.jobs.entry(id.to_owned()).and_modify(|known| known.forget_letter(is_only));
            }
            return Ok(());
        }
        let broker = self.broker();
        let answer = self.answered(Box::pin(broker.retry_letter(name)))?;
        self.note(format!("retry letter {name}: {answer:?}"));
        if matches!(answer, Ok(true)) {
            self.letters.remove(&key_of(&letter));
        }
        self.take_retried(id, is_only, &answer)
    }

    fn take_retried(&mut self, id: &str, is_only: bool, answer: &Result<bool, QueueError>) -> Checked {
        let is_there = self.state_of(id)?.is_some_and(|state| state != JobState::Dead);
        let known = self.jobs.entry(id.to_owned()).or_default();
        // One that came back after a crash, or is one of several, may be of any life.
        let of_letter = known.letter.clone().filter(|_| is_only);
        let mut lives = of_letter.unwrap_or_else(|| known.ever.clone());
        // Whoever retries a letter wants it to run, however late.
        lives.iter_mut().for_each(|life| life.expires_at = None);
        match answer {
            Ok(true) if !is_there => return Err(format!("{id} was put back and is lost")),
            Ok(true) => {
                known.forget_letter(is_only);
                if !known.lives() {
                    known.accept(lives);
                }
            }
            Ok(false) => {}
            Err(_) if is_there && !known.lives() => known.accept(lives),
            // It stays a letter; nothing has happened.
            Err(QueueError::Lives { .. }) => {}
            Err(_) => lives.into_iter().for_each(|life| known.refuse(life)),
        }
        Ok(())
    }

    /// Any scheduler asks for any occurrence: the next one, one again, an old one.
    pub(super) fn fire(&mut self) -> Checked {
        let entry = ENTRIES[self.dice.below(2) as usize];
        let (surely, perhaps) = self.fired.get(entry).copied().unwrap_or_default();
        let number = (surely + self.dice.below(3)).max(1);
        let id = format!("{entry}-{number}");
        let queue = QUEUES[self.dice.below(2) as usize];
        let job = self.new_job(&id, queue);
        let life = Life::of(&job);
        let answer = self.ask_to_fire(entry, number, job)?;
        self.note(format!("fire {id}: {answer:?}"));
        let is_there = self.state_of(&id)?.is_some_and(|state| state != JobState::Dead);
        let known = self.jobs.entry(id.clone()).or_default();
        let was_there = known.lives();
        if is_there && !was_there {
            known.accept(vec![life]);
        } else if answer.is_err() {
            known.refuse(life);
        }
        match answer {
            Ok(true) if number <= surely => return Err(format!("{id} was fired again, {surely} was before")),
            Ok(true) if !is_there => return Err(format!("{id} was fired and is lost")),
            Ok(false) if number > surely => return Err(format!("{id} was not fired, {surely} was the last")),
            Ok(true) => self.fired.insert(entry, (number, number)),
            Ok(false) => None,
            Err(_) => self.fired.insert(entry, (surely, perhaps.max(number))),
        };
        Ok(())
    }

    fn ask_to_fire(&mut self, entry: &str, number: u64, job: NewJob) -> Result<Result<bool, QueueError>, String> {
        let named = match self.lies(Lie::DoubledOccurrence) && self.dice.one_in(2) {
            true => format!("{entry} of another scheduler"),
            false => entry.to_owned(),
        };
        let broker = self.broker();
        self.answered(Box::pin(broker.fire_once(&named, occurrence(number), job)))
    }

    /// What the next process knows of pauses and occurrences must be what was answered.
    pub(super) fn recognise_ledger(&mut self) -> Checked {
        let depths = self.broker().depths().map_err(|error| error.to_string())?;
        for queue in QUEUES {
            let is_paused = depths.iter().any(|depth| depth.queue == queue && depth.paused);
            let may_be = self.paused.entry(queue).or_insert_with(|| vec![false]);
            if !may_be.contains(&is_paused) {
                return Err(format!("{queue} is paused: {is_paused}; it was told otherwise"));
            }
            *may_be = vec![is_paused];
        }
        let cursors = self.broker().cursors().map_err(|error| error.to_string())?;
        for entry in ENTRIES {
            let (surely, perhaps) = self.fired.get(entry).copied().unwrap_or_default();
            let cursor = cursors.iter().find(|cursor| cursor.entry == entry);
            let found = cursor.map_or(0, |cursor| (cursor.scheduled_at.micros() / 60_000_000) as u64);
            if found < surely || found > perhaps {
                return Err(format!("{entry} has come to {found}, it was fired to {surely}, perhaps {perhaps}"));
            }
            self.fired.insert(entry, (found, found));
        }
        Ok(())
    }

    /// The answer of a call that publishes on its way.
    fn answered<T>(&self, mut asked: BoxFuture<'_, Result<T, QueueError>>) -> Result<Result<T, QueueError>, String> {
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(answer) = asked.as_mut().poll(&mut cx) {
            return Ok(answer);
        }
        self.broker().commit();
        match asked.as_mut().poll(&mut cx) {
            Poll::Ready(answer) => Ok(answer),
            Poll::Pending => Err("a commit left a caller without an answer".to_owned()),
        }
    }
}

fn occurrence(number: u64) -> Timestamp {
    Timestamp::from_seconds(60 * number as i64)
}

/// Names whose jobs have letters that must be there.
pub(super) fn with_letters(known: (&String, &Known)) -> Option<String> {
    known.1.letter.as_ref().map(|_| known.0.clone())
}
