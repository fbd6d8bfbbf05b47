//! What is due: units of work, each with the rows and bytes it removes. Planning changes nothing, and the same plan is
//! what `--dry-run` prints and what a sweep carries out, so the two cannot differ.

use super::collect;
use super::policies::{HOURS_KEPT, Kept, Model, POLICIES, Reach};
use super::report::{Freed, Report};
use super::work::{Unit, Work};
use crate::pace;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use stdx::{Day, Timestamp};
use store::days::OpenDay;
use store::projects::RetentionRow;
use store::{StoreError, Stores, attachments, days, expiry, probe, projects, remains, removals, series};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// A day is receiving until the one after it has passed: clocks of ingest differ, and jobs of midnight are on their way.
const RECEIVING_DAYS: i64 = 1;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Instead of every limit that is set.
    pub days: Option<i64>,
    /// `system.event-retention-days`
    pub installation_days: i64,
    /// Only this project, and only models of projects.
    pub project_id: Option<i64>,
    /// Only these; empty = all.
    pub models: Vec<Model>,
    /// Bodies of jobs put before this are nobody's; `None` = the queue could not be asked.
    pub bodies_before: Option<Timestamp>,
    /// Part of the time that planning may spend reading; `None` = all of it.
    pub share: Option<f64>,
}

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Events received before it go.
    pub cutoff: Day,
    pub units: Vec<Unit>,
    pub projects: Vec<RetentionRow>,
}

impl Plan {
    /// Returns what it removes, all told.
    pub fn report(&self) -> Report {
        let mut report = Report::default();
        for unit in &self.units {
            report.add(&unit.due);
        }
        report.units = self.units.len() as u64;
        report
    }

    /// Returns `org/project`; nothing for what is of no project.
    pub fn project_name(&self, id: i64) -> Option<&str> {
        self.projects.iter().find(|project| project.id == id).map(|project| project.name.as_str())
    }
}

impl Ask {
    pub fn covers(&self, model: Model) -> bool {
        let is_chosen = self.models.is_empty() || self.models.contains(&model);
        is_chosen && (self.project_id.is_none() || model.policy().reach == Reach::Project)
    }

    /// A day goes when its last moment is older than the limit; with none or less, every day goes, today too.
    fn cutoff_of(&self, days: i64, now: Timestamp) -> Day {
        if days <= 0 {
            return Day(now.day().0 + 1);
        }
        let kept = u64::try_from(days).unwrap_or_default().saturating_mul(DAY.as_secs());
        now.minus(Duration::from_secs(kept)).day()
    }

    fn installation_cutoff(&self, now: Timestamp) -> Day {
        self.cutoff_of(self.days.unwrap_or(self.installation_days), now)
    }

    /// A project may set less than the installation, never more.
    fn cutoff(&self, project: &RetentionRow, now: Timestamp) -> Day {
        let own = project.days.filter(|days| *days >= 1);
        let limit = own.map_or(self.installation_days, |own| own.min(self.installation_days));
        self.cutoff_of(self.days.unwrap_or(limit), now)
    }

    fn is_in_scope(&self, project_id: i64) -> bool {
        self.project_id.is_none_or(|wanted| wanted == project_id)
    }
}

/// Plans a sweep. It reads day by day, project by project and folder by folder, and rests between them.
///
/// # Errors
/// If a store cannot be read.
pub fn plan(stores: &Stores, ask: &Ask, now: Timestamp) -> Result<Plan, StoreError> {
    let projects = stores.db.read_blocking(projects::retention)?;
    let mut planner = Planner { stores, ask, now, projects: &projects, units: Vec::new(), read_since: Instant::now() };
    if ask.covers(Model::Event) {
        planner.events()?;
    }
    if ask.covers(Model::Attachment) {
        planner.attachments()?;
    }
    for policy in POLICIES.iter().filter(|policy| ask.covers(policy.model)) {
        planner.rows(policy.model, policy.kept)?;
    }
    if ask.covers(Model::Series) {
        planner.series()?;
    }
    if ask.covers(Model::Project) {
        planner.remains()?;
    }
    if ask.covers(Model::Blob) {
        planner.blobs()?;
    }
    if planner.units.iter().any(|unit| unit.work.leaves_free_pages()) {
        planner.add(Work::Vacuum, Vec::new());
    }
    let mut units = planner.units;
    units.sort_by_key(Unit::rank);
    Ok(Plan { cutoff: ask.installation_cutoff(now), units, projects })
}

struct Planner<'a> {
    stores: &'a Stores,
    ask: &'a Ask,
    now: Timestamp,
    projects: &'a [RetentionRow],
    units: Vec<Unit>,
    /// When it last rested.
    read_since: Instant,
}

impl Planner<'_> {
    fn add(&mut self, work: Work, due: Vec<Freed>) {
        self.units.push(Unit { work, due });
    }

    /// To be called after each part of the stores that was read: none is held open meanwhile.
    fn rest(&mut self) {
        if let Some(share) = self.ask.share {
            pace::rest(share, self.read_since.elapsed());
        }
        self.read_since = Instant::now();
    }

    fn events(&mut self) -> Result<(), StoreError> {
        let cutoffs: BTreeMap<i64, Day> =
            self.projects.iter().map(|project| (project.id, self.ask.cutoff(project, self.now))).collect();
        let installation = self.ask.installation_cutoff(self.now);
        let last = cutoffs.values().copied().max().unwrap_or(installation).max(installation);
        let open = self.stores.db.read_blocking(days::list_open)?;
        for day in open.iter().rev().filter(|open| open.day < last) {
            let stored = self.stores.db.read_blocking(|tx| removals::stored_by_project(tx, day.day))?;
            let is_due = |(project, _): &&(i64, i64)| {
                self.ask.is_in_scope(*project) && cutoffs.get(project).is_some_and(|cutoff| day.day < *cutoff)
            };
            let due: Vec<(i64, i64)> = stored.iter().filter(is_due).copied().collect();
            let is_past_all = day.day < installation && self.ask.project_id.is_none();
            if is_past_all || (!due.is_empty() && due.len() == stored.len()) {
                self.end_day(*day, &stored, is_past_all)?;
            } else {
                self.remove_events(*day, &due, &stored)?;
            }
            self.rest();
        }
        if self.ask.project_id.is_none() {
            self.leftovers(&open)?;
            for day in self.stores.db.read_blocking(removals::days_to_fold)? {
                self.add(Work::Fold { day }, Vec::new());
            }
        }
        Ok(())
    }

    /// A day that may still receive goes on empty; so does one that only shorter limits have passed.
    fn end_day(&mut self, day: OpenDay, stored: &[(i64, i64)], is_past_all: bool) -> Result<(), StoreError> {
        let reopens = !is_past_all || day.day.0 >= self.now.day().0 - RECEIVING_DAYS;
        let due = shares(self.stores.events.size_bytes(&day)?, stored);
        if reopens && due.is_empty() {
            return Ok(());
        }
        let only = (!is_past_all).then(|| stored.iter().map(|(project, _)| *project).collect());
        self.add(Work::EndDay { day: day.day, generation: day.generation, reopens, only }, due);
        if !reopens {
            self.add(Work::Fold { day: day.day }, Vec::new());
        }
        Ok(())
    }

    /// The day goes on without these projects: their part of it is measured by their bodies.
    fn remove_events(&mut self, day: OpenDay, due: &[(i64, i64)], stored: &[(i64, i64)]) -> Result<(), StoreError> {
        let size = if due.is_empty() { 0 } else { self.stores.events.size_bytes(&day)? };
        for (project_id, rows) in due {
            let (own, all) = self.stores.events.body_bytes(&day, *project_id).unwrap_or_else(|error| {
                // A damaged day keeps nobody from the others: its unit fails and is named.
                tracing::warn!(day = %day.day, error = %stdx::causes::on_one_line(&error), "bodies of a day not measured");
                let all: i64 = stored.iter().map(|(_, rows)| rows).sum();
                (rows.unsigned_abs(), all.unsigned_abs())
            });
            let bytes = (u128::from(size) * u128::from(own) / u128::from(all.max(1))) as u64;
            let freed = Freed { model: Model::Event, project_id: *project_id, rows: rows.unsigned_abs(), bytes };
            let work = Work::RemoveEvents { day: day.day, generation: day.generation, project_id: *project_id };
            self.add(work, vec![freed]);
            self.rest();
        }
        Ok(())
    }

    fn leftovers(&mut self, open: &[OpenDay]) -> Result<(), StoreError> {
        let mut bytes = 0;
        let on_disk = self.stores.events.days_on_disk()?;
        for day in on_disk.iter().filter(|day| !open.contains(day) && !probe::is_fresh(day, self.now)) {
            bytes += self.stores.events.size_bytes(day)?;
        }
        if bytes > 0 {
            self.add(Work::Leftovers, vec![Freed { model: Model::Event, project_id: 0, rows: 0, bytes }]);
        }
        Ok(())
    }

    fn attachments(&mut self) -> Result<(), StoreError> {
        let far = Day(self.now.day().0 + 1);
        let counted = self.stores.db.read_blocking(|tx| attachments::count_by_day(tx, far))?;
        for project in self.projects.iter().filter(|project| self.ask.is_in_scope(project.id)) {
            let before = self.ask.cutoff(project, self.now);
            let of_project = counted.iter().filter(|(id, day, _)| *id == project.id && *day < before);
            let rows: i64 = of_project.map(|(_, _, rows)| rows).sum();
            if rows == 0 {
                continue;
            }
            let keys = self.stores.db.read_blocking(|tx| attachments::blobs_only_before(tx, project.id, before))?;
            let bytes = keys.iter().map(|key| self.stores.blobs.allocated_bytes(key)).sum();
            let freed = Freed { model: Model::Attachment, project_id: project.id, rows: rows.unsigned_abs(), bytes };
            self.add(Work::Attachments { project_id: project.id, before }, vec![freed]);
            self.rest();
        }
        Ok(())
    }

    fn rows(&mut self, model: Model, kept: Kept) -> Result<(), StoreError> {
        let Some(aged) = model.aged() else { return Ok(()) };
        let before = match kept {
            Kept::EventDays => self.ask.installation_cutoff(self.now).max(Day(0)).start(),
            Kept::DaysBeyondEvents(days) => self.facts_before(days)?.start(),
            Kept::For(age) => self.now.minus(age),
        };
        let project_id = self.ask.project_id;
        let counted = self.stores.db.read_blocking(|tx| expiry::count(tx, aged, before, project_id))?;
        let due: Vec<Freed> = counted
            .iter()
            .map(|(project_id, rows)| {
                let rows = rows.unsigned_abs();
                Freed { model, project_id: *project_id, rows, bytes: rows * aged.row_bytes() }
            })
            .collect();
        if !due.is_empty() {
            self.add(Work::Rows { model, before, project_id }, due);
        }
        self.rest();
        Ok(())
    }

    fn series(&mut self) -> Result<(), StoreError> {
        let before = self.now.minus(HOURS_KEPT).day().start().hour();
        for series in series::ALL {
            for (share, rows) in self.stores.db.read_blocking(|tx| series::due(tx, *series, before))? {
                let rows = rows.unsigned_abs();
                let freed = Freed { model: Model::Series, project_id: 0, rows, bytes: rows * series.row_bytes() };
                self.add(Work::FoldHours { share, before }, vec![freed]);
            }
            self.rest();
        }
        Ok(())
    }

    /// Of projects whose last events go in this very sweep it is the next one's.
    fn remains(&mut self) -> Result<(), StoreError> {
        for left in self.stores.db.read_blocking(remains::due)? {
            if self.ask.is_in_scope(left.project_id) {
                let (rows, bytes) = (left.rows.unsigned_abs(), left.bytes.unsigned_abs());
                let freed = Freed { model: Model::Project, project_id: left.project_id, rows, bytes };
                self.add(Work::Remains { project_id: left.project_id }, vec![freed]);
            }
        }
        Ok(())
    }

    /// Facts of a day outlive it, and the day after it looks for its ids: nothing of an open day goes, nor of the one before.
    fn facts_before(&self, days: i64) -> Result<Day, StoreError> {
        let beyond = Day(self.ask.installation_cutoff(self.now).0 - days);
        let oldest_open = self.stores.db.read_blocking(days::list_open)?.last().map(|open| open.day.previous());
        // Not before time began: far limits keep everything.
        Ok(oldest_open.map_or(beyond, |oldest| oldest.min(beyond)).max(Day(0)))
    }

    fn blobs(&mut self) -> Result<(), StoreError> {
        let orphans_before = self.now.minus(super::policies::ORPHANS_KEPT);
        let bodies_before = self.ask.bodies_before;
        for folder in 0..=u8::MAX {
            let bounds = collect::Bounds { orphans_before, bodies_before };
            let orphans = collect::orphans(self.stores, folder, bounds)?;
            self.rest();
            if orphans.is_empty() {
                continue;
            }
            let bytes = orphans.iter().map(|file| file.allocated_bytes).sum();
            let freed = Freed { model: Model::Blob, project_id: 0, rows: orphans.len() as u64, bytes };
            self.add(Work::Blobs { folder, orphans_before, bodies_before }, vec![freed]);
        }
        Ok(())
    }
}

/// Parts a day's bytes between its projects by their events, to the last byte.
fn shares(bytes: u64, stored: &[(i64, i64)]) -> Vec<Freed> {
    let all: u128 = stored.iter().map(|(_, rows)| u128::from(rows.unsigned_abs())).sum();
    let (mut rows_before, mut given) = (0_u128, 0_u64);
    let share = |(project_id, rows): &(i64, i64)| {
        rows_before += u128::from(rows.unsigned_abs());
        let upto = (u128::from(bytes) * rows_before / all.max(1)) as u64;
        let part = upto - given;
        given = upto;
        Freed { model: Model::Event, project_id: *project_id, rows: rows.unsigned_abs(), bytes: part }
    };
    let mut shared: Vec<Freed> = stored.iter().map(share).collect();
    if shared.is_empty() && bytes > 0 {
        shared.push(Freed { model: Model::Event, project_id: 0, rows: 0, bytes });
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_days_bytes_are_shared_to_the_last_one() {
        let parts = |bytes, stored: &[(i64, i64)]| -> Vec<u64> {
            shares(bytes, stored).iter().map(|freed| freed.bytes).collect()
        };
        assert_eq!(parts(100, &[(1, 1), (2, 1), (3, 1)]), [33, 33, 34]);
        assert_eq!(parts(100, &[]), [100]);
        assert_eq!(parts(0, &[(1, 5)]), [0]);
    }

    #[test]
    fn limits_are_the_least_that_is_set_and_what_is_asked_goes_before() {
        let now = Timestamp::from_seconds(1_795_262_400);
        let project = |days| RetentionRow { id: 1, name: "a/b".to_owned(), days };
        let ask = |days| Ask { days, installation_days: 90, ..Ask::default() };
        let age = |ask: Ask, days| now.day().0 - ask.cutoff(&project(days), now).0;
        assert_eq!(age(ask(None), None), 90);
        assert_eq!(age(ask(None), Some(30)), 30);
        assert_eq!(age(ask(None), Some(400)), 90, "a project keeps no more than the installation");
        assert_eq!(age(ask(None), Some(0)), 90, "nonsense removes nothing");
        assert_eq!(age(ask(Some(60)), Some(30)), 60);
        assert_eq!(age(ask(Some(0)), None), -1);
        assert_eq!(age(ask(Some(-5)), None), -1);
        assert!(age(ask(Some(i64::MAX)), None) > 1_000_000, "far limits keep everything");
    }
}
