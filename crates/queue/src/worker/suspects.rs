//! Jobs with which a child process ended before it was known whose fault that was: they run alone until they end.

use super::lock;
use crate::{Claimed, JobId};
use std::collections::HashSet;
use std::sync::Mutex;

/// So many are remembered; beyond them all are forgotten. One that is forgotten is suspected again.
const SUSPECTS_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Suspects(Mutex<HashSet<JobId>>);

impl Suspects {
    pub fn note(&self, jobs: &[Claimed]) {
        let mut suspects = lock(&self.0);
        if suspects.len() >= SUSPECTS_MAX {
            suspects.clear();
        }
        suspects.extend(jobs.iter().map(|job| job.id.clone()));
    }

    pub fn has(&self, job: &Claimed) -> bool {
        lock(&self.0).contains(&job.id)
    }

    /// Tells those that run alone from the others.
    pub fn part(&self, jobs: Vec<Claimed>) -> (Vec<Claimed>, Vec<Claimed>) {
        let suspects = lock(&self.0);
        if suspects.is_empty() {
            return (Vec::new(), jobs);
        }
        jobs.into_iter().partition(|job| suspects.contains(&job.id))
    }

    pub fn forget(&self, jobs: &[Claimed]) {
        let mut suspects = lock(&self.0);
        if suspects.is_empty() {
            return;
        }
        for job in jobs {
            suspects.remove(&job.id);
        }
    }
}
