//! The web role: ingest, API and pages on one listener, and the looks at the health that feed the dot on every page.

use super::Base;
use crate::boot::Step;
use crate::config::Config;
use crate::control::{self, Answerer, Question};
use crate::health::Doctor;
use crate::site::{self, Vitals};
use crate::{broker, host, options, public_address, start_lock};
use anyhow::Context;
use ingest::accounting::Accounting;
use ingest::keyring::Keyring;
use ingest::spooled::Spooled;
use ingest::{Ingest, budget::Budget, flush, server};
use ops::{Actor, Caller, Ops};
use pipeline::tasks::{DIGEST_TASK, EVENTS_QUEUE};
use queue::Broker;
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use stdx::component::ComponentError;
use stdx::{Clock, Component, Components, Shutdown};
use store::Stores;
use telemetry::reporting::Tally;
use tokio::net::{TcpListener, TcpSocket};
use web::WebState;

/// Connections the system holds until they are taken; beyond it a client retries only after a second.
const LISTEN_BACKLOG: u32 = 4_096;
/// Pause between two looks at the health, for the dot on the pages.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Adds the role's components, and says on standard output where it listens.
pub(super) async fn add(base: &mut Base, listener: TcpListener, components: &mut Components) -> anyhow::Result<()> {
    let config = base.config.clone();
    let registry = base.registry.clone();
    let bound = listener.local_addr().context("read the listener's address")?;
    let url = public_address::of_listener(&config, bound);
    let schedule = pipeline::schedules::all().context("read the schedule table")?;
    let ops = Ops::new(base.stores.clone(), base.queue.clone(), base.clock.clone(), &url);
    let spool = base.boot.step("spool", || broker::spool_of_web(&config, base.queue.clone()))?;
    let live = base.live.clone();
    let ops = ops.with_schedule(schedule).with_event_queues(&[EVENTS_QUEUE]).with_spool(spool);
    let ops = ops.with_options(options::catalogue(move || live.current()));
    let ops = ops.with_storage_limits(storage_limits(base)).with_process(process(base));
    let ops = Arc::new(ops);
    let first = first_run(&config.data_dir, &ops).await?;
    record_address(&base.stores, &url, &*base.clock).await.context("record the public address")?;
    follow_address(base, ops.clone(), bound);
    let stores = base.stores.clone();
    let keyring = base.boot.step("keys", || Keyring::load(stores).context("load the keys"))?;
    let keyring = Arc::new(keyring);
    let accounting = Arc::new(Accounting::new(base.clock.clone()));
    let doctor = Doctor::new(ops.clone());
    let vitals = Vitals { doctor, queue: base.queue.clone(), clock: base.clock.clone(), registry };
    let ingest = Arc::new(ingest(base, &ops, keyring.clone(), accounting.clone())?);
    greet(&config.data_dir, &url, &ops, first).await?;
    let holder = format!("{} ({})", base.node, std::process::id());
    let spooled = Spooled::new(ops.spool.clone(), holder);
    let stop = || base.shutdown.clone();
    let router = site::router(web_state(&vitals, ops.clone()), vitals.clone());
    let handler = site::handler(ingest, router, base.live.clone());
    components.push(Component::new("http", server::serve(listener, handler, stop())));
    components.push(Component::new("keys", keyring.keep_fresh(stop())));
    components
        .push(Component::new("refusal-counts", flush::flush_counts(accounting, spooled, base.stores.clone(), stop())));
    components.push(Component::new("health", keep_looking(vitals.doctor.clone(), stop())));
    components.push(Component::new("pulse", keep_sampling(ops.clone(), stop())));
    components.push(Component::new("dead-letters", let_letters_go(ops.clone(), stop())));
    let answerer = answerer(base, vitals, ops);
    components.push(Component::new("control", control::serve(config.data_dir, answerer, stop())));
    Ok(())
}

/// Takes the address of `web.listen`.
///
/// # Errors
/// If it cannot be had.
pub(super) fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    bind(config.listen).with_context(|| format!("listen on {} (web.listen)", config.listen))
}

pub(super) fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for the connections of the process before it.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(LISTEN_BACKLOG)
}

async fn first_run(data_dir: &Path, ops: &Ops) -> anyhow::Result<Option<ops::first_run::FirstLogin>> {
    let folder = data_dir.to_owned();
    let lock = tokio::task::spawn_blocking(move || start_lock::take(&folder)).await?;
    let _lock = lock.context("wait for other processes that start")?;
    ops::first_run::set_up(ops, &Caller::of_task("first-run")).await.context("create the first organization")
}

fn storage_limits(base: &Base) -> ops::storage::Limits {
    let (data_dir, live) = (base.config.data_dir.clone(), base.live.clone());
    ops::storage::Limits {
        event_days: Arc::new(move || live.current().event_retention_days),
        free_min_bytes: base.config.disk_free_min.bytes(),
        free_bytes: Arc::new(move || host::free_bytes(&data_dir).ok()),
    }
}

/// What the console shows of this process.
fn process(base: &Base) -> ops::itself::Told {
    let (boot, reporting) = (base.boot.clone(), base.reporting.clone());
    Arc::new(move || {
        let step =
            |step: &Step| ops::itself::Step { name: step.name.to_owned(), ms: step.ms, outcome: step.outcome.clone() };
        let destination = |(name, tally): (&'static str, Tally)| ops::itself::Destination {
            name: name.to_owned(),
            captured: tally.captured,
            sent: tally.sent,
            refused: tally.refused,
            dropped: tally.dropped,
            waiting: tally.waiting,
            kept_self: tally.uncaptured_self,
            kept_rate: tally.uncaptured_rate,
        };
        ops::itself::Process {
            boot: boot.steps().iter().map(step).collect(),
            reporting: reporting.said().to_owned(),
            destinations: reporting.tallies().into_iter().map(destination).collect(),
        }
    })
}

fn ingest(base: &Base, ops: &Ops, keyring: Arc<Keyring>, accounting: Arc<Accounting>) -> anyhow::Result<Ingest> {
    let incoming_dir = base.config.data_dir.join("incoming");
    empty_folder(&incoming_dir).context("prepare the folder for large bodies")?;
    let broker: Arc<dyn Broker> = match &ops.spool {
        Some(spool) => spool.clone(),
        None => base.queue.clone(),
    };
    Ok(Ingest {
        stores: base.stores.clone(),
        broker,
        keyring,
        accounting,
        clock: base.clock.clone(),
        budget: Budget::default(),
        incoming_dir,
        envelope_bytes_max: base.config.envelope_bytes_max.bytes(),
        task: DIGEST_TASK.into(),
        queue: EVENTS_QUEUE.into(),
    })
}

fn web_state(vitals: &Vitals, ops: Arc<Ops>) -> WebState {
    let doctor = vitals.doctor.clone();
    WebState { ops, health: Arc::new(move || site::pipeline_health(&doctor)) }
}

/// A changed `system.url-prefix` stands in DSNs and links at once, in this process and in commands beside it.
fn follow_address(base: &Base, ops: Arc<Ops>, bound: SocketAddr) {
    let (stores, clock) = (base.stores.clone(), base.clock.clone());
    base.live.follow(move |config| {
        let url = public_address::of_listener(config, bound);
        if ops.public_url() == url {
            return;
        }
        ops.set_public_url(&url);
        let (stores, clock) = (stores.clone(), clock.clone());
        tokio::spawn(async move {
            if let Err(error) = record_address(&stores, &url, &*clock).await {
                tracing::error!(error = %stdx::causes::on_one_line(&error), "public address not recorded");
            }
        });
    });
}

/// Commands beside this process print DSNs with its address.
async fn record_address(stores: &Stores, url: &str, clock: &dyn Clock) -> Result<(), store::StoreError> {
    let (url, now) = (url.to_owned(), clock.now());
    stores.db.write(move |tx| store::settings::set(tx, public_address::SETTING, &url, now)).await
}

/// What a killed process left half-received is nobody's.
fn empty_folder(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    std::fs::create_dir_all(folder)
}

async fn keep_looking(doctor: Doctor, shutdown: Shutdown) -> Result<(), ComponentError> {
    loop {
        doctor.look().await;
        tokio::select! {
            () = shutdown.triggered() => return Ok(()),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn keep_sampling(ops: Arc<Ops>, shutdown: Shutdown) -> Result<(), ComponentError> {
    loop {
        if let Err(error) = ops::pulse::sample(&ops, &Actor::System).await {
            tracing::warn!(error = %stdx::causes::on_one_line(&error), "pipeline not sampled");
        }
        tokio::select! {
            () = shutdown.triggered() => return Ok(()),
            () = tokio::time::sleep(ops::pulse::SAMPLE_EVERY) => {}
        }
    }
}

/// Dead letters that are too old or too many go once they were accounted for.
async fn let_letters_go(ops: Arc<Ops>, shutdown: Shutdown) -> Result<(), ComponentError> {
    loop {
        match ops::dead_letters::let_go(&ops).await {
            Ok(0) => {}
            Ok(letters) => tracing::warn!(letters, "dead letters went: too old, or too many"),
            Err(error) => {
                tracing::warn!(error = %stdx::causes::on_one_line(&error), "dead letters that are due not let go, tried again");
            }
        }
        tokio::select! {
            () = shutdown.triggered() => return Ok(()),
            () = tokio::time::sleep(ops::dead_letters::LOOK_EVERY) => {}
        }
    }
}

fn answerer(base: &Base, vitals: Vitals, ops: Arc<Ops>) -> Answerer {
    let (boot, reporting) = (base.boot.clone(), base.reporting.clone());
    Arc::new(move |question| {
        let (vitals, boot, reporting, url) = (vitals.clone(), boot.clone(), reporting.clone(), ops.public_url());
        Box::pin(async move {
            match question {
                Question::Status => {
                    let health = vitals.doctor.look().await;
                    json!({
                        "version": env!("CARGO_PKG_VERSION"), "url": url, "ready": health.is_ready(),
                        "checks": health.checks, "boot": boot.steps(), "resident_bytes": host::resident_bytes(),
                        "self_reporting": reporting.to_json(),
                    })
                }
            }
        })
    })
}

/// What a person needs first, on standard output.
async fn greet(data_dir: &Path, url: &str, ops: &Ops, first: Option<ops::first_run::FirstLogin>) -> anyhow::Result<()> {
    use crate::commands::output;
    output::line(&format!("Vigie {} is listening on {url}", env!("CARGO_PKG_VERSION")))?;
    let Some(login) = first else { return Ok(()) };
    let project = ops::projects::ProjectRef { org: "default".to_owned(), project: "default".to_owned() };
    let keys = ops::keys::list(ops, &Actor::System, &project).await.context("read the first key")?;
    let password = login.password.expose();
    let path = data_dir.join("first-login.txt");
    write_private(&path, &format!("{}\n{password}\n", login.email)).context("write the first login to a file")?;
    output::line(&format!("  log in as   {}  with password  {password}", login.email))?;
    output::line(&format!("              (also in {}; delete it when you have changed it)", path.display()))?;
    if let Some(key) = keys.first() {
        output::line(&format!("  send to DSN {}", key.dsn_public))?;
    }
    Ok(())
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
