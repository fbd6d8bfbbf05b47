//! Merging issues, and taking them apart again. No event is touched: groups are led to another issue, and its counters
//! are summed anew from its strands, each of which is what was one issue (docs/decisions/0075-strands.md).
//!
//! All of it happens in one transaction, so a digest that writes to both issues meets either the state before or the one
//! after. What it costs grows with the counters of the issues (hours, tag values, users), not with their events.

use super::strands::{self, StrandRow};
use crate::StoreError;
use db::{Tx, Val};
use stdx::Timestamp;

/// Who does it, and when.
#[derive(Clone, Copy, Debug)]
pub struct By {
    pub user_id: Option<i64>,
    pub at: Timestamp,
}

/// Merges `sources` into `target`. The caller has checked that all are there, differ, and are of one project.
///
/// # Errors
/// Any database error; nothing is changed then.
pub fn merge(tx: &mut Tx<'_>, target: i64, sources: &[i64], by: By) -> Result<(), StoreError> {
    count_by_strands(tx, target)?;
    for source in sources {
        count_by_strands(tx, *source)?;
        take_in(tx, target, *source, by)?;
    }
    settle(tx, target)?;
    record(tx, target, "merge", sources, by)
}

/// Takes strands out of an issue, into one of their own, which is again the issue that the first of them was. An issue's
/// own strand stays: asked to take that out, the others go. Returns the issue that was made, or `None` if nothing would
/// be left of one of the two.
///
/// # Errors
/// Any database error; nothing is changed then.
pub fn unmerge(tx: &mut Tx<'_>, issue_id: i64, chosen: &[i64], by: By) -> Result<Option<i64>, StoreError> {
    let all = strands::of_issue(tx, issue_id)?;
    let takes_chosen = !chosen.contains(&issue_id);
    let (out, left): (Vec<&StrandRow>, Vec<&StrandRow>) =
        all.iter().partition(|strand| chosen.contains(&strand.id) == takes_chosen);
    let Some(first) = first_of(&out).filter(|_| !left.is_empty()) else { return Ok(None) };
    count_by_strands(tx, issue_id)?;
    restore(tx, first, by.at)?;
    let ids: Vec<i64> = out.iter().map(|strand| strand.id).collect();
    for strand in &out {
        let is_inner = strand.merged_into.is_some_and(|into| ids.contains(&into));
        let merged_into = if is_inner { strand.merged_into } else { Some(first) };
        lead_strand(tx, strand.id, first, merged_into.filter(|_| strand.id != first))?;
    }
    settle(tx, issue_id)?;
    settle(tx, first)?;
    record(tx, issue_id, "unmerge_source", &ids, by)?;
    record(tx, first, "unmerge_destination", &ids, by)?;
    Ok(Some(first))
}

/// The strand that others were merged into, else the one merged first.
fn first_of(out: &[&StrandRow]) -> Option<i64> {
    let takes_others = |strand: &StrandRow| out.iter().any(|other| other.merged_into == Some(strand.id));
    let root = |strand: &StrandRow| out.iter().all(|other| Some(other.id) != strand.merged_into);
    let roots = || out.iter().filter(|strand| root(strand));
    roots().find(|strand| takes_others(strand)).or(roots().next()).map(|strand| strand.id)
}

/// Makes an issue count by its strands: one that has none becomes a strand of itself. Its sums are gone until `settle`.
fn count_by_strands(tx: &mut Tx<'_>, issue_id: i64) -> Result<(), StoreError> {
    let inserted = tx.execute(
        "INSERT INTO issue_strand (id, issue_id, org_id, project_id, short_no, kind, title, culprit, metadata, platform,
                                   logger, level, status, substatus, status_at, is_unhandled, first_seen, last_seen,
                                   event_count, user_count, first_release, last_release)
         SELECT id, id, org_id, project_id, short_no, kind, title, culprit, metadata, platform, logger, level, status,
                substatus, status_at, is_unhandled, first_seen, last_seen, event_count, user_count, first_release,
                last_release
         FROM issue WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM issue_strand WHERE issue_id = $1)",
        &[Val::Int(issue_id)],
    )?;
    if inserted == 0 {
        return delete_counters(tx, issue_id);
    }
    tx.execute("UPDATE issue_group SET strand_id = $1 WHERE issue_id = $1", &[Val::Int(issue_id)])?;
    rename_counters(tx, issue_id, -issue_id)
}

/// Leads the strands of `source` to `target`, and ends the issue they were.
fn take_in(tx: &mut Tx<'_>, target: i64, source: i64, by: By) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE issue_strand SET merged_into = $2, merged_at = $3, merged_by = $4, merged_count = issue_strand.event_count,
                status = issue.status, substatus = issue.substatus, status_at = issue.status_at
         FROM issue WHERE issue_strand.id = $1 AND issue.id = $1",
        &[Val::Int(source), Val::Int(target), Val::from(by.at), Val::from(by.user_id)],
    )?;
    let pair = [Val::Int(source), Val::Int(target)];
    tx.execute("UPDATE issue_strand SET issue_id = $2 WHERE issue_id = $1", &pair)?;
    tx.execute("UPDATE issue_group SET issue_id = $2 WHERE issue_id = $1", &pair)?;
    tx.execute("DELETE FROM issue WHERE id = $1", &[Val::Int(source)])?;
    Ok(())
}

/// Makes the issue of a strand again, without counts. Its status is what it was, unless events came since.
fn restore(tx: &mut Tx<'_>, strand_id: i64, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO issue (id, org_id, project_id, short_no, kind, title, culprit, metadata, platform, logger, level,
                            status, substatus, status_at, is_unhandled, first_seen, last_seen, event_count, user_count,
                            first_release, last_release)
         SELECT id, org_id, project_id, short_no, kind, title, culprit, metadata, platform, logger, level,
                CASE WHEN event_count > merged_count THEN 'unresolved' ELSE status END,
                CASE WHEN event_count > merged_count THEN 'ongoing' ELSE substatus END,
                CASE WHEN event_count > merged_count AND status <> 'unresolved' THEN $2 ELSE status_at END,
                is_unhandled, first_seen, last_seen, 0, 0, first_release, last_release
         FROM issue_strand WHERE id = $1",
        &[Val::Int(strand_id), Val::from(now)],
    )?;
    Ok(())
}

fn lead_strand(tx: &mut Tx<'_>, strand_id: i64, issue_id: i64, into: Option<i64>) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE issue_strand SET issue_id = $2, merged_into = $3,
                merged_at = CASE WHEN $3 IS NULL THEN NULL ELSE merged_at END,
                merged_by = CASE WHEN $3 IS NULL THEN NULL ELSE merged_by END
         WHERE id = $1",
        &[Val::Int(strand_id), Val::Int(issue_id), Val::from(into)],
    )?;
    let pair = [Val::Int(strand_id), Val::Int(issue_id)];
    tx.execute("UPDATE issue_group SET issue_id = $2 WHERE strand_id = $1", &pair)?;
    Ok(())
}

/// Sums an issue from its strands; an issue of one strand is that strand, and needs none.
fn settle(tx: &mut Tx<'_>, issue_id: i64) -> Result<(), StoreError> {
    let all = strands::of_issue(tx, issue_id)?;
    match all.as_slice() {
        [only] => {
            rename_counters(tx, -only.id, issue_id)?;
            sum_issue(tx, issue_id)?;
            tx.execute("UPDATE issue_group SET strand_id = NULL WHERE issue_id = $1", &[Val::Int(issue_id)])?;
            tx.execute("DELETE FROM issue_strand WHERE issue_id = $1", &[Val::Int(issue_id)])?;
            Ok(())
        }
        _ => {
            sum_counters(tx, issue_id)?;
            sum_issue(tx, issue_id)
        }
    }
}

fn delete_counters(tx: &mut Tx<'_>, issue_id: i64) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM issue_environment WHERE issue_id = $1",
        "DELETE FROM issue_hour WHERE issue_id = $1",
        "DELETE FROM issue_user WHERE issue_id = $1",
        "DELETE FROM issue_tag_key WHERE issue_id = $1",
        "DELETE FROM issue_tag WHERE issue_id = $1",
    ] {
        tx.execute(statement, &[Val::Int(issue_id)])?;
    }
    Ok(())
}

/// Puts counters under another id: an issue's under its strand's, or back.
fn rename_counters(tx: &mut Tx<'_>, from: i64, to: i64) -> Result<(), StoreError> {
    for statement in [
        "UPDATE issue_environment SET issue_id = $2, project_id = -project_id WHERE issue_id = $1",
        "UPDATE issue_hour SET issue_id = $2 WHERE issue_id = $1",
        "UPDATE issue_user SET issue_id = $2 WHERE issue_id = $1",
        "UPDATE issue_tag_key SET issue_id = $2 WHERE issue_id = $1",
        "UPDATE issue_tag SET issue_id = $2 WHERE issue_id = $1",
    ] {
        tx.execute(statement, &[Val::Int(from), Val::Int(to)])?;
    }
    Ok(())
}

fn sum_counters(tx: &mut Tx<'_>, issue_id: i64) -> Result<(), StoreError> {
    for statement in [
        "INSERT INTO issue_environment (issue_id, environment, project_id, first_seen, last_seen, event_count)
         SELECT $1, environment, -MIN(project_id), MIN(first_seen), MAX(last_seen), SUM(event_count)
         FROM issue_environment WHERE issue_id IN (SELECT -id FROM issue_strand WHERE issue_id = $1)
         GROUP BY environment",
        "INSERT INTO issue_hour (issue_id, hour, environment, event_count)
         SELECT $1, hour, environment, SUM(event_count)
         FROM issue_hour WHERE issue_id IN (SELECT -id FROM issue_strand WHERE issue_id = $1)
         GROUP BY hour, environment",
        "INSERT INTO issue_user (issue_id, user_hash)
         SELECT DISTINCT $1, user_hash
         FROM issue_user WHERE issue_id IN (SELECT -id FROM issue_strand WHERE issue_id = $1)",
    ] {
        tx.execute(statement, &[Val::Int(issue_id)])?;
    }
    sum_tags(tx, issue_id)
}

/// The bound on values holds for the sum too: the most frequent are kept, the rest is counted as other.
fn sum_tags(tx: &mut Tx<'_>, issue_id: i64) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO issue_tag (issue_id, key, value, event_count, first_seen, last_seen)
         SELECT $1, key, value, n, first, last
         FROM (SELECT key, value, SUM(event_count) AS n, MIN(first_seen) AS first, MAX(last_seen) AS last,
                      ROW_NUMBER() OVER (PARTITION BY key ORDER BY SUM(event_count) DESC, value) AS place
               FROM issue_tag WHERE issue_id IN (SELECT -id FROM issue_strand WHERE issue_id = $1)
               GROUP BY key, value) sums
         WHERE place <= $2",
        &[Val::Int(issue_id), Val::Int(crate::digest::TAG_VALUES_MAX)],
    )?;
    tx.execute(
        "INSERT INTO issue_tag_key (issue_id, key, event_count, value_count, other_count)
         SELECT $1, k.key, k.n, COALESCE(t.v, 0), k.n - COALESCE(t.n, 0)
         FROM (SELECT key, SUM(event_count) AS n
               FROM issue_tag_key WHERE issue_id IN (SELECT -id FROM issue_strand WHERE issue_id = $1)
               GROUP BY key) k
         LEFT JOIN (SELECT key, COUNT(*) AS v, SUM(event_count) AS n
                    FROM issue_tag WHERE issue_id = $1 GROUP BY key) t ON t.key = k.key",
        &[Val::Int(issue_id)],
    )?;
    Ok(())
}

/// What an issue says of itself follows its newest strand, as it follows its newest event.
fn sum_issue(tx: &mut Tx<'_>, issue_id: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE issue SET
             event_count = (SELECT SUM(event_count) FROM issue_strand WHERE issue_id = $1),
             user_count = (SELECT COUNT(*) FROM issue_user WHERE issue_id = $1),
             first_seen = (SELECT MIN(first_seen) FROM issue_strand WHERE issue_id = $1),
             last_seen = (SELECT MAX(last_seen) FROM issue_strand WHERE issue_id = $1),
             is_unhandled = (SELECT MAX(is_unhandled) FROM issue_strand WHERE issue_id = $1),
             first_release = (SELECT first_release FROM issue_strand WHERE issue_id = $1 AND first_release IS NOT NULL
                              ORDER BY first_seen, id LIMIT 1),
             last_release = (SELECT last_release FROM issue_strand WHERE issue_id = $1 AND last_release IS NOT NULL
                             ORDER BY last_seen DESC, id DESC LIMIT 1),
             (kind, title, culprit, metadata, level) =
                 (SELECT kind, title, culprit, metadata, level FROM issue_strand WHERE issue_id = $1
                  ORDER BY last_seen DESC, id DESC LIMIT 1)
         WHERE id = $1",
        &[Val::Int(issue_id)],
    )?;
    Ok(())
}

/// Writes the line of the history, with the names of the strands it is about.
fn record(tx: &mut Tx<'_>, issue_id: i64, kind: &str, strand_ids: &[i64], by: By) -> Result<(), StoreError> {
    let numbers = strands::short_numbers(tx, strand_ids)?;
    // Lists of numbers are written alike in JSON.
    let data = format!("{{\"version\":1,\"issues\":{strand_ids:?},\"short_numbers\":{numbers:?}}}");
    tx.execute(
        "INSERT INTO issue_activity (issue_id, kind, user_id, data, at) VALUES ($1, $2, $3, $4, $5)",
        &[Val::Int(issue_id), Val::Text(kind), Val::from(by.user_id), Val::Text(&data), Val::from(by.at)],
    )?;
    Ok(())
}
