//! What a process is for. Each role adds its components to one list; one loop starts and stops them. `run` without a role
//! is all of them.

mod child;
mod cron;
mod eyes;
mod signals;
mod web;
mod worker;

use crate::boot::Boot;
use crate::broker;
use crate::config::{Config, Live};
use crate::history::History;
use crate::reporting::{self, SelfReporting};
use crate::{metrics, options, services, start_lock, supervisor};
use anyhow::Context;
use queue::Queue;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use stdx::component::{ComponentError, Ended};
use stdx::{Clock, Component, Components, Shutdown, SystemClock};
use store::Stores;
use telemetry::metrics::{Backends, Registry};

pub use child::{end_with, leave_signals_to_the_parent, run as run_child};
pub use worker::WorkerOptions;

/// Pause between two foldings and sendings of metrics.
const SEND_EVERY: Duration = Duration::from_secs(5);

/// Pause between two looks whether a thread has ended for good.
const THREADS_LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    All,
    Web,
    Worker,
    Cron,
}

impl Role {
    pub fn parse(name: &str) -> Option<Role> {
        match name {
            "all" => Some(Role::All),
            "web" => Some(Role::Web),
            "worker" => Some(Role::Worker),
            "cron" => Some(Role::Cron),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Role::All => "vigie",
            Role::Web => "web",
            Role::Worker => "worker",
            Role::Cron => "cron",
        }
    }

    fn has(self, role: Role) -> bool {
        self == Role::All || self == role
    }
}

/// What every role works with.
pub(crate) struct Base {
    /// As it was at boot.
    pub config: Config,
    /// As it is now.
    pub live: Arc<Live>,
    pub role: Role,
    /// `name@host`, of one living process at a time.
    pub node: String,
    pub clock: Arc<dyn Clock>,
    pub stores: Arc<Stores>,
    pub queue: Arc<dyn Queue>,
    pub reporting: SelfReporting,
    pub registry: Registry,
    pub boot: Boot,
    pub shutdown: Shutdown,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// If a boot step fails, or a component ends before it is told to.
pub fn run(config: &Config, role: Role, options: WorkerOptions) -> anyhow::Result<ExitCode> {
    let mut boot = Boot::default();
    let runtime = boot.step("runtime", || {
        let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        built.context("start the runtime")
    })?;
    let node = options.node_name(role.name());
    let ended = runtime.block_on(serve(config, role, options, boot));
    match &ended {
        Err(error) => reporting::tell_why_it_ends(config, &node, &format!("{error:#}")),
        Ok(Ended::Failed { name, reason }) => {
            reporting::tell_why_it_ends(config, &node, &format!("component {name} failed: {reason}"));
        }
        Ok(Ended::Stopped | Ended::DeadlinePassed) => {}
    }
    // Blocking threads that hang must not keep the process: what they do is safe to lose.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match ended? {
        Ended::Stopped => Ok(ExitCode::SUCCESS),
        Ended::DeadlinePassed => {
            tracing::warn!("work was still running at the deadline; it runs again after the next start");
            Ok(ExitCode::SUCCESS)
        }
        Ended::Failed { name, reason } => anyhow::bail!("component {name} failed: {reason}"),
    }
}

async fn serve(config: &Config, role: Role, options: WorkerOptions, mut boot: Boot) -> anyhow::Result<Ended> {
    let shutdown = Shutdown::default();
    signals::watch(shutdown.clone()).context("watch for signals")?;
    let hangup = options::watch_hangups()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let node = options.node_name(role.name());
    boot.note("logging", || Ok(config.log_level.clone()))?;
    let registry = boot.step("metrics", || install_metrics(config, role))?;
    boot.note("migrations", || migrate(config, &*clock))?;
    let stores = Arc::new(boot.step("stores", || open_stores(config, &*clock))?);
    let live = boot.step("options", || live(config, &stores))?;
    let config = &*live.current();
    boot.note("services", || services::validate(&stores, clock.now()))?;
    boot.note("broker", || broker::look_at_boot(config))?;
    let queue = boot.step("queue", || broker::of_role(config, role, &node))?;
    let reporting = start_reporting(config, &mut boot, &stores, &queue, &clock, &node)?;
    let config = config.clone();
    let base =
        Base { config, live, role, node, clock, stores, queue, registry, reporting, boot, shutdown: shutdown.clone() };
    let mut components = Components::default();
    let base = add_roles(base, options, &mut components).await?;
    base.boot.tell(base.role.name());
    let following = options::keep_following(base.live.clone(), base.stores.clone(), hangup, base.shutdown.clone());
    components.push(Component::new("options", following));
    let asked = base.role.has(Role::Web).then(|| (base.queue.clone(), base.clock.clone()));
    let registry = base.registry.clone();
    components.push(Component::new("metrics", keep_sending(registry.clone(), asked, base.shutdown.clone())));
    let history = History::new(registry.clone(), base.stores.clone(), base.clock.clone());
    components.push(Component::new("history", history.clone().keep_writing(base.shutdown.clone())));
    components.push(supervisor::component(base.shutdown.clone()));
    components.push(Component::new("threads", watch_threads(base.shutdown.clone())));
    let grace = base.config.shutdown_grace;
    drop(base);
    let ended = components.run(shutdown, grace).await;
    // What the last work recorded.
    registry.flush();
    history.write().await;
    Ok(ended)
}

/// After the queue, which it needs; what fails before is in the log alone.
fn start_reporting(
    config: &Config,
    boot: &mut Boot,
    stores: &Arc<Stores>,
    queue: &Arc<dyn Queue>,
    clock: &Arc<dyn Clock>,
    node: &str,
) -> anyhow::Result<SelfReporting> {
    let mut started = SelfReporting::default();
    boot.note("self-reporting", || {
        let (stores, queue, clock) = (stores.clone(), queue.clone(), clock.clone());
        let parts = reporting::Parts { stores, queue, clock, node: node.to_owned() };
        started = reporting::start(config, parts);
        Ok(started.said().to_owned())
    })?;
    Ok(started)
}

/// Workers and schedulers first: the web role's greeting says that all is there. Only its address is taken before them: a
/// process that ends because another has it must not end with jobs in hand.
async fn add_roles(mut base: Base, options: WorkerOptions, components: &mut Components) -> anyhow::Result<Base> {
    let listener = if base.role.has(Role::Web) { Some(web::listen(&base.config)?) } else { None };
    eyes::add(&base, components)?;
    if base.role.has(Role::Worker) {
        worker::add(&mut base, options, components)?;
    }
    if base.role.has(Role::Cron) {
        cron::add(&mut base, components)?;
    }
    if let Some(listener) = listener {
        web::add(&mut base, listener, components).await?;
    }
    Ok(base)
}

/// A thread that cannot begin anew after a panic ends the process: what starts next recovers from the disk.
async fn watch_threads(shutdown: Shutdown) -> Result<(), ComponentError> {
    loop {
        if let Some(fallen) = queue::fallen().into_iter().find(|fallen| fallen.is_for_good) {
            return Err(fallen.to_string().into());
        }
        tokio::select! {
            () = shutdown.triggered() => return Ok(()),
            () = tokio::time::sleep(THREADS_LOOK_EVERY) => {}
        }
    }
}

fn migrate(config: &Config, clock: &dyn Clock) -> anyhow::Result<String> {
    let _lock = start_lock::take(&config.data_dir).context("wait for other processes that start")?;
    let applied = Stores::migrate(&config.data_dir, clock.now())
        .with_context(|| format!("migrate the stores in {}", config.data_dir.display()))?;
    Ok(if applied.is_empty() { "none needed".to_owned() } else { format!("applied {}", applied.join(", ")) })
}

/// A process that listens nowhere has nobody who asks it: it keeps only what is to be sent.
fn install_metrics(config: &Config, role: Role) -> anyhow::Result<Registry> {
    let is_asked = role.has(Role::Web) || config.metrics_listen.is_some();
    let has_prometheus = config.metrics.has_prometheus && is_asked;
    let backends = Backends { has_prometheus, ..config.metrics.clone() };
    Ok(telemetry::metrics::install(metrics::TABLES, backends)?)
}

/// Gathers and sends metrics. Levels that are looked at rather than recorded are looked at by the process with the pages.
async fn keep_sending(
    registry: Registry,
    looked_at: Option<(Arc<dyn Queue>, Arc<dyn Clock>)>,
    shutdown: Shutdown,
) -> Result<(), ComponentError> {
    loop {
        tokio::select! {
            () = shutdown.triggered() => return Ok(()),
            () = tokio::time::sleep(SEND_EVERY) => registry.gather(),
        }
        if registry.is_pushing() {
            let (registry, looked_at) = (registry.clone(), looked_at.clone());
            let send = move || {
                if let Some((queue, clock)) = looked_at {
                    metrics::look(&*queue, clock.now());
                }
                registry.flush();
            };
            tokio::task::spawn_blocking(send).await?;
        }
    }
}

/// Returns the configuration with the store's runtime options.
///
/// # Errors
/// If they cannot be read.
pub fn live(config: &Config, stores: &Stores) -> anyhow::Result<Arc<Live>> {
    let options = stores.db.read_blocking(store::options::list).context("read the runtime options")?;
    Ok(Live::new(config, options))
}

/// Opens the stores of the data directory. Roles that start at the same moment on an empty one migrate it once: the
/// others wait for the lock.
///
/// # Errors
/// If they cannot be opened or are of a newer release.
pub fn open_stores(config: &Config, clock: &dyn Clock) -> anyhow::Result<Stores> {
    let _lock = start_lock::take(&config.data_dir).context("wait for other processes that start")?;
    let stores = Stores::open(&config.data_dir, clock.now())
        .with_context(|| format!("open the stores in {}", config.data_dir.display()))?;
    close_dropped_days(&stores).context("start the thread that closes dropped days")?;
    Ok(stores)
}

/// How long a day that another process dropped keeps its disk because this one has it open.
const CLOSE_DROPPED_EVERY: Duration = Duration::from_secs(1);

/// Every process that has stores has this thread; it ends with them.
fn close_dropped_days(stores: &Stores) -> std::io::Result<()> {
    let events = Arc::downgrade(&stores.events);
    let watch = move || {
        while let Some(events) = events.upgrade() {
            events.close_dropped();
            drop(events);
            std::thread::sleep(CLOSE_DROPPED_EVERY);
        }
    };
    std::thread::Builder::new().name("days".to_owned()).spawn(watch).map(drop)
}
