//! Receipts: what became of an event id after it was accepted.

use crate::context::Failure;
use crate::events::EventRef;
use crate::events::locate::parse_event_id;
use crate::projects::{self, Project};
use crate::{Actor, ApiError, Ops, Scope, lookup, spools};
use protocol::event_id::EventId;
use protocol::job_name::JobName;
use queue::{JobId, JobState};
use stdx::Timestamp;
use store::receipts::ReceiptRow;
use store::spools::SpoolRow;

/// Projects in which an id is looked up; each costs a few reads by key.
const PROJECTS_SEARCHED_MAX: usize = 500;

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
    spools: Vec<SpoolRow>,
}

/// Returns what is known of the id in the project; an id never seen has state `unknown`, with the reason if it may be
/// somewhere that cannot be looked into from here: in a queue that does not answer, or in the spool of another process.
///
/// # Errors
/// `NotFound` if the project is not there or not the actor's, or the text is no event id.
pub async fn get(cx: &Ops, actor: &Actor, input: &EventRef) -> Result<Receipt, ApiError> {
    let event_id = parse_event_id(&input.event_id);
    let (is_superuser, actor, project_ref) = (actor.require_superuser().is_ok(), actor.clone(), input.project.clone());
    let look_up = move |tx: &mut db::Tx<'_>| {
        Ok(lookup::project(tx, &actor, &project_ref.org, &project_ref.project, Scope::EventRead)?.id)
    };
    let project_id = cx.read("look a project up", look_up).await?;
    let event_id = event_id?;
    let seen = Seen::of(cx.locate_job(job_id(project_id, &event_id)).await);
    assemble(cx, is_superuser, (project_id, event_id), seen).await
}

/// An event id in all projects.
#[derive(Clone, Debug, Default)]
pub struct Search {
    pub found: Vec<(Project, Receipt)>,
    /// Why it may be somewhere all the same, if no project knows it.
    pub unseen: Option<String>,
}

/// Looks an id up in every project that the actor may read, at most `PROJECTS_SEARCHED_MAX`. A queue that does not answer
/// is asked once.
///
/// # Errors
/// `NotFound` if the text is no event id.
pub async fn search(cx: &Ops, actor: &Actor, event_id: &str) -> Result<Search, ApiError> {
    let event_id = parse_event_id(event_id)?;
    let is_superuser = actor.require_superuser().is_ok();
    let (mut search, mut silent) = (Search::default(), None);
    for project in projects::list(cx, actor, None).await?.into_iter().take(PROJECTS_SEARCHED_MAX) {
        let seen = match &silent {
            Some(silent) => Seen::clone(silent),
            None => Seen::of(cx.locate_job(job_id(project.id, &event_id)).await),
        };
        if seen.unheard.is_some() {
            silent = Some(seen.clone());
        }
        let receipt = assemble(cx, is_superuser, (project.id, event_id), seen).await?;
        match receipt.state {
            ReceiptState::Unknown => search.unseen = receipt.reason,
            _ => search.found.push((project, receipt)),
        }
    }
    Ok(search)
}

/// What the queue said of a job.
#[derive(Clone, Default)]
struct Seen {
    job: Option<JobState>,
    dead_reason: Option<String>,
    unheard: Option<String>,
}

impl Seen {
    fn of(located: Result<(Option<JobState>, Option<String>), ApiError>) -> Seen {
        match located {
            Ok((job, dead_reason)) => Seen { job, dead_reason, unheard: None },
            Err(error) => {
                let unheard = format!("the queue does not answer: {}", stdx::causes::on_one_line(&error));
                Seen { unheard: Some(unheard), ..Seen::default() }
            }
        }
    }
}

/// The queue was asked before: a job that is gone from there has left its facts in the store.
async fn assemble(
    cx: &Ops,
    is_superuser: bool,
    (project_id, event_id): (i64, [u8; 16]),
    seen: Seen,
) -> Result<Receipt, ApiError> {
    let facts = cx.read("read a receipt", move |tx| {
        let days = store::days::list_all(tx)?;
        let counted = store::event_lookup::day_of_event(tx, &days, project_id, &event_id)?;
        Ok(Facts {
            received_at: counted.map(|(_, received_at)| received_at),
            remarks: store::receipts::list(tx, project_id, &event_id)?,
            spools: store::spools::list(tx)?,
        })
    });
    let facts = facts.await?;
    let found = match facts.received_at {
        Some(_) => issue_of(cx, project_id, event_id).await?,
        None => Found::default(),
    };
    let is_removed = facts.received_at.is_some() && !found.is_there;
    let elsewhere = spools::elsewhere(&facts.spools, &own_spools(cx), is_superuser);
    let mut receipt = receipt(&event_id, seen.job, seen.dead_reason, facts, found.issue_id);
    if receipt.state == ReceiptState::Unknown {
        let unseen: Vec<String> = seen.unheard.into_iter().chain(elsewhere).collect();
        receipt.reason = (!unseen.is_empty()).then(|| format!("not known here; {}", unseen.join("; ")));
    }
    if is_removed {
        // It was stored and counted, and stays counted; only its content is gone.
        receipt.steps.push(ReceiptStep { step: "removed", at: None });
    }
    Ok(receipt)
}

/// Ids of the spools that this process looks into.
fn own_spools(cx: &Ops) -> Vec<String> {
    let folders = cx.spool.as_ref().map(|spool| spool.folders()).unwrap_or_default();
    folders.into_iter().map(|folder| folder.id).collect()
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
