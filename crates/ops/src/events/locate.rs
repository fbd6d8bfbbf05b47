//! Where events are: from an issue, a project or an id to rows of day partitions. Metadata tells which days to open;
//! no day is opened that holds nothing.

use crate::context::Failure;
use crate::{ApiError, page::Cursor};
use stdx::{Day, Timestamp};
use store::Stores;
use store::days::OpenDay;
use store::event_lookup::{self, DayRange};
use store::events::{ListQuery, StoredEvent};

/// Day partitions opened for one page. Two or three do for most; an issue with one event a day gets short pages.
const DAYS_MAX: usize = 8;
/// Events read from a day at once.
const CHUNK_ROWS: usize = 101;

/// Days of receipt that lie beyond every real one, for open ranges.
const DAY_FIRST: Day = Day(i64::MIN);
const DAY_LAST: Day = Day(i64::MAX);

/// Whose events.
#[derive(Clone, Debug)]
pub(super) enum Scope {
    /// All groups of an issue.
    Groups {
        project_id: i64,
        group_keys: Vec<i64>,
    },
    Project {
        project_id: i64,
    },
}

/// Events in the direction of reading, and whether there may be more behind them.
pub(super) struct Found {
    pub events: Vec<StoredEvent>,
    /// Set where a bound ended the search before the page was full: where to go on.
    pub stopped_at: Option<(i64, i64)>,
}

impl Scope {
    fn project_id(&self) -> i64 {
        match self {
            Scope::Groups { project_id, .. } | Scope::Project { project_id } => *project_id,
        }
    }

    fn group_keys(&self) -> Option<&[i64]> {
        match self {
            Scope::Groups { group_keys, .. } => Some(group_keys),
            Scope::Project { .. } => None,
        }
    }
}

/// Returns at most `limit` events behind `cursor` (none = from the newest) that `is_wanted` accepts.
pub(super) fn list(
    stores: &Stores,
    scope: &Scope,
    cursor: Option<Cursor>,
    limit: usize,
    examine_max: usize,
    mut is_wanted: impl FnMut(&StoredEvent) -> Result<bool, Failure>,
) -> Result<Found, Failure> {
    let newest_first = !cursor.is_some_and(|cursor| cursor.backwards);
    let from = cursor.map(|cursor| (Timestamp::from_micros(cursor.value), cursor.id));
    let mut found = Found { events: Vec::new(), stopped_at: None };
    let mut examined = 0;
    let days = days(stores, scope, from.map(|(at, _)| at.day()), newest_first, DAYS_MAX + 1)?;
    for (number, day) in days.iter().enumerate() {
        if number == DAYS_MAX {
            // Between the days: behind everything that was looked at.
            found.stopped_at = Some(edge_of(day.day, newest_first));
            return Ok(found);
        }
        // A place is one of its own day: in another, numbers of arrival begin anew.
        let mut bound = from.filter(|(at, _)| at.day() == day.day);
        loop {
            let query = ListQuery {
                project_id: scope.project_id(),
                group_keys: scope.group_keys(),
                bound,
                newest_first,
                limit: CHUNK_ROWS.min(limit),
            };
            let rows = stores.events.list(day, &query)?;
            let is_last = rows.len() < query.limit;
            for row in rows {
                bound = Some((row.received_at, row.seq));
                examined += 1;
                let place = (row.received_at.micros(), row.seq);
                if is_wanted(&row)? {
                    found.events.push(row);
                }
                if found.events.len() == limit {
                    return Ok(found);
                }
                if examined == examine_max {
                    found.stopped_at = Some(place);
                    return Ok(found);
                }
            }
            if is_last {
                break;
            }
        }
    }
    Ok(found)
}

/// A place before every event of `day` in the direction of reading.
fn edge_of(day: Day, newest_first: bool) -> (i64, i64) {
    let start = day.start().micros();
    if newest_first { (Day(day.0 + 1).start().micros(), i64::MIN) } else { (start, i64::MIN) }
}

/// Returns the event next to `event` within the scope: the one received before it, or after it.
pub(super) fn neighbour(
    stores: &Stores,
    scope: &Scope,
    event: &StoredEvent,
    is_before: bool,
) -> Result<Option<StoredEvent>, Failure> {
    let cursor = Cursor { value: event.received_at.micros(), id: event.seq, backwards: !is_before };
    Ok(list(stores, scope, Some(cursor), 1, 1, |_| Ok(true))?.events.pop())
}

/// Returns the newest or the oldest event of the scope.
pub(super) fn outermost(stores: &Stores, scope: &Scope, newest: bool) -> Result<Option<StoredEvent>, Failure> {
    let cursor = (!newest).then_some(Cursor { value: i64::MIN, id: i64::MIN, backwards: true });
    Ok(list(stores, scope, cursor, 1, 1, |_| Ok(true))?.events.pop())
}

/// Returns the open days that hold events of the scope, in the direction of reading, from `from` on.
fn days(
    stores: &Stores,
    scope: &Scope,
    from: Option<Day>,
    newest_first: bool,
    limit: usize,
) -> Result<Vec<OpenDay>, Failure> {
    stores.db.read_blocking(|tx| {
        let open = store::days::list_open(tx)?;
        let counted: Vec<Day> = match scope {
            Scope::Groups { project_id, group_keys } => {
                let range = if newest_first {
                    DayRange { from: DAY_FIRST, to: from.unwrap_or(DAY_LAST), newest_first, limit: open.len() + limit }
                } else {
                    DayRange { from: from.unwrap_or(DAY_FIRST), to: DAY_LAST, newest_first, limit: open.len() + limit }
                };
                let days = event_lookup::days_of_groups(tx, *project_id, group_keys, range)?;
                days.into_iter().map(|(day, _)| day).collect()
            }
            Scope::Project { project_id } => {
                let to = if newest_first { from.unwrap_or(DAY_LAST) } else { DAY_LAST };
                let mut days = event_lookup::days_of_project(tx, *project_id, to)?;
                if !newest_first {
                    days.retain(|day| from.is_none_or(|from| *day >= from));
                    days.reverse();
                }
                days
            }
        };
        let open_day = |day: Day| open.iter().find(|open| open.day == day).copied();
        Ok(counted.into_iter().filter_map(open_day).take(limit).collect())
    })
}

/// Returns the event with the id, if it was counted: by its fence row, so that only its own day is opened.
pub(crate) fn by_id(stores: &Stores, project_id: i64, event_id: &[u8; 16]) -> Result<StoredEvent, Failure> {
    let id = *event_id;
    let day = stores.db.read_blocking(|tx| {
        let open = store::days::list_open(tx)?;
        let days: Vec<Day> = open.iter().map(|open| open.day).collect();
        let found = event_lookup::day_of_event(tx, &days, project_id, &id)?;
        Ok::<_, Failure>(found.and_then(|(day, _)| open.into_iter().find(|open| open.day == day)))
    })?;
    let day = day.ok_or(ApiError::NotFound)?;
    Ok(stores.events.get(&day, project_id, event_id)?.ok_or(ApiError::NotFound)?)
}

/// Returns the 16 bytes of an event id, written with or without hyphens.
///
/// # Errors
/// `NotFound` for anything that is no event id: there can be none with it.
pub(crate) fn parse_event_id(text: &str) -> Result<[u8; 16], ApiError> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let is_plain = text.len() == digits.len() || text.len() == digits.len() + 4;
    stdx::hex::decode(&digits).filter(|_| is_plain).ok_or(ApiError::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_ids_are_read_in_both_forms_only() {
        let id = "0123456789abcdef0123456789abcdef";
        assert!(parse_event_id(id).is_ok());
        assert_eq!(parse_event_id("01234567-89ab-cdef-0123-456789abcdef").ok(), parse_event_id(id).ok());
        for text in ["", "latest", "0123", &format!("{id}0"), &format!("-{id}"), "../../etc/passwd"] {
            assert!(parse_event_id(text).is_err(), "{text}");
        }
    }
}
