//! Which issues a list shows, in order: a merge of index ranges, examined row by row up to a bound.
//!
//! A list over several projects and statuses is not one statement: the planner would sort all of them. Each (project,
//! status) is a stream that reads its own index range in the list's order, in small chunks; the merge takes the foremost
//! row of all streams until the page is full. Conditions are evaluated by the chunk's statement as a column, so that the
//! range moves on past rows that do not match. What a page costs is bounded by `CANDIDATES_MAX`, never by the table: a
//! page that hits the bound ends early and says where, and the next page goes on from there.
//!
//! Indexes: `issue_by_last_seen`, `issue_by_first_seen`, `issue_by_events`, `issue_by_users`; with environments and by
//! date `issue_environment_by_last_seen`. Tests run EXPLAIN QUERY PLAN over every shape.

use super::filter::{Statement, Term};
use crate::StoreError;
use db::{Tx, Val};
use std::collections::VecDeque;

/// Rows examined for one page, at about 5 µs each: the worst page stays under some 50 ms.
const CANDIDATES_MAX: usize = 10_000;
/// Rows of a later chunk of one stream: enough to pay for the statement, few enough to waste little.
const CHUNK_ROWS_MAX: usize = 512;
const CHUNK_ROWS_MIN: usize = 8;

/// What a list is sorted by, largest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    LastSeen,
    FirstSeen,
    Events,
    Users,
}

impl SortBy {
    fn column(self) -> &'static str {
        match self {
            SortBy::LastSeen => "last_seen",
            SortBy::FirstSeen => "first_seen",
            SortBy::Events => "event_count",
            SortBy::Users => "user_count",
        }
    }
}

/// A row's place in a list: its sort value, then its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub value: i64,
    pub id: i64,
}

/// A list of issues. Several projects, statuses and environments are alternatives; terms must all hold.
#[derive(Clone, Debug)]
pub struct IssueList {
    pub projects: Vec<i64>,
    pub statuses: Vec<&'static str>,
    /// Empty = all.
    pub environments: Vec<String>,
    pub terms: Vec<Term>,
    pub sort: SortBy,
    /// Rows strictly behind this place, in the direction of reading.
    pub from: Option<Place>,
    /// Reads towards larger values: rows come smallest first.
    pub backwards: bool,
    /// Most rows wanted.
    pub limit: usize,
}

/// The rows found, in the direction of reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundIssues {
    pub places: Vec<Place>,
    /// Set where the bound ended the search: rows behind this place were not looked at.
    pub stopped_at: Option<Place>,
}

/// Returns the places of the issues that match.
///
/// # Errors
/// Any database error.
pub fn find(tx: &mut Tx<'_>, list: &IssueList) -> Result<FoundIssues, StoreError> {
    let mut streams = Stream::all_of(list);
    let mut found = FoundIssues { places: Vec::new(), stopped_at: None };
    let mut examined = 0;
    while found.places.len() < list.limit {
        let Some(candidate) = take_foremost(tx, list, &mut streams)? else { return Ok(found) };
        if candidate.matches {
            found.places.push(candidate.place);
        }
        examined += 1;
        if examined == CANDIDATES_MAX {
            found.stopped_at = Some(candidate.place);
            return Ok(found);
        }
    }
    Ok(found)
}

#[derive(Clone, Copy)]
struct Candidate {
    place: Place,
    matches: bool,
}

/// One index range, read in order.
struct Stream<'a> {
    range: Range<'a>,
    /// Rows behind this place come next.
    from: Option<Place>,
    buffer: VecDeque<Candidate>,
    chunk_rows: usize,
    is_exhausted: bool,
}

#[derive(Clone, Copy)]
enum Range<'a> {
    Status { project_id: i64, status: &'static str },
    Environment { project_id: i64, environment: &'a str },
}

fn take_foremost(
    tx: &mut Tx<'_>,
    list: &IssueList,
    streams: &mut [Stream<'_>],
) -> Result<Option<Candidate>, StoreError> {
    let mut foremost: Option<(usize, Place)> = None;
    for (number, stream) in streams.iter_mut().enumerate() {
        let Some(candidate) = stream.peek(tx, list)? else { continue };
        let is_before = match foremost {
            None => true,
            Some((_, place)) if list.backwards => candidate.place < place,
            Some((_, place)) => candidate.place > place,
        };
        if is_before {
            foremost = Some((number, candidate.place));
        }
    }
    Ok(foremost.and_then(|(number, _)| streams[number].buffer.pop_front()))
}

impl<'a> Stream<'a> {
    fn all_of(list: &'a IssueList) -> Vec<Stream<'a>> {
        let mut ranges = Vec::new();
        for project_id in list.projects.iter().copied() {
            if list.environments.is_empty() || list.sort != SortBy::LastSeen {
                ranges.extend(list.statuses.iter().map(|status| Range::Status { project_id, status }));
            } else if !list.statuses.is_empty() {
                ranges
                    .extend(list.environments.iter().map(|name| Range::Environment { project_id, environment: name }));
            }
        }
        // One stream alone gets the whole page in its first chunk; many start with their share.
        let share = (list.limit * 2).div_ceil(ranges.len().max(1)).min(list.limit);
        let new = |range| Stream {
            range,
            from: list.from,
            buffer: VecDeque::new(),
            chunk_rows: share.max(CHUNK_ROWS_MIN),
            is_exhausted: false,
        };
        ranges.into_iter().map(new).collect()
    }

    fn peek(&mut self, tx: &mut Tx<'_>, list: &IssueList) -> Result<Option<Candidate>, StoreError> {
        if self.buffer.is_empty() && !self.is_exhausted {
            self.fill(tx, list)?;
        }
        Ok(self.buffer.front().copied())
    }

    fn fill(&mut self, tx: &mut Tx<'_>, list: &IssueList) -> Result<(), StoreError> {
        let statement = self.range.statement(list, self.from, self.chunk_rows);
        let rows: Vec<(i64, i64, i64)> = tx.query(&statement.sql, &statement.values)?;
        self.is_exhausted = rows.len() < self.chunk_rows;
        self.chunk_rows = (self.chunk_rows * 2).min(CHUNK_ROWS_MAX);
        self.buffer.extend(
            rows.into_iter()
                .map(|(value, id, matches)| Candidate { place: Place { value, id }, matches: matches != 0 }),
        );
        if let Some(last) = self.buffer.back() {
            self.from = Some(last.place);
        }
        Ok(())
    }
}

impl<'a> Range<'a> {
    fn statement(&self, list: &'a IssueList, from: Option<Place>, limit: usize) -> Statement<'a>
    where
        Self: 'a,
    {
        let mut statement = Statement::default();
        match *self {
            Range::Status { project_id, status } => push_by_status(&mut statement, list, project_id, status),
            Range::Environment { project_id, environment } => {
                push_by_environment(&mut statement, list, project_id, environment);
            }
        }
        let (value, id) = match self {
            Range::Status { .. } => (format!("i.{}", list.sort.column()), "i.id"),
            Range::Environment { .. } => ("x.last_seen".to_owned(), "x.issue_id"),
        };
        let (sign, order) = if list.backwards { (">", "ASC") } else { ("<", "DESC") };
        if let Some(place) = from {
            statement.push(&format!(" AND ({value}, {id}) {sign} ("));
            statement.bind(Val::Int(place.value));
            statement.push(", ");
            statement.bind(Val::Int(place.id));
            statement.push(")");
        }
        statement.push(&format!(" ORDER BY {value} {order}, {id} {order} LIMIT "));
        statement.bind(Val::Int(limit as i64));
        statement
    }
}

fn push_by_status<'a>(statement: &mut Statement<'a>, list: &'a IssueList, project_id: i64, status: &'static str) {
    statement.push(&format!("SELECT i.{}, i.id, CASE WHEN 1 = 1", list.sort.column()));
    if !list.environments.is_empty() {
        statement.push(" AND EXISTS (SELECT 1 FROM issue_environment e WHERE e.issue_id = i.id AND e.environment IN (");
        statement.bind_list(list.environments.iter().map(|name| Val::Text(name)));
        statement.push("))");
    }
    push_terms(statement, list);
    statement.push(" THEN 1 ELSE 0 END FROM issue i WHERE i.project_id = ");
    statement.bind(Val::Int(project_id));
    statement.push(" AND i.status = ");
    statement.bind(Val::Text(status));
}

/// The range of one environment. An issue seen in several of the wanted environments counts where it was seen last.
fn push_by_environment<'a>(statement: &mut Statement<'a>, list: &'a IssueList, project_id: i64, environment: &'a str) {
    statement.push("SELECT x.last_seen, x.issue_id, CASE WHEN i.status IN (");
    statement.bind_list(list.statuses.iter().map(|status| Val::Text(status)));
    statement.push(")");
    if list.environments.len() > 1 {
        statement.push(
            " AND NOT EXISTS (SELECT 1 FROM issue_environment o WHERE o.issue_id = x.issue_id AND o.environment IN (",
        );
        statement.bind_list(list.environments.iter().map(|name| Val::Text(name)));
        statement.push(") AND (o.last_seen, o.environment) > (x.last_seen, x.environment))");
    }
    push_terms(statement, list);
    statement
        .push(" THEN 1 ELSE 0 END FROM issue_environment x JOIN issue i ON i.id = x.issue_id WHERE x.project_id = ");
    statement.bind(Val::Int(project_id));
    statement.push(" AND x.environment = ");
    statement.bind(Val::Text(environment));
}

fn push_terms<'a>(statement: &mut Statement<'a>, list: &'a IssueList) {
    if !list.terms.is_empty() {
        statement.push(" AND ");
        statement.push_terms(&list.terms);
    }
}

#[cfg(test)]
mod tests;
