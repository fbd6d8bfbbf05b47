//! Celery's tools at a worker: a thread hears what they ask of it and answers, another tells monitors what happens. Neither
//! may slow a job or end one unasked: what cannot be told is dropped and counted, what cannot be read is passed over.

mod admission;
mod commands;
mod events;
mod rates;
mod revoked;
mod shown;

use super::{Shared, lock};
use crate::broadcast::{Broadcast, Notice};
use crate::broker::POLL_MAX;
use crate::celery::control::{self, Request};
use crate::celery::events::LogicalClock;
use crate::{Claimed, tend};
use events::Events;
use rates::Rates;
use revoked::Revoked;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Pause after the broker was lost.
const LOST_PAUSE: Duration = Duration::from_millis(500);
/// So long a starting worker waits for what others know, before it claims.
const MINGLE_MAX: Duration = Duration::from_secs(1);
/// Runs begin without it after this, whatever became of the thread that asks.
const MINGLE_WAIT_MAX: Duration = Duration::from_secs(3);
/// So long a stopping worker waits for the two threads, so that monitors hear of its end.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// How a worker is open to Celery's tools.
#[derive(Clone, Default)]
pub struct RemoteConfig {
    /// Whether it answers and tells at all.
    pub is_on: bool,
    /// Whether events of tasks are told from the start, or only once somebody asks for them.
    pub sends_events: bool,
    /// What `inspect conf` shows. It must hold no secrets.
    pub conf: Map<String, Value>,
    /// Stops the process in good order. Without it `control shutdown` is refused.
    pub stop: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// What the threads that run tasks share with those that speak to Celery's tools.
#[derive(Default)]
pub(super) struct Remote {
    clock: LogicalClock,
    events: Events,
    revoked: Revoked,
    rates: Rates,
    /// Jobs to be ended while they run, and when at the latest.
    terminated: Mutex<HashMap<String, Instant>>,
    has_terminated: AtomicBool,
    /// Runs that began, by task.
    totals: Mutex<BTreeMap<&'static str, u64>>,
    is_synced: AtomicBool,
    is_over: AtomicBool,
}

impl Remote {
    /// Returns the limits that somebody set, as its row says them.
    pub fn rate_limits(&self) -> Vec<crate::RateLimitRow> {
        self.rates.rows(std::time::Instant::now())
    }

    pub fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.events.wake();
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Waits until what other workers know was asked for; at once where there is nobody to ask.
    pub fn wait_until_synced(&self) {
        let began = Instant::now();
        while !self.is_synced.load(Ordering::SeqCst) && !self.is_over() && began.elapsed() < MINGLE_WAIT_MAX {
            std::thread::sleep(super::keeper::LOOK_EVERY / 10);
        }
    }
}

/// Waits for the threads, but not for long: a broker that is away must not keep the process.
pub(super) fn join(threads: Vec<JoinHandle<()>>) {
    let began = Instant::now();
    for thread in threads {
        while !thread.is_finished() && began.elapsed() < LAST_WORDS_MAX {
            std::thread::sleep(super::keeper::LOOK_EVERY / 10);
        }
        if thread.is_finished() && thread.join().is_err() {
            tracing::error!("a thread that speaks to Celery's tools was lost");
        }
    }
}

impl Shared {
    /// Starts the threads, if Celery's tools can reach this worker at all and may.
    pub(super) fn start_remote(self: &Arc<Self>) -> Vec<JoinHandle<()>> {
        let broadcast = self.queue.broadcast().filter(|_| self.config.remote.is_on);
        let Some(broadcast) = broadcast else {
            self.remote.is_synced.store(true, Ordering::SeqCst);
            return Vec::new();
        };
        self.remote.events.open(self.config.remote.sends_events);
        let (listening, telling) = (self.clone(), self.clone());
        let other = broadcast.clone();
        let is_over = || {
            let shared = self.clone();
            move || shared.remote.is_over()
        };
        vec![
            tend::spawn("worker-remote", is_over(), move || listening.listen(&*broadcast)),
            tend::spawn("worker-events", is_over(), move || {
                telling.mingle(&*other);
                telling.remote.is_synced.store(true, Ordering::SeqCst);
                telling.tell_events(&*other);
            }),
        ]
    }

    /// Hears and answers until the worker is over, whatever becomes of the broker.
    fn listen(&self, broadcast: &dyn Broadcast) {
        let mut is_failing = false;
        while !self.remote.is_over() {
            let heard = broadcast.listen(&self.config.name, &mut |notice| {
                if std::mem::take(&mut is_failing) {
                    tracing::info!("celery's tools are heard again");
                }
                if let Some(notice) = notice {
                    self.answer(broadcast, &notice);
                }
                !self.remote.is_over()
            });
            if let Err(error) = heard {
                if !is_failing {
                    tracing::warn!(error = %error, "celery's tools are not heard, tried again");
                }
                is_failing = true;
                std::thread::sleep(LOST_PAUSE);
            }
        }
    }

    fn answer(&self, broadcast: &dyn Broadcast, notice: &Notice) {
        let request = match Request::read(notice) {
            Ok(request) => request,
            Err(why) => return tracing::debug!(why, "a request was passed over"),
        };
        self.remote.clock.meet(request.clock);
        if !request.is_for(&self.config.name, self.config.clock.now()) {
            return;
        }
        let done = catch_unwind(AssertUnwindSafe(|| self.obey(broadcast, &request.method, &request.arguments)));
        let value = match done {
            Ok(Ok(value)) => value,
            Ok(Err(why)) => json!({ "error": why }),
            Err(panic) => {
                let panic = super::run::panic_text(&*panic);
                tracing::error!(panic, "a remote command panicked");
                json!({"error": "RuntimeError('it panicked')"})
            }
        };
        if let Some(key) = &request.reply_key {
            let reply = request.reply(&self.config.name, &value, self.remote.clock.forward());
            if let Err(error) = broadcast.reply(key, &reply) {
                tracing::warn!(error = %error, "a reply was not sent");
            }
        }
    }

    /// Asks which jobs were revoked: the broker, and the other workers as Celery's do at their start.
    fn mingle(&self, broadcast: &dyn Broadcast) {
        match broadcast.kept_revoked() {
            Ok(ids) => drop(self.remote.revoked.merge(&ids.into())),
            Err(error) => tracing::warn!(error = %error, "the broker was not asked what was revoked"),
        }
        let key = stdx::random::uuid();
        let arguments = json!({"from_node": self.config.name, "revoked": self.remote.revoked.ids()});
        let request = control::request("hello", &arguments, &key, self.remote.clock.forward());
        match broadcast.ask(&key, &request, MINGLE_MAX) {
            Ok(replies) => {
                for reply in &replies {
                    for (node, value) in control::read_reply(reply) {
                        self.meet(&node, &value);
                    }
                }
            }
            Err(error) => tracing::warn!(error = %error, "other workers were not asked what was revoked"),
        }
    }

    fn meet(&self, node: &str, value: &Value) {
        if node == self.config.name || !value.is_object() {
            return;
        }
        self.remote.clock.meet(value["clock"].as_u64().unwrap_or(0));
        let merged = self.remote.revoked.merge(&value["revoked"]);
        tracing::debug!(node, jobs = merged, "another worker was met");
    }

    /// Notes jobs that were claimed.
    pub(super) fn note_received(&self, jobs: &[Claimed]) {
        for job in jobs {
            self.event("task-received", || crate::celery::events::of_received(job));
        }
    }

    /// Notes that a run begins.
    pub(super) fn note_begun(&self, task: &'static str, jobs: &[Claimed]) {
        *lock(&self.remote.totals).entry(task).or_default() += jobs.len() as u64;
        for job in jobs {
            self.event("task-started", || json!({"uuid": job.id.as_str()}));
        }
    }
}

/// A wait of a thread that should end soon after the worker.
const _: () = assert!(POLL_MAX.as_millis() < LAST_WORDS_MAX.as_millis());
