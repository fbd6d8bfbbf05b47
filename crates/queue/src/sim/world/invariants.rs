//! What must hold after every step, and at the end.

use super::{Checked, DRAIN_ROUNDS, QUEUES, World};
use crate::sim::disk::Crash;
use crate::{Broker, Finish, JobId, JobState, Ledger, QueueError};
use std::time::Duration;

impl World {
    pub(super) fn state_of(&self, id: &str) -> Result<Option<JobState>, String> {
        self.broker().locate(&JobId::new(id)).map_err(|error| error.to_string())
    }

    pub(super) fn living_states(&self) -> Result<Vec<(String, Option<JobState>)>, String> {
        let living = self.jobs.iter().filter(|(_, known)| known.lives);
        living.map(|(id, _)| Ok((id.clone(), self.state_of(id)?))).collect()
    }

    /// Nothing accepted is lost, nothing that ended lives, and the counts are those of a recount.
    pub(super) fn check(&mut self) -> Checked {
        let mut counted = [0; 4];
        let ids: Vec<String> = self.jobs.keys().cloned().collect();
        for id in ids {
            let state = self.state_of(&id)?;
            let known = self.jobs.entry(id.clone()).or_default();
            match state {
                Some(JobState::Ready) => counted[0] += 1,
                Some(JobState::Delayed) => counted[1] += 1,
                Some(JobState::Leased) => counted[2] += 1,
                Some(JobState::Parked) => counted[3] += 1,
                // Poison: it stopped by itself, with a letter that says so.
                Some(JobState::Dead) if known.lives => (known.lives, known.held) = (false, None),
                None if known.lives => return Err(format!("{id} was accepted and is lost")),
                Some(JobState::Dead) | None => continue,
            }
            if state != Some(JobState::Dead) && !known.lives {
                return Err(format!("{id} lives after its end: {state:?}"));
            }
        }
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

    /// Everything is run in bounded time, whatever happened before, and leaves nothing behind.
    pub(super) fn drain(&mut self) -> Checked {
        self.note("drain".to_owned());
        self.broker = None;
        self.disk.restart(Crash::Kill);
        self.open()?;
        self.recognise()?;
        for queue in QUEUES {
            self.broker().resume(queue).map_err(|error| error.to_string())?;
        }
        for _ in 0..DRAIN_ROUNDS {
            self.broker().unpark(&["t"]).map_err(|error| error.to_string())?;
            let claimed = self.claim_from(&QUEUES, 10);
            self.take_runs(claimed.clone())?;
            for run in claimed {
                self.finish_with(run, Finish::Done)?;
            }
            self.clock.advance(Duration::from_secs(2));
            self.passed += Duration::from_secs(2);
            self.keep_up();
            self.check()?;
        }
        let left: Vec<&String> = self.jobs.iter().filter(|(_, known)| known.lives).map(|(id, _)| id).collect();
        if !left.is_empty() {
            return Err(format!("never came: {left:?}"));
        }
        for letter in self.broker().dead_letters().map_err(|error| error.to_string())? {
            self.broker().discard_dead(&letter.id).map_err(|error| error.to_string())?;
        }
        self.keep_up();
        let is_log = |(name, _): &(String, usize)| name.ends_with(".log") || name.ends_with(".state");
        let files: Vec<(String, usize)> = self.disk.listing().into_iter().filter(is_log).collect();
        if !files.is_empty() {
            return Err(format!("files were left: {files:?}"));
        }
        Ok(())
    }
}
