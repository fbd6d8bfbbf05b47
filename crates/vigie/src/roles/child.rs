//! A child of a worker with `--pool processes`: it configures itself, opens its own stores, and runs what its worker
//! hands it over its standard input. It is ended by its worker, or with it.

use super::open_stores;
use crate::config::{Config, Live};
use crate::{metrics, options};
use anyhow::Context;
use pipeline::pace;
use pipeline::tasks::{self, EventDays, TaskWorld};
use queue::pool::{self, Child};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use stdx::{Clock, SystemClock};
use store::Stores;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Runs until the worker closes the socket.
///
/// # Errors
/// If the child cannot configure itself, or the socket breaks.
pub fn run(config: &Config, worker: u32) -> anyhow::Result<ExitCode> {
    end_with(worker)?;
    let _signals = leave_signals_to_the_parent().context("leave signals to the worker")?;
    pace::lower_thread_priority();
    let sample_rate = config.metrics.push.as_ref().map(|push| push.sample_rate);
    let notes = telemetry::metrics::forward::install(metrics::TABLES, sample_rate)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let stores = Arc::new(open_stores(config, &*clock)?);
    let live = super::live(config, &stores)?;
    follow_options(live.clone(), stores.clone());
    let config = &*live.current();
    // The queue is its worker's: what asks it is not known here, and does without.
    let queue = None;
    let event_days: EventDays = Arc::new(move || live.current().event_retention_days);
    let world = TaskWorld { stores, clock, data_dir: config.data_dir.clone(), event_days, queue };
    let socket = std::io::stdin().as_fd().try_clone_to_owned().context("take the worker's socket")?;
    let child = Child {
        socket: UnixStream::from(socket),
        tasks: tasks::all(&world),
        memory_max: config.child_memory_max,
        report: Box::new(move || notes.report()),
    };
    let _span = tracing::error_span!("child", pid = std::process::id()).entered();
    pool::serve(child).context("serve the worker")?;
    Ok(ExitCode::SUCCESS)
}

/// As every process does; the thread ends with the process.
fn follow_options(live: Arc<Live>, stores: Arc<Stores>) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(options::LOOK_EVERY);
            // The worker says what is wrong with the store; a child has nothing to add.
            if let Ok(fresh) = stores.db.read_blocking(store::options::list) {
                live.take_options(fresh);
            }
        }
    });
}

/// A worker that is killed tells nobody: the kernel ends its children.
pub fn end_with(worker: u32) -> anyhow::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("ask to end with the worker")?;
    // It may have ended before that was asked.
    let parent = getppid().map(Pid::as_raw_nonzero);
    let is_its_child = parent.is_some_and(|parent| u32::try_from(parent.get()) == Ok(worker));
    anyhow::ensure!(is_its_child, "the worker that started this child is gone");
    Ok(())
}

/// A supervisor may send its signals to the whole group; what runs then is the worker's to decide. The handlers live as
/// long as what is returned.
pub fn leave_signals_to_the_parent() -> std::io::Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _context = runtime.enter();
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::hangup()] {
        drop(signal(kind)?);
    }
    Ok(runtime)
}
