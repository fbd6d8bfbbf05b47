//! How far an entry has come, where the clock steps. A cursor ahead of the clock means that it was ahead: a little, and what
//! was fired is waited for, so that nothing is fired twice; more, and the entry goes on under another cursor, for a
//! scheduler must not be silent until the clock has caught up. Then the first counts again.

use crate::Cursor;
use std::collections::HashMap;
use std::time::Duration;
use stdx::Timestamp;

/// So far a cursor may be ahead of the clock and be waited for.
const AHEAD_MAX: Duration = Duration::from_secs(5 * 60);
/// Cursors of one entry: steps ahead that lie within each other.
const LINES_MAX: usize = 8;

/// A cursor of an entry, and the name under which the ledger keeps it.
pub struct Line<'a> {
    pub name: String,
    /// `None` while it was never moved.
    pub cursor: Option<&'a Cursor>,
}

/// Returns the cursor by which an entry goes on; `None` while one that is ahead is waited for.
pub fn pick<'a>(entry: &str, cursors: &'a HashMap<String, Cursor>, now: Timestamp) -> Option<Line<'a>> {
    let lines: Vec<Line<'_>> = (0..LINES_MAX)
        .map(|number| if number == 0 { entry.to_owned() } else { format!("{entry}~{number}") })
        .map(|name| Line { cursor: cursors.get(&name), name })
        .collect();
    let (mut reached, mut free, mut is_waited_for) = (None::<Line<'_>>, None, false);
    for line in lines {
        let Some(cursor) = line.cursor else {
            free = free.or(Some(line));
            continue;
        };
        if cursor.scheduled_at > now {
            is_waited_for |= cursor.scheduled_at.since(now) <= AHEAD_MAX;
            continue;
        }
        let is_later = |other: &Line<'_>| other.cursor.is_none_or(|other| other.scheduled_at < cursor.scheduled_at);
        if reached.as_ref().is_none_or(is_later) {
            reached = Some(line);
        }
    }
    // One that moved just now goes on up to where the other stands; an old one knows nothing of what was fired since.
    let is_current = |line: &Line<'_>| line.cursor.is_some_and(|cursor| now.since(cursor.scheduled_at) <= AHEAD_MAX);
    if is_waited_for && !reached.as_ref().is_some_and(is_current) {
        return None;
    }
    reached.or(free)
}
