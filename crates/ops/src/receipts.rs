//! Receipts: what became of an event id after it was accepted.

use crate::context::Failure;
use crate::events::EventRef;
use crate::events::locate::parse_event_id;
use crate::{Actor, ApiError, Ops, Scope, lookup};
use protocol::event_id::EventId;
use protocol::job_name::JobName;
use queue::{JobId, JobState};
use stdx::Timestamp;
use store::receipts::ReceiptRow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptState {
    Queued,
    Processing,
    Stored,
    Filtered,
    Duplicate,
    Expired,
    Dead,
    NotKept,
    Unknown,
}

impl ReceiptState {
    pub fn as_str(self) -> &'static str {
        match self {
            ReceiptState::Queued => "queued",
            ReceiptState::Processing => "processing",
            ReceiptState::Stored => "stored",
            ReceiptState::Filtered => "filtered",
            ReceiptState::Duplicate => "duplicate",
            ReceiptState::Expired => "expired",
            ReceiptState::Dead => "dead",
            ReceiptState::NotKept => "not-kept",
            ReceiptState::Unknown => "unknown",
        }
    }

    /// Returns the state a remark stands for; a remark of a later release says no more than that it is not kept.
    fn of_remark(text: &str) -> ReceiptState {
        match text {
            "filtered" => ReceiptState::Filtered,
            "duplicate" => ReceiptState::Duplicate,
            "expired" => ReceiptState::Expired,
            "dead" => ReceiptState::Dead,
            _ => ReceiptState::NotKept,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Receipt {
    pub event_id: String,
    pub state: ReceiptState,
    pub reason: Option<String>,
    pub issue_id: Option<i64>,
    /// Oldest first.
    pub steps: Vec<ReceiptStep>,
    /// Items of the envelope that were not kept, duplicates and the like, also when the event is stored.
    pub remarks: Vec<ReceiptRemark>,
}

#[derive(Clone, Debug)]
pub struct ReceiptStep {
    /// received, queued, processing, stored, duplicate …; removed, where retention or a deletion took the event away
    pub step: &'static str,
    pub at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct ReceiptRemark {
    pub state: String,
    pub reason: String,
    pub quantity: i64,
    pub at: Timestamp,
}

/// What metadata knows of an id.
struct Facts {
    received_at: Option<Timestamp>,
    remarks: Vec<ReceiptRow>,
    project_id: i64,
}

/// Returns what is known of the id in the project; an id never seen has state `unknown`.
///
/// # Errors
/// `NotFound` if the project is not there or not the actor's, or the text is no event id.
pub async fn get(cx: &Ops, actor: &Actor, input: &EventRef) -> Result<Receipt, ApiError> {
    let event_id = parse_event_id(&input.event_id);
    let (actor, project_ref) = (actor.clone(), input.project.clone());
    let look_up = move |tx: &mut db::Tx<'_>| {
        Ok(lookup::project(tx, &actor, &project_ref.org, &project_ref.project, Scope::EventRead)?.id)
    };
    let project_id = cx.read("look a project up", look_up).await?;
    let event_id = event_id?;
    // The queue first: a job that is gone from there has left its facts in the store.
    let job = job_id(project_id, &event_id);
    let (job_state, dead_reason) = cx.locate_job(job).await?;
    let facts = cx.read("read a receipt", move |tx| {
        let days = store::days::list_all(tx)?;
        let counted = store::event_lookup::day_of_event(tx, &days, project_id, &event_id)?;
        Ok(Facts {
            received_at: counted.map(|(_, received_at)| received_at),
            remarks: store::receipts::list(tx, project_id, &event_id)?,
            project_id,
        })
    });
    let facts = facts.await?;
    let found = match facts.received_at {
        Some(_) => issue_of(cx, facts.project_id, event_id).await?,
        None => Found::default(),
    };
    let is_removed = facts.received_at.is_some() && !found.is_there;
    let mut receipt = receipt(&event_id, job_state, dead_reason, facts, found.issue_id);
    if is_removed {
        // It was stored and counted, and stays counted; only its content is gone.
        receipt.steps.push(ReceiptStep { step: "removed", at: None });
    }
    Ok(receipt)
}

/// What became of a counted event's row.
#[derive(Default)]
struct Found {
    is_there: bool,
    issue_id: Option<i64>,
}

/// The issue of a counted event: its row tells the group.
async fn issue_of(cx: &Ops, project_id: i64, event_id: [u8; 16]) -> Result<Found, ApiError> {
    cx.blocking("find an event's issue", move |stores| {
        match crate::events::locate::by_id(stores, project_id, &event_id) {
            Ok(event) => Ok(Found { is_there: true, issue_id: crate::events::issue_of(stores, &event)? }),
            Err(Failure::Refused(ApiError::NotFound)) => Ok(Found::default()),
            Err(failure) => Err(failure),
        }
    })
    .await
}

/// The job that brings an event, as ingest names it.
fn job_id(project_id: i64, event_id: &[u8; 16]) -> JobId {
    JobId::new(&JobName::of_event(project_id, EventId::from_bytes(*event_id)).to_string())
}

fn receipt(
    event_id: &[u8; 16],
    job: Option<JobState>,
    dead_reason: Option<String>,
    facts: Facts,
    issue_id: Option<i64>,
) -> Receipt {
    let (state, reason) = state(job, dead_reason, &facts);
    let mut steps = Vec::new();
    if let Some(at) = facts.received_at {
        steps.push(ReceiptStep { step: "received", at: Some(at) });
    } else if job.is_some() {
        steps.push(ReceiptStep { step: "received", at: None });
    } else if let Some(first) = facts.remarks.first() {
        // A remark carries the time of receipt: it tells one job's from another's.
        steps.push(ReceiptStep { step: "received", at: Some(first.at) });
    }
    for remark in &facts.remarks {
        steps.push(ReceiptStep { step: ReceiptState::of_remark(&remark.state).as_str(), at: Some(remark.at) });
    }
    // When it was written is not kept with an event, nor how long it waits: only that it is so.
    let is_told = steps.iter().any(|step| step.step == state.as_str());
    if state != ReceiptState::Unknown && !is_told {
        steps.push(ReceiptStep { step: state.as_str(), at: None });
    }
    let remark =
        |row: ReceiptRow| ReceiptRemark { state: row.state, reason: row.reason, quantity: row.quantity, at: row.at };
    Receipt {
        event_id: stdx::hex::encode(event_id),
        state,
        reason,
        issue_id,
        steps,
        remarks: facts.remarks.into_iter().map(remark).collect(),
    }
}

/// Stored wins over everything; then the queue; then the remark that ended the event (an item that was not kept did not).
fn state(job: Option<JobState>, dead_reason: Option<String>, facts: &Facts) -> (ReceiptState, Option<String>) {
    if facts.received_at.is_some() {
        return (ReceiptState::Stored, None);
    }
    match job {
        Some(JobState::Ready | JobState::Delayed | JobState::Parked) => return (ReceiptState::Queued, None),
        Some(JobState::Leased) => return (ReceiptState::Processing, None),
        Some(JobState::Dead) => return (ReceiptState::Dead, dead_reason),
        None => {}
    }
    let ends = |row: &&ReceiptRow| row.state != "not-kept";
    let remark = facts.remarks.iter().rev().find(ends).or(facts.remarks.last());
    match remark {
        Some(row) => (ReceiptState::of_remark(&row.state), Some(row.reason.clone())),
        None => (ReceiptState::Unknown, None),
    }
}
