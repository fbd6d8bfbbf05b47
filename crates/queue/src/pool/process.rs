//! The worker's side: one child of one thread. It is started by the thread that uses it, for the kernel ends a child
//! when the thread that started it ends.

use super::ending::{self, Death};
use super::frames::{self, Order, Word};
use super::{ChildRow, Children, ChildrenConfig};
use crate::{Claimed, Outcome};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Child as OsChild;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use stdx::Backoff;

/// A child is looked at this often while it runs something.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A child opens its stores in much less, also while others do.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// A frame that began comes whole, and is taken.
const FRAME_WITHIN: Duration = Duration::from_secs(30);
/// After it was told that its time is over. Less than the worker waits before it leaves a thread alone.
const OVER_TIME_GRACE: Duration = Duration::from_secs(3);
/// A child whose socket is closed ends by itself; one that dumps its core takes its time.
const ENDS_WITHIN: Duration = Duration::from_secs(3);
/// Before a child is started again that ended unasked, doubled while none begins a run.
const RESTART: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));

/// A child's place: there is one, or there will be.
pub struct Process {
    children: Arc<Children>,
    living: Option<Living>,
    /// Children that ended unasked since one began a run.
    failures: u32,
    not_before: Instant,
}

struct Living {
    process: OsChild,
    socket: UnixStream,
    jobs: u64,
    resident: u64,
}

/// What the thread asks while its child runs something.
pub struct Watch<'a> {
    pub time_limit: Duration,
    /// Set once it has passed.
    pub over_time: &'a AtomicBool,
    pub is_stopping: &'a dyn Fn() -> bool,
    /// Nobody waits for the run any more.
    pub is_abandoned: &'a dyn Fn() -> bool,
}

/// How a run in a child ended.
pub enum Ran {
    Outcomes(Vec<Outcome>),
    /// The child was gone before it began: by itself, or because it was given this run.
    NotBegun(Death),
    Died(Death),
    /// It did not end at its time limit and was killed.
    OverTime,
    Abandoned,
}

impl Process {
    pub fn new(children: Arc<Children>) -> Process {
        Process { children, living: None, failures: 0, not_before: Instant::now() }
    }

    fn config(&self) -> &ChildrenConfig {
        &self.children.config
    }

    /// Sees to it that there is a child that waits for runs. Waits at most `patience` before it starts one.
    ///
    /// # Errors
    /// In words, why there is none yet.
    pub fn ready(&mut self, patience: Duration, is_stopping: &dyn Fn() -> bool) -> Result<(), String> {
        if let Some(living) = &mut self.living {
            match living.process.try_wait() {
                Ok(None) => return Ok(()),
                Ok(Some(_)) | Err(_) => drop(self.bury()),
            }
        }
        if self.not_before.saturating_duration_since(Instant::now()) > patience {
            return Err("its child process is not started again yet".to_owned());
        }
        while Instant::now() < self.not_before {
            if is_stopping() {
                return Err("the worker stops".to_owned());
            }
            std::thread::sleep(LOOK_EVERY.min(self.not_before.saturating_duration_since(Instant::now())));
        }
        self.start(is_stopping)
    }

    fn start(&mut self, is_stopping: &dyn Fn() -> bool) -> Result<(), String> {
        let spawned = self.spawn().map_err(|error| format!("start a child process: {error}"));
        let living = match spawned {
            Ok(living) => self.living.insert(living),
            Err(text) => {
                self.note_failure();
                return Err(text);
            }
        };
        let started = Instant::now();
        let heard = loop {
            match living.hear() {
                Ok(None) if started.elapsed() < READY_WITHIN && !is_stopping() => {}
                heard => break heard,
            }
        };
        match heard {
            Ok(Some((Word::Ready, _))) => {
                tracing::debug!(child.pid = living.process.id(), "child process is ready");
                Ok(())
            }
            _ if is_stopping() => {
                self.retire();
                Err("the worker stops".to_owned())
            }
            _ => Err(format!("a child process did not become ready: {}", self.kill().error)),
        }
    }

    fn spawn(&self) -> io::Result<Living> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(FRAME_WITHIN))?;
        ours.set_write_timeout(Some(FRAME_WITHIN))?;
        // The command goes at once, and our copy of the child's end with it: a child that ends closes the socket.
        let process = (self.config().command)().stdin(OwnedFd::from(theirs)).spawn()?;
        let pid = process.id();
        self.children.change(|row| row.children.push(ChildRow { pid, jobs: 0, resident_bytes: 0 }));
        Ok(Living { process, socket: ours, jobs: 0, resident: 0 })
    }

    /// Runs jobs in the child. `ready` was asked before.
    pub fn run(&mut self, task: &str, jobs: &[Claimed], watch: &Watch<'_>) -> Ran {
        let Some(living) = &mut self.living else { return Ran::NotBegun(Death::gone()) };
        let (order, tail) = frames::order_run(task, jobs);
        match frames::say(&mut living.socket, &order, &tail) {
            Ok(()) => {}
            // Nothing of it was sent, and trying again is no use.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Ran::Outcomes(vec![frames::refused(&error); jobs.len()]);
            }
            Err(_) => return Ran::NotBegun(self.kill()),
        }
        let ran = self.follow(watch);
        if matches!(ran, Ran::Outcomes(_)) {
            self.count(jobs.len() as u64);
            self.replace_if_due();
        }
        ran
    }

    /// Waits for the end of what it runs.
    fn follow(&mut self, watch: &Watch<'_>) -> Ran {
        let (memory_max, memory_kill) = (self.config().memory_max, self.config().memory_kill());
        let since = Instant::now();
        let (mut has_begun, mut is_told_time, mut is_told_stop) = (false, false, false);
        loop {
            let Some(living) = &mut self.living else { return Ran::NotBegun(Death::gone()) };
            match living.hear() {
                Ok(None) => {}
                Ok(Some((Word::Ready, _))) => {}
                Ok(Some((Word::Began, _))) => {
                    has_begun = true;
                    self.failures = 0;
                    continue;
                }
                Ok(Some((Word::Ended { outcomes }, report))) => {
                    (self.config().on_report)(&report);
                    return Ran::Outcomes(outcomes);
                }
                Err(_) => {
                    let death = self.bury();
                    return if has_begun { Ran::Died(death) } else { Ran::NotBegun(death) };
                }
            }
            let resident = living.look(&self.children);
            if (watch.is_abandoned)() {
                self.kill();
                return Ran::Abandoned;
            }
            if let (Some(allowed), Some(most)) = (memory_max, memory_kill)
                && resident > most
            {
                self.kill();
                return Ran::Died(Death::memory(resident, allowed));
            }
            if since.elapsed() >= watch.time_limit + OVER_TIME_GRACE {
                self.kill();
                return Ran::OverTime;
            }
            // A child that cannot be told is heard to be gone.
            // Somebody may also end the run from afar.
            let is_over = since.elapsed() >= watch.time_limit || watch.over_time.load(Ordering::SeqCst);
            if is_over && !std::mem::replace(&mut is_told_time, true) {
                watch.over_time.store(true, Ordering::SeqCst);
                let _ = frames::say(&mut living.socket, &Order::OverTime, &[]);
            }
            if (watch.is_stopping)() && !std::mem::replace(&mut is_told_stop, true) {
                let _ = frames::say(&mut living.socket, &Order::Stop, &[]);
            }
        }
    }

    fn count(&mut self, jobs: u64) {
        let Some(living) = &mut self.living else { return };
        living.jobs += jobs;
        let count = living.jobs;
        self.children.change_one(living.process.id(), |row| row.jobs = count);
    }

    fn replace_if_due(&mut self) {
        let Some(living) = &mut self.living else { return };
        let resident = living.look(&self.children);
        let (pid, jobs) = (living.process.id(), living.jobs);
        let has_run_enough = self.config().jobs_max.is_some_and(|most| jobs >= most);
        let is_too_large = self.config().memory_max.is_some_and(|most| resident > most);
        if has_run_enough || is_too_large {
            tracing::info!(
                child.pid = pid,
                child.jobs = jobs,
                child.resident_bytes = resident,
                "child process replaced"
            );
            self.children.change(|row| row.replaced += 1);
            self.retire();
        }
    }

    /// Closes the socket, on which the child ends by itself.
    fn retire(&mut self) {
        let Some(Living { mut process, socket, .. }) = self.living.take() else { return };
        drop(socket);
        end(&mut process);
        self.forget(process.id());
    }

    /// Ends the child now.
    fn kill(&mut self) -> Death {
        if let Some(living) = &mut self.living {
            // It may have ended by itself just now.
            let _ = living.process.kill();
        }
        self.bury()
    }

    /// The child has ended, or is about to; says how.
    fn bury(&mut self) -> Death {
        let Some(Living { mut process, socket, resident, .. }) = self.living.take() else {
            return Death::gone();
        };
        drop(socket);
        let status = end(&mut process);
        let pid = process.id();
        self.forget(pid);
        self.children.change(|row| row.died += 1);
        self.note_failure();
        let death = match status {
            Some(status) => Death::of(status, resident, self.config().memory_max),
            None => Death::gone(),
        };
        tracing::info!(child.pid = pid, how = death.error, "child process ended unasked or was killed");
        death
    }

    fn note_failure(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = Instant::now() + RESTART.delay(self.failures, stdx::random::u64());
    }

    fn forget(&self, pid: u32) {
        self.children.change(|row| row.children.retain(|child| child.pid != pid));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.retire();
    }
}

impl Living {
    /// Waits a moment for the child's next word.
    fn hear(&mut self) -> io::Result<Option<(Word, bytes::Bytes)>> {
        let mut waited = [PollFd::new(&self.socket, PollFlags::IN)];
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK_EVERY.subsec_nanos()) };
        match poll(&mut waited, Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => Ok(None),
            Ok(_) => frames::hear(&mut self.socket).map(Some),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns its resident bytes, and remembers them for its end.
    fn look(&mut self, children: &Children) -> u64 {
        let pid = self.process.id();
        if let Some(resident) = ending::resident_bytes(pid).filter(|bytes| *bytes > 0) {
            self.resident = resident;
            children.change_one(pid, |row| row.resident_bytes = resident);
        }
        self.resident
    }
}

/// Waits for a process that is about to end, and sees to it that it does.
fn end(process: &mut OsChild) -> Option<std::process::ExitStatus> {
    let started = Instant::now();
    while started.elapsed() < ENDS_WITHIN {
        match process.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) => std::thread::sleep(Duration::from_millis(2)),
            Err(_) => return None,
        }
    }
    // It may have ended by itself just now.
    let _ = process.kill();
    process.wait().ok()
}
