//! Units of work and how one is carried out: in steps, until it is done or its time is over. Each looks at what is there,
//! so that running it again, after any kind of death, does what is left and nothing else.

use super::collect;
use super::policies::Model;
use super::remove::{self, Ending};
use super::report::Freed;
use super::told;
use crate::pace;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use stdx::{Clock, Day, Hour, Timestamp};
use store::blobs::BlobFile;
use store::days::{self, OpenDay};
use store::series::{self, Share};
use store::{StoreError, Stores, attachments, expiry, probe, remains, removals, sweeps};

/// Rows changed in one transaction: some milliseconds of the writer.
pub(super) const ROWS_AT_ONCE: usize = 1_000;
/// Events removed from a day in one transaction of it; each takes a page or two.
pub(super) const EVENTS_AT_ONCE: usize = 500;
/// Pages of the metadata given back in one transaction.
const PAGES_AT_ONCE: u32 = 500;

/// What a unit does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(tag = "work", rename_all = "kebab-case")]
pub enum Work {
    /// Ends a day and deletes its files: if there is a list of projects, only as long as nobody else's events are there.
    EndDay { day: Day, generation: i64, reopens: bool, only: Option<Vec<i64>> },
    /// Removes a project's events of a day that others go on to use, and gives their disk back.
    RemoveEvents { day: Day, generation: i64, project_id: i64 },
    /// Deletes files of days that metadata knows no more.
    Leftovers,
    /// Deletes a project's attachments from before a day, and their content.
    Attachments { project_id: i64, before: Day },
    /// Deletes rows of the metadata older than a time.
    Rows { model: Model, before: Timestamp, project_id: Option<i64> },
    /// Moves the counts by group of an ended day to where no page looks for events.
    Fold { day: Day },
    /// Sums hours before `before` by day.
    FoldHours { share: Share, before: Hour },
    /// Removes what a deleted project has left.
    Remains { project_id: i64 },
    /// Collects the blobs of a folder that nothing refers to.
    Blobs { folder: u8, orphans_before: Timestamp, bodies_before: Option<Timestamp> },
    /// Gives the disk of rows deleted from the metadata back.
    Vacuum,
}

impl Work {
    /// What it removes; `None` = it only makes the removal of others whole.
    pub(super) fn model(&self) -> Option<Model> {
        match self {
            Work::EndDay { .. } | Work::RemoveEvents { .. } | Work::Leftovers => Some(Model::Event),
            Work::Attachments { .. } => Some(Model::Attachment),
            Work::Rows { model, .. } => Some(*model),
            Work::FoldHours { .. } => Some(Model::Series),
            Work::Remains { .. } => Some(Model::Project),
            Work::Blobs { .. } => Some(Model::Blob),
            Work::Fold { .. } | Work::Vacuum => None,
        }
    }

    /// Tells whether rows of the metadata go, whose pages are to be given back.
    pub(super) fn leaves_free_pages(&self) -> bool {
        match self {
            Work::Rows { .. }
            | Work::Attachments { .. }
            | Work::Fold { .. }
            | Work::FoldHours { .. }
            | Work::Remains { .. } => true,
            Work::EndDay { .. } | Work::RemoveEvents { .. } | Work::Leftovers | Work::Blobs { .. } | Work::Vacuum => {
                false
            }
        }
    }
}

/// A unit of work, and what it removes when it is done.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unit {
    pub work: Work,
    pub due: Vec<Freed>,
}

impl Unit {
    /// What it is called in summaries.
    pub fn name(&self) -> String {
        match &self.work {
            Work::EndDay { day, .. } => format!("Event of {day}"),
            Work::RemoveEvents { day, project_id, .. } => format!("Event of {day} in project {project_id}"),
            Work::Leftovers => "files of ended days".to_owned(),
            Work::Attachments { project_id, .. } => format!("Attachment in project {project_id}"),
            Work::Rows { model, project_id: Some(id), .. } => format!("{} in project {id}", model.name()),
            Work::Rows { model, project_id: None, .. } => model.name().to_owned(),
            Work::Fold { day } => format!("counts by group of {day}"),
            Work::FoldHours { share, .. } => {
                format!("{} of {:?} from {}", Model::Series.name(), share.series, share.id_first)
            }
            Work::Remains { project_id } => format!("{} {project_id}", Model::Project.name()),
            Work::Blobs { folder, .. } => format!("Blob in folder {folder:02x}"),
            Work::Vacuum => "free pages of the metadata".to_owned(),
        }
    }

    /// Work of a later rank waits until all of the earlier ones has ended.
    pub(super) fn rank(&self) -> u8 {
        match self.work {
            Work::EndDay { .. } => 0,
            Work::RemoveEvents { .. } | Work::Leftovers => 1,
            Work::Attachments { .. } | Work::Rows { .. } | Work::Fold { .. } | Work::FoldHours { .. } => 2,
            // After the events, whose counts stand in its way.
            Work::Blobs { .. } | Work::Remains { .. } => 3,
            Work::Vacuum => 4,
        }
    }
}

/// How far a unit came. Which rows went is noted in the transactions in which they did (`told`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub is_done: bool,
    /// Bytes that files became smaller by.
    pub returned_bytes: u64,
}

/// How far one run of a unit came. What is lost with it is looked at again, and changed no more.
#[derive(Default)]
pub(super) struct Reached {
    events: remove::Reached,
    /// Blobs that were not looked at yet; `None` = nobody asked which there are.
    blobs: Option<VecDeque<BlobFile>>,
}

/// Where units are carried out.
pub struct Bench<'a> {
    pub stores: &'a Stores,
    pub clock: &'a dyn Clock,
    /// The sweep; once another has begun, nothing more is changed.
    pub sweep: i64,
    /// Part of the time that may be spent working, so that ingest and pages keep theirs: 0.5 rests as long as it worked.
    pub share: f64,
}

impl Bench<'_> {
    /// Carries a unit out until it is done or `until` has passed; returns whether it is. `returned` is called after each
    /// step with the bytes that came back.
    ///
    /// # Errors
    /// If a store fails, or `SweepEnded`; what was done stays done.
    pub fn run(&self, unit: &Unit, until: Instant, returned: &mut dyn FnMut(u64)) -> Result<bool, StoreError> {
        let mut reached = Reached::default();
        loop {
            let started = Instant::now();
            let step = self.step(unit, &mut reached)?;
            returned(step.returned_bytes);
            if step.is_done || Instant::now() >= until {
                return Ok(step.is_done);
            }
            self.rest(started.elapsed());
        }
    }

    /// Leaves others their part of the time.
    pub(super) fn rest(&self, worked: Duration) {
        pace::rest(self.share, worked);
    }

    fn step(&self, unit: &Unit, reached: &mut Reached) -> Result<Step, StoreError> {
        match unit.work {
            Work::EndDay { day, generation, reopens, ref only } => {
                let ending = Ending { day: OpenDay { day, generation }, reopens, only: only.as_deref() };
                self.end_day(unit, &ending, &mut reached.events)
            }
            Work::RemoveEvents { day, generation, project_id } => {
                self.remove_events(unit, (&OpenDay { day, generation }, project_id), &mut reached.events)
            }
            Work::Leftovers => self.drop_leftovers(unit),
            Work::Attachments { project_id, before } => self.delete_attachments(unit, project_id, before),
            Work::Rows { model, before, project_id } => self.delete_rows(unit, model, (before, project_id)),
            Work::Fold { day } => self
                .write(|tx| removals::fold_group_days(tx, day, None, ROWS_AT_ONCE))
                .map(|moved| Step { is_done: moved < ROWS_AT_ONCE, returned_bytes: 0 }),
            Work::FoldHours { share, before } => self
                .write(|tx| {
                    let folded = series::fold(tx, share, before, ROWS_AT_ONCE)?;
                    self.tell(tx, unit, &[(0, folded as u64)])?;
                    Ok(folded)
                })
                .map(|folded| Step { is_done: folded < ROWS_AT_ONCE, returned_bytes: 0 }),
            Work::Remains { project_id } => {
                let now = self.clock.now();
                let removed = self.write(|tx| {
                    let removed = remains::remove(tx, project_id, now)?;
                    self.tell(tx, unit, &[(project_id, removed.rows)])?;
                    Ok(removed)
                })?;
                Ok(Step { is_done: removed.is_all, returned_bytes: 0 })
            }
            Work::Blobs { folder, orphans_before, bodies_before } => {
                let bounds = collect::Bounds { orphans_before, bodies_before };
                self.collect_orphans(unit, (folder, bounds), &mut reached.blobs)
            }
            Work::Vacuum => self.vacuum(),
        }
    }

    /// A transaction that changes nothing once another sweep has begun.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&mut db::Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.stores.db.write_blocking(|tx| {
            if !sweeps::is_current(tx, self.sweep)? {
                return Err(StoreError::SweepEnded);
            }
            work(tx)
        })
    }

    /// Days are opened in metadata before their files are made, so files listed before metadata is asked, and not known to
    /// it, are nobody's.
    fn drop_leftovers(&self, unit: &Unit) -> Result<Step, StoreError> {
        let on_disk = self.stores.events.days_on_disk()?;
        let open = self.write(days::list_open)?;
        let mut returned_bytes = 0;
        let now = self.clock.now();
        for day in on_disk.iter().filter(|day| !open.contains(day) && !probe::is_fresh(day, now)) {
            returned_bytes += self.stores.events.drop_day(day)?;
        }
        let freed = Freed { model: Model::Event, project_id: 0, rows: 0, bytes: returned_bytes };
        self.write(|tx| told::add(tx, self.sweep, &unit.name(), freed))?;
        Ok(Step { is_done: true, returned_bytes })
    }

    fn delete_attachments(&self, unit: &Unit, project_id: i64, before: Day) -> Result<Step, StoreError> {
        let keys = self.write(|tx| {
            let keys = attachments::delete_before(tx, project_id, before, ROWS_AT_ONCE)?;
            self.tell(tx, unit, &[(project_id, keys.len() as u64)])?;
            Ok(keys)
        })?;
        let returned_bytes = self.collect(&keys)?.bytes;
        Ok(Step { is_done: keys.len() < ROWS_AT_ONCE, returned_bytes })
    }

    fn delete_rows(
        &self,
        unit: &Unit,
        model: Model,
        (before, project_id): (Timestamp, Option<i64>),
    ) -> Result<Step, StoreError> {
        let Some(aged) = model.aged() else { return Ok(Step { is_done: true, returned_bytes: 0 }) };
        let deleted = self.write(|tx| {
            let deleted = expiry::delete(tx, aged, before, project_id, ROWS_AT_ONCE)?;
            // What is known of removals and of bodies goes with the ids they are about.
            if model == Model::Digested && project_id.is_none() {
                expiry::delete(tx, expiry::Aged::Removal, before, None, ROWS_AT_ONCE)?;
                expiry::delete(tx, expiry::Aged::SpentBody, before, None, ROWS_AT_ONCE)?;
                expiry::delete(tx, expiry::Aged::Withdrawn, before, None, ROWS_AT_ONCE)?;
            }
            self.tell(tx, unit, &by_project(&deleted))?;
            Ok(deleted.len())
        })?;
        Ok(Step { is_done: deleted < ROWS_AT_ONCE, returned_bytes: 0 })
    }

    fn vacuum(&self) -> Result<Step, StoreError> {
        let before = self.stores.metadata_bytes();
        let is_done = self.stores.db.vacuum_step(PAGES_AT_ONCE)? == 0;
        if is_done {
            self.stores.db.checkpoint_truncate()?;
        }
        Ok(Step { is_done, returned_bytes: before.saturating_sub(self.stores.metadata_bytes()) })
    }
}

fn by_project(projects: &[i64]) -> Vec<(i64, u64)> {
    let mut rows: BTreeMap<i64, u64> = BTreeMap::new();
    for project_id in projects {
        *rows.entry(*project_id).or_default() += 1;
    }
    rows.into_iter().collect()
}
