//! The issue list: query text and filters become one search of the store, its places become rows with series.

use super::query::IssueQuery;
use super::{Issue, IssueSort, IssueStatus, ListIssues, Series, SeriesPeriod, find, rows};
use crate::context::Failure;
use crate::lookup;
use crate::page::{Cursor, Page, PageLink};
use crate::{Actor, ApiError, Ops, Scope};
use std::collections::HashMap;
use stdx::{Day, Hour, Timestamp};
use store::issues::{FoundIssues, IssueList, Place, SortBy};

/// Most projects of one list: each costs an index seek for each status.
const PROJECTS_MAX: usize = 500;
/// Most environments of one filter.
const ENVIRONMENTS_MAX: usize = 20;

/// The query of a list that names none.
const DEFAULT_QUERY: &str = "is:unresolved";

/// Returns a page of issues.
///
/// # Errors
/// `Invalid` for a query, cursor or filter that is not understood, naming it; `NotFound` for an organization or project
/// that is not there or not the actor's.
pub async fn list(cx: &Ops, actor: &Actor, input: ListIssues) -> Result<Page<Issue>, ApiError> {
    actor.require(Scope::EventRead)?;
    let query = IssueQuery::parse(input.query.as_deref().unwrap_or(DEFAULT_QUERY))?;
    let cursor = input.page.cursor()?;
    if input.environments.len() > ENVIRONMENTS_MAX {
        return Err(ApiError::invalid(format!("At most {ENVIRONMENTS_MAX} environments can be chosen.")));
    }
    let (now, actor, public_url) = (cx.clock.now(), actor.clone(), cx.public_url());
    cx.read("list issues", move |tx| {
        let projects = lookup::projects(tx, &actor, input.org.as_deref(), &input.projects, Scope::EventRead)?;
        if projects.len() > PROJECTS_MAX {
            return Err(ApiError::invalid(format!("More than {PROJECTS_MAX} projects: choose some.")).into());
        }
        let project_ids: Vec<i64> = projects.iter().map(|project| project.id).collect();
        let limit = input.page.limit();
        let found = match &query.issues {
            Some(issues) => only_these(tx, &actor, &input, issues, &query, &project_ids)?,
            None => {
                let list = issue_list(&input, query, project_ids, cursor, limit);
                store::issues::find(tx, &list)?
            }
        };
        let page = page_of(found, limit, cursor);
        let ids: Vec<i64> = page.items.iter().map(|place| place.id).collect();
        let mut issues = rows::load(tx, &ids, &projects, &public_url)?;
        if let Some(period) = input.series {
            add_series(tx, &mut issues, period, &input.environments, now)?;
        }
        Ok(Page { items: issues, previous: page.previous, next: page.next })
    })
    .await
}

fn issue_list(
    input: &ListIssues,
    query: IssueQuery,
    projects: Vec<i64>,
    cursor: Option<Cursor>,
    limit: usize,
) -> IssueList {
    IssueList {
        projects,
        statuses: query.statuses.iter().map(|status| status.as_str()).collect(),
        environments: input.environments.clone(),
        terms: query.terms,
        sort: match input.sort {
            IssueSort::Date => SortBy::LastSeen,
            IssueSort::New => SortBy::FirstSeen,
            IssueSort::Freq => SortBy::Events,
            IssueSort::User => SortBy::Users,
        },
        from: cursor.map(|cursor| Place { value: cursor.value, id: cursor.id }),
        backwards: cursor.is_some_and(|cursor| cursor.backwards),
        // One more than the page tells whether there is a next one.
        limit: limit + 1,
    }
}

/// `issue:SHOP-1A` goes straight to its issues; the query's other conditions but the statuses are not looked at,
/// since whoever names an issue wants it.
fn only_these(
    tx: &mut db::Tx<'_>,
    actor: &Actor,
    input: &ListIssues,
    issues: &[String],
    query: &IssueQuery,
    project_ids: &[i64],
) -> Result<FoundIssues, Failure> {
    let mut places = Vec::new();
    for text in issues {
        let row = match find::row(tx, actor, input.org.as_deref(), text, Scope::EventRead) {
            Ok(row) => row,
            Err(Failure::Refused(ApiError::NotFound)) => continue,
            Err(failure) => return Err(failure),
        };
        let has_status = IssueStatus::parse(&row.status).is_some_and(|status| query.statuses.contains(&status));
        let place = Place { value: row.last_seen.micros(), id: row.id };
        if has_status && project_ids.contains(&row.project_id) && !places.contains(&place) {
            places.push(place);
        }
    }
    if let Some(cursor) = input.page.cursor()? {
        let stand = Place { value: cursor.value, id: cursor.id };
        places.retain(|place| if cursor.backwards { *place > stand } else { *place < stand });
    }
    places.sort_unstable_by(|a, b| b.cmp(a));
    Ok(FoundIssues { places, stopped_at: None })
}

/// Like `Page::of`, and where the search stopped at its bound, the next page goes on from there.
fn page_of(found: FoundIssues, limit: usize, cursor: Option<Cursor>) -> Page<Place> {
    let FoundIssues { places, stopped_at } = found;
    let mut page = Page::of(places, limit, cursor, |place| (place.value, place.id));
    if let Some(place) = stopped_at {
        let backwards = cursor.is_some_and(|cursor| cursor.backwards);
        let onward =
            PageLink { cursor: Cursor { value: place.value, id: place.id, backwards }.text(), has_results: true };
        if backwards {
            page.previous = onward;
        } else {
            page.next = onward;
        }
    }
    page
}

/// Adds the series of all issues of a page with one statement.
fn add_series(
    tx: &mut db::Tx<'_>,
    issues: &mut [Issue],
    period: SeriesPeriod,
    environments: &[String],
    now: Timestamp,
) -> Result<(), Failure> {
    let ids: Vec<i64> = issues.iter().map(|issue| issue.id).collect();
    let counted = store::issues::hours_of_issues(tx, &ids, first_hour(period, now), environments)?;
    let mut by_issue: HashMap<i64, Vec<(Hour, i64)>> = HashMap::new();
    for (issue_id, hour, count) in counted {
        by_issue.entry(issue_id).or_default().push((hour, count));
    }
    for issue in issues {
        let hours = by_issue.remove(&issue.id).unwrap_or_default();
        issue.series = Some((period, steps(period, now, &hours)));
    }
    Ok(())
}

/// Returns the first hour of a period that ends with the hour or day of `now`.
pub(super) fn first_hour(period: SeriesPeriod, now: Timestamp) -> Hour {
    let steps_back = period.steps() as i64 - 1;
    match period {
        SeriesPeriod::Day => Hour(now.hour().0 - steps_back),
        SeriesPeriod::Fortnight => Day(now.day().0 - steps_back).start().hour(),
    }
}

/// Sums hours into the steps of a period, gaps filled with zero. What lies outside is left out.
pub(super) fn steps(period: SeriesPeriod, now: Timestamp, hours: &[(Hour, i64)]) -> Series {
    let first = first_hour(period, now);
    let hours_per_step = match period {
        SeriesPeriod::Day => 1,
        SeriesPeriod::Fortnight => 24,
    };
    let mut series: Series =
        (0..period.steps() as i64).map(|step| (Hour(first.0 + step * hours_per_step).start(), 0)).collect();
    for (hour, count) in hours {
        let step = (hour.0 - first.0).div_euclid(hours_per_step);
        if let Some((_, sum)) = usize::try_from(step).ok().and_then(|step| series.get_mut(step)) {
            *sum += count;
        }
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_become_steps_with_zeros_between() {
        let now = Hour(24 * 100 + 5).start();
        let series = steps(SeriesPeriod::Day, now, &[(now.hour(), 2), (Hour(now.hour().0 - 23), 1), (Hour(0), 9)]);
        assert_eq!(series.len(), 24);
        assert_eq!((series[0].1, series[23]), (1, (now, 2)));
        let series = steps(SeriesPeriod::Fortnight, now, &[(now.hour(), 2), (Hour(24 * 100), 1), (Hour(24 * 87), 4)]);
        assert_eq!(
            series.iter().map(|(_, count)| *count).collect::<Vec<_>>(),
            [4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]
        );
    }

    #[test]
    fn a_search_that_stopped_leads_on_from_where_it_stopped() {
        let place = |value, id| Place { value, id };
        let found = FoundIssues { places: vec![place(9, 1)], stopped_at: Some(place(3, 7)) };
        let page = page_of(found, 100, None);
        assert_eq!((page.items.len(), page.next.cursor.as_str(), page.next.has_results), (1, "3:7:0", true));
        assert!(!page.previous.has_results);
    }
}
