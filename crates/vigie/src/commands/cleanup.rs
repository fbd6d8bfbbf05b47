//! `vigie cleanup`: removes what is past its retention, by worker processes of its own, or says what that would be. The
//! engine is `pipeline::retention`; the schedule runs the same.

mod hand;
mod messages;
mod show;
mod worker;

use super::output;
use crate::cli::Cleanup;
use crate::config::Config;
use crate::host;
use crate::local::Local;
use anyhow::{Context, bail, ensure};
use hand::{ChildHand, Spawner};
use pipeline::pace;
use pipeline::retention::conduct::{self, Held, Origin};
use pipeline::retention::sweep::{self, Hand};
use pipeline::retention::{Ask, Model, POLICIES, Plan, Reach, Report};
use show::Show;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use stdx::{Clock, SystemClock, Timestamp};
use store::clock_leaps::{self, Leap};
use store::reserve;
use telemetry::metrics::Backends;

pub use worker::run as run_worker;

/// Worker processes; each has stores and caches of its own, and one writes to a store at a time.
const WORKERS_MAX: usize = 64;
/// Half of the time is left to ingest and pages, by who plans and by who works.
const SHARE: f64 = 0.5;
/// So long the lock of sweeps is waited for.
const BUSY_MAX: Duration = Duration::from_secs(2);
const BUSY_LOOK: Duration = Duration::from_millis(20);
/// A hundred years: beyond, dates have no meaning.
const DAYS_MAX: i64 = 36_500;

/// Runs the command. `arguments` are the flags that every command takes, for worker processes.
///
/// # Errors
/// If it is refused, or a store fails.
pub fn run(config: &Config, input: &Cleanup, arguments: Vec<OsString>) -> anyhow::Result<ExitCode> {
    let models = check(input)?;
    let _reserve = Reserve::of(config)?;
    // Before any store is opened here, so that no worker inherits a file of one.
    let spawner = Spawner::new(arguments);
    let workers = if input.dry_run { Vec::new() } else { spawner.start(input.concurrency)? };
    let started = Instant::now();
    let local = Local::open(config)?;
    // What is planned reads; workers lower theirs themselves.
    pace::lower_thread_priority();
    let ask = ask(config, &local, input, models)?;
    let show = Show::new(input, &ask);
    if input.dry_run {
        let plan = plan(&local, &ask)?;
        show.plan(&plan, started.elapsed())?;
        if let Some(leap) = leap(&local)? {
            show.doubt(&leap);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let now = SystemClock.now();
    trust_the_clock(&local, &ask, input.force, now)?;
    let Some(held) = begin(&local, now)? else {
        bail!("another cleanup is already running{}", since(&local));
    };
    let plan = plan(&local, &ask)?;
    show.beginning()?;
    let sweep = held.sweep;
    let hands = workers.into_iter().map(|worker| Box::new(ChildHand::new(&spawner, worker, sweep)) as Box<dyn Hand>);
    let (report, is_whole) = sweep::run(&plan, hands.collect(), |progress| {
        // Progress that cannot be read is not shown; the sweep does not hang on it.
        show.progress(progress, || held.rows_so_far().unwrap_or_default());
    });
    let report = held.finish(&plan, (report, is_whole), SystemClock.now()).context("write the cleanup down")?;
    tell_backends(config, started.elapsed());
    show.done(&plan, &report, started.elapsed())?;
    Ok(exit_code(&report, is_whole))
}

/// On a full disk the stores could not even be opened: the reserve is given up for as long as it takes.
struct Reserve<'a> {
    config: &'a Config,
    was_given_up: bool,
}

impl<'a> Reserve<'a> {
    fn of(config: &'a Config) -> anyhow::Result<Reserve<'a>> {
        // A data directory that is not there yet, or cannot be asked, is for those who open it to speak of.
        let is_full = host::free_bytes(&config.data_dir).is_ok_and(reserve::is_needed);
        let was_given_up = is_full && reserve::give_up(&config.data_dir).context("make room")?;
        Ok(Reserve { config, was_given_up })
    }
}

impl Drop for Reserve<'_> {
    fn drop(&mut self) {
        let Config { data_dir, disk_free_min, .. } = self.config;
        let can_restore = |free| reserve::is_affordable(free, disk_free_min.bytes());
        if self.was_given_up && host::free_bytes(data_dir).is_ok_and(can_restore) {
            // The governor of a running worker does it otherwise.
            let _ = reserve::restore(data_dir);
        }
    }
}

/// Refuses if the clock may have leapt; with `--force` it is believed from now on, by the schedule too.
fn trust_the_clock(local: &Local, ask: &Ask, is_forced: bool, now: Timestamp) -> anyhow::Result<()> {
    if is_forced {
        let Some(leap) = leap(local)? else { return Ok(()) };
        return local.stores.db.write_blocking(|tx| clock_leaps::settle(tx, &leap, now)).context("believe the clock");
    }
    match conduct::refusal(&local.stores, ask, now).context("look whether the clock leapt")? {
        Some(leap) => bail!("{}; nothing was removed, say --force if the clock is right", leap.text()),
        None => Ok(()),
    }
}

fn leap(local: &Local) -> anyhow::Result<Option<Leap>> {
    let now = SystemClock.now();
    local.stores.db.read_blocking(|tx| clock_leaps::find(tx, now)).context("look whether the clock leapt")
}

/// Whoever removes a deleted issue, or takes the stores' names for a backup, holds the lock for moments: they are waited for.
fn begin(local: &Local, now: Timestamp) -> anyhow::Result<Option<Held<'_>>> {
    let until = Instant::now() + BUSY_MAX;
    loop {
        let held = conduct::begin(&local.stores, Origin::Command, now).context("begin the cleanup")?;
        if held.is_some() || Instant::now() >= until {
            return Ok(held);
        }
        std::thread::sleep(BUSY_LOOK);
    }
}

/// A command has no pages that anybody could ask: the metric goes where metrics are sent, or nowhere. Only the pipeline's
/// table is installed, which has no levels: those of the running processes must not be told as zero.
fn tell_backends(config: &Config, took: Duration) {
    let backends = Backends { has_prometheus: false, ..config.metrics.clone() };
    match telemetry::metrics::install(&[pipeline::metrics::METRICS], backends) {
        Ok(registry) => {
            pipeline::metrics::record_cleanup(Origin::Command.name(), took);
            registry.flush();
        }
        Err(error) => tracing::warn!(error = %error, "metric of the cleanup not sent"),
    }
}

/// Says what is wrong before anything is opened.
fn check(input: &Cleanup) -> anyhow::Result<Vec<Model>> {
    ensure!(input.concurrency >= 1, "Minimum concurrency is 1");
    ensure!(input.concurrency <= WORKERS_MAX as i64, "Maximum concurrency is {WORKERS_MAX}");
    if let Some(days) = input.days {
        ensure!(days <= DAYS_MAX, "--days {days}: at most {DAYS_MAX}");
        ensure!(days >= 1 || input.force, "--days {days} would remove all events, today's too; say --force to do so");
    }
    let model = |name: &String| {
        let known = || POLICIES.iter().map(|policy| policy.name).collect::<Vec<_>>().join(", ");
        Model::parse(name).with_context(|| format!("unknown model '{name}'; there are {}", known()))
    };
    let models: Vec<Model> = input.model.iter().map(model).collect::<anyhow::Result<_>>()?;
    let of_none = models.iter().find(|model| model.policy().reach == Reach::Installation);
    if let (Some(project), Some(model)) = (&input.project, of_none) {
        bail!("--project {project}: {} belongs to no project; leave one of the two out", model.name());
    }
    Ok(models)
}

fn ask(config: &Config, local: &Local, input: &Cleanup, models: Vec<Model>) -> anyhow::Result<Ask> {
    let project_id = match &input.project {
        Some(name) => Some(project_id(local, name)?),
        None => None,
    };
    let bodies_before = match conduct::bodies_before(&*local.ops.queue, SystemClock.now()) {
        Ok(before) => Some(before),
        Err(error) => {
            tracing::warn!(error = %error, "queue not asked: bodies of large requests are left where they are");
            None
        }
    };
    let options = local.stores.db.read_blocking(store::options::list).context("read the runtime options")?;
    let installation_days = config.with_options(&options).event_retention_days;
    Ok(Ask { days: input.days, installation_days, project_id, models, bodies_before, share: Some(SHARE) })
}

/// `org/project`, or an id.
fn project_id(local: &Local, name: &str) -> anyhow::Result<i64> {
    let (name, is_id) = (name.to_owned(), name.parse::<i64>().ok());
    let all = local.stores.db.read_blocking(store::projects::retention).context("read the projects")?;
    let found = all.iter().find(|project| is_id == Some(project.id) || project.name == name);
    Ok(found.with_context(|| format!("Project not found: {name}"))?.id)
}

fn plan(local: &Local, ask: &Ask) -> anyhow::Result<Plan> {
    pipeline::retention::plan(&local.stores, ask, SystemClock.now()).context("plan the cleanup")
}

fn since(local: &Local) -> String {
    // The refusal stands without it.
    let last = local.stores.db.read_blocking(|tx| store::sweeps::latest(tx, 1)).ok().and_then(|mut rows| rows.pop());
    last.map(|row| format!(" since {} (by {})", row.started_at.to_rfc3339(), row.origin)).unwrap_or_default()
}

/// 0 only if nothing was left out.
fn exit_code(report: &Report, is_whole: bool) -> ExitCode {
    if is_whole && report.skipped.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Seconds as people read them.
fn seconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64())
}

fn print(text: &str) -> anyhow::Result<()> {
    output::line(text)
}
