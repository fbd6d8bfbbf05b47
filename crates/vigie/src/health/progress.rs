//! Whether the queue moves, from what it says at each look. Pure: it is told the time.

use super::{Check, STUCK_AFTER, Seen};
use queue::WorkerRow;
use std::collections::HashMap;
use std::time::Instant;

/// What was seen before, as far as it matters for the next look.
pub struct Progress {
    /// When nothing was eligible, or something was finished, last.
    moved_at: Instant,
    finished: u64,
    /// When a worker, and a scheduler, was heard last.
    worker_at: Instant,
    scheduler_at: Instant,
    /// Since when eligible work of a queue has nobody who serves it.
    unserved: HashMap<String, Instant>,
}

impl Progress {
    /// At the start everything counts as seen: a worker may come a moment later than the web.
    pub fn starting_at(now: Instant) -> Progress {
        let unserved = HashMap::new();
        Progress { moved_at: now, finished: 0, worker_at: now, scheduler_at: now, unserved }
    }

    /// Returns the checks of this look.
    pub fn judge(&mut self, seen: &Seen, is_alive: impl Fn(&WorkerRow) -> bool, now: Instant) -> Vec<Check> {
        let alive: Vec<&WorkerRow> = seen.workers.iter().filter(|row| is_alive(row)).collect();
        vec![
            self.judge_movement(seen, now),
            self.judge_workers(seen, &alive, now),
            self.judge_scheduler(&alive, now),
            judge_parked(seen),
        ]
    }

    /// Work that is ready and of which none is finished is stuck. A backlog that moves is fine, also right after start;
    /// so is one long run with nothing behind it while its worker lives.
    fn judge_movement(&mut self, seen: &Seen, now: Instant) -> Check {
        let ready: u64 = seen.depths.iter().filter(|depth| !depth.paused).map(|depth| depth.ready).sum();
        let finished = seen.workers.iter().map(|row| row.finished).fold(0, u64::wrapping_add);
        if ready == 0 || finished != self.finished {
            self.moved_at = now;
            self.finished = finished;
        }
        let still = now - self.moved_at;
        if still >= STUCK_AFTER {
            return Check::bad(
                "pipeline",
                format!("{ready} jobs wait and none was finished for {} s", still.as_secs()),
            );
        }
        let oldest = seen.depths.iter().filter(|depth| !depth.paused).filter_map(|depth| depth.oldest_age).max();
        match ready {
            0 => Check::good("pipeline", "no job waits"),
            _ => {
                Check::good("pipeline", format!("{ready} jobs wait, oldest {} s", oldest.unwrap_or_default().as_secs()))
            }
        }
    }

    fn judge_workers(&mut self, seen: &Seen, alive: &[&WorkerRow], now: Instant) -> Check {
        let workers: Vec<&&WorkerRow> = alive.iter().filter(|row| row.slots > 0).collect();
        if !workers.is_empty() {
            self.worker_at = now;
        }
        let silent = now - self.worker_at;
        if silent >= STUCK_AFTER {
            return Check::bad("workers", format!("no worker was heard for {} s", silent.as_secs()));
        }
        let eligible = seen.depths.iter().filter(|depth| !depth.paused && depth.ready > 0);
        let mut without = HashMap::new();
        for depth in eligible {
            if !workers.iter().any(|row| row.queues.contains(&depth.queue)) {
                let since = self.unserved.get(&depth.queue).copied().unwrap_or(now);
                without.insert(depth.queue.clone(), since);
            }
        }
        self.unserved = without;
        let longest = self.unserved.iter().filter(|(_, since)| now - **since >= STUCK_AFTER);
        let mut names: Vec<&str> = longest.map(|(name, _)| name.as_str()).collect();
        if !names.is_empty() {
            names.sort_unstable();
            return Check::bad("workers", format!("jobs wait in queues that no worker serves: {}", names.join(", ")));
        }
        match workers.iter().find_map(|row| row.last_error.as_ref().map(|error| (row, error))) {
            Some((row, error)) => {
                Check::good("workers", format!("{} heard; {} said: {error}", workers.len(), row.name))
            }
            None => Check::good("workers", format!("{} heard", workers.len())),
        }
    }

    fn judge_scheduler(&mut self, alive: &[&WorkerRow], now: Instant) -> Check {
        let schedulers = alive.iter().filter(|row| row.slots == 0).count();
        if schedulers > 0 {
            self.scheduler_at = now;
        }
        let silent = now - self.scheduler_at;
        if silent >= STUCK_AFTER {
            return Check::bad("cron", format!("no scheduler was heard for {} s", silent.as_secs()));
        }
        Check::good("cron", format!("{schedulers} heard"))
    }
}

/// Jobs that nobody knows wait for a worker that does; until then somebody should know.
fn judge_parked(seen: &Seen) -> Check {
    let jobs: u64 = seen.parked.iter().map(|parked| parked.jobs).sum();
    if jobs == 0 {
        return Check::good("tasks", "every job's task is known");
    }
    let mut tasks: Vec<String> =
        seen.parked.iter().map(|parked| format!("{} ({} in {})", parked.task, parked.jobs, parked.queue)).collect();
    tasks.truncate(5);
    // Other work goes on: this is for people to see, not for an alarm at night.
    Check::good("tasks", format!("{jobs} jobs are parked, no worker knows their tasks: {}", tasks.join(", ")))
}
