//! Everything in one process: `vigie`, `vigie run`, `vigie run all`.

use super::{open_broker, open_stores};
use crate::boot::Boot;
use crate::config::Config;
use crate::control::{self, Answerer, Question};
use crate::health::{Doctor, FinishedJobs};
use crate::remote_broker::{DepthRow, state_word};
use crate::site::{self, Vitals};
use crate::{host, metrics, public_address};
use anyhow::Context;
use ingest::accounting::Accounting;
use ingest::keyring::Keyring;
use ingest::{Ingest, budget::Budget, flush, server};
use ops::{Actor, Ops};
use pipeline::digest::Digest;
use pipeline::tasks::{DIGEST_TASK, DigestEvent, EVENTS_QUEUE};
use pipeline::{idle, pace};
use queue::{Broker, JobId, Task, Worker, WorkerConfig};
use serde_json::json;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use stdx::component::Ended;
use stdx::{Clock, Component, Components, Shutdown, SystemClock};
use store::Stores;
use tokio::net::{TcpListener, TcpSocket};
use web::WebState;

/// Connections the system holds until they are taken; beyond it a client retries only after a second.
const LISTEN_BACKLOG: u32 = 4_096;
/// Pause between two looks at the health, for the dot on the pages.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause between two foldings of metric samples.
const FOLD_EVERY: Duration = Duration::from_secs(5);

/// The parts that the components share.
struct Parts {
    config: Config,
    clock: Arc<dyn Clock>,
    stores: Arc<Stores>,
    broker: Arc<dyn Broker>,
    ops: Arc<Ops>,
    accounting: Arc<Accounting>,
    keyring: Arc<Keyring>,
    vitals: Vitals,
    worker: Worker,
    boot: Boot,
    url: String,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// If a boot step fails, or a component ends before it is told to.
pub fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let mut boot = Boot::default();
    let runtime = boot.step("runtime", || {
        let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        built.context("start the runtime")
    })?;
    let ended = runtime.block_on(serve(config, boot))?;
    // Blocking threads that hang must not keep the process: what they do is safe to lose.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match ended {
        Ended::Stopped => Ok(ExitCode::SUCCESS),
        Ended::DeadlinePassed => {
            tracing::warn!("work was still running at the deadline; it runs again after the next start");
            Ok(ExitCode::SUCCESS)
        }
        Ended::Failed { name, reason } => anyhow::bail!("component {name} failed: {reason}"),
    }
}

async fn serve(config: &Config, mut boot: Boot) -> anyhow::Result<Ended> {
    let shutdown = Shutdown::default();
    watch_signals(shutdown.clone()).context("watch for signals")?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let stores = Arc::new(boot.step("stores", || open_stores(config, &*clock))?);
    let broker = Arc::new(boot.step("queue", || open_broker(config))?);
    let registry = boot.step("metrics", || Ok(telemetry::metrics::install(metrics::TABLES)?))?;
    let listener = listen(config.listen).with_context(|| format!("listen on {} (web.listen)", config.listen))?;
    let bound = listener.local_addr().context("read the listener's address")?;
    let url = public_address::of_listener(config, bound);
    let ops = Ops::new(stores.clone(), broker.clone(), clock.clone(), &url).with_ledger(broker.clone());
    let first = ops::first_run::set_up(&ops, &Actor::System).await.context("create the first organization")?;
    record_address(&stores, &url, &*clock).await.context("record the public address")?;
    let keyring = boot.step("keys", || Keyring::load(stores.clone()).context("load the keys"))?;
    let worker = start_worker(config, &stores, &broker, &clock);
    let progress = worker.progress();
    let finished: FinishedJobs = Arc::new(move || progress.finished.load(Ordering::Relaxed));
    let broker: Arc<dyn Broker> = broker;
    let doctor = Doctor::new(stores.clone(), broker.clone());
    let parts = Parts {
        config: config.clone(),
        accounting: Arc::new(Accounting::new(clock.clone())),
        keyring: Arc::new(keyring),
        vitals: Vitals { doctor, finished, broker: broker.clone(), registry },
        ops: Arc::new(ops),
        clock,
        stores,
        broker,
        worker,
        boot,
        url,
    };
    greet(&parts, first).await?;
    let grace = parts.config.shutdown_grace;
    let components = components(parts, listener, &shutdown)?;
    Ok(components.run(shutdown, grace).await)
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for the connections of the process before it.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(LISTEN_BACKLOG)
}

fn start_worker(
    config: &Config,
    stores: &Arc<Stores>,
    broker: &Arc<queue::brokers::embedded::Embedded>,
    clock: &Arc<dyn Clock>,
) -> Worker {
    let digest = DigestEvent(Digest::new(stores.clone(), clock.clone()));
    let tasks: Vec<Arc<dyn Task>> = vec![Arc::new(digest)];
    let worker = WorkerConfig { threads: config.worker_concurrency, on_thread_start: pace::lower_thread_priority };
    Worker::start(broker.clone(), tasks, &worker)
}

/// Commands beside this process print DSNs with its address.
async fn record_address(stores: &Stores, url: &str, clock: &dyn Clock) -> Result<(), store::StoreError> {
    let (url, now) = (url.to_owned(), clock.now());
    stores.db.write(move |tx| store::settings::set(tx, public_address::SETTING, &url, now)).await
}

fn components(parts: Parts, listener: TcpListener, shutdown: &Shutdown) -> anyhow::Result<Components> {
    let stop = || shutdown.clone();
    let incoming_dir = parts.config.data_dir.join("incoming");
    empty_folder(&incoming_dir).context("prepare the folder for large bodies")?;
    let ingest = Arc::new(Ingest {
        stores: parts.stores.clone(),
        broker: parts.broker.clone(),
        keyring: parts.keyring.clone(),
        accounting: parts.accounting.clone(),
        clock: parts.clock.clone(),
        budget: Budget::default(),
        incoming_dir,
        envelope_bytes_max: parts.config.envelope_bytes_max.bytes(),
        task: DIGEST_TASK.into(),
        queue: EVENTS_QUEUE.into(),
    });
    let doctor = parts.vitals.doctor.clone();
    let state = WebState { ops: parts.ops.clone(), health: Arc::new(move || site::pipeline_health(&doctor)) };
    let router = site::router(state, parts.vitals.clone());
    let handler = site::handler(ingest, router);
    let finished = parts.vitals.finished.clone();
    let mut components = Components::default();
    components.push(Component::new("http", server::serve(listener, handler, stop())));
    components.push(Component::new("keys", parts.keyring.clone().keep_fresh(stop())));
    let counts = flush::flush_counts(parts.accounting.clone(), parts.stores.clone(), stop());
    components.push(Component::new("refusal-counts", counts));
    let idle = idle::fold_when_quiet(parts.stores.clone(), move || finished(), stop());
    components.push(Component::new("idle", idle));
    components.push(Component::new("health", keep_looking(parts.vitals.clone(), stop())));
    components.push(Component::new("metrics", keep_folding(parts.vitals.clone(), stop())));
    let answerer = answerer(&parts);
    components.push(Component::new("control", control::serve(parts.config.data_dir.clone(), answerer, stop())));
    components.push(Component::new("worker", stop_worker(parts.worker, stop())));
    Ok(components)
}

/// What a killed process left half-received is nobody's.
fn empty_folder(folder: &std::path::Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    std::fs::create_dir_all(folder)
}

async fn keep_looking(vitals: Vitals, shutdown: Shutdown) -> Result<(), stdx::component::ComponentError> {
    loop {
        vitals.doctor.look(&vitals.finished).await;
        tokio::select! {
            () = shutdown.triggered() => return Ok(()),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn keep_folding(vitals: Vitals, shutdown: Shutdown) -> Result<(), stdx::component::ComponentError> {
    loop {
        tokio::select! {
            () = shutdown.triggered() => return Ok(()),
            () = tokio::time::sleep(FOLD_EVERY) => vitals.registry.fold(),
        }
    }
}

/// A warm stop: what runs is finished, what was not started stays in the queue.
async fn stop_worker(worker: Worker, shutdown: Shutdown) -> Result<(), stdx::component::ComponentError> {
    shutdown.triggered().await;
    tokio::task::spawn_blocking(move || worker.join()).await?;
    Ok(())
}

fn answerer(parts: &Parts) -> Answerer {
    let (vitals, broker) = (parts.vitals.clone(), parts.broker.clone());
    let (boot, url) = (parts.boot.clone(), parts.url.clone());
    Arc::new(move |question| {
        let (vitals, broker, boot, url) = (vitals.clone(), broker.clone(), boot.clone(), url.clone());
        Box::pin(async move {
            match question {
                Question::Queues => {
                    let rows: Vec<DepthRow> =
                        broker.depths().unwrap_or_default().into_iter().map(DepthRow::from).collect();
                    json!(rows)
                }
                Question::Job(id) => {
                    json!({ "state": broker.locate(&JobId::new(&id)).unwrap_or_default().map(state_word) })
                }
                Question::Status => {
                    let health = vitals.doctor.look(&vitals.finished).await;
                    json!({
                        "version": env!("CARGO_PKG_VERSION"), "url": url, "ready": health.is_ready(),
                        "checks": health.checks, "boot": boot.steps, "resident_bytes": host::resident_bytes(),
                    })
                }
            }
        })
    })
}

/// What a person needs first, on standard output.
async fn greet(parts: &Parts, first: Option<ops::first_run::FirstLogin>) -> anyhow::Result<()> {
    use crate::commands::output;
    output::line(&format!("Vigie {} is listening on {}", env!("CARGO_PKG_VERSION"), parts.url))?;
    let Some(login) = first else { return Ok(()) };
    let project = ops::projects::ProjectRef { org: "default".to_owned(), project: "default".to_owned() };
    let keys = ops::keys::list(&parts.ops, &Actor::System, &project).await.context("read the first key")?;
    let password = login.password.expose();
    let path = parts.config.data_dir.join("first-login.txt");
    write_private(&path, &format!("{}\n{password}\n", login.email)).context("write the first login to a file")?;
    output::line(&format!("  log in as   {}  with password  {password}", login.email))?;
    output::line(&format!("              (also in {}; delete it when you have changed it)", path.display()))?;
    if let Some(key) = keys.first() {
        output::line(&format!("  send to DSN {}", key.dsn_public))?;
    }
    Ok(())
}

fn write_private(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// The first signal stops warmly, the second at once.
fn watch_signals(shutdown: Shutdown) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        for round in 0.. {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
            if round > 0 {
                tracing::warn!("second signal, ending at once");
                std::process::exit(0);
            }
            tracing::info!("stopping");
            shutdown.trigger();
        }
    });
    Ok(())
}
