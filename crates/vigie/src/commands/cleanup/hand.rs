//! The command's side of a worker process: it hands over one unit at a time and waits for what becomes of it. A worker
//! that dies, says nothing for the length of its lease, or keeps a unit beyond its deadline is killed; its unit goes to
//! another, and a new worker takes its place. A unit is to blame only for what happens after its worker said that it began.

use super::messages::{Heard, Order};
use anyhow::Context;
use pipeline::retention::Unit;
use pipeline::retention::conduct::UNIT_TIME;
use pipeline::retention::sweep::{Hand, Ran, Run};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A worker that says nothing for so long hangs: one step waits at most for another process's transaction.
const LEASE: Duration = Duration::from_secs(20);
/// A unit must be given back by then; a worker stops by itself after `UNIT_TIME`.
const DEADLINE: Duration = Duration::from_secs(45);
/// Workers of one hand that may die in a row before they began anything: then none of them can live.
const UNBEGUN_MAX: u32 = 10;
/// A worker opens its stores in much less, also while others do.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Starts worker processes.
pub struct Spawner {
    program: PathBuf,
    arguments: Vec<OsString>,
}

/// A living worker process.
pub struct Worker {
    process: Child,
    socket: BufReader<UnixStream>,
    is_ready: bool,
}

impl Spawner {
    /// Workers are this very program, also after its file was replaced by another release. `arguments` are the flags by
    /// which a worker finds the same configuration.
    pub fn new(mut arguments: Vec<OsString>) -> Spawner {
        let parent = std::process::id().to_string();
        arguments.extend(["cleanup", "--worker", &parent].map(OsString::from));
        Spawner { program: PathBuf::from("/proc/self/exe"), arguments }
    }

    /// Starts so many; they get ready by themselves.
    ///
    /// # Errors
    /// If one cannot be started.
    pub fn start(&self, count: i64) -> anyhow::Result<Vec<Worker>> {
        (0..count).map(|_| self.start_one().context("start a worker process")).collect()
    }

    fn start_one(&self) -> std::io::Result<Worker> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_write_timeout(Some(LEASE))?;
        let mut command = Command::new(&self.program);
        command.arg0("vigie").args(&self.arguments);
        let process = command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).spawn()?;
        Ok(Worker { process, socket: BufReader::new(ours), is_ready: false })
    }
}

/// Carries units out in a worker process.
pub struct ChildHand<'a> {
    spawner: &'a Spawner,
    worker: Option<Worker>,
    sweep: i64,
    /// Workers in a row that died before they began.
    unbegun: u32,
}

impl<'a> ChildHand<'a> {
    pub fn new(spawner: &'a Spawner, worker: Worker, sweep: i64) -> ChildHand<'a> {
        ChildHand { spawner, worker: Some(worker), sweep, unbegun: 0 }
    }

    fn not_begun(&mut self, error: String) -> Ran {
        self.unbegun += 1;
        match self.unbegun >= UNBEGUN_MAX {
            true => Ran::Lost { error: format!("{UNBEGUN_MAX} in a row did not begin; the last: {error}") },
            false => Ran::Unbegun { error },
        }
    }
}

impl Hand for ChildHand<'_> {
    fn run(&mut self, unit: &Unit) -> Run {
        let mut worker = match self.worker.take().map_or_else(|| self.spawner.start_one(), Ok) {
            Ok(worker) => worker,
            Err(error) => return self.not_begun(format!("start a worker process: {error}")).into(),
        };
        let for_ms = u64::try_from(UNIT_TIME.as_millis()).unwrap_or(u64::MAX);
        if let Err(why) = worker.begin(&Order::Run { unit: unit.clone(), sweep: self.sweep, for_ms }) {
            return self.not_begun(format!("{} before it began", worker.bury(&why))).into();
        }
        self.unbegun = 0;
        let mut returned_bytes = 0;
        let ran = match worker.end(&mut returned_bytes) {
            Ok(ran) => {
                self.worker = Some(worker);
                ran
            }
            Err(why) => Ran::Failed { error: worker.bury(&why) },
        };
        Run { ran, returned_bytes }
    }
}

impl Worker {
    /// Hands a unit over and waits until it is begun. An error says in words why it will not be.
    fn begin(&mut self, order: &Order) -> Result<(), String> {
        if !self.is_ready {
            self.hear_until(Instant::now() + READY_WITHIN, READY_WITHIN, |heard| *heard == Heard::Ready)?;
            self.is_ready = true;
        }
        self.say(order).map_err(|error| format!("does not listen ({error})"))?;
        self.hear_until(Instant::now() + LEASE, LEASE, |heard| *heard == Heard::Begun).map(drop)
    }

    /// Waits for the end of the unit that it began, adding up the bytes that come back. An error says in words why there
    /// will be none.
    fn end(&mut self, returned: &mut u64) -> Result<Ran, String> {
        let heard = self.hear_until(Instant::now() + DEADLINE, LEASE, |heard| match heard {
            Heard::Alive { returned_bytes } => {
                *returned += returned_bytes;
                false
            }
            Heard::Ready | Heard::Begun | Heard::Ran { .. } | Heard::Failed { .. } | Heard::SweepEnded => true,
        })?;
        match heard {
            Heard::Ran { is_done, returned_bytes } => {
                *returned += returned_bytes;
                Ok(if is_done { Ran::Done } else { Ran::Unfinished })
            }
            Heard::Failed { error, returned_bytes } => {
                *returned += returned_bytes;
                Ok(Ran::Failed { error })
            }
            Heard::SweepEnded => Ok(Ran::Stopped),
            Heard::Ready | Heard::Begun | Heard::Alive { .. } => Err("answered out of turn".to_owned()),
        }
    }

    fn say(&mut self, order: &Order) -> std::io::Result<()> {
        let line = serde_json::to_string(order).map_err(std::io::Error::other)?;
        self.socket.get_mut().write_all(format!("{line}\n").as_bytes())
    }

    /// Listens until it says what is wanted; each word extends its lease, nothing extends the deadline.
    fn hear_until(
        &mut self,
        deadline: Instant,
        lease: Duration,
        mut is_wanted: impl FnMut(&Heard) -> bool,
    ) -> Result<Heard, String> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err("kept its unit beyond the deadline".to_owned());
            }
            let waited = self.socket.get_ref().set_read_timeout(Some(lease.min(left)));
            waited.map_err(|error| format!("cannot be listened to ({error})"))?;
            let mut line = String::new();
            match self.socket.read_line(&mut line) {
                Ok(0) => return Err("died".to_owned()),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err("said nothing for the length of its lease".to_owned());
                }
                Err(error) => return Err(format!("died ({error})")),
            }
            let heard: Heard = serde_json::from_str(&line).map_err(|error| format!("spoke nonsense ({error})"))?;
            if is_wanted(&heard) {
                return Ok(heard);
            }
        }
    }

    /// Sees to it that it is gone. Returns how it ended, in words.
    fn bury(mut self, why: &str) -> String {
        let pid = self.process.id();
        // One that is dead already cannot be killed, which is fine.
        let _ = self.process.kill();
        match self.process.wait() {
            Ok(status) => format!("worker {pid} {why}{}", ending(status)),
            Err(error) => format!("worker {pid} {why}, and how it ended cannot be said ({error})"),
        }
    }
}

impl Drop for Worker {
    /// It stops by itself when it is told so, or when its socket is closed; it is waited for, so that no process outlives
    /// the command.
    fn drop(&mut self) {
        // One that does not listen any more is killed below.
        let _ = self.say(&Order::Stop);
        // Both ends: whoever still waits for the other hears the end of it.
        let _ = self.socket.get_ref().shutdown(std::net::Shutdown::Both);
        let asked = Instant::now();
        while asked.elapsed() < STOPS_WITHIN {
            match self.process.try_wait() {
                Ok(None) => std::thread::sleep(STOP_LOOK_EVERY),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const STOPS_WITHIN: Duration = Duration::from_secs(3);
const STOP_LOOK_EVERY: Duration = Duration::from_millis(5);

fn ending(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!(", signal {signal}"),
        (None, Some(code)) => format!(", exit code {code}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests;
