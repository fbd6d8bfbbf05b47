//! Starts self-reporting: where the configuration sends reports, and their short way into this installation's own queue.

use crate::config::Config;
use db::Tx;
use ingest::keyring::KeyEntry;
use pipeline::tasks::{DIGEST_TASK, EVENTS_QUEUE};
use protocol::EventId;
use queue::{Queue, QueueError};
use serde_json::{Value, json};
use std::sync::Arc;
use stdx::{Clock, Redacted, Timestamp};
use store::conservation::AcceptedRow;
use store::projects::NewProject;
use store::{StoreError, Stores};
use telemetry::reporting::{
    Answer, Deliver, Destinations, Dsn, HttpDelivery, Reporting, ReportingConfig, Tally, set_internal_project,
};

/// The project that reports become events of, in the first organization.
const INTERNAL_PROJECT: &str = "internal";
const KEY_LABEL: &str = "Self-reporting";

/// The process's reporting, as `status` and the console tell of it.
#[derive(Clone, Default)]
pub struct SelfReporting {
    reporting: Option<Arc<Reporting>>,
    /// Where reports go, or why nowhere.
    said: String,
}

/// What reports need of the process.
pub struct Parts {
    pub stores: Arc<Stores>,
    pub queue: Arc<dyn Queue>,
    pub clock: Arc<dyn Clock>,
    pub node: String,
}

/// Starts it. Nothing here stops a boot: what cannot be had is off and says so.
pub fn start(config: &Config, parts: Parts) -> SelfReporting {
    let wanted = &config.self_reporting;
    if !wanted.is_enabled {
        return SelfReporting { reporting: None, said: "off: self-reporting.enabled is off".to_owned() };
    }
    let host = |dsn: &Option<Redacted<Dsn>>, without: &str| match dsn {
        Some(dsn) => format!("{} project {}", dsn.expose().host(), dsn.expose().project_id()),
        None => without.to_owned(),
    };
    let said = format!(
        "upstream: {}; relay: {}",
        host(&wanted.upstream, "none"),
        host(&wanted.relay, "the project 'internal' of this installation")
    );
    let upstream = wanted.upstream.as_ref().map(over_http);
    let relay = wanted.relay.as_ref().map(over_http);
    let is_internal = relay.is_none();
    let internal_project = is_internal.then(|| find(&parts.stores)).flatten();
    let options = reporting_config(config, &parts.node, internal_project);
    let relay = relay.unwrap_or_else(|| Box::new(Inlet { parts, owner: None }));
    match telemetry::reporting::start(options, Destinations { upstream, relay: Some(relay) }) {
        Some(reporting) => SelfReporting { reporting: Some(Arc::new(reporting)), said },
        None => SelfReporting { reporting: None, said: "off: it was started before in this process".to_owned() },
    }
}

/// Reports why the process ends. What fails before the queue is there can only go upstream; the log has it anyway.
pub fn tell_why_it_ends(config: &Config, node: &str, why: &str) {
    let wanted = &config.self_reporting;
    if !wanted.is_enabled {
        return;
    }
    let upstream = wanted.upstream.as_ref().map(over_http);
    // Refused where it was started before, which is then what is spoken through.
    let _started =
        telemetry::reporting::start(reporting_config(config, node, None), Destinations { upstream, relay: None });
    telemetry::reporting::last_words(why);
}

fn over_http(dsn: &Redacted<Dsn>) -> Box<dyn Deliver> {
    Box::new(HttpDelivery::new(dsn.expose()))
}

fn reporting_config(config: &Config, node: &str, internal_project: Option<i64>) -> ReportingConfig {
    let wanted = &config.self_reporting;
    ReportingConfig {
        release: env!("CARGO_PKG_VERSION").to_owned(),
        environment: wanted.environment.clone(),
        server_name: node.to_owned(),
        sample_rate: wanted.sample_rate,
        upstream_metrics_rate: wanted.upstream_metrics_rate,
        internal_project,
    }
}

/// A failure is told and no more: it may be what there is to report, and the first migration may be still to come.
fn find(stores: &Stores) -> Option<i64> {
    let found = stores.db.read_blocking(|tx| -> Result<Option<i64>, StoreError> {
        let Some(organization) = organization(tx)? else { return Ok(None) };
        Ok(store::projects::by_slug(tx, organization, INTERNAL_PROJECT)?.map(|project| project.id))
    });
    found.unwrap_or_else(|error| {
        tracing::warn!(error = %error, "the internal project was not looked up");
        None
    })
}

impl SelfReporting {
    /// Returns where reports go, or why nowhere.
    pub fn said(&self) -> &str {
        &self.said
    }

    /// Returns what became of the reports, by destination.
    pub fn tallies(&self) -> Vec<(&'static str, Tally)> {
        self.reporting.as_ref().map(|reporting| reporting.tallies()).unwrap_or_default()
    }

    pub fn to_json(&self) -> Value {
        let tallies = self.tallies().into_iter();
        let destinations: Vec<Value> =
            tallies.map(|(name, tally)| json!({ "destination": name, "reports": tally })).collect();
        json!({ "enabled": self.reporting.is_some(), "said": self.said, "destinations": destinations })
    }
}

/// The way into this installation's own queue: no HTTP, so that a report needs nothing of the web role.
struct Inlet {
    parts: Parts,
    owner: Option<KeyEntry>,
}

impl Deliver for Inlet {
    fn deliver(&mut self, envelope: &[u8]) -> Answer {
        match self.accept(envelope) {
            Ok(()) => Answer::Status { status: 200, rest: None },
            Err(Refused::Store(error)) => {
                tracing::warn!(error = %error, "a report on Vigie itself has no project to go to");
                Answer::Unreachable
            }
            Err(Refused::Queue(error)) => {
                tracing::warn!(error = %error, "a report on Vigie itself was not queued");
                Answer::Status { status: 503, rest: None }
            }
            Err(Refused::Inactive) => Answer::Status { status: 403, rest: None },
        }
    }
}

/// Why a report was not taken.
enum Refused {
    Store(StoreError),
    Queue(QueueError),
    /// Somebody has switched the project's keys off.
    Inactive,
}

impl Inlet {
    fn accept(&mut self, envelope: &[u8]) -> Result<(), Refused> {
        let owner = self.owner().map_err(Refused::Store)?;
        if !owner.is_active {
            self.owner = None;
            return Err(Refused::Inactive);
        }
        let Some(event_id) = event_id_of(envelope) else { return Ok(()) };
        let now = self.parts.clock.now();
        let job = ingest::internal::job(owner, event_id, envelope, now, (DIGEST_TASK, EVENTS_QUEUE));
        queue::wait_for(self.parts.queue.publish(vec![job])).map_err(Refused::Queue)?;
        // The second witness: without it, the event would be counted from its job alone.
        let row = AcceptedRow { project_id: owner.project_id, hour: now.hour(), quantity: 1 };
        let counted = self.parts.stores.db.write_blocking(|tx| store::conservation::add_accepted(tx, &[row]));
        counted.map_err(Refused::Store)
    }

    /// Finds the internal project and its key, and makes them with the first report.
    fn owner(&mut self) -> Result<KeyEntry, StoreError> {
        if let Some(owner) = self.owner {
            return Ok(owner);
        }
        let now = self.parts.clock.now();
        let owner = self.parts.stores.db.write_blocking(|tx| find_or_make_owner(tx, now))?;
        set_internal_project(Some(owner.project_id));
        self.owner = Some(owner);
        Ok(owner)
    }
}

/// The internal project and its first key that is active.
fn find_or_make_owner(tx: &mut Tx<'_>, now: Timestamp) -> Result<KeyEntry, StoreError> {
    let missing = || StoreError::Missing { what: "an organization".to_owned() };
    let org_id = organization(tx)?.ok_or_else(missing)?;
    let new = NewProject { org_id, slug: INTERNAL_PROJECT, name: "Vigie itself", platform: Some("rust") };
    let project = match store::projects::by_slug(tx, org_id, INTERNAL_PROJECT)? {
        Some(project) => project,
        None => store::projects::create(tx, &new, now)?,
    };
    let keys = store::keys::list(tx, project.id)?;
    let key = match keys.iter().find(|key| key.is_active).or(keys.first()) {
        Some(key) => key.clone(),
        None => store::keys::create(tx, org_id, project.id, KEY_LABEL, now)?,
    };
    let is_active = key.is_active && project.is_active();
    Ok(KeyEntry { key_id: key.id, org_id, project_id: project.id, is_active })
}

/// The first organization's id; none before the first run.
fn organization(tx: &mut Tx<'_>) -> Result<Option<i64>, StoreError> {
    Ok(store::organizations::list(tx)?.first().map(|organization| organization.id))
}

/// The first line of an envelope is JSON with its event's id.
fn event_id_of(envelope: &[u8]) -> Option<EventId> {
    let line = envelope.split(|byte| *byte == b'\n').next()?;
    let header: Value = serde_json::from_slice(line).ok()?;
    header["event_id"].as_str()?.parse().ok()
}
