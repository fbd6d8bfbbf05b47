//! Merging issues by hand, and taking them apart: who may, and which.

use super::{Issue, IssueRef, find, rows};
use crate::context::Failure;
use crate::events::{EventSummary, latest_of_group};
use crate::{Actor, ApiError, Ops, Scope, lookup};
use db::Tx;
use stdx::Timestamp;
use store::issues::merge::{self, By};
use store::issues::strands::{self, HASHES_MAX, HashRow, StrandRow};

/// Most issues of one merge: a page of the list.
const ISSUES_MAX: usize = 100;
/// Hashes shown of one issue, each with its latest event.
const HASHES_SHOWN_MAX: usize = 25;

/// Which issues to merge.
#[derive(Clone, Debug)]
pub struct MergeIssues {
    /// Organization, by slug or id text, where the caller named one.
    pub org: Option<String>,
    /// Projects, by slug or id text, where the caller named any.
    pub projects: Vec<String>,
    /// Two or more ids or short ids.
    pub issues: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Merged {
    /// The one with most events, which takes the others in.
    pub parent: Issue,
    pub children: Vec<i64>,
}

/// Which part of an issue is to be an issue of its own.
#[derive(Clone, Debug)]
pub enum Part {
    /// What the issue of this id was, with all that had been merged into it before.
    Merged(i64),
    /// All that these hashes are of.
    Hashes(Vec<String>),
}

/// What an issue is made of.
#[derive(Clone, Debug)]
pub struct Lineage {
    /// The issue's own first; empty where nothing was merged into it.
    pub strands: Vec<Strand>,
    /// Those with the newest events first.
    pub hashes: Vec<IssueHash>,
    /// More that are not listed.
    pub hashes_left_out: usize,
}

/// What was one issue before it was merged.
#[derive(Clone, Debug)]
pub struct Strand {
    pub id: i64,
    pub short_id: String,
    pub title: String,
    pub level: String,
    pub event_count: i64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// The strand it was merged into; none for the issue's own.
    pub merged_into: Option<i64>,
    pub merged_at: Option<Timestamp>,
    pub merged_by: Option<String>,
}

#[derive(Clone, Debug)]
pub struct IssueHash {
    pub hash: String,
    /// The strand it is of.
    pub strand_id: Option<i64>,
    /// Events of which it is the first hash.
    pub event_count: i64,
    pub latest: Option<EventSummary>,
}

/// Merges issues of one project into the one with most events.
///
/// # Errors
/// `NotFound` if one is not there or not the actor's, `Invalid` for fewer than two, for more than one project, and beyond
/// the bounds on issues and hashes.
pub async fn merge(cx: &Ops, actor: &Actor, input: MergeIssues) -> Result<Merged, ApiError> {
    actor.require(Scope::EventWrite)?;
    if input.issues.len() > ISSUES_MAX {
        return Err(ApiError::invalid(format!("At most {ISSUES_MAX} issues can be merged at once.")));
    }
    let (now, actor, public_url) = (cx.clock.now(), actor.clone(), cx.public_url());
    cx.write("merge issues", move |tx| {
        let chosen = chosen(tx, &actor, &input)?;
        let target = chosen.iter().max_by_key(|row| (row.event_count, row.id)).map(|row| row.id);
        let target = target.ok_or(ApiError::NotFound)?;
        let ids: Vec<i64> = chosen.iter().map(|row| row.id).collect();
        if strands::count_hashes(tx, &ids)? > HASHES_MAX {
            return Err(ApiError::invalid(format!("An issue has at most {HASHES_MAX} hashes.")).into());
        }
        let children: Vec<i64> = ids.into_iter().filter(|id| *id != target).collect();
        merge::merge(tx, target, &children, By { user_id: actor.user_id(), at: now })?;
        Ok(Merged { parent: read(tx, target, &public_url)?, children })
    })
    .await
}

fn chosen(tx: &mut Tx<'_>, actor: &Actor, input: &MergeIssues) -> Result<Vec<store::issues::IssueRow>, Failure> {
    let project_ids = find::named(tx, actor, input.org.as_deref(), &input.projects, Scope::EventWrite)?;
    let mut chosen: Vec<store::issues::IssueRow> = Vec::new();
    for text in &input.issues {
        let row = find::row(tx, actor, input.org.as_deref(), text, Scope::EventWrite)?;
        if project_ids.as_ref().is_some_and(|ids| !ids.contains(&row.project_id)) {
            return Err(ApiError::NotFound.into());
        }
        if chosen.iter().all(|known| known.id != row.id) {
            chosen.push(row);
        }
    }
    if chosen.len() < 2 {
        return Err(ApiError::invalid("At least two different issues are needed to merge.").into());
    }
    if chosen.iter().any(|row| row.project_id != chosen[0].project_id) {
        return Err(ApiError::invalid("Only issues of one project can be merged.").into());
    }
    Ok(chosen)
}

/// Takes a part out of an issue. Returns the issue that was made of it.
///
/// # Errors
/// `NotFound` if the issue is not there or not the actor's, or has no such part; `Conflict` if nothing would be left of
/// it, or the hashes were never counted apart from others.
pub async fn unmerge(cx: &Ops, actor: &Actor, input: &IssueRef, part: Part) -> Result<Issue, ApiError> {
    let (now, actor, input, public_url) = (cx.clock.now(), actor.clone(), input.clone(), cx.public_url());
    cx.write("take an issue apart", move |tx| {
        let row = find::issue(tx, &actor, &input, Scope::EventWrite)?;
        let all = strands::of_issue(tx, row.id)?;
        let chosen = match part {
            Part::Merged(id) => with_inner(&all, id),
            Part::Hashes(hashes) => strands_of(&hashes, &strands::hashes(tx, row.id)?)?,
        };
        if chosen.is_empty() {
            return Err(ApiError::NotFound.into());
        }
        let made = merge::unmerge(tx, row.id, &chosen, By { user_id: actor.user_id(), at: now })?;
        let made = made.ok_or_else(|| conflict("Nothing would be left of the issue."))?;
        read(tx, made, &public_url)
    })
    .await
}

/// A strand with those that had been merged into it, and into those. The issue's own is not to be taken out by itself.
fn with_inner(all: &[StrandRow], id: i64) -> Vec<i64> {
    let mut chosen: Vec<i64> =
        all.iter().filter(|strand| strand.id == id && strand.merged_into.is_some()).map(|strand| strand.id).collect();
    let mut next = 0;
    while let Some(outer) = chosen.get(next).copied() {
        let inner = all.iter().filter(|strand| strand.merged_into == Some(outer) && !chosen.contains(&strand.id));
        let inner: Vec<i64> = inner.map(|strand| strand.id).collect();
        chosen.extend(inner);
        next += 1;
    }
    chosen
}

/// The strands that hashes are of: all hashes of a strand that have events must be among them, for they were counted
/// together.
fn strands_of(chosen: &[String], all: &[HashRow]) -> Result<Vec<i64>, Failure> {
    let is_chosen = |row: &HashRow| chosen.contains(&row.hash);
    let mut found: Vec<i64> = Vec::new();
    for row in all.iter().filter(|row| is_chosen(row)) {
        let Some(strand_id) = row.strand_id else {
            return Err(conflict("The hashes of this issue were always counted together: nothing was merged into it."));
        };
        let rest =
            all.iter().find(|other| other.strand_id == Some(strand_id) && other.event_count > 0 && !is_chosen(other));
        if let Some(rest) = rest {
            let told = format!("The hash {} was always counted together with {}: choose both.", row.hash, rest.hash);
            return Err(conflict(&told));
        }
        if !found.contains(&strand_id) {
            found.push(strand_id);
        }
    }
    Ok(found)
}

fn conflict(detail: &str) -> Failure {
    ApiError::Conflict { detail: detail.to_owned() }.into()
}

fn read(tx: &mut Tx<'_>, issue_id: i64, public_url: &str) -> Result<Issue, Failure> {
    let row = store::issues::row(tx, issue_id)?.ok_or(ApiError::NotFound)?;
    let project = lookup::project_by_id(tx, row.project_id)?;
    Ok(rows::issue(row, &project, public_url))
}

/// Returns what an issue is made of: its strands, and its hashes with their latest events.
///
/// # Errors
/// `NotFound` if it is not there or not the actor's.
pub async fn lineage(cx: &Ops, actor: &Actor, input: &IssueRef) -> Result<Lineage, ApiError> {
    let (actor, input) = (actor.clone(), input.clone());
    let (issue_id, project_id, strands, hashes) = cx
        .read("read what an issue is made of", move |tx| {
            let row = find::issue(tx, &actor, &input, Scope::EventRead)?;
            let project = lookup::project_by_id(tx, row.project_id)?;
            let strands = strands::of_issue(tx, row.id)?;
            let strands = strands.into_iter().map(|strand| strand_of(strand, &project.short_prefix)).collect();
            Ok((row.id, row.project_id, strands, strands::hashes(tx, row.id)?))
        })
        .await?;
    cx.blocking("read the latest events of hashes", move |stores| {
        let hashes_left_out = hashes.len().saturating_sub(HASHES_SHOWN_MAX);
        let mut shown = Vec::new();
        for row in hashes.into_iter().take(HASHES_SHOWN_MAX) {
            let latest = match row.last_day {
                Some(_) => latest_of_group(stores, project_id, row.group_key, issue_id)?,
                None => None,
            };
            shown.push(IssueHash { hash: row.hash, strand_id: row.strand_id, event_count: row.event_count, latest });
        }
        Ok(Lineage { strands, hashes: shown, hashes_left_out })
    })
    .await
}

fn strand_of(row: StrandRow, prefix: &str) -> Strand {
    Strand {
        id: row.id,
        short_id: store::short_id::format(prefix, row.short_no),
        title: row.title,
        level: row.level,
        event_count: row.event_count,
        first_seen: row.first_seen,
        last_seen: row.last_seen,
        merged_into: row.merged_into,
        merged_at: row.merged_at,
        merged_by: row.merged_by,
    }
}
