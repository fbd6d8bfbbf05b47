//! Threads beside the runs must not die in silence (promise G5): what a panic ends is said at once and begins anew after a
//! pause. Health hears of it for a minute. Where a panic may have left half of a change behind, nothing begins anew: the
//! process should end and recover from its disk.

use crate::worker::panic_text;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use stdx::Backoff;

/// Pauses between the ends of a thread and its next beginning.
const PAUSE: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
/// A fall is told for so long; a thread that ran for longer begins anew after the shortest pause.
const TOLD_FOR: Duration = Duration::from_secs(60);
/// A stop is noticed within this.
const STEP: Duration = Duration::from_millis(20);

/// A thread that panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallen {
    pub thread: &'static str,
    pub panic: String,
    /// Since the process started.
    pub times: u64,
    /// It does not run any more: the process should end.
    pub is_for_good: bool,
}

impl std::fmt::Display for Fallen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = if self.is_for_good { "does not run any more" } else { "began anew" };
        write!(f, "thread {} panicked and {state} ({} in all): {}", self.thread, self.times, self.panic)
    }
}

/// Of the whole process: whoever asks is not who started the threads. Names are of code, so it is bounded.
static FALLEN: Mutex<BTreeMap<&'static str, (Fallen, Instant)>> = Mutex::new(BTreeMap::new());

fn lock() -> MutexGuard<'static, BTreeMap<&'static str, (Fallen, Instant)>> {
    FALLEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the threads of this process that panicked within the last minute, or do not run any more.
pub fn fallen() -> Vec<Fallen> {
    let is_told = |(fallen, at): &&(Fallen, Instant)| fallen.is_for_good || at.elapsed() < TOLD_FOR;
    lock().values().filter(is_told).map(|(fallen, _)| fallen.clone()).collect()
}

/// As workers' rows say it.
pub(crate) fn told() -> Vec<String> {
    fallen().iter().map(ToString::to_string).collect()
}

fn note(thread: &'static str, panic: &str, is_for_good: bool) {
    tracing::error!(thread, panic, is_for_good, "a thread of the queue panicked");
    let mut all = lock();
    let times = all.get(thread).map_or(0, |(fallen, _)| fallen.times) + 1;
    all.insert(thread, (Fallen { thread, panic: panic.to_owned(), times, is_for_good }, Instant::now()));
}

/// Runs `body` until it returns, again after each panic, until `is_over`. Whatever it works with must be whole after a
/// panic: kept elsewhere, behind locks that are held for a change and no longer.
pub(crate) fn tend(thread: &'static str, is_over: impl Fn() -> bool, mut body: impl FnMut()) {
    let mut attempt = 0;
    loop {
        let began = Instant::now();
        let Err(panic) = catch_unwind(AssertUnwindSafe(&mut body)) else { return };
        note(thread, panic_text(&*panic), false);
        attempt = if began.elapsed() > TOLD_FOR { 1 } else { attempt + 1 };
        let mut rest = PAUSE.ceiling(attempt);
        while !rest.is_zero() && !is_over() {
            std::thread::sleep(rest.min(STEP));
            rest = rest.saturating_sub(STEP);
        }
        if is_over() {
            return;
        }
        tracing::info!(thread, attempt, "a thread of the queue begins anew");
    }
}

/// Runs `body` once; a panic is its end for good, and is told until the process ends.
pub(crate) fn run_once(thread: &'static str, body: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
        note(thread, panic_text(&*panic), true);
    }
}

/// Starts a thread that is tended.
///
/// # Panics
/// If the operating system gives no thread.
pub(crate) fn spawn(
    name: &'static str,
    is_over: impl Fn() -> bool + Send + 'static,
    body: impl FnMut() + Send + 'static,
) -> JoinHandle<()> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || tend(name, is_over, body));
    thread.expect("a process can start its first threads")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panics_is_told_of_and_begins_anew_until_it_is_over() {
        let mut runs = 0;
        tend(
            "tend-test",
            || false,
            || {
                runs += 1;
                assert!(runs >= 3, "on purpose");
            },
        );
        let told = fallen().into_iter().find(|fallen| fallen.thread == "tend-test").expect("it is told");
        assert_eq!((runs, told.times, told.is_for_good), (3, 2, false));
        tend("tend-over", || true, || panic!("on purpose"));
        assert!(
            fallen().iter().any(|fallen| fallen.to_string().contains("tend-over panicked and began anew (1 in all)"))
        );
    }

    #[test]
    fn what_cannot_begin_anew_is_told_for_good() {
        run_once("tend-once", || panic!("on purpose"));
        assert!(fallen().iter().any(|fallen| fallen.thread == "tend-once" && fallen.is_for_good));
    }
}
