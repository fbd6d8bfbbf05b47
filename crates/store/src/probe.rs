//! A probe record: written through the writers that every event takes, read back through the readers of pages, and
//! gone again. It tells whether what one store writes the other finds, whatever the configuration claims.

use crate::days::OpenDay;
use crate::digest::{self, DigestEvent};
use crate::events::EventRow;
use crate::issues::{self, IssueList, SortBy};
use crate::organizations;
use crate::projects::{self, NewProject};
use crate::{StoreError, Stores};
use db::{DbError, Tx};
use std::time::Duration;
use stdx::{Day, Timestamp};

/// No event is received on it, so nobody looks for events there.
const PROBE_DAY: Day = Day(0);
/// Much longer than a probe takes.
const PROBED_WITHIN: Duration = Duration::from_secs(600);
/// A project of that number is nobody's.
const PROBE_PROJECT: i64 = -1;
const GROUP_KEY: i64 = 1;
/// A slug cannot hold a slash, so nobody's organization is called so.
const PROBE_SLUG: &str = "probe/";
const TAG: (&str, &str) = ("probe", "written");

/// What a storage role did not give back.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("{role}: the probe record was written and not found again")]
    Lost { role: &'static str },
    #[error("{role}: write and read a probe record")]
    Store {
        role: &'static str,
        #[source]
        source: Box<StoreError>,
    },
}

/// Tells whether files of a day may be those of a probe that goes on.
pub fn is_fresh(day: &OpenDay, now: Timestamp) -> bool {
    day.day == PROBE_DAY && now.since(Timestamp::from_micros(day.generation)) < PROBED_WITHIN
}

/// Writes a probe record and reads it back, by each storage role. Returns what was proved, in words.
///
/// # Errors
/// The first role that fails.
pub fn run(stores: &Stores, now: Timestamp) -> Result<Vec<&'static str>, ProbeError> {
    let generation = now.micros();
    let day = OpenDay { day: PROBE_DAY, generation };
    let bodies = probe_bodies(stores, &day, now);
    // Whatever came of it, nothing of it stays; what a killed process leaves, retention takes as a leftover.
    let dropped = stores.events.drop_day(&day);
    bodies?;
    dropped.map_err(|source| ProbeError::Store { role: "storage.bodies", source: Box::new(source) })?;
    probe_metadata(stores, now)?;
    Ok(vec!["bodies", "search", "tags", "series"])
}

fn probe_bodies(stores: &Stores, day: &OpenDay, now: Timestamp) -> Result<(), ProbeError> {
    const ROLE: &str = "storage.bodies";
    let failed = |source| ProbeError::Store { role: ROLE, source: Box::new(source) };
    let event_id = stdx::random::bytes();
    let body = b"probe".as_slice();
    let (dictionary_id, compressed) = stores.dictionaries.compress(PROBE_PROJECT, body).map_err(failed)?;
    let row = EventRow {
        project_id: PROBE_PROJECT,
        event_id,
        group_key: GROUP_KEY,
        received_at: now,
        dictionary_id,
        body: &compressed,
    };
    stores.events.insert(day, &[row]).map_err(failed)?;
    let found = stores.events.get(day, PROBE_PROJECT, &event_id).map_err(failed)?;
    let found = found.ok_or(ProbeError::Lost { role: ROLE })?;
    match stores.body(&found).map_err(failed)? == body {
        true => Ok(()),
        false => Err(ProbeError::Lost { role: ROLE }),
    }
}

/// The answer of a transaction that is never committed.
enum Undone {
    /// The role that did not give the record back, if one did not.
    Answer(Option<&'static str>),
    Failed(StoreError),
}

impl From<StoreError> for Undone {
    fn from(error: StoreError) -> Self {
        Undone::Failed(error)
    }
}

impl From<DbError> for Undone {
    fn from(error: DbError) -> Self {
        Undone::Failed(error.into())
    }
}

fn probe_metadata(stores: &Stores, now: Timestamp) -> Result<(), ProbeError> {
    let undone = stores.db.write_blocking(|tx| -> Result<(), Undone> {
        let lost = write_and_look(tx, now)?;
        Err(Undone::Answer(lost))
    });
    match undone {
        Err(Undone::Answer(Some(role))) => Err(ProbeError::Lost { role }),
        Err(Undone::Failed(source)) => Err(ProbeError::Store { role: "storage.stream", source: Box::new(source) }),
        Err(Undone::Answer(None)) | Ok(()) => Ok(()),
    }
}

/// Counts one event as the digest does, and looks for it as pages do. Returns the role that does not have it.
fn write_and_look(tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<&'static str>, StoreError> {
    let organization = organizations::create(tx, PROBE_SLUG, PROBE_SLUG, now)?;
    let new = NewProject { org_id: organization.id, slug: PROBE_SLUG, name: PROBE_SLUG, platform: None };
    let project = projects::create(tx, &new, now)?;
    let event = event(organization.id, project.id, now);
    digest::apply(tx, now.day(), &[event], now)?;
    let list = IssueList {
        projects: vec![project.id],
        statuses: vec!["unresolved"],
        environments: Vec::new(),
        terms: Vec::new(),
        sort: SortBy::LastSeen,
        from: None,
        backwards: false,
        limit: 1,
    };
    let Some(issue) = issues::find(tx, &list)?.places.first().map(|place| place.id) else {
        return Ok(Some("storage.search"));
    };
    let values = issues::tag_values(tx, issue, TAG.0, 1)?;
    if !values.iter().any(|row| row.value == TAG.1 && row.event_count == 1) {
        return Ok(Some("storage.tags"));
    }
    let hours = issues::hours_of_issue(tx, issue, now.hour(), &[])?;
    Ok((hours != [(now.hour(), 1)]).then_some("storage.series"))
}

fn event(org_id: i64, project_id: i64, now: Timestamp) -> DigestEvent {
    DigestEvent {
        org_id,
        project_id,
        event_id: stdx::random::bytes(),
        received_at: now,
        timestamp: now,
        group_key: GROUP_KEY,
        group_hash: "0".repeat(32),
        kind: "error",
        title: "probe".to_owned(),
        metadata: "{}".to_owned(),
        platform: "other".to_owned(),
        level: "error",
        tags: vec![(TAG.0.to_owned(), TAG.1.to_owned())],
        ..DigestEvent::default()
    }
}
