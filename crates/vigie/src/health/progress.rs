//! Whether the queue moves, from what it says at each look. Pure: it is told the time.

use super::{Check, STUCK_AFTER, Seen};
use queue::WorkerRow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Instant;
use stdx::Timestamp;

/// Threads that one line names.
const FALLEN_SHOWN_MAX: usize = 5;

/// What was seen before, as far as it matters for the next look.
pub struct Progress {
    /// Queues with eligible work, and when something of each was finished last, or nothing was eligible.
    moved: HashMap<String, Instant>,
    /// What each worker had finished by queue at the last look.
    finished: HashMap<Process, BTreeMap<String, u64>>,
    /// When a worker, and a scheduler, was heard last.
    worker_at: Instant,
    scheduler_at: Instant,
    /// Since when eligible work of a queue has nobody who serves it.
    unserved: HashMap<String, Instant>,
    /// Since when a limit of a task's rate holds jobs at a worker.
    limited: HashMap<(String, String), Instant>,
}

/// A worker's process: its counts begin anew with it, whatever it is called.
type Process = (String, u32, Timestamp);

impl Progress {
    /// At the start everything counts as seen: a worker may come a moment later than the web.
    pub fn starting_at(now: Instant) -> Progress {
        let (moved, finished, unserved) = (HashMap::new(), HashMap::new(), HashMap::new());
        Progress { moved, finished, worker_at: now, scheduler_at: now, unserved, limited: HashMap::new() }
    }

    /// Returns the checks of this look.
    pub fn judge(&mut self, seen: &Seen, is_alive: impl Fn(&WorkerRow) -> bool, now: Instant) -> Vec<Check> {
        let alive: Vec<&WorkerRow> = seen.workers.iter().filter(|row| is_alive(row)).collect();
        vec![
            self.judge_movement(seen, now),
            self.judge_workers(seen, &alive, now),
            self.judge_scheduler(&alive, now),
            judge_parked(seen),
            self.judge_rates(&alive, now),
        ]
    }

    /// Work that is ready in a queue and of which none is finished is stuck, however much other queues move. A backlog
    /// that moves is fine, also right after start; so is one long run with nothing behind it while its worker lives.
    fn judge_movement(&mut self, seen: &Seen, now: Instant) -> Check {
        let grown = self.take_grown(seen);
        let eligible = seen.depths.iter().filter(|depth| !depth.paused && depth.ready > 0);
        let (mut moved, mut stuck) = (HashMap::new(), Vec::new());
        for depth in eligible.clone() {
            let before = self.moved.get(&depth.queue).copied();
            let is_moving = before.is_none() || grown.contains(&depth.queue);
            let moved_at = before.filter(|_| !is_moving).unwrap_or(now);
            moved.insert(depth.queue.clone(), moved_at);
            let still = now - moved_at;
            if still >= STUCK_AFTER {
                let (queue, ready) = (&depth.queue, depth.ready);
                stuck.push(format!("{queue}: {ready} jobs wait and none was finished for {} s", still.as_secs()));
            }
        }
        self.moved = moved;
        if !stuck.is_empty() {
            stuck.sort_unstable();
            return Check::bad("pipeline", stuck.join("; "));
        }
        let ready: u64 = eligible.clone().map(|depth| depth.ready).sum();
        let oldest = eligible.filter_map(|depth| depth.oldest_age).max();
        match ready {
            0 => Check::good("pipeline", "no job waits"),
            _ => {
                Check::good("pipeline", format!("{ready} jobs wait, oldest {} s", oldest.unwrap_or_default().as_secs()))
            }
        }
    }

    /// Returns the queues of which a worker has finished more than at the last look. Only growth counts: a worker that is
    /// seen for the first time may have finished all of it long ago.
    fn take_grown(&mut self, seen: &Seen) -> HashSet<String> {
        let (mut grown, mut finished) = (HashSet::new(), HashMap::new());
        for row in seen.workers.iter().filter(|row| row.slots > 0) {
            let process = (row.name.clone(), row.pid, row.started_at);
            let counts = counts_of(row);
            if let Some(before) = self.finished.get(&process) {
                let has_grown = |(queue, count): &(&String, &u64)| **count > before.get(*queue).copied().unwrap_or(0);
                grown.extend(counts.iter().filter(has_grown).map(|(queue, _)| queue.clone()));
            }
            finished.insert(process, counts);
        }
        self.finished = finished;
        grown
    }

    /// A limit that somebody set by remote control (`rate_limit`) holds work while everything else looks well. One that does
    /// so for long is a backlog that stands, whoever meant it.
    fn judge_rates(&mut self, alive: &[&WorkerRow], now: Instant) -> Check {
        let (mut limited, mut said, mut is_stuck) = (HashMap::new(), Vec::new(), false);
        for row in alive {
            for limit in row.rate_limits.iter().filter(|limit| limit.holds_jobs) {
                let key = (row.name.clone(), limit.task.clone());
                let since = self.limited.get(&key).copied().unwrap_or(now);
                is_stuck |= now - since >= STUCK_AFTER;
                said.push(format!("{} at {}", limit.said(), row.name));
                limited.insert(key, since);
            }
        }
        self.limited = limited;
        match said.is_empty() {
            true => Check::good("rates", "no job waits for a limit of its task"),
            false => Check { name: "rates", ok: !is_stuck, detail: format!("jobs wait: {}", said.join("; ")) },
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

/// A worker of an older release says only how many it finished; that may have been in any queue that it serves.
fn counts_of(row: &WorkerRow) -> BTreeMap<String, u64> {
    if row.finished_by_queue.is_empty() && row.finished > 0 {
        return row.queues.iter().map(|queue| (queue.clone(), row.finished)).collect();
    }
    row.finished_by_queue.clone()
}

/// A thread that panicked began anew, so work goes on; but it is a bug, and may happen again: somebody should know at once.
pub fn judge_threads(alive: &[&WorkerRow], here: &[String]) -> Check {
    let elsewhere = |row: &&WorkerRow| -> Vec<String> {
        let others = row.fallen.iter().filter(|text| !here.contains(text));
        others.map(|text| format!("{}: {text}", row.name)).collect()
    };
    let fallen: BTreeSet<String> = alive.iter().flat_map(elsewhere).chain(here.iter().cloned()).collect();
    if fallen.is_empty() {
        return Check::good("threads", "none has panicked within the last minute");
    }
    Check::bad("threads", fallen.into_iter().take(FALLEN_SHOWN_MAX).collect::<Vec<_>>().join("; "))
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
            finished_by_queue: Default::default(),
            last_error: None,
            is_stopping: false,
            fallen: Vec::new(),
            pool: Default::default(),
            rate_limits: Vec::new(),
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
    fn a_rate_that_holds_jobs_is_named_at_once_and_turns_red_if_it_goes_on() {
        let start = Instant::now();
        let mut progress = Progress::starting_at(start);
        let mut limited = |holds_jobs, seconds| {
            let mut seen = seen(0, 0);
            let limit = queue::RateLimitRow { task: "digest".to_owned(), rate: "1/m".to_owned(), holds_jobs };
            seen.workers[0].rate_limits = vec![limit];
            let checks = progress.judge(&seen, |_| true, start + Duration::from_secs(seconds));
            checks.into_iter().find(|check| check.name == "rates").expect("it is judged")
        };
        let first = limited(true, 1);
        let named = "rate limit of task digest set by remote control, 1/m at w@h";
        assert!(first.ok && first.detail.contains(named), "{first:?}");
        assert!(limited(true, 45).ok && !limited(true, 46).ok);
        assert!(limited(false, 50).ok && limited(true, 51).ok && limited(true, 60).ok, "it begins anew");
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
    fn a_thread_that_panicked_is_named_with_its_process_and_once() {
        let mut rows = seen(0, 0).workers;
        rows[0].fallen = vec!["thread worker-keeper panicked".to_owned()];
        rows[1].fallen = vec!["thread cron panicked".to_owned()];
        let alive: Vec<&WorkerRow> = rows.iter().collect();
        let check = judge_threads(&alive, &["thread cron panicked".to_owned()]);
        assert!(!check.ok);
        assert_eq!(check.detail, "thread cron panicked; w@h: thread worker-keeper panicked");
        assert!(judge_threads(&[], &[]).ok);
    }

    #[test]
    fn a_queue_that_no_worker_serves_is_named() {
        let start = Instant::now();
        let mut progress = Progress::starting_at(start);
        let mut other = seen(1, 0);
        other.workers[0].queues = vec!["else".to_owned()];
        for second in [0, 20, 50] {
            let failing = failing(&mut progress, &other, true, start + Duration::from_secs(second));
            assert_eq!(failing, if second < 45 { vec![] } else { vec!["pipeline", "workers"] }, "{second}");
        }
    }

    #[test]
    fn a_queue_that_does_not_move_is_stuck_while_others_move() {
        let start = Instant::now();
        let mut progress = Progress::starting_at(start);
        let mut both = seen(4, 0);
        both.depths.push(QueueDepth { queue: "busy".to_owned(), ready: 2, ..QueueDepth::default() });
        both.workers.push(row(1, &["busy"], 0));
        let mut checks = Vec::new();
        for second in (0..60).step_by(5) {
            both.workers[2].finished = second;
            both.workers[2].finished_by_queue = [("busy".to_owned(), second)].into();
            checks = progress.judge(&both, |_| true, start + Duration::from_secs(second));
        }
        assert_eq!(checks[0].detail, "q: 4 jobs wait and none was finished for 55 s");
        assert!(!checks[0].ok);
    }

    #[test]
    fn a_count_that_another_process_gives_under_the_same_name_is_no_progress() {
        let start = Instant::now();
        let mut progress = Progress::starting_at(start);
        let mut twins = seen(4, 0);
        let mut failed = Vec::new();
        for second in (0..60).step_by(5) {
            twins.workers[0].pid = 1 + (second / 5 % 2) as u32;
            twins.workers[0].finished = 7 * u64::from(twins.workers[0].pid);
            failed = failing(&mut progress, &twins, true, start + Duration::from_secs(second));
        }
        assert_eq!(failed, ["pipeline"]);
    }
}
