//! Runs in processes of their own, so that a crash, a leak or a hang costs one run and not the worker.
//!
//! The worker stays as it is: its threads claim, keep leases and end runs. With a pool each thread owns one child and
//! hands it its runs over a socket, the child's standard input. A child knows no broker and holds no lease; when it
//! ends, exactly the run it held has died, and its thread says why: the signal, or the limit that was broken.
//!
//! | what happens | what becomes of the run |
//! | --- | --- |
//! | the child ends by itself or by a signal | it died; the third death of a job that ran alone ends it: `crashed` |
//! | the child ends before it begins a run | it is tried once more, each job by itself; then as above |
//! | it is far over its memory during a run | the child is killed; as above, `memory limit` |
//! | it is over its memory after a run, or has run its number of jobs | the child is replaced; nothing |
//! | a run is over its time | it is told so; a moment later the child is killed and the run has failed: `time limit` |
//! | several jobs ran together when it died | they run again in halves, so that nobody pays for another |
//! | the worker ends | the socket closes and the child ends; if the worker was killed, the kernel kills the child |
//!
//! Children ignore SIGTERM and SIGINT (a supervisor may send them to the whole group): the worker decides when they end.

mod child;
mod ending;
mod frames;
mod process;

pub use child::{Child, serve};
pub(crate) use ending::Death;
pub(crate) use process::{Process, Ran, Watch};

use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// A child that is this far over its memory during a run is ended at once; what is less waits for the run's end.
const FAR_OVER: f64 = 1.5;

/// How children are started and when they are replaced.
pub struct ChildrenConfig {
    /// Starts a program that calls `serve` on its standard input.
    pub command: Box<dyn Fn() -> Command + Send + Sync>,
    /// Jobs after which a child is replaced.
    pub jobs_max: Option<u64>,
    /// Resident bytes beyond which a child is replaced after its run, and killed far beyond.
    pub memory_max: Option<u64>,
    /// Gets what the child's `report` gave after each run.
    pub on_report: fn(&[u8]),
}

impl ChildrenConfig {
    fn memory_kill(&self) -> Option<u64> {
        self.memory_max.map(far_over)
    }
}

fn far_over(bytes: u64) -> u64 {
    (bytes as f64 * FAR_OVER) as u64
}

/// What a worker says of where its runs happen.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, PartialEq, Eq)]
pub struct PoolRow {
    /// `threads` or `processes`.
    pub kind: String,
    pub children: Vec<ChildRow>,
    /// Children since the worker started: that ended unasked or were killed, and that were replaced.
    pub died: u64,
    pub replaced: u64,
}

impl Default for PoolRow {
    fn default() -> Self {
        PoolRow { kind: "threads".to_owned(), children: Vec::new(), died: 0, replaced: 0 }
    }
}

/// A living child.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, PartialEq, Eq)]
pub struct ChildRow {
    pub pid: u32,
    /// Jobs it has run.
    pub jobs: u64,
    pub resident_bytes: u64,
}

/// The children of a worker, as they are now.
pub(crate) struct Children {
    config: ChildrenConfig,
    row: Mutex<PoolRow>,
}

impl Children {
    pub fn new(config: ChildrenConfig) -> Children {
        Children { config, row: Mutex::new(PoolRow { kind: "processes".to_owned(), ..PoolRow::default() }) }
    }

    fn change(&self, change: impl FnOnce(&mut PoolRow)) {
        change(&mut self.row.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn change_one(&self, pid: u32, change: impl FnOnce(&mut ChildRow)) {
        self.change(|row| {
            if let Some(child) = row.children.iter_mut().find(|child| child.pid == pid) {
                change(child);
            }
        });
    }

    pub fn jobs_max(&self) -> Option<u64> {
        self.config.jobs_max
    }

    pub fn row(&self) -> PoolRow {
        self.row.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
