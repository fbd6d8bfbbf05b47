//! Exact counters and series of a batch: by environment, hour and day for each issue, by hour, environment and release
//! for each project. Committed with the events, never buffered.

use super::aggregate::{BatchTotals, GroupTotals, Span};
use super::issues::Resolved;
use crate::StoreError;
use db::{Tx, Val};
use stdx::Day;

pub(super) fn bump(tx: &mut Tx<'_>, day: Day, totals: &BatchTotals<'_>, resolved: &Resolved) -> Result<(), StoreError> {
    for (group, sums) in &totals.groups {
        bump_group_day(tx, *group, day, sums.seen.count)?;
        for id in resolved.place_of(group).counter_ids() {
            // A strand's rows are of no project, so that no list finds them.
            bump_environments(tx, id, group.0 * id.signum(), sums)?;
            bump_hours(tx, id, sums)?;
        }
    }
    bump_projects(tx, totals)
}

fn bump_group_day(tx: &mut Tx<'_>, (project_id, key): (i64, i64), day: Day, count: i64) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO group_day (project_id, group_key, day, event_count) VALUES ($1, $2, $3, $4)
         ON CONFLICT (project_id, group_key, day) DO UPDATE SET event_count = group_day.event_count + excluded.event_count",
        &[Val::Int(project_id), Val::Int(key), Val::Int(day.0), Val::Int(count)],
    )?;
    Ok(())
}

fn bump_environments(
    tx: &mut Tx<'_>,
    issue_id: i64,
    project_id: i64,
    sums: &GroupTotals<'_>,
) -> Result<(), StoreError> {
    for (environment, span) in &sums.environments {
        tx.execute(
            "INSERT INTO issue_environment (issue_id, environment, project_id, first_seen, last_seen, event_count)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (issue_id, environment) DO UPDATE SET
                 first_seen = MIN(issue_environment.first_seen, excluded.first_seen),
                 last_seen = MAX(issue_environment.last_seen, excluded.last_seen),
                 event_count = issue_environment.event_count + excluded.event_count",
            &[
                Val::Int(issue_id),
                Val::Text(environment),
                Val::Int(project_id),
                Val::Int(span.first.micros()),
                Val::Int(span.last.micros()),
                Val::Int(span.count),
            ],
        )?;
    }
    Ok(())
}

fn bump_hours(tx: &mut Tx<'_>, issue_id: i64, sums: &GroupTotals<'_>) -> Result<(), StoreError> {
    for ((hour, environment), count) in &sums.hours {
        tx.execute(
            "INSERT INTO issue_hour (issue_id, hour, environment, event_count) VALUES ($1, $2, $3, $4)
             ON CONFLICT (issue_id, hour, environment) DO UPDATE SET event_count = issue_hour.event_count + excluded.event_count",
            &[Val::Int(issue_id), Val::Int(hour.0), Val::Text(environment), Val::Int(*count)],
        )?;
    }
    Ok(())
}

fn bump_projects(tx: &mut Tx<'_>, totals: &BatchTotals<'_>) -> Result<(), StoreError> {
    for ((project_id, hour), span) in &totals.project_hours {
        tx.execute(
            "INSERT INTO project_hour (project_id, hour, event_count) VALUES ($1, $2, $3)
             ON CONFLICT (project_id, hour) DO UPDATE SET event_count = project_hour.event_count + excluded.event_count",
            &[Val::Int(*project_id), Val::Int(hour.0), Val::Int(span.count)],
        )?;
        tx.execute(
            "UPDATE project SET last_event_at = MAX(COALESCE(last_event_at, 0), $2) WHERE id = $1",
            &[Val::Int(*project_id), Val::Int(span.last.micros())],
        )?;
    }
    for ((project_id, name), span) in &totals.project_environments {
        tx.execute(
            "INSERT INTO project_environment (project_id, name, first_seen) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            &[Val::Int(*project_id), Val::Text(name), Val::Int(span.first.micros())],
        )?;
    }
    for ((project_id, version), span) in &totals.project_releases {
        bump_release(tx, *project_id, version, span)?;
    }
    Ok(())
}

fn bump_release(tx: &mut Tx<'_>, project_id: i64, version: &str, span: &Span) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO project_release (project_id, version, first_seen, last_seen, event_count)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (project_id, version) DO UPDATE SET
             first_seen = MIN(project_release.first_seen, excluded.first_seen),
             last_seen = MAX(project_release.last_seen, excluded.last_seen),
             event_count = project_release.event_count + excluded.event_count",
        &[
            Val::Int(project_id),
            Val::Text(version),
            Val::Int(span.first.micros()),
            Val::Int(span.last.micros()),
            Val::Int(span.count),
        ],
    )?;
    Ok(())
}
