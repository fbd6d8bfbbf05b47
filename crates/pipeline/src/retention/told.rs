//! What a sweep has removed, told as it goes: rows by model and project, in the transactions in which they went, so that no
//! death leaves anything untold or told twice. Bytes of rows are the plan's measure, for so many rows.
//!
//! Two things cannot be told that way. Blobs are files: a death while a lot of them is collected leaves that lot untold.
//! And bytes that came back are measured by whoever works; what a hand measured in its last half second dies with it.

use super::report::{Freed, Report};
use super::work::{Bench, Unit};
use db::Tx;
use store::tally::{self, Place};
use store::{StoreError, Stores};

impl Bench<'_> {
    /// Tells, in the transaction in which they went, so many rows of each of these projects.
    pub(super) fn tell(&self, tx: &mut Tx<'_>, unit: &Unit, gone: &[(i64, u64)]) -> Result<(), StoreError> {
        let name = unit.name();
        let Some(model) = unit.work.model() else { return Ok(()) };
        for (project_id, rows) in gone.iter().copied().filter(|(_, rows)| *rows > 0) {
            let place = Place { sweep: self.sweep, unit: &name, model: model.name(), project_id };
            let before = tally::rows_of(tx, &place)?;
            let bytes = bytes_of(&unit.due, project_id, before + rows) - bytes_of(&unit.due, project_id, before);
            tally::add(tx, &place, rows, bytes)?;
        }
        Ok(())
    }

    /// Tells what takes disk without a row of its own: it goes whole, or not.
    pub(super) fn tell_rowless(&self, tx: &mut Tx<'_>, unit: &Unit) -> Result<(), StoreError> {
        unit.due.iter().filter(|due| due.rows == 0).try_for_each(|due| add(tx, self.sweep, &unit.name(), *due))
    }
}

/// Adds to what a unit of a sweep has removed.
pub(super) fn add(tx: &mut Tx<'_>, sweep: i64, unit: &str, freed: Freed) -> Result<(), StoreError> {
    let Freed { model, project_id, rows, bytes } = freed;
    if rows == 0 && bytes == 0 {
        return Ok(());
    }
    tally::add(tx, &Place { sweep, unit, model: model.name(), project_id }, rows, bytes)
}

/// Adds to a report what its sweep has removed and not reported. A model of another release is left out.
pub(super) fn collect(tx: &mut Tx<'_>, sweep: i64, report: &mut Report) -> Result<(), StoreError> {
    for sum in tally::of_sweep(tx, sweep)? {
        if let Some(model) = super::Model::parse(&sum.model) {
            let tally::Sum { project_id, rows, bytes, .. } = sum;
            report.add(&[Freed { model, project_id, rows, bytes }]);
        }
    }
    Ok(())
}

/// Returns how many rows a sweep has removed so far.
pub(super) fn rows_so_far(stores: &Stores, sweep: i64) -> Result<u64, StoreError> {
    let sums = stores.db.read_blocking(|tx| tally::of_sweep(tx, sweep))?;
    Ok(sums.iter().map(|sum| sum.rows).sum())
}

/// Returns what so many rows of a project take by what the plan measured of it; of a project that it did not find there, by
/// what it measured of the others.
fn bytes_of(due: &[Freed], project_id: i64, rows: u64) -> u64 {
    let measured = |is_of: &dyn Fn(&Freed) -> bool| {
        let found = due.iter().filter(|due| due.rows > 0 && is_of(due));
        found.fold((0_u128, 0_u128), |sum, due| (sum.0 + u128::from(due.rows), sum.1 + u128::from(due.bytes)))
    };
    let (all, bytes) = match measured(&|due| due.project_id == project_id) {
        (0, _) => measured(&|_| true),
        own => own,
    };
    (bytes * u128::from(rows) / all.max(1)) as u64
}

#[cfg(test)]
mod tests {
    use super::super::Model;
    use super::*;

    #[test]
    fn rows_take_their_part_of_what_was_measured_and_all_of_them_all() {
        let due = |project_id, rows, bytes| Freed { model: Model::Event, project_id, rows, bytes };
        let measured = [due(1, 3, 100), due(2, 1, 11), due(0, 0, 7)];
        let bytes: Vec<u64> = (0..=4).map(|rows| bytes_of(&measured, 1, rows)).collect();
        assert_eq!(bytes, [0, 33, 66, 100, 133], "more than planned, too");
        assert_eq!(bytes_of(&measured, 9, 4), 111, "like the others");
        assert_eq!(bytes_of(&[], 9, 4), 0);
        assert_eq!(bytes_of(&[due(1, u64::MAX, u64::MAX)], 1, u64::MAX), u64::MAX);
    }
}
