//! Virtual producers and workers that take seeded steps, and a model that knows what was accepted.

mod invariants;

use super::dice::Dice;
use super::disk::{Crash, SimDisk};
use crate::brokers::embedded::{Config, Durability, Embedded};
use crate::{
    Broker, ClaimRequest, Claimed, DeadReason, Finish, JobId, JobState, LeaseId, Ledger, NewJob, Published, QueueBounds,
};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use stdx::{ManualClock, Timestamp};

/// Steps that a failure shows.
const STEPS_SHOWN: usize = 40;
const LEASE: Duration = Duration::from_secs(20);
const QUEUES: [&str; 2] = ["left", "right"];
const IDS: u64 = 24;
/// Rounds after which everything must have been run: far more than any delay, lease or suspicion takes.
const DRAIN_ROUNDS: usize = 200;

/// A bug planted to see that it is caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// The disk answers flushes and does not flush.
    LostJob,
    /// A job that runs is claimed a second time.
    TwoLeases,
    /// A finish that came too late is answered as if it counted.
    OpenFence,
}

/// What a run of the simulator does.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    pub steps: usize,
    pub lie: Option<Lie>,
}

/// A promise that was broken.
#[derive(Debug)]
pub struct Failure {
    pub seed: u64,
    pub what: String,
    /// The last of them.
    pub steps: Vec<String>,
}

/// Runs one seed.
///
/// # Errors
/// The first promise that was broken.
pub fn run(plan: Plan) -> Result<(), Failure> {
    let mut world = match World::new(plan) {
        Ok(world) => world,
        Err(what) => return Err(Failure { seed: plan.seed, what, steps: Vec::new() }),
    };
    let outcome = (0..plan.steps).try_for_each(|_| world.step()).and_then(|()| world.drain());
    outcome.map_err(|what| Failure { seed: plan.seed, what, steps: world.steps.into() })
}

/// What the model knows of a job's name.
#[derive(Default)]
struct Known {
    lives: bool,
    unique: Option<String>,
    /// Who holds it, and until when by the world's own time.
    held: Option<(LeaseId, Duration)>,
    attempts: u32,
    /// Records about it may be lost, so that its attempts are only bounded.
    is_blurred: bool,
}

struct World {
    plan: Plan,
    dice: Dice,
    disk: SimDisk,
    clock: ManualClock,
    /// Time that has passed, whatever the clock was set to.
    passed: Duration,
    broker: Option<Embedded>,
    jobs: BTreeMap<String, Known>,
    /// Every run that was not ended, of this process and of those before.
    runs: Vec<Claimed>,
    steps: VecDeque<String>,
}

type Checked = Result<(), String>;

impl World {
    fn new(plan: Plan) -> Result<World, String> {
        let disk = SimDisk::new(plan.seed ^ 0x5eed);
        let mut world = World {
            plan,
            dice: Dice::new(plan.seed),
            disk,
            clock: ManualClock::at(Timestamp::from_seconds(1_000_000)),
            passed: Duration::ZERO,
            broker: None,
            jobs: BTreeMap::new(),
            runs: Vec::new(),
            steps: VecDeque::new(),
        };
        if plan.lie == Some(Lie::LostJob) {
            world.disk.forget_flushes();
        }
        world.open()?;
        Ok(world)
    }

    fn open(&mut self) -> Checked {
        let config = Config {
            folder: PathBuf::from("/queue"),
            durability: Durability::Power,
            jobs_max: 1_000,
            bytes_max: 1 << 30,
            free_min: 0,
            free_space: Arc::new(|| Ok(u64::MAX)),
            reassert_grace: Duration::ZERO,
        };
        let opened = Embedded::open_on(Arc::new(self.disk.clone()), config, Arc::new(self.clock.clone()));
        self.broker = Some(opened.map_err(|error| format!("did not open: {}", stdx::causes::on_one_line(&error)))?);
        Ok(())
    }

    fn broker(&self) -> &Embedded {
        self.broker.as_ref().expect("a broker is open between steps")
    }

    fn note(&mut self, step: String) {
        if self.steps.len() == STEPS_SHOWN {
            self.steps.pop_front();
        }
        self.steps.push_back(step);
    }

    fn step(&mut self) -> Checked {
        match self.dice.below(32) {
            0..=8 => self.publish()?,
            9..=14 => self.claim()?,
            15..=20 => self.finish()?,
            21 => self.extend()?,
            22..=23 => self.pass_time(),
            24 => self.step_clock_back(),
            25 => self.fail_disk(),
            26 => self.keep_up(),
            27 => self.purge()?,
            28 => self.pause_or_resume(),
            29 => self.settle_letter()?,
            30 => self.arm_stop(),
            _ => self.crash()?,
        }
        if self.disk.has_stopped() {
            self.crash()?;
        }
        self.check()
    }

    fn publish(&mut self) -> Checked {
        let mut jobs = Vec::new();
        for _ in 0..=self.dice.below(3) {
            let id = format!("job-{}", self.dice.below(IDS));
            let queue = QUEUES[self.dice.below(2) as usize];
            let mut job = NewJob::new(JobId::new(&id), "t", queue, bytes::Bytes::from(format!("payload of {id}")));
            job.fairness_key = self.dice.below(3);
            job.priority = self.dice.below(10) as u8;
            job.delay = Duration::from_secs(if self.dice.one_in(3) { self.dice.below(60) } else { 0 });
            job.options.unique_key = self.dice.one_in(6).then(|| format!("unique-{}", self.dice.below(3)));
            jobs.push(job);
        }
        let named: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
        let mut asked = self.broker().publish(jobs.clone());
        self.broker().commit();
        let Poll::Ready(answer) = asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            return Err("a commit left a publisher without an answer".to_owned());
        };
        drop(asked);
        self.note(format!("publish {named:?}: {answer:?}"));
        let Ok(answers) = answer else { return Ok(()) };
        for (job, answer) in jobs.into_iter().zip(answers) {
            self.take_in(job, answer)?;
        }
        Ok(())
    }

    fn take_in(&mut self, job: NewJob, answer: Published) -> Checked {
        let id = job.id.to_string();
        let unique = job.options.unique_key;
        let is_there = self.jobs.get(&id).is_some_and(|known| known.lives);
        let is_same = |known: &Known| known.lives && unique.is_some() && known.unique == unique && !known.is_blurred;
        // After a crash an earlier job of the name may be back, with a key that is not known any more.
        let is_unsure = unique.is_some() && self.jobs.values().any(|known| known.lives && known.is_blurred);
        let is_taken = match is_unsure {
            true => is_there || answer == Published::AlreadyThere,
            false => is_there || self.jobs.values().any(is_same),
        };
        if is_taken != (answer == Published::AlreadyThere) {
            return Err(format!("{id} was answered {answer:?}, an equal job lived: {is_taken}"));
        }
        if !is_taken {
            self.jobs.insert(id, Known { lives: true, unique, ..Known::default() });
        }
        Ok(())
    }

    fn claim(&mut self) -> Checked {
        let mut queues = QUEUES.to_vec();
        if self.dice.one_in(2) {
            queues.reverse();
        }
        let jobs_max = 1 + self.dice.below(4) as usize;
        let claimed = self.claim_from(&queues, jobs_max);
        let ids: Vec<(String, u64)> = claimed.iter().map(|run| (run.id.to_string(), run.lease.0)).collect();
        self.note(format!("claim {jobs_max}: {ids:?}"));
        self.take_runs(claimed)
    }

    fn claim_from(&mut self, queues: &[&str], jobs_max: usize) -> Vec<Claimed> {
        let bounds =
            |queue: &&str| QueueBounds { queue: (*queue).to_owned(), jobs_max, bytes_max: 1 << 20, lease: LEASE };
        let request = ClaimRequest { queues: queues.iter().map(bounds).collect() };
        let mut claimed = self.broker().claim(&request).unwrap_or_default();
        if self.plan.lie == Some(Lie::TwoLeases)
            && self.dice.one_in(4)
            && let Some(first) = claimed.first().cloned()
        {
            claimed.push(Claimed { lease: LeaseId(first.lease.0 + 1_000_000), ..first });
        }
        claimed
    }

    fn take_runs(&mut self, claimed: Vec<Claimed>) -> Checked {
        for run in claimed {
            let id = run.id.to_string();
            let passed = self.passed;
            let known = self.jobs.get_mut(&id).ok_or_else(|| format!("{id} was claimed and never published"))?;
            if !known.lives {
                return Err(format!("{id} was claimed after its end"));
            }
            if known.held.is_some_and(|(_, until)| until > passed) {
                return Err(format!("{id} is held by two leases"));
            }
            known.attempts += 1;
            let is_right = run.attempt == known.attempts || known.is_blurred && run.attempt < known.attempts;
            if !is_right {
                return Err(format!("{id} is at attempt {}, {} were made", run.attempt, known.attempts));
            }
            if run.payload != format!("payload of {id}") {
                return Err(format!("{id} came with another payload"));
            }
            known.held = Some((run.lease, passed + LEASE));
            self.runs.push(run);
        }
        Ok(())
    }

    fn extend(&mut self) -> Checked {
        let Some(run) = self.pick_run(false) else { return Ok(()) };
        let lost = self.broker().extend(&[run.lease], LEASE).unwrap_or_default();
        self.note(format!("extend {} {}: lost {}", run.id, run.lease.0, lost.len()));
        self.check_fence(&run, !lost.is_empty(), "extended")?;
        let passed = self.passed;
        if lost.is_empty()
            && let Some(known) = self.jobs.get_mut(run.id.as_str())
        {
            known.held = Some((run.lease, passed + LEASE));
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

    /// A run that does not hold its job must be told so, and one that does must not.
    fn check_fence(&self, run: &Claimed, was_lost: bool, what: &str) -> Checked {
        let held = self.jobs.get(run.id.as_str()).and_then(|known| known.held);
        let (holds, is_in_time) = match held {
            Some((lease, until)) => (lease == run.lease, until > self.passed),
            None => (false, false),
        };
        if !holds && !was_lost {
            return Err(format!("{} was {what} by lease {}, which had lost it", run.id, run.lease.0));
        }
        if holds && is_in_time && was_lost && !self.disk.has_stopped() {
            return Err(format!("{} was not {what} by lease {}, which holds it", run.id, run.lease.0));
        }
        Ok(())
    }

    fn finish(&mut self) -> Checked {
        let Some(run) = self.pick_run(true) else { return Ok(()) };
        let after = Duration::from_secs(self.dice.below(20));
        let finish = match self.dice.below(8) {
            0 => Finish::Retry { after, error: "no".to_owned() },
            1 => Finish::Dead { reason: DeadReason::Rejected, error: "no use".to_owned() },
            2 => Finish::GiveBack { after },
            3 => Finish::Park,
            _ => Finish::Done,
        };
        self.finish_with(run, finish)
    }

    fn finish_with(&mut self, run: Claimed, finish: Finish) -> Checked {
        let answer = self.broker().finish(vec![(run.lease, finish.clone())]);
        self.note(format!("finish {} {} {finish:?}: {answer:?}", run.id, run.lease.0));
        let mut was_lost = match answer {
            Ok(lost) => !lost.is_empty(),
            // Not ended: it is finished again, or its lease ends.
            Err(_) => return Ok(()),
        };
        if self.plan.lie == Some(Lie::OpenFence) {
            was_lost = false;
        }
        self.check_fence(&run, was_lost, "finished")?;
        if was_lost {
            return Ok(());
        }
        let Some(known) = self.jobs.get_mut(run.id.as_str()) else { return Ok(()) };
        known.held = None;
        match finish {
            Finish::Done | Finish::Returned { .. } | Finish::Dead { .. } => known.lives = false,
            Finish::GiveBack { .. } | Finish::Park => known.attempts -= 1,
            Finish::Retry { .. } | Finish::Died { .. } => {}
        }
        Ok(())
    }

    fn pass_time(&mut self) {
        let by = Duration::from_secs(1 + self.dice.below(25));
        self.note(format!("{} s pass", by.as_secs()));
        self.clock.advance(by);
        self.passed += by;
    }

    fn step_clock_back(&mut self) {
        let by = Duration::from_secs(1 + self.dice.below(7_200));
        self.note(format!("the clock steps back by {} s", by.as_secs()));
        self.clock.set(stdx::Clock::now(&self.clock).minus(by));
    }

    fn fail_disk(&mut self) {
        let kind = self.dice.below(4);
        self.note(format!("the disk: {}", ["fails", "is full", "is well", "is well"][kind as usize]));
        self.disk.fail_one_in(if kind == 0 { 5 } else { 0 });
        self.disk.set_full(kind == 1);
    }

    fn keep_up(&mut self) {
        self.note("upkeep".to_owned());
        // A broker on a failing disk says so in other answers.
        let _ = self.broker().upkeep();
    }

    fn purge(&mut self) -> Checked {
        if !self.dice.one_in(3) {
            return Ok(());
        }
        let queue = QUEUES[self.dice.below(2) as usize];
        let before: Vec<(String, Option<JobState>)> = self.living_states()?;
        let purged = self.broker().purge(queue);
        self.note(format!("purge {queue}: {purged:?}"));
        let mut gone = 0;
        for (id, state) in before {
            if self.state_of(&id)?.is_none_or(|state| state == JobState::Dead) && state != Some(JobState::Leased) {
                gone += 1;
                self.jobs.entry(id).and_modify(|known| (known.lives, known.held) = (false, None));
            }
        }
        if purged.is_ok_and(|purged| purged != gone) {
            return Err(format!("purging took {gone} jobs and said otherwise"));
        }
        Ok(())
    }

    fn pause_or_resume(&mut self) {
        let queue = QUEUES[self.dice.below(2) as usize];
        let pauses = self.dice.one_in(3);
        let answer = if pauses { self.broker().pause(queue) } else { self.broker().resume(queue) };
        self.note(format!("pause {queue} {pauses}: {answer:?}"));
    }

    fn settle_letter(&mut self) -> Checked {
        let letters = self.broker().dead_letters().unwrap_or_default();
        if letters.is_empty() {
            return Ok(());
        }
        let id = letters[self.dice.below(letters.len() as u64) as usize].id.clone();
        if self.dice.one_in(2) {
            let answer = self.broker().discard_dead(&id);
            self.note(format!("discard {id}: {answer:?}"));
            return Ok(());
        }
        let mut asked = self.broker().retry_dead(&id);
        let mut cx = Context::from_waker(Waker::noop());
        let mut answer = asked.as_mut().poll(&mut cx);
        if answer.is_pending() {
            self.broker().commit();
            answer = asked.as_mut().poll(&mut cx);
        }
        drop(asked);
        self.note(format!("retry letter {id}: {answer:?}"));
        let lives = matches!(self.state_of(&id)?, Some(state) if state != JobState::Dead);
        let known = self.jobs.entry(id.clone()).or_default();
        if lives && !known.lives {
            *known = Known { lives: true, is_blurred: true, ..Known::default() };
        }
        Ok(())
    }

    fn arm_stop(&mut self) {
        let operations = self.dice.below(12);
        self.note(format!("the process stops in {operations} operations of its disk"));
        self.disk.stop_in(operations);
    }

    /// The process ends and the next one opens what is left; sometimes that one ends too while it opens.
    fn crash(&mut self) -> Checked {
        let how = if self.dice.one_in(2) { Crash::PowerLoss } else { Crash::Kill };
        self.note(format!("{how:?}"));
        self.broker = None;
        self.disk.restart(how);
        if self.dice.one_in(4) {
            self.disk.stop_in(self.dice.below(10));
            let opened = self.open();
            self.note(format!("opened and stopped again: {opened:?}"));
            self.broker = None;
            self.disk.restart(how);
        }
        self.open()?;
        self.recognise()
    }

    /// What was accepted must be there. What had ended may have come back, and what was never answered may be there.
    fn recognise(&mut self) -> Checked {
        let names: Vec<String> = (0..IDS).map(|number| format!("job-{number}")).collect();
        for id in names {
            let state = self.state_of(&id)?;
            let known = self.jobs.entry(id.clone()).or_default();
            if known.lives && state.is_none() {
                return Err(format!("{id} was accepted and is lost"));
            }
            known.lives = matches!(state, Some(state) if state != JobState::Dead);
            (known.held, known.is_blurred) = (None, true);
            // A job that came back may have been claimed any number of times.
            known.attempts = u32::MAX / 2;
        }
        Ok(())
    }
}
