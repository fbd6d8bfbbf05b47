//! The process that owns the embedded log is killed while others work: they go on within a second, and nothing is lost.

use super::appends::{self, Sent};
use crate::e2e::house::House;
use crate::e2e::{Case, Verdict, eventually};
use anyhow::ensure;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const FILE: &str = "owner";
const JOBS: u64 = 1_200;
/// So many lines are there when the next process is killed.
const LINES_BETWEEN: usize = 100;
const GOES_ON_WITHIN: Duration = Duration::from_secs(1);
/// A busy machine's pauses and the watcher's own.
const SLACK: Duration = Duration::from_millis(500);
const ALL_WITHIN: Duration = Duration::from_secs(60);

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let house = House::new(case, &[])?;
    let mut web = house.web()?;
    let arguments = ["-Q", "debug", "-c", "1"];
    let mut first = house.worker("first", &arguments)?;
    let mut second = house.worker("second", &arguments)?;
    house.text(&["queues", "pause", "debug"])?;
    let sent = appends::send(&house, FILE, JOBS, &AtomicBool::new(false));
    ensure!(sent.unknown.is_empty(), "{} commands failed beside a running owner", sent.unknown.len());
    let stop = AtomicBool::new(false);
    let (seen, killed) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| appends::watch(&house, FILE, &stop));
        let killed = kill_owners(&house, &sent, || web.kill(), || first.kill());
        stop.store(true, Ordering::Relaxed);
        let seen = watcher.join().expect("watching does not panic")?;
        Ok::<_, anyhow::Error>((seen, killed?))
    })?;
    appends::compare(&sent, &seen)?;
    let gap = seen.longest_gap(killed);
    ensure!(gap <= GOES_ON_WITHIN + SLACK, "after a kill nothing was done for {gap:?}");
    // The one that is left owns the log now; the others come back and are members.
    web.start_again()?;
    let mut back = house.worker("first", &arguments)?;
    let came = house.call("debug.echo", &serde_json::json!(["still here"]), &[])?;
    ensure!(came == "still here", "after the kills a call came to {came}");
    for worker in [&mut back, &mut second] {
        worker.terminate()?;
    }
    ensure!(web.terminate()?, "the web role did not end well:\n{}", web.log_tail());
    house.end();
    Ok(Verdict::Passed(format!("{JOBS} jobs, two owners killed, each once; longest pause {:.2} s", gap.as_secs_f64())))
}

/// Resumes the queue, and kills the web (the preferred owner), then a worker, while lines come; returns when the first
/// was killed.
fn kill_owners(
    house: &House,
    sent: &Sent,
    mut kill_web: impl FnMut() -> anyhow::Result<()>,
    mut kill_worker: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Instant> {
    house.text(&["queues", "resume", "debug"])?;
    lines(house, LINES_BETWEEN)?;
    kill_web()?;
    let killed = Instant::now();
    lines(house, 3 * LINES_BETWEEN)?;
    kill_worker()?;
    appends::all_there(house, FILE, sent, ALL_WITHIN)?;
    Ok(killed)
}

fn lines(house: &House, count: usize) -> anyhow::Result<()> {
    eventually(&format!("{count} lines"), ALL_WITHIN, || Ok((house.appended(FILE).len() >= count).then_some(())))
}
