//! Plans one job: everything that can be worked out in memory, as plain data. Parsing, normalising, filtering, scrubbing,
//! titling, tagging and grouping are `processing`'s; this puts the results into the store's words.
//!
//! The order: filters look at the normalised event before it is scrubbed; all that is stored, counted and grouped by
//! comes after.

use super::envelope::{self, Attachments, Companions, OpenError};
use super::grouping;
use super::policy::{BatchPolicies, Policy, PolicyError, Unscrubbable};
use processing::filter::Reason;
use processing::{Context, Summary};
use protocol::AcceptedJob;
use protocol::accepted::AcceptedBody;
use protocol::event::Event;
use protocol::json::{self, Value};
use queue::{Claimed, Outcome};
use std::time::Duration;
use stdx::Day;
use store::digest::{DigestEvent, DigestLoose};
use store::{StoreError, Stores};

/// Wait before a job is tried again whose blobs cannot be read or written now.
const UNWRITABLE_PAUSE: Duration = Duration::from_secs(2);
/// Wait before a job is tried again whose project's scrubbing cannot be used: until somebody mends that, or starts the
/// release that stored it.
const UNSCRUBBABLE_PAUSE: Duration = Duration::from_secs(30);
/// Reason in the receipt of an event whose payload is no JSON object.
const INVALID_JSON: &str = "invalid_json";
/// Reason of an event from before 1970.
const TIMESTAMP: &str = "timestamp";

/// A planned job, and the blob its body came in, which nobody needs once the plan is carried out.
#[derive(Debug)]
pub struct Planned {
    pub plan: Plan,
    pub body_blob: Option<String>,
}

/// One planned job.
#[derive(Debug)]
pub enum Plan {
    Event(Box<PlannedEvent>),
    Loose(Box<DigestLoose>),
}

/// An event with its compressed body.
#[derive(Debug)]
pub struct PlannedEvent {
    pub digest: DigestEvent,
    pub dictionary_id: i64,
    pub body: Vec<u8>,
}

/// Why a job cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("read job {id}")]
    Job {
        id: String,
        #[source]
        source: protocol::accepted::AcceptedError,
    },
    #[error("open job {id}")]
    Open {
        id: String,
        #[source]
        source: Box<OpenError>,
    },
    #[error("read the settings of the project of job {id}")]
    Policy {
        id: String,
        #[source]
        source: Box<StoreError>,
    },
    #[error("scrub job {id}")]
    Unscrubbable {
        id: String,
        #[source]
        source: Unscrubbable,
    },
    #[error("compress the event of job {id}")]
    Compress {
        id: String,
        #[source]
        source: Box<StoreError>,
    },
    /// An earlier run had its effect, and died before it said so.
    #[error("job {id} was digested before, its body is gone")]
    Spent { id: String },
}

impl PlanError {
    /// A store that is unwritable now costs no attempt; bytes that nobody can read never will be.
    pub fn into_outcome(self) -> Outcome {
        let text = stdx::causes::on_one_line(&self);
        let waits = match &self {
            PlanError::Spent { id } => {
                tracing::info!(job.id = id, "job was digested before");
                return Outcome::Done;
            }
            PlanError::Unscrubbable { .. } => {
                tracing::debug!(error = text, "job waits");
                return Outcome::Snooze { after: UNSCRUBBABLE_PAUSE };
            }
            PlanError::Open { source, .. } => source.is_unwritable(),
            PlanError::Compress { source, .. } => source.is_unwritable(),
            PlanError::Policy { source, .. } => source.is_unwritable(),
            PlanError::Job { .. } => false,
        };
        if waits {
            tracing::warn!(error = text, "job cannot be planned now, it waits");
            return Outcome::Snooze { after: UNWRITABLE_PAUSE };
        }
        tracing::error!(error = text, "job cannot be planned");
        match self {
            PlanError::Policy { .. } => Outcome::Retry { error: text },
            PlanError::Job { .. }
            | PlanError::Open { .. }
            | PlanError::Compress { .. }
            | PlanError::Unscrubbable { .. }
            | PlanError::Spent { .. } => Outcome::Dead { error: text },
        }
    }
}

impl Plan {
    pub fn day(&self) -> Day {
        match self {
            Plan::Event(event) => event.digest.received_at.day(),
            Plan::Loose(loose) => loose.received_at.day(),
        }
    }
}

/// Plans a job. Given the same job and the same settings of its project it plans the same.
///
/// # Errors
/// If the job's bytes are not what ingest wrote, or a store cannot be used.
pub fn plan(stores: &Stores, policies: &mut BatchPolicies<'_>, job: &Claimed) -> Result<Planned, PlanError> {
    let id = || job.id.to_string();
    let accepted = AcceptedJob::decode(&job.payload).map_err(|source| PlanError::Job { id: id(), source })?;
    let _handling = telemetry::reporting::handling_of_client(accepted.auth_client.as_deref());
    let policy = policies.of(accepted.project_id);
    let policy = policy.map_err(|error| match error {
        PolicyError::Store(source) => PlanError::Policy { id: id(), source: Box::new(source) },
        PolicyError::Unscrubbable(source) => PlanError::Unscrubbable { id: id(), source },
    })?;
    let body_blob = match &accepted.body {
        AcceptedBody::Blob { key, .. } => Some(key.to_string()),
        AcceptedBody::Inline(_) => None,
    };
    match plan_accepted(stores, &policy, &accepted, job) {
        Ok(plan) => Ok(Planned { plan, body_blob }),
        // Asked only now: another run of the job may be what took the body away meanwhile.
        Err(PlanError::Open { source, .. }) if source.is_missing() && is_spent(stores, job, body_blob.as_deref())? => {
            Err(PlanError::Spent { id: id() })
        }
        Err(error) => Err(error),
    }
}

/// Tells whether the body that is not there is one that an earlier run of the job digested.
fn is_spent(stores: &Stores, job: &Claimed, body_blob: Option<&str>) -> Result<bool, PlanError> {
    let Some(key) = body_blob else { return Ok(false) };
    let found = stores.db.read_blocking(|tx| store::spent_bodies::is_spent(tx, key));
    found.map_err(|source| PlanError::Open { id: job.id.to_string(), source: Box::new(source.into()) })
}

fn plan_accepted(
    stores: &Stores,
    policy: &Policy,
    accepted: &AcceptedJob<'_>,
    job: &Claimed,
) -> Result<Plan, PlanError> {
    let failed = |source| PlanError::Open { id: job.id.to_string(), source: Box::new(source) };
    let opened = envelope::open(accepted).map_err(failed)?;
    let companions = |fate| opened.companions(stores, fate).map_err(failed);
    let kept = Attachments::Scrubbed(&policy.scrubber);
    let Some(payload) = opened.event(stores).map_err(failed)? else {
        return Ok(loose(accepted, companions(kept)?, None));
    };
    let repaired;
    let (text, tree): (&[u8], _) = match json::parse(&payload) {
        Err(error) if error.is_repairable() => {
            repaired = json::repair(&payload);
            (&repaired, json::parse(&repaired))
        }
        parsed => (&payload, parsed),
    };
    let Some(mut tree) = tree.ok().filter(|tree| tree.as_object().is_some()) else {
        return Ok(loose(accepted, companions(kept)?, Some(INVALID_JSON.to_owned())));
    };
    if policy.filters.may_take(&tree)
        && let Some(reason) = filtered(policy, accepted, &tree)
    {
        return Ok(loose(accepted, companions(Attachments::Dropped)?, Some(reason.as_str().to_owned())));
    }
    // Where nothing had to be taken out, the payload is stored byte for byte.
    let scrubbed = (!policy.scrubber.scrub(&mut tree).is_empty()).then(|| json::to_text(&tree).into_bytes());
    let removes_ip = policy.scrubber.removes_ip();
    let Ok(event) = Event::from_value(tree) else {
        return Ok(loose(accepted, companions(kept)?, Some(INVALID_JSON.to_owned())));
    };
    let mut context = context(accepted);
    context.client_ip = context.client_ip.filter(|_| !removes_ip);
    if processing::normalise::is_before_epoch(&event, &context) {
        return Ok(loose(accepted, companions(kept)?, Some(TIMESTAMP.to_owned())));
    }
    let event = processing::normalise(event, &context);
    let summary = processing::summarise_with(&event, &policy.grouper.config);
    let facts = (accepted.project_id, accepted.received_at);
    let former_keys = grouping::former_keys(stores, &policy.grouper, facts, &event, &summary.grouping)
        .map_err(|source| PlanError::Policy { id: job.id.to_string(), source: Box::new(source) })?;
    let record = grouping::record(&policy.grouper, &summary.grouping);
    let body = body(accepted, removes_ip, record, scrubbed.as_deref().unwrap_or(text));
    let (dictionary_id, body) = stores
        .dictionaries
        .compress(accepted.project_id, &body)
        .map_err(|source| PlanError::Compress { id: job.id.to_string(), source: Box::new(source) })?;
    let digest = DigestEvent { former_keys, ..digest_event(accepted, summary, companions(kept)?) };
    Ok(Plan::Event(Box::new(PlannedEvent { digest, dictionary_id, body })))
}

/// Returns why the project does not want the event, if so. Filters see what was sent, secrets and all.
fn filtered(policy: &Policy, accepted: &AcceptedJob<'_>, tree: &Value<'_>) -> Option<Reason> {
    let event = Event::from_value(tree.clone()).ok()?;
    let context = context(accepted);
    policy.filters.reason(&processing::normalise(event, &context), &context)
}

fn context<'c>(accepted: &'c AcceptedJob<'_>) -> Context<'c> {
    Context {
        event_id: accepted.event_id.bytes(),
        received_at: accepted.received_at,
        sent_at: accepted.sent_at,
        client_ip: accepted.client_ip.as_deref().and_then(|ip| ip.parse().ok()),
        auth_client: accepted.auth_client.as_deref(),
        user_agent: accepted.user_agent.as_deref(),
    }
}

/// What is stored: a header line with what normalisation needs beside the payload and how the event was grouped, and the
/// payload as it was sent, less what was scrubbed.
fn body(accepted: &AcceptedJob<'_>, removes_ip: bool, grouping: serde_json::Value, payload: &[u8]) -> Vec<u8> {
    let header = serde_json::json!({
        "v": 1,
        "sent_at": accepted.sent_at,
        "client_ip": accepted.client_ip.as_ref().filter(|_| !removes_ip),
        "auth_client": accepted.auth_client,
        "user_agent": accepted.user_agent,
        "grouping": grouping,
    });
    let mut body = header.to_string().into_bytes();
    body.push(b'\n');
    body.extend_from_slice(payload);
    body
}

fn loose(accepted: &AcceptedJob<'_>, companions: Companions, invalid: Option<String>) -> Plan {
    Plan::Loose(Box::new(DigestLoose {
        project_id: accepted.project_id,
        key_id: accepted.key_id,
        event_id: accepted.event_id.bytes(),
        received_at: accepted.received_at,
        attachments: companions.attachments,
        not_kept: companions.not_kept,
        invalid,
    }))
}

fn digest_event(accepted: &AcceptedJob<'_>, summary: Summary, companions: Companions) -> DigestEvent {
    let metadata = serde_json::to_string(&summary.metadata).expect("optional texts always serialize");
    DigestEvent {
        org_id: accepted.org_id,
        project_id: accepted.project_id,
        key_id: accepted.key_id,
        event_id: accepted.event_id.bytes(),
        received_at: accepted.received_at,
        timestamp: summary.timestamp,
        group_key: summary.grouping.key(),
        group_hash: stdx::hex::encode(&summary.grouping.primary),
        other_hashes: grouping::others(&summary.grouping),
        former_keys: Vec::new(),
        kind: summary.kind.as_str(),
        title: summary.title,
        culprit: summary.culprit,
        metadata,
        platform: summary.platform,
        logger: summary.logger,
        level: summary.level.as_str(),
        environment: summary.environment.unwrap_or_default(),
        release: summary.release,
        is_unhandled: summary.is_unhandled,
        user_hash: summary.user.map(|user| xxhash_rust::xxh3::xxh3_64(user.as_bytes()) as i64),
        tags: summary.tags,
        attachments: companions.attachments,
        not_kept: companions.not_kept,
    }
}
