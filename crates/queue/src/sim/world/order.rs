//! Who is served before whom: higher priorities first, keys in turns, queues in the order they are asked for.

use super::{Checked, World};
use crate::{Claimed, JobState};
use std::collections::BTreeMap;

/// Waiting keys by queue and priority, and how often each other key was served since.
#[derive(Default)]
pub struct Turns(BTreeMap<(String, u8, u64), BTreeMap<u64, u32>>);

impl Turns {
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

struct Waiting {
    id: String,
    queue: String,
    priority: u8,
    key: u64,
}

impl World {
    /// Those that waited before a claim and still do, and could have been begun.
    fn passed_over(&self) -> Result<Vec<Waiting>, String> {
        let latest = self.latest_time();
        let mut waiting = Vec::new();
        for (id, known) in &self.jobs {
            let Some(life) = known.life().filter(|_| known.was_ready) else { continue };
            let may_be_overdue = life.expires_at.is_some_and(|at| at <= latest);
            if !may_be_overdue && self.state_of(id)? == Some(JobState::Ready) {
                let (queue, priority, key) = (life.queue.clone(), life.priority, life.key);
                waiting.push(Waiting { id: id.clone(), queue, priority, key });
            }
        }
        Ok(waiting)
    }

    /// An overdue job takes the turn of its key when it is set aside.
    fn may_skip_turns(&self, queue: &str) -> bool {
        let latest = self.latest_time();
        let overdue = |life: &super::model::Life| life.queue == queue && life.expires_at.is_some_and(|at| at <= latest);
        self.jobs.values().any(|known| known.lives.iter().any(overdue))
    }

    pub(super) fn check_order(&mut self, claimed: &[Claimed], asked: &[&str]) -> Checked {
        let Some(first) = claimed.first() else { return Ok(()) };
        let waiting = self.passed_over()?;
        let earlier = asked.iter().take_while(|queue| **queue != &*first.queue);
        for queue in earlier {
            if let Some(job) = waiting.iter().find(|job| job.queue == **queue && !self.may_be_paused(queue)) {
                return Err(format!("{} of {queue} was passed over by {} of {}", job.id, first.id, first.queue));
            }
        }
        if self.may_skip_turns(&first.queue) {
            self.turns.forget();
            return Ok(());
        }
        for run in claimed {
            self.serve(run, &waiting)?;
        }
        Ok(())
    }

    fn serve(&mut self, run: &Claimed, waiting: &[Waiting]) -> Checked {
        let Some(life) = self.jobs.get(run.id.as_str()).and_then(|known| known.life()).cloned() else { return Ok(()) };
        let here: Vec<&Waiting> = waiting.iter().filter(|job| job.queue == life.queue).collect();
        if let Some(job) = here.iter().find(|job| job.priority > life.priority) {
            return Err(format!("{} was begun before {}, whose priority is higher", run.id, job.id));
        }
        self.turns.0.remove(&(life.queue.clone(), life.priority, life.key));
        let mut others: Vec<&&Waiting> =
            here.iter().filter(|job| job.priority == life.priority && job.key != life.key).collect();
        others.dedup_by_key(|job| job.key);
        others.sort_by_key(|job| job.key);
        others.dedup_by_key(|job| job.key);
        for job in others {
            let place = (life.queue.clone(), life.priority, job.key);
            let served = self.turns.0.entry(place).or_default().entry(life.key).or_default();
            *served += 1;
            if *served > 1 {
                return Err(format!("key {} was served twice while key {} of {} waited", life.key, job.key, job.id));
            }
        }
        Ok(())
    }

    /// Keys that wait no more have no claim to a turn.
    pub(super) fn forget_turns(&mut self) {
        let mut turns = std::mem::take(&mut self.turns);
        turns.0.retain(|(queue, priority, key), _| {
            let is_it = |life: &super::model::Life| (&life.queue, life.priority, life.key) == (queue, *priority, *key);
            self.jobs.values().any(|known| known.was_ready && known.life().is_some_and(is_it))
        });
        self.turns = turns;
    }
}
