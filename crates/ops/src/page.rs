//! Pages of a list: keyset cursors in Sentry's text form `value:offset:is_prev`.
//!
//! `value` is the sort value and `offset` the id of the row the cursor stands at, so a page never shifts when rows are
//! inserted before it. Cursors are not secret and not trusted: any three integers are a valid place in a list.

use crate::ApiError;

/// Most rows of a page; Sentry's bound.
pub const PAGE_ROWS_MAX: usize = 100;
pub const PAGE_ROWS_DEFAULT: usize = 100;

/// Which page of a list is wanted.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// The text of a cursor from an earlier page.
    pub cursor: Option<String>,
    /// Rows wanted; `None` = the default; more than the maximum means the maximum.
    pub limit: Option<usize>,
}

/// One page of a list with the ways on and back.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub previous: PageLink,
    pub next: PageLink,
}

/// A neighbouring page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageLink {
    pub cursor: String,
    /// Whether the page holds anything now.
    pub has_results: bool,
}

/// A place between two rows of a list sorted by (value, id), and the direction to read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub value: i64,
    pub id: i64,
    pub backwards: bool,
}

impl Cursor {
    /// # Errors
    /// `Invalid` for anything but `integer:integer:0|1`.
    pub fn parse(text: &str) -> Result<Cursor, ApiError> {
        Self::read(text).ok_or_else(|| ApiError::invalid("Invalid cursor parameter."))
    }

    fn read(text: &str) -> Option<Cursor> {
        let mut parts = text.split(':');
        let value = parts.next()?.parse().ok()?;
        let id = parts.next()?.parse().ok()?;
        let backwards = match parts.next()? {
            "0" => false,
            "1" => true,
            _ => return None,
        };
        parts.next().is_none().then_some(Cursor { value, id, backwards })
    }

    pub fn text(self) -> String {
        format!("{}:{}:{}", self.value, self.id, u8::from(self.backwards))
    }
}

impl PageRequest {
    /// # Errors
    /// `Invalid` if the cursor is not one.
    pub fn cursor(&self) -> Result<Option<Cursor>, ApiError> {
        self.cursor.as_deref().filter(|text| !text.is_empty()).map(Cursor::parse).transpose()
    }

    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(PAGE_ROWS_DEFAULT).clamp(1, PAGE_ROWS_MAX)
    }
}

impl<T> Page<T> {
    /// Makes a page of `rows`, which were read from `cursor` in its direction with `limit + 1` as the bound.
    /// `place` tells a row's sort value and id.
    pub fn of(mut rows: Vec<T>, limit: usize, cursor: Option<Cursor>, place: impl Fn(&T) -> (i64, i64)) -> Page<T> {
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let backwards = cursor.is_some_and(|cursor| cursor.backwards);
        if backwards {
            rows.reverse();
        }
        // An empty page stands where its cursor stood; the way back includes the row that stands there.
        let stand = cursor.map_or((0, 0), |cursor| (cursor.value, cursor.id));
        let back = |step: i64| (stand.0, stand.1.saturating_add(step));
        let first = rows.first().map_or(if backwards { stand } else { back(-1) }, &place);
        let last = rows.last().map_or(if backwards { back(1) } else { stand }, &place);
        let link = |(value, id): (i64, i64), backwards, has_results| PageLink {
            cursor: Cursor { value, id, backwards }.text(),
            has_results,
        };
        Page {
            previous: link(first, true, if backwards { has_more } else { cursor.is_some() }),
            next: link(last, false, if backwards { true } else { has_more }),
            items: rows,
        }
    }

    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(change).collect(), previous: self.previous, next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_go_both_ways_and_forgeries_are_refused() {
        let cursor = Cursor { value: -5, id: 7, backwards: true };
        assert_eq!(Cursor::parse(&cursor.text()).expect("own text parses"), cursor);
        for forged in ["", "1", "1:2", "1:2:2", "1:2:3:4", "a:b:0", "1:2:0 OR 1=1", "99999999999999999999:0:0"] {
            assert!(Cursor::parse(forged).is_err(), "{forged}");
        }
    }

    #[test]
    fn a_limit_is_kept_within_its_bounds() {
        let limit = |limit| PageRequest { limit, cursor: None }.limit();
        assert_eq!((limit(None), limit(Some(0)), limit(Some(7)), limit(Some(usize::MAX))), (100, 1, 7, 100));
    }
}
