//! The child's side: it runs what it is given, one run at a time, until its worker closes the socket.

use super::ending;
use super::frames::{self, Order, Word};
use crate::brokers::member::wire::ClaimedHead;
use crate::worker::run_jobs;
use crate::{RunContext, Task};
use bytes::Bytes;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Address space above what memory it may have: allocators reserve more than they use.
const ADDRESS_SLACK: u64 = 1 << 30;

/// What a child is made of.
pub struct Child {
    /// To its worker.
    pub socket: UnixStream,
    pub tasks: Vec<Arc<dyn Task>>,
    /// The backstop: with this many resident bytes allowed, far more address space is refused by the kernel. The worker
    /// looks at what is resident.
    pub memory_max: Option<u64>,
    /// Called after each run; what it returns goes to the worker's `on_report`.
    pub report: Box<dyn FnMut() -> Vec<u8>>,
}

/// A run as it came.
struct Given {
    task: String,
    jobs: Vec<ClaimedHead>,
    tail: Bytes,
    over_time: Arc<AtomicBool>,
}

/// Serves a worker until it closes the socket. If that happens during a run, nobody waits for its end any more, and the
/// process ends at once.
///
/// # Errors
/// If the socket breaks or the worker says what a child cannot understand.
pub fn serve(mut child: Child) -> io::Result<()> {
    if let Some(bytes) = child.memory_max {
        bound_address_space(bytes);
    }
    let (given, runs) = channel();
    let (stopping, is_running) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let ear =
        Ear { socket: child.socket.try_clone()?, given, stopping: stopping.clone(), is_running: is_running.clone() };
    std::thread::Builder::new().name("child-ear".to_owned()).spawn(move || ear.listen())?;
    frames::say(&mut child.socket, &Word::Ready, &[])?;
    run_all(&mut child, &runs, &stopping, &is_running)
}

fn run_all(
    child: &mut Child,
    runs: &Receiver<Given>,
    stopping: &Arc<AtomicBool>,
    is_running: &AtomicBool,
) -> io::Result<()> {
    while let Ok(Given { task, jobs, tail, over_time }) = runs.recv() {
        let jobs = frames::jobs_of(jobs, tail)?;
        let known = child.tasks.iter().find(|known| known.name() == task);
        let known =
            known.ok_or_else(|| io::Error::other(format!("the worker gave a run of the unknown task {task}")))?;
        frames::say(&mut child.socket, &Word::Began, &[])?;
        let context = RunContext { stopping: stopping.clone(), over_time };
        let outcomes = run_jobs(known, &jobs, &context);
        let report = (child.report)();
        is_running.store(false, Ordering::SeqCst);
        frames::say_ended(&mut child.socket, outcomes, &report)?;
    }
    Ok(())
}

/// Hears the worker, also during a run.
struct Ear {
    socket: UnixStream,
    given: Sender<Given>,
    stopping: Arc<AtomicBool>,
    is_running: Arc<AtomicBool>,
}

impl Ear {
    fn listen(mut self) {
        let mut over_time = Arc::new(AtomicBool::new(false));
        loop {
            match frames::hear::<Order>(&mut self.socket) {
                Ok((Order::Run { task, jobs }, tail)) => {
                    over_time = Arc::default();
                    self.is_running.store(true, Ordering::SeqCst);
                    let given = Given { task, jobs, tail, over_time: over_time.clone() };
                    if self.given.send(given).is_err() {
                        return;
                    }
                }
                Ok((Order::OverTime, _)) => over_time.store(true, Ordering::SeqCst),
                Ok((Order::Stop, _)) => self.stopping.store(true, Ordering::SeqCst),
                Err(_) if self.is_running.load(Ordering::SeqCst) => {
                    tracing::warn!("the worker is gone, its child ends in the midst of a run");
                    std::process::exit(1);
                }
                // `run_all` ends with the channel.
                Err(_) => return,
            }
        }
    }
}

/// An allocation between two looks of the worker may be as large as it likes; this one it does not get.
fn bound_address_space(memory_max: u64) {
    let Some(now) = ending::virtual_bytes(std::process::id()) else { return };
    let bytes = now + super::far_over(memory_max) + ADDRESS_SLACK;
    let limit = getrlimit(Resource::As);
    let bytes = limit.maximum.map_or(bytes, |maximum| bytes.min(maximum));
    if let Err(error) = setrlimit(Resource::As, Rlimit { current: Some(bytes), maximum: limit.maximum }) {
        tracing::warn!(error = %error, "address space not bounded");
    }
}
