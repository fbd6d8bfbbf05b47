//! Statistics of a project: events by hour of receipt.

use crate::projects::ProjectRef;
use crate::{Actor, ApiError, Ops, Scope, lookup};
use std::time::Duration;
use stdx::{Hour, Timestamp};

#[derive(Clone, Debug)]
pub struct ProjectStatistics {
    pub project: ProjectRef,
    /// `None` = a day ago.
    pub since: Option<Timestamp>,
    /// `None` = now.
    pub until: Option<Timestamp>,
    pub resolution: Resolution,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolution {
    #[default]
    Hour,
    Day,
}

/// Longest period of one answer, in hours: a leap year.
const HOURS_MAX: i64 = 366 * 24;

/// Returns events received by step, oldest first, gaps filled with zero.
///
/// # Errors
/// `NotFound` if the project is not there or not the actor's, `Invalid` for a period of more than a year.
pub async fn project(cx: &Ops, actor: &Actor, input: &ProjectStatistics) -> Result<Vec<(Timestamp, i64)>, ApiError> {
    let (now, actor, input) = (cx.clock.now(), actor.clone(), input.clone());
    let until = input.until.unwrap_or(now).hour();
    let since = input.since.unwrap_or_else(|| until.start().minus(Duration::from_secs(23 * 3_600))).hour();
    let (first, hours_per_step) = match input.resolution {
        Resolution::Hour => (since, 1),
        Resolution::Day => (since.day().start().hour(), 24),
    };
    if until.0.saturating_sub(first.0) > HOURS_MAX {
        return Err(ApiError::invalid("The period is longer than a year."));
    }
    cx.read("read a project's statistics", move |tx| {
        let ProjectRef { org, project } = &input.project;
        let project = lookup::project(tx, &actor, org, project, Scope::ProjectRead)?;
        let steps = (until.0 - first.0).div_euclid(hours_per_step) + 1;
        let mut series: Vec<(Timestamp, i64)> =
            (0..steps.max(0)).map(|step| (Hour(first.0 + step * hours_per_step).start(), 0)).collect();
        for (hour, count) in store::projects::hours(tx, project.id, first)? {
            let step = usize::try_from((hour.0 - first.0).div_euclid(hours_per_step));
            if let Some((_, sum)) = step.ok().and_then(|step| series.get_mut(step)) {
                *sum += count;
            }
        }
        Ok(series)
    })
    .await
}
