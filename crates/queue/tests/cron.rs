//! Schedulers over one ledger, on simulated time.

use crate::support::Rig;
use queue::cron::{Cron, Entry, Missed, Overlap, When};
use queue::{DeadReason, Finish, JobResult, Queue};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use stdx::{Clock, ManualClock, Timestamp};

const MINUTE: Duration = Duration::from_secs(60);

fn entry(name: &'static str, every: Duration, missed: Missed) -> Entry {
    Entry {
        name,
        when: When::every(every).expect("an interval"),
        task: "t",
        queue: "q",
        missed,
        overlap: Overlap::Allow,
        expires: None,
    }
}

struct World {
    clock: ManualClock,
    queue: Arc<dyn Queue>,
}

impl World {
    fn new() -> World {
        let Rig { clock, folder, broker, free, .. } = Rig::new();
        // The folder outlives the test's process; nobody needs it afterwards.
        std::mem::forget((folder, free));
        World { clock, queue: Arc::new(broker) }
    }

    fn cron(&self, entries: Vec<Entry>) -> Cron {
        Cron::new(self.queue.clone(), entries, Arc::new(self.clock.clone()))
    }

    /// Claims and ends everything that waits; returns the ids.
    fn run_all(&self) -> Vec<String> {
        self.end_all(|| Finish::Done)
    }

    fn fail_all(&self, error: &str) {
        self.end_all(|| Finish::Dead { reason: DeadReason::Rejected, error: error.to_owned() });
    }

    fn end_all(&self, end: impl Fn() -> Finish) -> Vec<String> {
        let mut ids = Vec::new();
        while self.queue.depths().expect("depths").iter().any(|depth| depth.ready > 0) {
            let bounds = queue::QueueBounds {
                queue: "q".to_owned(),
                jobs_max: 100,
                bytes_max: usize::MAX,
                lease: crate::support::LEASE,
            };
            let claimed = self.queue.claim(&queue::ClaimRequest { queues: vec![bounds] }).expect("claimed");
            ids.extend(claimed.iter().map(|job| job.id.to_string()));
            let ends = claimed.iter().map(|job| (job.lease, end())).collect();
            assert!(self.queue.finish(ends).expect("ended").is_empty());
        }
        ids
    }
}

#[test]
fn three_schedulers_with_kills_fire_each_occurrence_once_in_ten_hours() {
    let world = World::new();
    let table = || {
        vec![entry("minutely", MINUTE, Missed::All { max: 100 }), entry("tenth", MINUTE * 10, Missed::All { max: 100 })]
    };
    let start = world.clock.now();
    let mut crons: Vec<Option<Cron>> = (0..3).map(|_| Some(world.cron(table()))).collect();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut random = 7_u64;
    let mut roll = |sides: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % sides
    };
    // The first occurrences give the entries their cursors; until then a new scheduler counts from its own start.
    while world.queue.cursors().expect("cursors").len() < 2 {
        world.clock.advance(Duration::from_secs(5));
        for cron in crons.iter().flatten() {
            cron.tick().expect("ticked");
        }
    }
    for _ in 0..10 * 3_600 / 7 {
        world.clock.advance(Duration::from_secs(7));
        let place = roll(3) as usize;
        match roll(40) {
            0 => crons[place] = None,
            1..8 => crons[place] = Some(world.cron(table())),
            _ => {}
        }
        for cron in crons.iter().flatten() {
            cron.tick().expect("ticked");
        }
        for id in world.run_all() {
            *seen.entry(id).or_default() += 1;
        }
    }
    world.cron(table()).tick().expect("ticked");
    world.run_all().into_iter().for_each(|id| *seen.entry(id).or_default() += 1);
    let twice: Vec<&String> = seen.iter().filter(|(_, count)| **count > 1).map(|(id, _)| id).collect();
    assert!(twice.is_empty(), "fired twice: {twice:?}");
    for (name, seconds) in [("minutely", 60), ("tenth", 600)] {
        let mut at = (start.micros() / 1_000_000).div_euclid(seconds) * seconds + seconds;
        while Timestamp::from_seconds(at) <= world.clock.now() {
            assert!(seen.contains_key(&format!("{name}@{at}")), "{name}@{at} was not fired");
            at += seconds;
        }
    }
}

#[test]
fn what_was_missed_follows_its_entrys_policy() {
    for (missed, expected) in [(Missed::Skip, 0), (Missed::Once, 1), (Missed::All { max: 3 }, 3)] {
        let world = World::new();
        let cron = world.cron(vec![entry("e", MINUTE, missed)]);
        world.clock.advance(MINUTE);
        cron.tick().expect("ticked");
        assert_eq!(world.run_all().len(), 1);
        // Down for ten minutes, and half a minute past the last occurrence but one second beyond what is in time.
        let into = world.clock.now().micros().rem_euclid(60_000_000) as u64;
        world.clock.advance(MINUTE * 10 + Duration::from_micros(60_000_000 - into) - Duration::from_secs(1));
        let late = world.cron(vec![entry("e", MINUTE, missed)]);
        late.tick().expect("ticked");
        let in_time = 1;
        let fired = world.run_all().len();
        let expected = if missed == Missed::Once { in_time } else { in_time + expected };
        assert_eq!(fired, expected, "{missed:?}");
        late.tick().expect("ticked again");
        assert!(world.run_all().is_empty(), "{missed:?} once");
    }
}

#[test]
fn a_busy_entry_is_not_fired_again_and_a_new_one_fires_nothing_old() {
    let world = World::new();
    let busy = Entry { overlap: Overlap::Skip, ..entry("e", MINUTE, Missed::Skip) };
    let cron = world.cron(vec![busy]);
    cron.tick().expect("ticked");
    assert!(world.run_all().is_empty(), "nothing old");
    for _ in 0..3 {
        world.clock.advance(MINUTE);
        cron.tick().expect("ticked");
    }
    assert_eq!(world.queue.depths().expect("depths")[0].ready, 1);
    assert_eq!(world.run_all().len(), 1);
    world.clock.advance(MINUTE);
    cron.tick().expect("ticked");
    assert_eq!(world.run_all().len(), 1);
    let row = cron.rows().expect("rows").remove(0);
    assert_eq!(row.result, Some(JobResult::Success { value: serde_json::Value::Null }));
    assert!(row.next.is_some_and(|next| next > world.clock.now()) && row.last.is_some());
}

#[test]
fn the_last_failure_stays_in_sight_when_a_later_run_succeeds() {
    let world = World::new();
    let cron = world.cron(vec![entry("e", MINUTE, Missed::Skip), entry("e.other", MINUTE, Missed::Skip)]);
    for error in ["the first", "the second"] {
        world.clock.advance(MINUTE);
        cron.tick().expect("ticked");
        world.fail_all(error);
    }
    world.clock.advance(MINUTE);
    cron.tick().expect("ticked");
    world.run_all();
    for row in cron.rows().expect("rows") {
        let failure = row.last_failure.expect("a failure is remembered");
        assert_eq!(failure.error, "the second");
        assert!(failure.id.starts_with(&format!("{}@", row.name)), "{} has {}", row.name, failure.id);
    }
}

#[test]
fn a_clock_that_steps_back_fires_nothing_twice() {
    let world = World::new();
    let cron = world.cron(vec![entry("e", MINUTE, Missed::Once)]);
    world.clock.advance(MINUTE * 5);
    cron.tick().expect("ticked");
    assert_eq!(world.run_all().len(), 1);
    world.clock.set(world.clock.now().minus(MINUTE * 3));
    for _ in 0..3 {
        cron.tick().expect("ticked");
        world.clock.advance(MINUTE);
    }
    cron.tick().expect("ticked");
    assert!(world.run_all().is_empty());
    world.clock.advance(MINUTE);
    cron.tick().expect("ticked");
    assert_eq!(world.run_all().len(), 1);
}

#[test]
fn a_clock_that_was_a_day_ahead_silences_no_entry() {
    let world = World::new();
    let table = || vec![entry("e", MINUTE, Missed::Once)];
    world.clock.advance(MINUTE * 5);
    let right = world.clock.now();
    world.clock.advance(MINUTE * 60 * 24);
    let ahead = world.cron(table());
    ahead.tick().expect("ticked");
    world.clock.advance(MINUTE);
    ahead.tick().expect("ticked");
    assert_eq!(world.run_all().len(), 1);
    world.clock.set(right);
    let crons = [ahead, world.cron(table())];
    let mut fired = Vec::new();
    for _ in 0..30 {
        world.clock.advance(MINUTE);
        for cron in &crons {
            cron.tick().expect("ticked");
        }
        fired.extend(world.run_all());
    }
    let distinct: std::collections::BTreeSet<&String> = fired.iter().collect();
    assert!(fired.len() >= 29 && distinct.len() == fired.len(), "{fired:?}");
    let last = crons[1].rows().expect("rows").remove(0).last.expect("it was fired");
    assert!(last.scheduled_at <= world.clock.now(), "the console shows the cursor that moves");
    // Where the clock passes the time of the step, what was fired then is not fired again.
    world.clock.set(right.plus(MINUTE * 60 * 24));
    for _ in 0..5 {
        for cron in &crons {
            cron.tick().expect("ticked");
        }
        fired.extend(world.run_all());
        world.clock.advance(MINUTE);
    }
    let distinct: std::collections::BTreeSet<&String> = fired.iter().collect();
    assert_eq!(distinct.len(), fired.len(), "{fired:?}");
}

#[test]
fn an_entry_whose_job_cannot_be_kept_stops_no_other() {
    let world = World::new();
    let broken = Entry { queue: Box::leak("x".repeat(200).into_boxed_str()), ..entry("broken", MINUTE, Missed::Skip) };
    let cron = world.cron(vec![broken, entry("fine", MINUTE, Missed::Skip)]);
    world.clock.advance(MINUTE);
    cron.tick().expect("ticked");
    assert_eq!(world.run_all().len(), 1);
}
