//! Users affected, counted exactly: one row for each user and issue.

use super::aggregate::BatchTotals;
use super::issues::Resolved;
use crate::StoreError;
use db::{Tx, Val};
use std::collections::HashSet;

pub(super) fn bump(tx: &mut Tx<'_>, totals: &BatchTotals<'_>, resolved: &Resolved) -> Result<(), StoreError> {
    for (group, sums) in &totals.groups {
        for id in resolved.place_of(group).counter_ids() {
            let new_users = insert(tx, id, &sums.users)?;
            if new_users > 0 {
                add(tx, id, new_users)?;
            }
        }
    }
    Ok(())
}

/// Returns how many were new.
fn insert(tx: &mut Tx<'_>, id: i64, users: &HashSet<i64>) -> Result<i64, StoreError> {
    let mut new_users: i64 = 0;
    for user_hash in users {
        let inserted = tx.execute(
            "INSERT INTO issue_user (issue_id, user_hash) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            &[Val::Int(id), Val::Int(*user_hash)],
        )?;
        new_users += i64::from(inserted == 1);
    }
    Ok(new_users)
}

fn add(tx: &mut Tx<'_>, id: i64, new_users: i64) -> Result<(), StoreError> {
    let statement = match id < 0 {
        true => "UPDATE issue_strand SET user_count = user_count + $2 WHERE id = $1",
        false => "UPDATE issue SET user_count = user_count + $2 WHERE id = $1",
    };
    tx.execute(statement, &[Val::Int(id.abs()), Val::Int(new_users)])?;
    Ok(())
}
