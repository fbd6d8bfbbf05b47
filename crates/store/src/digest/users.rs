//! Users affected, counted exactly: one row for each user and issue.

use super::aggregate::BatchTotals;
use super::issues::Resolved;
use crate::StoreError;
use db::{Tx, Val};

pub(super) fn bump(tx: &mut Tx<'_>, totals: &BatchTotals<'_>, resolved: &Resolved) -> Result<(), StoreError> {
    for (group, sums) in &totals.groups {
        let issue_id = resolved.issue_of(group);
        let mut new_users: i64 = 0;
        for user_hash in &sums.users {
            let inserted = tx.execute(
                "INSERT INTO issue_user (issue_id, user_hash) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                &[Val::Int(issue_id), Val::Int(*user_hash)],
            )?;
            new_users += i64::from(inserted == 1);
        }
        if new_users > 0 {
            tx.execute(
                "UPDATE issue SET user_count = user_count + $2 WHERE id = $1",
                &[Val::Int(issue_id), Val::Int(new_users)],
            )?;
        }
    }
    Ok(())
}
