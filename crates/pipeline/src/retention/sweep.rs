//! One sweep: units of work handed to hands (threads of this process, or child processes of a command) until all are done
//! or set aside. A unit whose hand died or failed goes to another; one that does so again and again is set aside and
//! named, and the rest goes on.

use super::plan::Plan;
use super::report::{Freed, Report};
use super::work::{Did, Unit, Work};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Runs of a unit that end in failure or death before it is set aside.
pub const TRIES_MAX: u32 = 3;
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// What carries units out, one at a time.
pub trait Hand: Send {
    /// Runs a unit for a while.
    fn run(&mut self, unit: &Unit) -> Ran;
}

/// How one run of a unit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    Done(Did),
    /// Its time is over and there is more to do.
    Unfinished(Did),
    /// It failed, or its hand died or hung; in words, and what it is known to have done before.
    Failed {
        error: String,
        did: Did,
    },
    /// The hand takes no more units; this one was not run.
    Stopped,
}

/// How far a sweep is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub units: usize,
    pub units_ended: usize,
    pub rows: u64,
    pub rows_ended: u64,
}

struct Waiting<'a> {
    unit: &'a Unit,
    tries: u32,
    /// Rows that went so far, by project.
    rows: BTreeMap<i64, u64>,
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

/// Carries a plan out. Returns what was done, and whether all of it was looked at: not if the hands were stopped.
pub fn run(plan: &Plan, hands: Vec<Box<dyn Hand + '_>>, mut tell: impl FnMut(Progress)) -> (Report, bool) {
    let rows_of = |unit: &Unit| unit.due.iter().map(|freed| freed.rows).sum::<u64>();
    let all =
        Progress { units: plan.units.len(), units_ended: 0, rows: plan.units.iter().map(rows_of).sum(), rows_ended: 0 };
    let waiting = plan.units.iter().map(|unit| Waiting { unit, tries: 0, rows: BTreeMap::new() }).collect();
    let state = Mutex::new(State { waiting, hands: hands.len(), ..State::default() });
    let changed = Condvar::new();
    std::thread::scope(|scope| {
        for hand in hands {
            let (state, changed) = (&state, &changed);
            scope.spawn(move || work(hand, state, changed));
        }
        let mut now = lock(&state);
        while now.hands > 0 {
            tell(Progress { units_ended: now.ended, rows_ended: now.report.rows_total(), ..all });
            now = changed.wait_timeout(now, TELL_EVERY).unwrap_or_else(PoisonError::into_inner).0;
        }
        tell(Progress { units_ended: now.ended, rows_ended: now.report.rows_total(), ..all });
    });
    let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    let is_whole = !state.is_stopped && state.waiting.is_empty();
    (state.report, is_whole)
}

/// One hand's thread. The sweep waits for its hands, so this one is counted out however it ends.
fn work<'a>(mut hand: Box<dyn Hand + '_>, state: &Mutex<State<'a>>, changed: &Condvar) {
    let _gone = CountedOut { state, changed };
    while let Some(taken) = take(state, changed) {
        let ran = run_caught(&mut *hand, taken.unit);
        note(&mut lock(state), taken, ran);
        changed.notify_all();
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
fn run_caught(hand: &mut dyn Hand, unit: &Unit) -> Ran {
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| hand.run(unit)));
    ran.unwrap_or_else(|panic| Ran::Failed {
        error: format!("panicked: {}", stdx::causes::of_panic(&*panic)),
        did: Did::default(),
    })
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

fn note<'a>(state: &mut State<'a>, mut taken: Waiting<'a>, ran: Ran) {
    state.running -= 1;
    match ran {
        Ran::Done(did) => {
            state.count(&mut taken, &did);
            // What takes disk and holds no rows, and what is removed by tables whose rows nobody counts again.
            let is_uncounted = |due: &&Freed| due.rows == 0 || matches!(taken.unit.work, Work::Remains { .. });
            let uncounted: Vec<Freed> = taken.unit.due.iter().filter(is_uncounted).copied().collect();
            state.report.add(&uncounted);
            state.report.units += 1;
            state.ended += 1;
        }
        Ran::Unfinished(did) => {
            state.count(&mut taken, &did);
            // Behind the others of its rank: one large unit does not keep a hand for itself.
            state.put_back(Waiting { tries: 0, ..taken });
        }
        Ran::Failed { error, did } => {
            state.count(&mut taken, &did);
            state.note_failure(taken, error);
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

    fn note_failure(&mut self, taken: Waiting<'a>, error: String) {
        let text = format!("{}: {error}", taken.unit.name());
        if taken.tries + 1 < TRIES_MAX {
            self.report.retried += 1;
            self.report.retries.push(text);
            self.put_back(Waiting { tries: taken.tries + 1, ..taken });
        } else {
            self.report.skipped.push(text);
            self.ended += 1;
        }
    }

    /// Rows are those that went. Their bytes are what the plan measured, for so many rows; when all of them have gone, all.
    fn count(&mut self, taken: &mut Waiting<'a>, did: &Did) {
        self.report.returned_bytes += did.returned_bytes;
        let Some(model) = taken.unit.due.first().map(|due| due.model) else { return };
        for (project_id, rows) in did.rows.iter().filter(|(_, rows)| **rows > 0) {
            let before = taken.rows.get(project_id).copied().unwrap_or_default();
            let after = before + rows;
            taken.rows.insert(*project_id, after);
            let bytes = |rows| bytes_of(&taken.unit.due, *project_id, rows);
            let freed = Freed { model, project_id: *project_id, rows: *rows, bytes: bytes(after) - bytes(before) };
            self.report.add(&[freed]);
        }
    }

    fn put_back(&mut self, taken: Waiting<'a>) {
        let rank = taken.unit.rank();
        let behind = self.waiting.iter().position(|other| other.unit.rank() > rank).unwrap_or(self.waiting.len());
        self.waiting.insert(behind, taken);
    }
}

/// Returns what so many rows of a project take, by what is due of it.
fn bytes_of(due: &[Freed], project_id: i64, rows: u64) -> u64 {
    let of_project = due.iter().find(|due| due.project_id == project_id && due.rows > 0);
    of_project.map_or(0, |due| (u128::from(due.bytes) * u128::from(rows) / u128::from(due.rows)) as u64)
}

fn lock<'s, 'a>(state: &'s Mutex<State<'a>>) -> MutexGuard<'s, State<'a>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
