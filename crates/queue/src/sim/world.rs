//! Virtual producers, workers and operators that take seeded steps, and a model that knows what was promised.

mod invariants;
mod ledger;
mod model;
mod order;
mod steps;

use super::dice::Dice;
use super::disk::{Crash, SimDisk};
use crate::brokers::embedded::{Config, Durability, Embedded};
use crate::{Broker, Claimed, LeaseId};
use model::Known;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use stdx::{Clock, ManualClock, Timestamp};

/// Steps that a failure shows.
const STEPS_SHOWN: usize = 60;
const LEASE: Duration = Duration::from_secs(20);
/// So long an owner that took over waits for the holders of leases.
const GRACE: Duration = Duration::from_secs(1);
const QUEUES: [&str; 2] = ["left", "right"];
const IDS: u64 = 24;
/// Jobs that are never done: each is begun so often and then stopped.
const ATTEMPTS_MAX: u32 = 3;
/// Rounds after which everything must have been run: far more than any delay, lease or suspicion takes.
const DRAIN_ROUNDS: usize = 200;
const BEGINNING: Timestamp = Timestamp::from_seconds(1_000_000);

/// A bug planted to see that it is caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// The disk answers flushes and does not flush.
    LostJob,
    /// The disk answers records of ends and does not write them.
    LostEnd,
    /// A job that runs is claimed a second time.
    TwoLeases,
    /// A finish that came too late is answered as if it counted.
    OpenFence,
    /// An owner that takes over does not wait for the holders of leases.
    DeafOwner,
    /// A lease that was lost is given back to whoever asserts it.
    FreeLease,
    /// The value of a run is not kept.
    LostResult,
    /// Times after which jobs are not begun are forgotten.
    LateBegin,
    /// An occurrence is fired again.
    DoubledOccurrence,
    /// A job is claimed while its flush takes its time.
    EarlyRun,
    /// An attempt is not counted.
    UncountedAttempt,
    /// Jobs that fail are tried for ever.
    EndlessRetries,
    /// All jobs have one key.
    OneKey,
    /// Nobody asks for one of the queues.
    StarvedQueue,
    /// A queue that is paused goes on.
    ForgottenPause,
    /// Two jobs with the same unique key are kept.
    SharedUniqueKey,
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

struct World {
    plan: Plan,
    dice: Dice,
    disk: SimDisk,
    /// The disk fails or is full now.
    is_ill: bool,
    /// The disk failed or was full at some time.
    was_ill: bool,
    /// Records may wait for the disk, since it was ill and nothing has written them since.
    is_behind: bool,
    clock: ManualClock,
    /// Time that has passed, whatever the clock was set to.
    passed: Duration,
    broker: Option<Arc<Embedded>>,
    jobs: BTreeMap<String, Known>,
    /// Letters that were there at the last look, by id and time of their jobs: none goes but by hand.
    letters: BTreeSet<(String, Timestamp)>,
    /// Lives that names had so far.
    lives: u64,
    /// Every run that was not ended, of this process and of those before.
    runs: Vec<Claimed>,
    turns: order::Turns,
    /// Whether each queue is paused: one answer, or both after a change that failed.
    paused: BTreeMap<&'static str, Vec<bool>>,
    /// Of each entry the last occurrence that surely was fired, and the last that may have been.
    fired: BTreeMap<&'static str, (u64, u64)>,
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
            is_ill: false,
            was_ill: false,
            is_behind: false,
            clock: ManualClock::at(BEGINNING),
            passed: Duration::ZERO,
            broker: None,
            jobs: BTreeMap::new(),
            letters: BTreeSet::new(),
            lives: 0,
            runs: Vec::new(),
            turns: order::Turns::default(),
            paused: BTreeMap::new(),
            fired: BTreeMap::new(),
            steps: VecDeque::new(),
        };
        if world.lies(Lie::LostJob) {
            world.disk.forget_flushes();
        }
        if world.lies(Lie::LostEnd) {
            world.disk.forget_records();
        }
        world.open(Duration::ZERO)?;
        Ok(world)
    }

    fn lies(&self, lie: Lie) -> bool {
        self.plan.lie == Some(lie)
    }

    fn open(&mut self, grace: Duration) -> Checked {
        let config = Config {
            folder: PathBuf::from("/queue"),
            durability: Durability::Power,
            jobs_max: 1_000,
            bytes_max: 1 << 30,
            free_min: 0,
            free_space: Arc::new(|| Ok(u64::MAX)),
            reassert_grace: if self.lies(Lie::DeafOwner) { Duration::ZERO } else { grace },
        };
        let opened = Embedded::open_on(Arc::new(self.disk.clone()), config, Arc::new(self.clock.clone()));
        let opened = opened.map_err(|error| format!("did not open: {}", stdx::causes::on_one_line(&error)))?;
        self.broker = Some(Arc::new(opened));
        Ok(())
    }

    fn broker(&self) -> Arc<Embedded> {
        self.broker.clone().expect("a broker is open between steps")
    }

    /// Whether what is recorded now is surely written.
    fn is_recorded(&self) -> bool {
        !self.is_ill && !self.is_behind && !self.disk.has_stopped()
    }

    /// The broker's time is not later, whatever it has seen.
    fn latest_time(&self) -> Timestamp {
        BEGINNING.plus(self.passed)
    }

    /// The broker's time is not earlier.
    fn earliest_time(&self) -> Timestamp {
        self.clock.now()
    }

    fn note(&mut self, step: String) {
        if self.steps.len() == STEPS_SHOWN {
            self.steps.pop_front();
        }
        self.steps.push_back(step);
    }

    fn step(&mut self) -> Checked {
        match self.dice.below(40) {
            0..=9 => self.publish()?,
            10..=16 => self.claim()?,
            17..=23 => self.finish()?,
            24 => self.extend()?,
            25..=26 => self.pass_time(),
            27 => self.step_clock_back(),
            28 => self.fail_disk(),
            29..=30 => self.keep_up(),
            31 => self.purge()?,
            32 => self.pause_or_resume()?,
            33 => self.settle_letter()?,
            34..=35 => self.fire()?,
            36 => self.assert_again()?,
            37 => self.unpark()?,
            38 => self.arm_stop(),
            _ => self.crash()?,
        }
        if self.disk.has_stopped() {
            self.crash()?;
        }
        self.check()
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
        self.clock.set(self.clock.now().minus(by));
    }

    fn fail_disk(&mut self) {
        let kind = self.dice.below(4);
        self.note(format!("the disk: {}", ["fails", "is full", "is well", "is well"][kind as usize]));
        self.disk.fail_one_in(if kind == 0 { 5 } else { 0 });
        self.disk.set_full(kind == 1);
        self.is_ill = kind < 2;
        self.is_behind |= self.is_ill;
        self.was_ill |= self.is_ill;
    }

    /// Twice at times: wake-ups come more often than they are needed.
    fn keep_up(&mut self) {
        let times = 1 + self.dice.below(2);
        self.note(format!("upkeep, {times} times"));
        for _ in 0..times {
            self.broker().commit();
            // A broker on a failing disk says so in other answers.
            let _ = self.broker().upkeep();
        }
        if !self.is_ill && !self.disk.has_stopped() {
            self.is_behind = false;
            self.jobs.values_mut().for_each(Known::settle);
        }
    }

    fn arm_stop(&mut self) {
        let operations = self.dice.below(12);
        self.note(format!("the process stops in {operations} operations of its disk"));
        self.disk.stop_in(operations);
    }

    /// The process ends and the next one opens what is left; sometimes that one ends too while it opens. After a kill the
    /// holders of leases may live on and assert them.
    fn crash(&mut self) -> Checked {
        let how = if self.dice.one_in(2) { Crash::PowerLoss } else { Crash::Kill };
        let takes_over = how == Crash::Kill && self.dice.one_in(2);
        let grace = if takes_over { GRACE } else { Duration::ZERO };
        self.note(format!("{how:?}, leases are respected for {grace:?}"));
        let mut is_exact = how == Crash::Kill && self.is_recorded();
        self.restart(how);
        if self.dice.one_in(4) {
            is_exact = false;
            self.disk.stop_in(self.dice.below(10));
            let opened = self.open(grace);
            self.note(format!("opened and stopped again: {opened:?}"));
            self.restart(how);
        }
        self.open(grace)?;
        self.recognise(how, is_exact, takes_over.then_some(self.passed + grace))?;
        if takes_over && self.dice.one_in(2) {
            let held: Vec<Claimed> = self.runs.clone();
            self.assert_leases(&held)?;
        }
        Ok(())
    }

    fn restart(&mut self, how: Crash) {
        self.broker = None;
        self.disk.restart(how);
        (self.is_ill, self.is_behind) = (false, false);
    }

    fn lost_or_held(&self, run: &Claimed) -> (bool, bool) {
        let held = self.jobs.get(run.id.as_str()).and_then(|known| known.held);
        let holds = held.is_some_and(|held| held.lease == run.lease && held.is_heard);
        (holds, holds && held.is_some_and(|held| held.until > self.passed))
    }

    /// A run that does not hold its job must be told so, and one that does must not.
    fn check_fence(&self, run: &Claimed, was_lost: bool, what: &str) -> Checked {
        let (holds, is_in_time) = self.lost_or_held(run);
        if !holds && !was_lost {
            return Err(format!("{} was {what} by lease {}, which had lost it", run.id, run.lease.0));
        }
        if is_in_time && was_lost && !self.disk.has_stopped() {
            return Err(format!("{} was not {what} by lease {}, which holds it", run.id, run.lease.0));
        }
        Ok(())
    }

    fn hold(&mut self, id: &str, lease: LeaseId) {
        let until = self.passed + LEASE;
        if let Some(known) = self.jobs.get_mut(id) {
            known.held = Some(model::Held { lease, until, is_heard: true });
        }
    }
}
