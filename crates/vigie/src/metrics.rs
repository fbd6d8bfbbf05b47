//! The binary's own metrics, and the list of everybody's.

use queue::{Queue, QueueDepth, RunEnd, WORKER_DEAD_AFTER, WorkerRow};
use stdx::Timestamp;
use telemetry::metrics::{Kind, Metric, gauge, incr, timing};

pub const METRICS: &[Metric] = &[
    Metric {
        name: "vigie_queue_jobs",
        kind: Kind::Gauge,
        unit: "jobs",
        help: "Jobs in the queue by queue and state",
        labels: &["queue", "state"],
        series_max: 500,
    },
    Metric {
        name: "vigie_queue_oldest_age_seconds",
        kind: Kind::Gauge,
        unit: "seconds",
        help: "Age of the oldest job that is ready",
        labels: &["queue"],
        series_max: 100,
    },
    Metric {
        name: "vigie_queue_paused",
        kind: Kind::Gauge,
        unit: "boolean",
        help: "1 while nothing is claimed from the queue",
        labels: &["queue"],
        series_max: 100,
    },
    Metric {
        name: "vigie_workers_alive",
        kind: Kind::Gauge,
        unit: "workers",
        help: "Workers heard in the last 15 s",
        labels: &[],
        series_max: 1,
    },
    Metric {
        name: "vigie_schedulers_alive",
        kind: Kind::Gauge,
        unit: "processes",
        help: "Schedulers (run cron) heard in the last 15 s",
        labels: &[],
        series_max: 1,
    },
    Metric {
        name: "vigie_workers_slots",
        kind: Kind::Gauge,
        unit: "runs",
        help: "Runs that all living workers can do at once",
        labels: &[],
        series_max: 1,
    },
    Metric {
        name: "vigie_workers_running",
        kind: Kind::Gauge,
        unit: "runs",
        help: "Runs that go on now",
        labels: &[],
        series_max: 1,
    },
    Metric {
        name: "vigie_workers_children",
        kind: Kind::Gauge,
        unit: "processes",
        help: "Child processes of living workers with a process pool",
        labels: &[],
        series_max: 1,
    },
    Metric {
        name: "vigie_workers_children_resident_bytes",
        kind: Kind::Gauge,
        unit: "bytes",
        help: "Memory of those child processes that is in RAM",
        labels: &[],
        series_max: 1,
    },
    Metric {
        name: "vigie_workers_children_died",
        kind: Kind::Gauge,
        unit: "processes",
        help: "Child processes that ended unasked or were killed, since their workers started",
        labels: &[],
        series_max: 1,
    },
    Metric {
        name: "vigie_workers_longest_run_seconds",
        kind: Kind::Gauge,
        unit: "seconds",
        help: "Age of the run that goes on for longest",
        labels: &[],
        series_max: 1,
    },
    Metric {
        name: "vigie_jobs_ended_total",
        kind: Kind::Counter,
        unit: "jobs",
        help: "Jobs whose run ended, by task and result: success, failure",
        labels: &["task", "result"],
        series_max: 100,
    },
    Metric {
        name: "vigie_jobs_run_duration_seconds",
        kind: Kind::Histogram,
        unit: "seconds",
        help: "Time of one run, by task",
        labels: &["task"],
        series_max: 50,
    },
    Metric {
        name: "vigie_jobs_slow_runs_total",
        kind: Kind::Counter,
        unit: "runs",
        help: "Runs that took more than worker.slow-share of their time limit, by task",
        labels: &["task"],
        series_max: 50,
    },
    Metric {
        name: "vigie_process_resident_bytes",
        kind: Kind::Gauge,
        unit: "bytes",
        help: "Memory of this process that is in RAM",
        labels: &[],
        series_max: 1,
    },
];

/// Every table of the binary.
pub const TABLES: &[&[Metric]] = &[
    METRICS,
    ingest::metrics::METRICS,
    pipeline::metrics::METRICS,
    telemetry::reporting::metrics::METRICS,
    telemetry::metrics::METRICS,
];

/// Counts a run that has ended. One that took much of its time limit is an error, so that it is reported before the next
/// one is cut off.
pub fn run_ended(run: &RunEnd<'_>, slow_share: f64) {
    let failed = run.failed.min(run.jobs.len());
    for (result, jobs) in [("success", run.jobs.len() - failed), ("failure", failed)] {
        if jobs > 0 {
            incr("vigie_jobs_ended_total", jobs as u64, &[("task", run.task), ("result", result)]);
        }
    }
    timing("vigie_jobs_run_duration_seconds", run.took, &[("task", run.task)]);
    // A run at its limit is told of by the worker.
    let is_slow = slow_share < 1.0 && run.took < run.time_limit && run.took > run.time_limit.mul_f64(slow_share);
    if is_slow {
        incr("vigie_jobs_slow_runs_total", 1, &[("task", run.task)]);
        let job = run.jobs.first().map(|job| job.id.as_str());
        let (took_s, limit_s) = (run.took.as_secs_f64(), run.time_limit.as_secs_f64());
        tracing::error!(
            task = run.task,
            job,
            jobs = run.jobs.len(),
            took_s,
            limit_s,
            "a run took most of its time limit"
        );
    }
}

/// Sets the gauges that are looked at rather than counted; called before each rendering. Asking the queue may wait.
pub fn look(queue: &dyn Queue, now: Timestamp) {
    look_at_process();
    match (queue.depths(), queue.workers()) {
        (Ok(depths), Ok(workers)) => {
            show_depths(depths);
            show_workers(&workers, now);
        }
        (Err(error), _) | (_, Err(error)) => tracing::warn!(error = %error, "queue not looked at for its metrics"),
    }
}

/// Sets the gauges of this process alone.
pub fn look_at_process() {
    if let Some(bytes) = crate::host::resident_bytes() {
        gauge("vigie_process_resident_bytes", bytes as f64, &[]);
    }
}

fn show_depths(depths: Vec<QueueDepth>) {
    for depth in depths {
        let counts = [
            ("ready", depth.ready),
            ("delayed", depth.delayed),
            ("leased", depth.leased),
            ("dead", depth.dead),
            ("parked", depth.parked),
        ];
        for (state, count) in counts {
            gauge("vigie_queue_jobs", count as f64, &[("queue", &depth.queue), ("state", state)]);
        }
        let age = depth.oldest_age.unwrap_or_default().as_secs_f64();
        gauge("vigie_queue_oldest_age_seconds", age, &[("queue", &depth.queue)]);
        gauge("vigie_queue_paused", f64::from(u8::from(depth.paused)), &[("queue", &depth.queue)]);
    }
}

fn show_workers(rows: &[WorkerRow], now: Timestamp) {
    let is_alive = |row: &&WorkerRow| now.since(row.heard_at) < WORKER_DEAD_AFTER;
    let (workers, schedulers): (Vec<&WorkerRow>, Vec<&WorkerRow>) =
        rows.iter().filter(is_alive).partition(|row| row.slots > 0);
    gauge("vigie_workers_alive", workers.len() as f64, &[]);
    gauge("vigie_schedulers_alive", schedulers.len() as f64, &[]);
    gauge("vigie_workers_slots", workers.iter().map(|row| f64::from(row.slots)).sum::<f64>(), &[]);
    let children = || workers.iter().flat_map(|row| &row.pool.children);
    gauge("vigie_workers_children", children().count() as f64, &[]);
    let resident: u64 = children().map(|child| child.resident_bytes).sum();
    gauge("vigie_workers_children_resident_bytes", resident as f64, &[]);
    gauge("vigie_workers_children_died", workers.iter().map(|row| row.pool.died as f64).sum::<f64>(), &[]);
    let runs = || workers.iter().flat_map(|row| &row.running);
    gauge("vigie_workers_running", runs().count() as f64, &[]);
    let longest = runs().map(|run| now.since(run.since)).max().unwrap_or_default();
    gauge("vigie_workers_longest_run_seconds", longest.as_secs_f64(), &[]);
}
