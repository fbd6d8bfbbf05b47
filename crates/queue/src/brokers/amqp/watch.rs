//! What is looked at each second, whether or not anybody asks: the connection, what other processes named, how much there is
//! in all; and what must not be held for long.

use super::Shared;
use super::link::{Link, lock};
use super::tables::jobs::{self, State, Tally};
use super::tables::{elsewhere, forgotten, letters, messages, names, rows};
use crate::broker::WORKER_DEAD_AFTER;
use crate::{QueueDepth, QueueError, RESULT_KEPT};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};
use stdx::Timestamp;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// An alarm of the server's is known to a process that publishes nothing within this.
const ALARM_EVERY: Duration = Duration::from_secs(5);
/// The thread looks this often whether it should stop.
const STOP_LOOK: Duration = Duration::from_millis(50);
/// A look at all rows takes at most this share of the time.
pub(super) const LOOK_SHARE: u32 = 20;
const FORGET_EVERY: Duration = Duration::from_secs(60);
/// So long the name of a job is kept whose message may still come.
const NAMES_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// Names forgotten in one go, in a transaction for which others wait.
const FORGOTTEN_MAX: usize = 2_000;
/// What was taken to be sent so long ago was not: its process died.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);
/// So long a job of a shared queue is on its way, or in a buffer of which we have not heard.
const ELSEWHERE_AFTER: Duration = Duration::from_secs(60);
/// So long a name is kept that was never confirmed: its publisher was told so, and may ask again.
const UNSENT_KEPT: Duration = Duration::from_secs(3_600);

#[derive(Default)]
pub(super) struct Watched {
    forgot_at: Option<Instant>,
    /// Jobs of shared queues that are neither on the server nor in a buffer, as the last upkeep found them.
    elsewhere: HashMap<String, u64>,
}

/// What a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub server: String,
    /// The connection's: silence of twice this long ends it.
    pub heartbeat: Duration,
    /// Its own reason while it takes no messages, for want of memory or disk.
    pub alarm: Option<String>,
}

pub(super) fn about(link: &Link, installation: Option<&str>) -> Result<About, QueueError> {
    let open = link.open()?;
    link.look_at_host(&open, installation)?;
    Ok(About {
        server: link.name().to_owned(),
        heartbeat: Duration::from_secs(u64::from(open.connection.configuration().heartbeat())),
        alarm: open.alarm(),
    })
}

impl Shared {
    /// Runs until the broker is closed.
    pub(super) fn watch(&self) {
        let mut looked = Instant::now();
        let mut asked = Instant::now();
        let mut was_away = false;
        while !self.is_closed() {
            std::thread::sleep(STOP_LOOK);
            if looked.elapsed() < LOOK_EVERY {
                continue;
            }
            looked = Instant::now();
            let look = self.open().and_then(|_| self.look_at_host());
            match (&look, was_away) {
                (Err(error), false) => tracing::warn!(error = %error, "the broker was lost"),
                (Ok(()), true) => tracing::info!(broker = self.link.name(), "the broker was found again"),
                (Err(_), true) | (Ok(()), false) => {}
            }
            was_away = look.is_err();
            if asked.elapsed() >= ALARM_EVERY {
                asked = Instant::now();
                self.ask_for_alarm();
            }
            self.release_idle();
            if let Err(error) = self.look() {
                tracing::warn!(error = %error, "queues were not looked at");
            }
        }
    }

    /// Who publishes nothing is not told of an alarm.
    fn ask_for_alarm(&self) {
        let Some(open) = self.link.if_open() else { return };
        match self.link.ask_for_alarm(&open) {
            // It is known, and health tells of it.
            Ok(()) | Err(QueueError::Unwritable { .. }) => {}
            Err(error) => tracing::warn!(error = %error, "the broker was not asked for an alarm"),
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
            // Not in the `for`, which would hold the lock over its body.
            let running = lock(&self.streams).running();
            for lane in running {
                if let Some((_, consumers)) = self.link.count(&open, &lane.name)? {
                    lock(&self.streams).note_consumers(&lane.name, consumers);
                }
            }
        }
        self.look_at_size()
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
        self.take_back_abandoned(now)?;
        self.send_due()?;
        self.take_replies()?;
        self.forget_elsewhere(now)
    }

    fn forget_old(&self, now: Timestamp) -> Result<(), QueueError> {
        {
            let mut watched = lock(&self.watched);
            if watched.forgot_at.is_some_and(|at| at.elapsed() < FORGET_EVERY) {
                return Ok(());
            }
            watched.forgot_at = Some(Instant::now());
        }
        let orphans = self.tables.read(|tx| messages::orphans(tx, FORGOTTEN_MAX))?;
        let forgotten = self.tables.note(|tx| {
            messages::forget_orphans(tx, &orphans)?;
            rows::forget_results(tx, now.minus(RESULT_KEPT))?;
            let ended = forgotten::ended(tx, now.minus(NAMES_KEPT), FORGOTTEN_MAX)?;
            Ok(ended.max(forgotten::unsent(tx, now.minus(UNSENT_KEPT), FORGOTTEN_MAX)?))
        })?;
        if forgotten.max(orphans.len()) >= FORGOTTEN_MAX {
            // There may be more: the next upkeep goes on.
            lock(&self.watched).forgot_at = None;
        }
        Ok(())
    }

    /// Jobs that somebody took to send and did not wait for their time again, which has come.
    fn take_back_abandoned(&self, now: Timestamp) -> Result<(), QueueError> {
        let abandoned = self.tables.read(|tx| messages::abandoned(tx, now.minus(ABANDONED_AFTER)))?;
        if abandoned.is_empty() { Ok(()) } else { self.tables.note(|tx| messages::put_off(tx, &abandoned, now)) }
    }

    /// Forgets what Python workers took out of a shared queue: where the oldest are neither on the server nor in a buffer,
    /// two looks in a row, others have them. Their rows would count against our bounds, and hold their unique keys, for
    /// ever. A message that comes back after all is run like any that has no row.
    fn forget_elsewhere(&self, now: Timestamp) -> Result<(), QueueError> {
        let before = now.minus(ELSEWHERE_AFTER);
        let old = self.tables.read(|tx| elsewhere::ready_since(tx, before))?;
        let mut found = HashMap::new();
        for (queue, jobs) in old.into_iter().filter(|(_, jobs)| *jobs > 0) {
            let beyond = jobs.unsigned_abs().saturating_sub(self.count_shared(&queue, now)?);
            let taken = lock(&self.watched).elsewhere.get(&queue).map_or(0, |last| beyond.min(*last));
            let forgotten = match taken.min(FORGOTTEN_MAX as u64) {
                0 => 0,
                taken => self.tables.note(|tx| elsewhere::forget_oldest(tx, &queue, before, taken))?,
            };
            found.insert(queue, beyond - forgotten as u64);
        }
        lock(&self.watched).elsewhere = found;
        Ok(())
    }

    /// Messages of a shared queue on the server, and in the buffers of processes that live.
    fn count_shared(&self, queue: &str, now: Timestamp) -> Result<u64, QueueError> {
        let on_server = self.link.count(&self.open()?, queue)?.map_or(0, |(messages, _)| messages);
        let buffered = self.tables.read(|tx| names::buffered(tx, &self.session, now.minus(WORKER_DEAD_AFTER)))?;
        let elsewhere: u64 = buffered.iter().map(|text| buffered_in(text, queue)).sum();
        Ok(on_server + lock(&self.desk).count(queue) as u64 + elsewhere)
    }

    pub(super) fn accepting(&self) -> Result<(), QueueError> {
        let open = self.open()?;
        self.link.check_alarm(&open)?;
        self.room_for(std::iter::empty())?.map_or(Ok(()), |room| room.check())
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
