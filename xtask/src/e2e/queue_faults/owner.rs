//! The process that owns the embedded log is killed while others work: they go on within a second, and nothing is lost.

use super::appends::{self, Seen};
use crate::e2e::house::House;
use crate::e2e::{Case, Verdict, eventually};
use anyhow::{Context, ensure};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const ARGUMENTS: &[&str] = &["-Q", "debug", "-c", "1"];
/// For each kill.
const JOBS: u64 = 2_500;
/// So many lines are there when the process is killed.
const LINES_BEFORE: usize = 10;
const GOES_ON_WITHIN: Duration = Duration::from_secs(1);
/// A busy machine's pauses and the watcher's own.
const SLACK: Duration = Duration::from_millis(1_500);
const ALL_WITHIN: Duration = Duration::from_secs(60);

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let house = House::new(case, &[])?;
    let mut web = house.web()?;
    let mut first = house.worker("first", ARGUMENTS)?;
    let mut second = house.worker("second", ARGUMENTS)?;
    // The web owns the log and holds no job: nothing may wait for anything.
    let (seen, killed) = while_lines_come(&house, "web", || web.kill())?;
    let pause = seen.longest_gap(killed);
    ensure!(pause <= GOES_ON_WITHIN + SLACK, "after the owner was killed nothing was done for {pause:?}");
    // One of the workers owns it now. The first is killed: be it the owner or a guest, the other goes on at once; the jobs
    // that the dead one held come after the time in which it might have come back.
    let (seen, killed) = while_lines_come(&house, "worker", || first.kill())?;
    let next = seen.moments.iter().find(|at| **at > killed).map(|at| *at - killed);
    let next = next.context("no line came after the worker was killed")?;
    ensure!(next <= GOES_ON_WITHIN + SLACK, "after a worker was killed nothing was done for {next:?}");
    web.start_again()?;
    let mut back = house.worker("first", ARGUMENTS)?;
    let came = house.call("debug.echo", &serde_json::json!(["still here"]), &[])?;
    ensure!(came == "still here", "after the kills a call came to {came}");
    for worker in [&mut back, &mut second] {
        worker.terminate()?;
    }
    ensure!(web.terminate()?, "the web role did not end well:\n{}", web.log_tail());
    house.end();
    Ok(Verdict::Passed(format!(
        "owner killed: longest pause {:.2} s; worker killed: next line after {:.2} s; each of {} jobs once",
        pause.as_secs_f64(),
        next.as_secs_f64(),
        2 * JOBS
    )))
}

/// Publishes to a paused queue, resumes it, and kills somebody when the first lines are there; returns what was seen once
/// every line is there, and when the kill was.
fn while_lines_come(
    house: &House,
    file: &str,
    kill: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<(Seen, Instant)> {
    house.text(&["queues", "pause", "debug"])?;
    let sent = appends::send(house, file, JOBS, &AtomicBool::new(false));
    ensure!(sent.unknown.is_empty(), "{} commands failed beside a running owner", sent.unknown.len());
    let stop = AtomicBool::new(false);
    let kill_early = || {
        house.text(&["queues", "resume", "debug"])?;
        eventually("the first lines", ALL_WITHIN, || Ok((house.appended(file).len() >= LINES_BEFORE).then_some(())))?;
        kill()?;
        let killed = Instant::now();
        ensure!(house.appended(file).len() < usize::try_from(JOBS)?, "all was done before the kill");
        appends::all_there(house, file, &sent, ALL_WITHIN)?;
        Ok(killed)
    };
    let (seen, killed) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| appends::watch(house, file, &stop));
        let killed = kill_early();
        stop.store(true, Ordering::Relaxed);
        let seen = watcher.join().expect("watching does not panic")?;
        Ok::<_, anyhow::Error>((seen, killed?))
    })?;
    appends::compare(&sent, &seen)?;
    Ok((seen, killed))
}
