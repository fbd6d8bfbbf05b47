//! Jobs that the ledger calls ready and RabbitMQ has no more: somebody emptied or deleted a queue there, a limit of the
//! server dropped messages, it came up with an empty disk, or a copy of this installation runs beside it. A lane's
//! messages come in their order; so where a lane is empty, on the server and in all buffers, what has been ready for a
//! while is lost.

use super::Shared;
use super::link::lock;
use super::tables::{names, unsent};
use super::watch::{LOOK_SHARE, buffered_in};
use crate::QueueError;
use crate::broker::WORKER_DEAD_AFTER;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};
use stdx::Timestamp;

/// What has been ready for so long in an empty lane is not on its way any more.
const LOST_AFTER: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Missing {
    looked_at: Option<Instant>,
    took: Duration,
    /// Lanes that the last look found empty, with the time of the oldest row: the next look confirms it.
    suspected: HashMap<String, Timestamp>,
    lanes: Vec<LostLane>,
}

/// Rows of one lane that have no message.
#[derive(Clone, Debug)]
struct LostLane {
    queue: String,
    lane: String,
    jobs: u64,
    oldest: Timestamp,
}

impl Missing {
    fn has_unconfirmed(&self) -> bool {
        self.suspected.len() > self.lanes.len()
    }

    /// Jobs without a message, by queue.
    pub fn by_queue(&self) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for lost in &self.lanes {
            *sums.entry(lost.queue.clone()).or_default() += lost.jobs;
        }
        sums
    }
}

impl Shared {
    pub(super) fn troubles(&self) -> Result<Vec<String>, QueueError> {
        let is_due = {
            let missing = lock(&self.missing);
            let pause = LOOK_EVERY.max(missing.took * LOOK_SHARE);
            missing.looked_at.is_none_or(|at| at.elapsed() >= pause)
        };
        if is_due {
            self.look_for_missing()?;
        }
        let line = |(queue, jobs): (String, u64)| {
            format!(
                "{jobs} jobs of queue {queue} are not in RabbitMQ any more and nobody ran them: its queues were emptied or \
                 deleted, a limit of the server dropped them, or a copy of this installation takes from them; `vigie queues \
                 write-off` accounts for them"
            )
        };
        let alarm = self.link.if_open().and_then(|open| self.link.alarm_of(&open));
        Ok(alarm.into_iter().chain(lock(&self.missing).by_queue().into_iter().map(line)).collect())
    }

    fn look_for_missing(&self) -> Result<(), QueueError> {
        let began = Instant::now();
        let empty = self.empty_lanes()?;
        let mut missing = lock(&self.missing);
        let is_confirmed = |lost: &&LostLane| missing.suspected.get(&lost.lane) == Some(&lost.oldest);
        let lanes: Vec<LostLane> = empty.iter().filter(is_confirmed).cloned().collect();
        missing.lanes = lanes;
        missing.suspected = empty.into_iter().map(|lost| (lost.lane, lost.oldest)).collect();
        missing.took = began.elapsed();
        missing.looked_at = Some(Instant::now());
        Ok(())
    }

    /// Lanes of ours in which nothing is, with the rows that have been ready there for long.
    fn empty_lanes(&self) -> Result<Vec<LostLane>, QueueError> {
        let now = self.clock.now();
        let (waiting, buffered) = self.tables.read(|tx| {
            let waiting = unsent::ready_since(tx, now.minus(LOST_AFTER))?;
            Ok((waiting, names::buffered(tx, &self.session, now.minus(WORKER_DEAD_AFTER))?))
        })?;
        let shared = self.shared_queues();
        let mut empty = Vec::new();
        for (queue, lane, count, oldest) in waiting {
            let is_buffered = lock(&self.desk).count_lane(&queue, &lane) > 0
                || buffered.iter().any(|text| buffered_in(text, &lane) > 0);
            // What Python programs take from is theirs too.
            if is_buffered || shared.contains(&queue) {
                continue;
            }
            let on_server = self.link.count(&self.open()?, &lane)?.map_or(0, |(messages, _)| messages);
            if on_server == 0 {
                empty.push(LostLane { queue, lane, jobs: count.unsigned_abs(), oldest });
            }
        }
        Ok(empty)
    }

    /// Ends the jobs that have no message. A message that comes after all is then known to be over.
    pub(super) fn write_off(&self) -> Result<bool, QueueError> {
        self.look_for_missing()?;
        // A process that was just started, as a command is, has not seen them missing before.
        if lock(&self.missing).has_unconfirmed() {
            std::thread::sleep(LOOK_EVERY);
            self.look_for_missing()?;
        }
        let lost = lock(&self.missing).lanes.clone();
        let now = self.clock.now();
        self.tables.write(|tx| {
            lost.iter().try_for_each(|lost| unsent::end_ready(tx, &lost.lane, now.minus(LOST_AFTER), now))
        })?;
        lock(&self.missing).lanes.clear();
        Ok(!lost.is_empty())
    }
}
