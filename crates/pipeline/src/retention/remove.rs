//! Takes events out of the stores: a whole day, or a project's part of a day that others go on to use. Each step is bounded,
//! and whoever dies in one leaves what the next can tell: a day is ended in metadata before its files go, and single events
//! are noted as removed before their rows go (`store::thinning`).

use super::thin::{carry_out, victim};
use super::work::{Bench, EVENTS_AT_ONCE, ROWS_AT_ONCE, Step, Unit};
use store::StoreError;
use store::days::{self, Afterwards, OpenDay};
use store::events::ListQuery;
use store::removals;
use store::thinning::{self, Remover, Victim};

/// A day that is to end.
pub(super) struct Ending<'a> {
    pub(super) day: OpenDay,
    pub(super) reopens: bool,
    /// Only as long as nobody else's events are there; `None` = everybody's may go.
    pub(super) only: Option<&'a [i64]>,
}

/// How far a run came through a day: in which of the projects it is, and behind which place.
#[derive(Default)]
pub(super) struct Reached {
    projects_done: usize,
    seq: i64,
    /// All events that were to go are gone, and their disk comes back.
    is_walked: bool,
}

/// What the transaction that was to end a day did.
enum Ended {
    Whole,
    /// Counts by group are still in the way.
    NotYet,
    /// Somebody else's event was counted on the day since it was planned.
    Shared,
}

impl Bench<'_> {
    /// Metadata first: from its commit on nobody writes to the day or reads it. The files of a day that goes on are noted
    /// as removed.
    pub(super) fn end_day(&self, unit: &Unit, ending: &Ending<'_>, reached: &mut Reached) -> Result<Step, StoreError> {
        let ended = self.write(|tx| self.end_in(tx, unit, ending))?;
        match ended {
            Ended::Whole => Ok(Step { is_done: true, returned_bytes: self.stores.events.drop_day(&ending.day)? }),
            Ended::NotYet => Ok(Step { is_done: false, returned_bytes: 0 }),
            Ended::Shared => self.remove_events_of(unit, ending, reached),
        }
    }

    /// The counts that led pages to a day that goes on are led away before it ends, a part in each transaction: behind the
    /// end they could not be told from those of events that came since.
    fn end_in(&self, tx: &mut db::Tx<'_>, unit: &Unit, ending: &Ending<'_>) -> Result<Ended, StoreError> {
        let Ending { day, reopens, only } = ending;
        if !days::is_current(tx, day)? {
            return Ok(Ended::Whole);
        }
        let stored = removals::stored_by_project(tx, day.day)?;
        if !reopens {
            days::end(tx, day, Afterwards::Closed, self.clock.now())?;
            self.tell_day(tx, unit, &stored)?;
            return Ok(Ended::Whole);
        }
        if only.is_some_and(|only| stored.iter().any(|(project, _)| !only.contains(project))) {
            return Ok(Ended::Shared);
        }
        if removals::fold_group_days(tx, day.day, None, ROWS_AT_ONCE)? == ROWS_AT_ONCE {
            return Ok(Ended::NotYet);
        }
        let now = self.clock.now();
        days::end(tx, day, Afterwards::Reopened, now)?;
        removals::note_all(tx, day.day, None, now)?;
        self.tell_day(tx, unit, &stored)?;
        Ok(Ended::Whole)
    }

    fn tell_day(&self, tx: &mut db::Tx<'_>, unit: &Unit, stored: &[(i64, i64)]) -> Result<(), StoreError> {
        let gone: Vec<(i64, u64)> = stored.iter().map(|(project, rows)| (*project, rows.unsigned_abs())).collect();
        self.tell(tx, unit, &gone)?;
        self.tell_rowless(tx, unit)
    }

    /// The day goes on without these projects, one after the other.
    fn remove_events_of(&self, unit: &Unit, ending: &Ending<'_>, reached: &mut Reached) -> Result<Step, StoreError> {
        let projects = ending.only.unwrap_or_default();
        let Some(project_id) = projects.get(reached.projects_done) else {
            return Ok(Step { is_done: true, returned_bytes: 0 });
        };
        let step = self.remove_events(unit, (&ending.day, *project_id), reached)?;
        if step.is_done {
            *reached = Reached { projects_done: reached.projects_done + 1, ..Reached::default() };
        }
        Ok(Step { is_done: reached.projects_done == projects.len(), ..step })
    }

    /// Takes the next of a project's counted events out of a day, then gives their disk back. An event that is not counted
    /// is being digested, and stays.
    pub(super) fn remove_events(
        &self,
        unit: &Unit,
        (day, project_id): (&OpenDay, i64),
        reached: &mut Reached,
    ) -> Result<Step, StoreError> {
        let remover = Remover::Project(day, project_id);
        // Of whoever had this unit before and died.
        if let Some(left) = self.stores.db.read_blocking(|tx| thinning::removing_by(tx, remover))? {
            carry_out(self.stores, &left)?;
        }
        if reached.is_walked {
            let compacted = self.stores.events.compact_step(day)?;
            return Ok(Step { is_done: !compacted.has_more, returned_bytes: compacted.returned_bytes });
        }
        let victims = self.next_of_project(day, project_id, reached)?;
        let now = self.clock.now();
        let noted = self.write(|tx| {
            if !days::is_current(tx, day)? {
                return Ok(None);
            }
            let noted = thinning::note(tx, remover, day, &victims, now)?;
            let gone: Vec<(i64, u64)> = noted.sums.iter().map(|(project, (rows, _))| (*project, *rows)).collect();
            self.tell(tx, unit, &gone)?;
            Ok(Some(noted))
        })?;
        let Some(noted) = noted else { return Ok(Step { is_done: true, returned_bytes: 0 }) };
        carry_out(self.stores, &noted.removing)?;
        Ok(Step { is_done: false, returned_bytes: 0 })
    }

    fn next_of_project(
        &self,
        day: &OpenDay,
        project_id: i64,
        reached: &mut Reached,
    ) -> Result<Vec<Victim>, StoreError> {
        let bound = Some((stdx::Timestamp::EPOCH, reached.seq));
        let query = ListQuery { project_id, group_keys: None, bound, newest_first: false, limit: EVENTS_AT_ONCE };
        let weights = self.stores.events.weigh(day, &query)?;
        reached.is_walked = weights.is_empty();
        reached.seq = weights.last().map_or(reached.seq, |last| last.seq);
        Ok(weights.iter().map(|weight| victim(project_id, weight)).collect())
    }
}
