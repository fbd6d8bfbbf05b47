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

#[cfg(test)]
mod tests {
    use super::*;
    use queue::QueueDepth;
    use std::time::Duration;
    use stdx::Timestamp;

    fn row(slots: u32, queues: &[&str], finished: u64) -> WorkerRow {
        WorkerRow {
            name: "w@h".to_owned(),
            host: "h".to_owned(),
            pid: 1,
            version: String::new(),
            started_at: Timestamp::EPOCH,
            heard_at: Timestamp::EPOCH,
            slots,
            queues: queues.iter().map(|&name| name.to_owned()).collect(),
            tasks: Vec::new(),
            running: Vec::new(),
            finished,
            failed: 0,
            dead: 0,
            last_error: None,
            is_stopping: false,
            pool: Default::default(),
        }
    }

    fn seen(ready: u64, finished: u64) -> Seen {
        let depth = QueueDepth { queue: "q".to_owned(), ready, ..QueueDepth::default() };
        Seen { depths: vec![depth], workers: vec![row(2, &["q"], finished), row(0, &[], 0)], parked: Vec::new() }
    }

    fn failing(progress: &mut Progress, seen: &Seen, alive: bool, now: Instant) -> Vec<&'static str> {
        let checks = progress.judge(seen, |_| alive, now);
        checks.iter().filter(|check| !check.ok).map(|check| check.name).collect()
    }

    #[test]
    fn work_that_waits_and_does_not_finish_is_stuck_before_a_minute_has_passed() {
        let start = Instant::now();
        let mut progress = Progress::starting_at(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(failing(&mut progress, &seen(5, 0), true, at(40)).is_empty(), "a backlog at the start is fine");
        assert!(failing(&mut progress, &seen(5, 1), true, at(60)).is_empty(), "it moves");
        assert_eq!(failing(&mut progress, &seen(5, 1), true, at(110)), ["pipeline"]);
        assert!(failing(&mut progress, &seen(5, 2), true, at(111)).is_empty(), "it moves again");
        assert!(failing(&mut progress, &seen(0, 2), true, at(900)).is_empty(), "nothing waits");
    }

    #[test]
    fn silence_of_workers_and_schedulers_is_seen_also_when_nothing_waits() {
        let start = Instant::now();
        let mut progress = Progress::starting_at(start);
        assert!(failing(&mut progress, &seen(0, 0), false, start + Duration::from_secs(30)).is_empty());
        assert_eq!(failing(&mut progress, &seen(0, 0), false, start + Duration::from_secs(46)), ["workers", "cron"]);
        assert!(failing(&mut progress, &seen(0, 0), true, start + Duration::from_secs(47)).is_empty());
    }

    #[test]
    fn a_queue_that_no_worker_serves_is_named() {
        let start = Instant::now();
        let mut progress = Progress::starting_at(start);
        let mut other = seen(1, 0);
        other.workers[0].queues = vec!["else".to_owned()];
        for (second, finished) in [(0, 1), (20, 2), (50, 3)] {
            other.workers[0].finished = finished;
            let failing = failing(&mut progress, &other, true, start + Duration::from_secs(second));
            assert_eq!(failing, if second < 45 { vec![] } else { vec!["workers"] }, "{second}");
        }
    }
}
