//! What is looked at each second, whether or not anybody asks: the connection, what other processes named, how much there is
//! in all; and what must not be held for long.

use super::Shared;
use super::link::{Link, lock};
use super::tables::jobs::{self, State, Tally};
use super::tables::{letters, messages, names, rows};
use crate::broker::WORKER_DEAD_AFTER;
use crate::{QueueDepth, QueueError, RESULT_KEPT};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use stdx::Timestamp;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The thread looks this often whether it should stop.
const STOP_LOOK: Duration = Duration::from_millis(50);
/// A look at all rows takes at most this share of the time.
pub(super) const LOOK_SHARE: u32 = 20;
/// What was seen longer ago counts for nothing.
const STALE_AFTER: Duration = Duration::from_secs(5);
const FORGET_EVERY: Duration = Duration::from_secs(60);
/// So long the name of a job is kept whose message may still come, or that a Python worker ran.
const NAMES_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// So long a name is kept that was never confirmed: its publisher was told so, and may ask again.
const UNSENT_KEPT: Duration = Duration::from_secs(3_600);

#[derive(Default)]
pub(super) struct Watched {
    seen_at: Option<Instant>,
    took: Duration,
    jobs: u64,
    bytes: u64,
    /// By us since then.
    published: u64,
    forgot_at: Option<Instant>,
}

/// What a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub server: String,
    /// The connection's: silence of twice this long ends it.
    pub heartbeat: Duration,
    /// An alarm of its memory or disk is on: it takes no messages.
    pub is_blocked: bool,
}

pub(super) fn about(link: &Link) -> Result<About, QueueError> {
    let open = link.open()?;
    Ok(About {
        server: link.name().to_owned(),
        heartbeat: Duration::from_secs(u64::from(open.connection.configuration().heartbeat())),
        is_blocked: open.connection.status().blocked(),
    })
}

impl Shared {
    /// Runs until the broker is closed.
    pub(super) fn watch(&self) {
        let mut looked = Instant::now();
        let mut was_away = false;
        while !self.is_closed() {
            std::thread::sleep(STOP_LOOK);
            if looked.elapsed() < LOOK_EVERY {
                continue;
            }
            looked = Instant::now();
            let look = self.open().map(drop);
            match (&look, was_away) {
                (Err(error), false) => tracing::warn!(error = %error, "the broker was lost"),
                (Ok(()), true) => tracing::info!(broker = self.link.name(), "the broker was found again"),
                (Err(_), true) | (Ok(()), false) => {}
            }
            was_away = look.is_err();
            self.release_idle();
            if let Err(error) = self.look() {
                tracing::warn!(error = %error, "queues were not looked at");
            }
        }
    }

    /// Runs until the broker is closed, and waits for no server: a network that swallows everything must not make this
    /// process look dead to the others.
    pub(super) fn stay_alive(&self) {
        let mut said: Option<Instant> = None;
        while !self.is_closed() {
            if said.is_none_or(|said| said.elapsed() >= LOOK_EVERY) {
                said = Some(Instant::now());
                for kept in [self.say_alive(), self.keep_long_held()] {
                    if let Err(error) = kept {
                        tracing::warn!(error = %error, "the queue's ledger was not kept up");
                    }
                }
            }
            std::thread::sleep(STOP_LOOK);
        }
    }

    /// Looks at names and counts.
    pub(super) fn look(&self) -> Result<(), QueueError> {
        self.look_at_names()?;
        self.arrived.notify_all();
        if let Some(open) = self.link.if_open() {
            for lane in self.running_lanes() {
                if let Some((_, consumers)) = self.link.count(&open, &lane.name)? {
                    lock(&self.streams).note_consumers(&lane.name, consumers);
                }
            }
        }
        let is_due = {
            let watched = lock(&self.watched);
            watched.seen_at.is_none_or(|seen_at| seen_at.elapsed() >= watched.took * LOOK_SHARE)
        };
        if !is_due {
            return Ok(());
        }
        let began = Instant::now();
        let now = self.clock.now();
        let tallies = self.tables.read(|tx| jobs::tallies(tx, now))?;
        let mut watched = lock(&self.watched);
        watched.jobs = tallies.iter().map(|tally| tally.jobs).sum();
        watched.bytes = tallies.iter().map(|tally| tally.bytes).sum();
        watched.published = 0;
        watched.took = began.elapsed();
        watched.seen_at = Some(Instant::now());
        Ok(())
    }

    fn running_lanes(&self) -> Vec<super::lanes::Lane> {
        lock(&self.streams).running()
    }

    /// Who holds leases says that it lives: what it holds is freed when it does not.
    pub(super) fn say_alive(&self) -> Result<(), QueueError> {
        let buffered: BTreeMap<String, usize> = {
            let desk = lock(&self.desk);
            desk.lane_counts().filter(|(_, count)| *count > 0).map(|(lane, count)| (lane.to_string(), count)).collect()
        };
        let text = serde_json::to_string(&buffered).expect("names and numbers can be written");
        let now = self.clock.now();
        self.tables.note(|tx| names::hear(tx, &self.session, &text, now))
    }

    pub(super) fn upkeep(&self) -> Result<(), QueueError> {
        let now = self.clock.now();
        self.say_alive()?;
        self.free_own()?;
        self.free_others(now)?;
        self.forget_old(now)?;
        self.send_due()?;
        self.take_replies()
    }

    fn forget_old(&self, now: Timestamp) -> Result<(), QueueError> {
        {
            let mut watched = lock(&self.watched);
            if watched.forgot_at.is_some_and(|at| at.elapsed() < FORGET_EVERY) {
                return Ok(());
            }
            watched.forgot_at = Some(Instant::now());
        }
        self.tables.note(|tx| {
            jobs::forget_old(tx, now.minus(NAMES_KEPT), now.minus(UNSENT_KEPT))?;
            messages::forget_orphans(tx)?;
            rows::forget_results(tx, now.minus(RESULT_KEPT)).map(drop)
        })
    }

    pub(super) fn note_published(&self, jobs: u64) {
        lock(&self.watched).published += jobs;
    }

    /// Returns the bound of jobs where it may be met by so many more, `None` where it is far away: only then rows are counted.
    pub(super) fn jobs_max_if_near(&self, more: u64) -> Result<Option<u64>, QueueError> {
        let watched = lock(&self.watched);
        if watched.bytes >= self.config.bytes_max {
            return Err(QueueError::Full { bound: "queue.max-bytes" });
        }
        let stale_after = STALE_AFTER.max(watched.took * LOOK_SHARE * 2);
        let is_stale = watched.seen_at.is_none_or(|seen_at| seen_at.elapsed() > stale_after);
        let estimate = watched.jobs.saturating_add(watched.published).saturating_add(more);
        let is_near = is_stale || estimate.saturating_mul(2) >= self.config.jobs_max;
        Ok(is_near.then_some(self.config.jobs_max))
    }

    pub(super) fn accepting(&self) -> Result<(), QueueError> {
        let open = self.open()?;
        if open.connection.status().blocked() {
            let why = format!("{} takes no more: an alarm of its memory or disk is on", self.link.name());
            return Err(QueueError::Unwritable { why });
        }
        let Some(jobs_max) = self.jobs_max_if_near(0)? else { return Ok(()) };
        let jobs = self.tables.read(jobs::count)?;
        if jobs >= jobs_max { Err(QueueError::Full { bound: "queue.max-jobs" }) } else { Ok(()) }
    }

    pub(super) fn depths(&self) -> Result<Vec<QueueDepth>, QueueError> {
        let now = self.clock.now();
        let (names, tallies, dead, buffered) = self.tables.read(|tx| {
            let heard_since = now.minus(WORKER_DEAD_AFTER);
            let buffered = names::buffered(tx, &self.session, heard_since)?;
            Ok((names::all(tx)?, jobs::tallies(tx, now)?, letters::counts(tx)?, buffered))
        })?;
        let mut depths: BTreeMap<String, QueueDepth> = BTreeMap::new();
        let row = |queue: &str| QueueDepth { queue: queue.to_owned(), ..QueueDepth::default() };
        for name in &names {
            depths.insert(name.name.clone(), QueueDepth { paused: name.is_paused, ..row(&name.name) });
        }
        for tally in tallies {
            let queue = tally.queue.clone();
            add(depths.entry(queue.clone()).or_insert_with(|| row(&queue)), &tally, now);
        }
        for (queue, letters) in dead {
            depths.entry(queue.clone()).or_insert_with(|| row(&queue)).dead = letters.unsigned_abs();
        }
        for (queue, jobs) in lock(&self.missing).by_queue() {
            if let Some(depth) = depths.get_mut(&queue) {
                depth.ready = depth.ready.saturating_sub(jobs);
            }
        }
        // What Python programs published has no row before it is claimed.
        for name in names.iter().filter(|name| name.is_shared) {
            let on_server = self.link.count(&self.open()?, &name.name)?.map_or(0, |(messages, _)| messages);
            let on_desk = lock(&self.desk).count(&name.name) as u64;
            let elsewhere: u64 = buffered.iter().map(|text| buffered_in(text, &name.name)).sum();
            if let Some(depth) = depths.get_mut(&name.name) {
                depth.ready = on_server + on_desk + elsewhere;
            }
        }
        Ok(depths.into_values().collect())
    }
}

fn add(depth: &mut QueueDepth, tally: &Tally, now: Timestamp) {
    depth.bytes += tally.bytes;
    match tally.state {
        State::Sending | State::Ready => {
            depth.ready += tally.jobs;
            let age = tally.oldest.map(|oldest| now.since(oldest));
            depth.oldest_age = depth.oldest_age.max(age);
        }
        State::Leased => depth.leased += tally.jobs,
        State::Delayed => depth.delayed += tally.jobs,
        State::Parked => depth.parked += tally.jobs,
        State::Ended => {}
    }
}

/// What a process said of its buffers, of one lane; a shared queue is its own.
pub(super) fn buffered_in(text: &str, lane: &str) -> u64 {
    let buffered: BTreeMap<String, u64> = serde_json::from_str(text).unwrap_or_default();
    buffered.get(lane).copied().unwrap_or(0)
}
