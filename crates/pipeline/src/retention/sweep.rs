//! One sweep: units of work handed to hands (threads of this process, or child processes of a command) until all are done
//! or set aside. A unit whose hand died or failed goes to another; one that does so again and again is set aside and
//! named, and the rest goes on.

use super::plan::Plan;
use super::report::Report;
use super::work::Unit;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Runs of a unit that end in failure or death before it is set aside.
pub const TRIES_MAX: u32 = 3;
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// What carries units out, one at a time.
pub trait Hand: Send {
    /// Runs a unit for a while.
    fn run(&mut self, unit: &Unit) -> Run;
}

/// How one run of a unit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    Done,
    /// Its time is over and there is more to do.
    Unfinished,
    /// It failed, or its hand died or hung while it worked on it; in words.
    Failed {
        error: String,
    },
    /// It went to a worker that died or hung before it began: another gets it, and it is none the worse for it.
    Unbegun {
        error: String,
    },
    /// This one was not run, and this hand runs no others: it gets no worker that lives.
    Lost {
        error: String,
    },
    /// The time of the sweep is over; this one was not run.
    Stopped,
}

/// A run of a unit: how it ended, and the bytes that files became smaller by meanwhile, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub ran: Ran,
    pub returned_bytes: u64,
}

impl From<Ran> for Run {
    fn from(ran: Ran) -> Run {
        Run { ran, returned_bytes: 0 }
    }
}

/// How far a sweep is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub units: usize,
    pub units_ended: usize,
    /// Rows that were planned to go.
    pub rows: u64,
}

struct Waiting<'a> {
    unit: &'a Unit,
    tries: u32,
}

#[derive(Default)]
struct State<'a> {
    waiting: VecDeque<Waiting<'a>>,
    running: usize,
    /// The rank of what runs; work of a later one waits.
    rank_running: Option<u8>,
    report: Report,
    ended: usize,
    hands: usize,
    /// A hand met the end of its time, or the end of the sweep.
    is_stopped: bool,
}

/// Carries a plan out. Returns what was done, but for what was removed, which the sweep's row knows (`Held::finish`), and
/// whether all of it was looked at: not if the hands were stopped, or all lost.
pub fn run(plan: &Plan, hands: Vec<Box<dyn Hand + '_>>, mut tell: impl FnMut(Progress)) -> (Report, bool) {
    let rows_of = |unit: &Unit| unit.due.iter().map(|freed| freed.rows).sum::<u64>();
    let all = Progress { units: plan.units.len(), units_ended: 0, rows: plan.units.iter().map(rows_of).sum() };
    let waiting = plan.units.iter().map(|unit| Waiting { unit, tries: 0 }).collect();
    let state = Mutex::new(State { waiting, hands: hands.len(), ..State::default() });
    let changed = Condvar::new();
    std::thread::scope(|scope| {
        for hand in hands {
            let (state, changed) = (&state, &changed);
            scope.spawn(move || work(hand, state, changed));
        }
        let mut now = lock(&state);
        while now.hands > 0 {
            let units_ended = now.ended;
            drop(now);
            tell(Progress { units_ended, ..all });
            now = lock(&state);
            if now.hands == 0 {
                break;
            }
            now = changed.wait_timeout(now, TELL_EVERY).unwrap_or_else(PoisonError::into_inner).0;
        }
        tell(Progress { units_ended: now.ended, ..all });
    });
    let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    let is_whole = !state.is_stopped && state.waiting.is_empty();
    (state.report, is_whole)
}

/// One hand's thread. The sweep waits for its hands, so this one is counted out however it ends.
fn work<'a>(mut hand: Box<dyn Hand + '_>, state: &Mutex<State<'a>>, changed: &Condvar) {
    let _gone = CountedOut { state, changed };
    while let Some(taken) = take(state, changed) {
        let run = run_caught(&mut *hand, taken.unit);
        let is_lost = matches!(run.ran, Ran::Lost { .. });
        note(&mut lock(state), taken, run);
        changed.notify_all();
        if is_lost {
            return;
        }
    }
}

struct CountedOut<'s, 'a> {
    state: &'s Mutex<State<'a>>,
    changed: &'s Condvar,
}

impl Drop for CountedOut<'_, '_> {
    fn drop(&mut self) {
        lock(self.state).hands -= 1;
        self.changed.notify_all();
    }
}

/// A unit that panics fails: it is tried again, then set aside and named, and the sweep goes on. What it left half done
/// is what a death leaves.
fn run_caught(hand: &mut dyn Hand, unit: &Unit) -> Run {
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| hand.run(unit)));
    ran.unwrap_or_else(|panic| Ran::Failed { error: format!("panicked: {}", stdx::causes::of_panic(&*panic)) }.into())
}

/// Waits for a unit that may be run now. `None` = nothing is left, or the sweep is stopped.
fn take<'a>(state: &Mutex<State<'a>>, changed: &Condvar) -> Option<Waiting<'a>> {
    let mut now = lock(state);
    loop {
        if now.is_stopped || (now.waiting.is_empty() && now.running == 0) {
            return None;
        }
        if let Some(next) = now.next() {
            now.running += 1;
            return Some(next);
        }
        now = changed.wait(now).unwrap_or_else(PoisonError::into_inner);
    }
}

fn note<'a>(state: &mut State<'a>, taken: Waiting<'a>, run: Run) {
    state.running -= 1;
    state.report.returned_bytes += run.returned_bytes;
    match run.ran {
        Ran::Done => {
            state.report.units += 1;
            state.ended += 1;
        }
        Ran::Unfinished => {
            // Behind the others of its rank: one large unit does not keep a hand for itself.
            state.put_back(Waiting { tries: 0, ..taken });
        }
        Ran::Failed { error } if taken.tries + 1 < TRIES_MAX => {
            state.report.retried += 1;
            state.report.retries.push(format!("{}: {error}", taken.unit.name()));
            state.put_back(Waiting { tries: taken.tries + 1, ..taken });
        }
        Ran::Failed { error } => {
            state.report.skipped.push(format!("{}: {error}", taken.unit.name()));
            state.ended += 1;
        }
        Ran::Unbegun { error } => {
            state.report.retried += 1;
            state.report.retries.push(format!("{}: {error}", taken.unit.name()));
            state.put_back(taken);
        }
        Ran::Lost { error } => {
            state.report.lost.push(error);
            state.put_back(taken);
        }
        Ran::Stopped => {
            state.put_back(taken);
            state.is_stopped = true;
        }
    }
}

impl<'a> State<'a> {
    /// The first that waits, unless work of an earlier rank still runs: it may come back.
    fn next(&mut self) -> Option<Waiting<'a>> {
        let first = self.waiting.front()?.unit.rank();
        let is_free = self.running == 0 || self.rank_running == Some(first);
        if !is_free {
            return None;
        }
        self.rank_running = Some(first);
        self.waiting.pop_front()
    }

    fn put_back(&mut self, taken: Waiting<'a>) {
        let rank = taken.unit.rank();
        let behind = self.waiting.iter().position(|other| other.unit.rank() > rank).unwrap_or(self.waiting.len());
        self.waiting.insert(behind, taken);
    }
}

fn lock<'s, 'a>(state: &'s Mutex<State<'a>>) -> MutexGuard<'s, State<'a>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
