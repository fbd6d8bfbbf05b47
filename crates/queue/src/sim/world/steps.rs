//! What producers and workers do.

use super::model::{Known, Life, payload};
use super::{ATTEMPTS_MAX, Checked, IDS, LEASE, Lie, QUEUES, World};
use crate::{
    BoxFuture, Broker, ClaimRequest, Claimed, DeadReason, Finish, JobId, JobResult, JobState, LeaseId, NewJob,
    Published, QueueBounds, QueueError,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What is done while a flush takes its time.
struct Meanwhile {
    passes: Duration,
    request: ClaimRequest,
    ends: Option<Claimed>,
    claimed: Vec<Claimed>,
    /// Of the end, if there was a flush.
    answer: Option<Result<Vec<LeaseId>, QueueError>>,
}

impl World {
    /// Several requests at once, which share a flush.
    pub(super) fn publish(&mut self) -> Checked {
        let requests: Vec<Vec<NewJob>> = (0..=self.dice.below(2)).map(|_| self.draw_request()).collect();
        let sent: Vec<Vec<NewJob>> =
            requests.iter().map(|jobs| jobs.iter().map(|job| self.disguise(job)).collect()).collect();
        let broker = self.broker();
        let mut asked: Vec<_> = sent.into_iter().map(|jobs| broker.publish(jobs)).collect();
        let meanwhile = self.dice.one_in(3).then(|| self.slow_flush());
        broker.commit();
        self.disk.fast_flush();
        let answers: Vec<_> = asked.iter_mut().map(answer_of).collect::<Result<_, _>>()?;
        drop(asked);
        let mut accepted = Vec::new();
        for (jobs, answer) in requests.into_iter().zip(answers) {
            let named: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
            self.note(format!("publish {named:?}: {answer:?}"));
            accepted.extend(self.take_answer(jobs, answer)?);
        }
        match meanwhile {
            Some(meanwhile) => self.take_meanwhile(&meanwhile, &accepted),
            None => Ok(()),
        }
    }

    fn draw_request(&mut self) -> Vec<NewJob> {
        (0..=self.dice.below(3)).map(|_| self.draw_job()).collect()
    }

    fn draw_job(&mut self) -> NewJob {
        let id = format!("job-{}", self.dice.below(IDS));
        let queue = QUEUES[self.dice.below(2) as usize];
        let mut job = self.new_job(&id, queue);
        job.fairness_key = self.dice.below(3);
        job.priority = if self.dice.one_in(2) { 5 } else { self.dice.below(10) as u8 };
        job.delay = Duration::from_secs(if self.dice.one_in(3) { self.dice.below(60) } else { 0 });
        job.options.unique_key = self.dice.one_in(6).then(|| format!("unique-{}", self.dice.below(3)));
        job.options.keeps_result = self.dice.one_in(3);
        let expires_in = Duration::from_secs(1 + self.dice.below(60));
        job.options.expires_at = self.dice.one_in(6).then(|| self.earliest_time().plus(expires_in));
        job
    }

    pub(super) fn new_job(&mut self, id: &str, queue: &str) -> NewJob {
        self.lives += 1;
        NewJob::new(JobId::new(id), "t", queue, payload(self.lives, id))
    }

    /// The job as a planted bug makes of it.
    fn disguise(&self, job: &NewJob) -> NewJob {
        let mut job = job.clone();
        if self.lies(Lie::OneKey) {
            job.fairness_key = 0;
        }
        if self.lies(Lie::SharedUniqueKey)
            && let Some(key) = &mut job.options.unique_key
        {
            key.push_str(job.id.as_str());
        }
        job
    }

    /// What happens during the next flush: time passes, others claim and finish.
    fn slow_flush(&mut self) -> Arc<Mutex<Meanwhile>> {
        let passes = Duration::from_secs(self.dice.below(25));
        let ends = self.pick_run(true);
        let jobs_max = 1 + self.dice.below(4) as usize;
        let meanwhile =
            Meanwhile { passes, request: request(&QUEUES, jobs_max), ends, claimed: Vec::new(), answer: None };
        let meanwhile = Arc::new(Mutex::new(meanwhile));
        let (broker, clock, here) = (self.broker(), self.clock.clone(), meanwhile.clone());
        self.disk.slow_flush(move || {
            let mut here = here.lock().unwrap_or_else(PoisonError::into_inner);
            clock.advance(here.passes);
            here.claimed = broker.claim(&here.request).unwrap_or_default();
            let ends = here.ends.iter().map(|run| (run.lease, Finish::Done)).collect();
            here.answer = Some(broker.finish(ends));
        });
        meanwhile
    }

    fn take_meanwhile(&mut self, meanwhile: &Mutex<Meanwhile>, accepted: &[Life]) -> Checked {
        let mut here = meanwhile.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = here.ends.take();
        let Some(answer) = here.answer.take() else {
            // Nothing was flushed.
            self.runs.extend(ends);
            return Ok(());
        };
        self.passed += here.passes;
        let mut claimed = std::mem::take(&mut here.claimed);
        self.note(format!(
            "  {} s pass in the flush, claim {:?}, finish {answer:?}",
            here.passes.as_secs(),
            names(&claimed)
        ));
        if self.lies(Lie::EarlyRun)
            && let Some(life) = accepted.first()
            && let Some((id, _)) = self.jobs.iter().find(|(_, known)| known.life() == Some(life))
        {
            claimed.push(early_run(id, life));
        }
        let is_early =
            |run: &&Claimed| accepted.iter().any(|life| payload(life.number, run.id.as_str()) == run.payload);
        if let Some(run) = claimed.iter().find(is_early) {
            return Err(format!("{} was begun before it was durable", run.id));
        }
        self.turns.forget();
        self.take_runs(&claimed)?;
        match (ends, answer) {
            (Some(run), Ok(lost)) => self.take_end(&run, Finish::Done, !lost.is_empty()),
            (Some(_), Err(_)) | (None, _) => Ok(()),
        }
    }

    /// Returns the lives that were accepted.
    fn take_answer(
        &mut self,
        jobs: Vec<NewJob>,
        answer: Result<Vec<Published>, QueueError>,
    ) -> Result<Vec<Life>, String> {
        let Ok(answers) = answer else {
            for job in jobs {
                self.jobs.entry(job.id.to_string()).or_default().refuse(Life::of(&job));
            }
            return Ok(Vec::new());
        };
        let mut accepted = Vec::new();
        for (job, answer) in jobs.into_iter().zip(answers) {
            accepted.extend(self.take_in(&job, answer)?);
        }
        Ok(accepted)
    }

    fn take_in(&mut self, job: &NewJob, answer: Published) -> Result<Option<Life>, String> {
        let (id, life) = (job.id.as_str(), Life::of(job));
        let is_there = self.jobs.get(id).is_some_and(Known::lives);
        let has_key = |other: &Life| life.unique.is_some() && other.unique == life.unique;
        let is_taken = self.jobs.values().any(|known| known.life().is_some_and(has_key));
        let may_be_taken = self.jobs.values().any(|known| known.lives.iter().any(has_key));
        let is_right = match answer {
            Published::Accepted => !is_there && !is_taken,
            Published::AlreadyThere => is_there || may_be_taken,
        };
        if !is_right {
            return Err(format!("{id} was answered {answer:?}; it lives: {is_there}; its unique key does: {is_taken}"));
        }
        if answer == Published::AlreadyThere {
            return Ok(None);
        }
        self.jobs.entry(id.to_owned()).or_default().accept(vec![life.clone()]);
        Ok(Some(life))
    }

    pub(super) fn claim(&mut self) -> Checked {
        let mut queues = QUEUES.to_vec();
        if self.dice.one_in(2) {
            queues.reverse();
        }
        let jobs_max = 1 + self.dice.below(4) as usize;
        self.claim_from(&queues, jobs_max).map(drop)
    }

    pub(super) fn claim_from(&mut self, queues: &[&str], jobs_max: usize) -> Result<Vec<Claimed>, String> {
        let mut claimed = self.broker().claim(&request(queues, jobs_max)).unwrap_or_default();
        if let Some(first) = claimed.first_mut()
            && self.lies(Lie::UncountedAttempt)
            && first.attempt > 1
        {
            first.attempt -= 1;
        }
        if self.lies(Lie::TwoLeases)
            && self.dice.one_in(4)
            && let Some(first) = claimed.first().cloned()
        {
            claimed.push(Claimed { lease: LeaseId(first.lease.0 + 1_000_000), ..first });
        }
        self.note(format!("claim {jobs_max} from {queues:?}: {:?}", names(&claimed)));
        self.take_runs(&claimed)?;
        self.check_order(&claimed, queues)?;
        Ok(claimed)
    }

    fn take_runs(&mut self, claimed: &[Claimed]) -> Checked {
        for run in claimed {
            let id = run.id.as_str();
            let known = self.jobs.get_mut(id).ok_or_else(|| format!("{id} was claimed and never published"))?;
            known.begin(run, self.passed, ATTEMPTS_MAX)?;
            if self.paused.get(&*run.queue).is_some_and(|paused| *paused == [true]) {
                return Err(format!("{id} was claimed from {}, which is paused", run.queue));
            }
            let expires_at = match self.lies(Lie::LateBegin) {
                true => run.options.expires_at.map(|at| at.minus(Duration::from_secs(30))),
                false => run.options.expires_at,
            };
            if expires_at.is_some_and(|at| at <= self.earliest_time()) {
                return Err(format!("{id} was begun after its time"));
            }
            self.hold(id, run.lease);
            self.runs.push(run.clone());
        }
        Ok(())
    }

    pub(super) fn extend(&mut self) -> Checked {
        let Some(run) = self.pick_run(false) else { return Ok(()) };
        let lost = self.broker().extend(&[run.lease], LEASE).unwrap_or_default();
        self.note(format!("extend {} {}: lost {}", run.id, run.lease.0, lost.len()));
        self.check_fence(&run, !lost.is_empty(), "extended")?;
        if lost.is_empty() {
            self.hold(run.id.as_str(), run.lease);
        }
        Ok(())
    }

    fn pick_run(&mut self, takes: bool) -> Option<Claimed> {
        if self.runs.is_empty() {
            return None;
        }
        let index = self.dice.below(self.runs.len() as u64) as usize;
        // Some are asked about again after their end: workers repeat themselves.
        let takes = takes && !self.dice.one_in(8);
        Some(if takes { self.runs.swap_remove(index) } else { self.runs[index].clone() })
    }

    pub(super) fn finish(&mut self) -> Checked {
        let Some(run) = self.pick_run(true) else { return Ok(()) };
        let after = Duration::from_secs(self.dice.below(20));
        let finish = match self.dice.below(9) {
            8 => Finish::Died { reason: DeadReason::Poison, error: "its process ended".to_owned() },
            0 | 1 => self.fail(&run, after),
            2 => Finish::Dead { reason: DeadReason::Rejected, error: "no use".to_owned() },
            3 => Finish::GiveBack { after },
            4 => Finish::Park,
            5 => Finish::Done,
            _ => Finish::Returned { value: self.dice.below(1_000).into() },
        };
        self.finish_with(&run, finish)
    }

    /// What a worker says of a run that failed.
    pub(super) fn fail(&self, run: &Claimed, after: Duration) -> Finish {
        let error = format!("attempt {} failed", run.attempt);
        if run.attempt >= ATTEMPTS_MAX && !self.lies(Lie::EndlessRetries) {
            return Finish::Dead { reason: DeadReason::Attempts, error };
        }
        Finish::Retry { after, error }
    }

    pub(super) fn finish_with(&mut self, run: &Claimed, finish: Finish) -> Checked {
        let sent = match &finish {
            Finish::Returned { .. } if self.lies(Lie::LostResult) => Finish::Done,
            other => other.clone(),
        };
        let answer = self.broker().finish(vec![(run.lease, sent)]);
        self.note(format!("finish {} {} {finish:?}: {answer:?}", run.id, run.lease.0));
        match answer {
            Ok(lost) => self.take_end(run, finish, !lost.is_empty() && !self.lies(Lie::OpenFence)),
            // Not ended: it is finished again, or its lease ends.
            Err(_) => Ok(()),
        }
    }

    fn take_end(&mut self, run: &Claimed, finish: Finish, was_lost: bool) -> Checked {
        self.check_fence(run, was_lost, "finished")?;
        if was_lost {
            return Ok(());
        }
        if self.jobs.get(run.id.as_str()).is_some_and(|known| !known.is_run_of_it(run)) {
            return Err(format!("{} was finished by a run of an earlier life", run.id));
        }
        let is_kept = !self.is_ill && !self.disk.has_stopped();
        // A death may be the one too many: then the job stops by itself.
        let goes_on = self.state_of(run.id.as_str())?.is_some_and(|state| state != JobState::Dead);
        if goes_on || !matches!(finish, Finish::Died { .. }) {
            self.note_result(run, &finish, is_kept);
        }
        let is_recorded = self.is_recorded();
        let Some(known) = self.jobs.get_mut(run.id.as_str()) else { return Ok(()) };
        match finish {
            Finish::Done | Finish::Returned { .. } => known.end(is_recorded),
            Finish::Dead { .. } => known.stop(is_recorded),
            Finish::GiveBack { .. } | Finish::Park => known.give_back(),
            Finish::Retry { .. } => known.held = None,
            Finish::Died { .. } => known.lose(),
        }
        Ok(())
    }

    fn note_result(&mut self, run: &Claimed, finish: &Finish, is_kept: bool) {
        // Of the life that ends: after a takeover its lease may be held by a run of an earlier one.
        let keeps_result = |known: &&mut Known| known.lives.iter().any(|life| life.keeps_result);
        let Some(known) = self.jobs.get_mut(run.id.as_str()).filter(keeps_result) else { return };
        // Which of several lives came back after a crash may be unknown, and not each of them keeps a result.
        let is_kept = is_kept && known.lives.iter().all(|life| life.keeps_result);
        let result = match finish {
            Finish::Done => JobResult::Success { value: serde_json::Value::Null },
            Finish::Returned { value } => JobResult::Success { value: value.clone() },
            Finish::Retry { error, .. } | Finish::Died { error, .. } => JobResult::Retry { error: error.clone() },
            Finish::Dead { error, .. } => JobResult::Failure { error: error.clone() },
            Finish::GiveBack { .. } | Finish::Park => return,
        };
        known.note_result(result, is_kept);
    }

    /// A holder says that it lives, as after a takeover.
    pub(super) fn assert_again(&mut self) -> Checked {
        let Some(run) = self.pick_run(false) else { return Ok(()) };
        self.assert_leases(&[run])
    }

    pub(super) fn assert_leases(&mut self, held: &[Claimed]) -> Checked {
        let named: Vec<(JobId, LeaseId)> = held.iter().map(|run| (run.id.clone(), run.lease)).collect();
        let mut lost = self.broker().reassert(&named, LEASE);
        if self.lies(Lie::FreeLease) {
            lost.clear();
        }
        self.note(format!("assert {:?}: lost {lost:?}", names(held)));
        for run in held {
            self.take_assertion(run, lost.contains(&run.lease))?;
        }
        Ok(())
    }

    fn take_assertion(&mut self, run: &Claimed, was_lost: bool) -> Checked {
        let id = run.id.as_str();
        let Some(known) = self.jobs.get(id) else { return Ok(()) };
        let current = known.held.filter(|held| held.until > self.passed);
        let is_own = current.is_some_and(|held| held.lease == run.lease);
        let is_anothers = current.is_some_and(|held| held.lease != run.lease && held.is_heard);
        if is_own && was_lost && !self.disk.has_stopped() {
            return Err(format!("{id} was not given back to lease {}, which held it", run.lease.0));
        }
        if !was_lost && (is_anothers || !known.may_be_asserted_by(run.lease)) {
            return Err(format!("{id} was given to lease {}, which had lost it", run.lease.0));
        }
        if !was_lost {
            self.hold(id, run.lease);
        }
        Ok(())
    }
}

fn names(runs: &[Claimed]) -> Vec<(&str, u64)> {
    runs.iter().map(|run| (run.id.as_str(), run.lease.0)).collect()
}

fn request(queues: &[&str], jobs_max: usize) -> ClaimRequest {
    let bounds = |queue: &&str| QueueBounds { queue: (*queue).to_owned(), jobs_max, bytes_max: 1 << 20, lease: LEASE };
    ClaimRequest { queues: queues.iter().map(bounds).collect() }
}

/// A run that a broker would give if it did not wait for its disk.
fn early_run(id: &str, life: &Life) -> Claimed {
    Claimed {
        lease: LeaseId(1),
        id: JobId::new(id),
        task: "t".into(),
        queue: life.queue.as_str().into(),
        attempt: 1,
        enqueued_at: super::BEGINNING,
        payload: payload(life.number, id),
        options: crate::JobOptions::default(),
    }
}

type Asked<'b> = BoxFuture<'b, Result<Vec<Published>, QueueError>>;

fn answer_of(asked: &mut Asked<'_>) -> Result<Result<Vec<Published>, QueueError>, String> {
    match asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Ok(answer),
        Poll::Pending => Err("a commit left a publisher without an answer".to_owned()),
    }
}
