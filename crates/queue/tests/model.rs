//! Any sequence of publishing, claiming, ending and restarting, against a model that knows what was accepted: nothing is
//! lost, nothing is run by two at once, attempts are what they should be, and in the end the folder is empty.

use crate::support::{LEASE, Rig, job, unaccounted};
use proptest::prelude::*;
use queue::{Broker, Claimed, DeadReason, Finish, JobId, JobState, Ledger, NewJob, Published};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use stdx::Timestamp;

#[derive(Clone, Debug)]
enum Step {
    Publish { id: u8, key: u64, priority: u8, delay_s: u64 },
    Claim { jobs_max: usize },
    Finish { which: usize, how: u8 },
    Wait,
    Restart,
    Purge,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0u8..24, 0u64..3, 0u8..10, 0u64..3)
            .prop_map(|(id, key, priority, delay_s)| Step::Publish { id, key, priority, delay_s }),
        5 => (1usize..6).prop_map(|jobs_max| Step::Claim { jobs_max }),
        6 => (0usize..8, 0u8..6).prop_map(|(which, how)| Step::Finish { which, how }),
        2 => Just(Step::Wait),
        2 => Just(Step::Restart),
        1 => Just(Step::Purge),
    ]
}

/// What the model knows of a living job.
#[derive(Default)]
struct Known {
    attempts: u32,
    is_parked: bool,
    since: Timestamp,
}

struct World {
    rig: Rig,
    living: HashMap<String, Known>,
    /// Dead letters that the model caused; poison may add more.
    /// Each by its job's name and time: another job of the name has a letter of its own.
    dead: BTreeSet<(String, Timestamp)>,
    running: Vec<Claimed>,
    may_be_ready: bool,
}

impl World {
    fn take(&mut self, step: Step) {
        match step {
            Step::Publish { id, key, priority, delay_s } => {
                let id = format!("job-{id}");
                let delay = Duration::from_secs(delay_s);
                let new = NewJob { fairness_key: key, priority, delay, ..job(&id) };
                let published = self.rig.publish(vec![new]).expect("there is room")[0];
                assert_eq!(published == Published::AlreadyThere, self.living.contains_key(&id), "{id}");
                let since = stdx::Clock::now(&self.rig.clock);
                self.living.entry(id).or_insert(Known { since, ..Known::default() });
                self.may_be_ready = true;
            }
            Step::Claim { jobs_max } => self.claim(jobs_max),
            Step::Finish { which, how } => self.finish(which, how),
            Step::Wait => {
                self.rig.clock.advance(LEASE * 2);
                // Every lease has ended, which the next claim notices: these runs are void.
                let void: Vec<Claimed> = self.running.drain(..).collect();
                if !void.is_empty() {
                    assert!(self.rig.claim_from(&["no queue of this name"], 1).is_empty());
                }
                for run in void {
                    let lost = self.rig.broker.finish(vec![(run.lease, Finish::Done)]).expect("asked");
                    assert_eq!(lost, [run.lease]);
                }
                self.may_be_ready = true;
            }
            Step::Restart => self.restart(),
            Step::Purge => {
                let running: Vec<&str> = self.running.iter().map(|run| run.id.as_str()).collect();
                let before = self.living.len();
                self.living.retain(|id, _| running.contains(&id.as_str()));
                assert_eq!(
                    self.rig.broker.purge("q", &mut unaccounted).expect("purged"),
                    (before - self.living.len()) as u64
                );
            }
        }
        self.bury_poisoned();
    }

    fn claim(&mut self, jobs_max: usize) {
        // An empty claim waits for work: only asked when there may be some.
        if !std::mem::take(&mut self.may_be_ready) {
            return;
        }
        for claimed in self.rig.claim(jobs_max) {
            let id = claimed.id.to_string();
            assert!(self.running.iter().all(|other| other.id != claimed.id), "{id} runs twice");
            assert_eq!(claimed.payload, format!("payload of {id}"));
            let known = self.living.get_mut(&id).expect("only living jobs are claimed");
            assert!(!known.is_parked, "{id} is parked");
            known.attempts += 1;
            assert_eq!(claimed.attempt, known.attempts, "{id}");
            self.running.push(claimed);
        }
        self.may_be_ready =
            self.rig.broker.depths().expect("depths").iter().any(|depth| depth.ready > 0) && self.running.is_empty();
    }

    fn finish(&mut self, which: usize, how: u8) {
        if self.running.is_empty() {
            return;
        }
        let run = self.running.swap_remove(which % self.running.len());
        let id = run.id.to_string();
        let known = self.living.get_mut(&id).expect("running jobs live");
        let finish = match how {
            0 => Finish::Retry { after: Duration::from_secs(1), error: "no".to_owned() },
            1 => Finish::Dead { reason: DeadReason::Rejected, error: "no use".to_owned() },
            2 => Finish::GiveBack { after: Duration::ZERO },
            3 => Finish::Park,
            _ => Finish::Done,
        };
        match finish {
            Finish::GiveBack { .. } => known.attempts -= 1,
            Finish::Park => (known.attempts, known.is_parked) = (known.attempts - 1, true),
            Finish::Dead { .. } => {
                let since = self.living.remove(&id).map(|known| known.since);
                self.dead.extend(since.map(|since| (id, since)));
            }
            Finish::Done | Finish::Returned { .. } => drop(self.living.remove(&id)),
            Finish::Retry { .. } | Finish::Died { .. } => {}
        }
        self.rig.finish(&run, finish);
        self.may_be_ready = true;
    }

    fn restart(&mut self) {
        self.running.clear();
        take_mut(&mut self.rig, Rig::restart);
        self.may_be_ready = true;
    }

    /// Jobs that saw three deaths alone leave by themselves; nothing else does.
    fn bury_poisoned(&mut self) {
        let is_dead =
            |id: &String| self.rig.broker.locate(&JobId::new(id)).expect("the broker answers") == Some(JobState::Dead);
        let poisoned: Vec<String> = self.living.keys().filter(|id| is_dead(id)).cloned().collect();
        for id in poisoned {
            let since = self.living.remove(&id).map(|known| known.since);
            self.dead.extend(since.map(|since| (id, since)));
        }
        let letters = self.rig.broker.dead_letters().expect("letters");
        let letters: BTreeSet<(String, Timestamp)> =
            letters.iter().map(|letter| (letter.job_id().to_owned(), letter.enqueued_at)).collect();
        assert_eq!(letters, self.dead);
        assert_eq!(self.rig.waiting(), self.living.len() as u64);
    }

    fn drain(mut self) {
        self.restart();
        let parked = self.living.values().filter(|known| known.is_parked).count() as u64;
        assert_eq!(self.rig.broker.unpark(&["t"]).expect("asked"), parked);
        for _ in 0..self.living.len() * 8 {
            if self.rig.waiting() == 0 {
                break;
            }
            self.rig.clock.advance(Duration::from_secs(10));
            for claimed in self.rig.claim(10) {
                self.living.remove(claimed.id.as_str()).expect("each lives once");
                self.rig.finish(&claimed, Finish::Done);
            }
            self.bury_poisoned();
        }
        assert!(self.living.is_empty(), "never came: {:?}", self.living.keys());
        let rig = self.rig.restart();
        let left = std::fs::read_dir(rig.folder.path()).expect("the folder is there");
        let left: Vec<_> = left.map(|entry| entry.expect("an entry").file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".log")), "{left:?}");
    }
}

fn take_mut(rig: &mut Rig, change: impl FnOnce(Rig) -> Rig) {
    let before = std::mem::replace(rig, Rig::new());
    *rig = change(before);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_accepted_is_lost_or_run_twice_at_once(steps in prop::collection::vec(step(), 1..50)) {
        let mut world = World {
            rig: Rig::new(),
            living: HashMap::new(),
            dead: BTreeSet::new(),
            running: Vec::new(),
            may_be_ready: false,
        };
        for step in steps {
            world.take(step);
        }
        world.drain();
    }
}
