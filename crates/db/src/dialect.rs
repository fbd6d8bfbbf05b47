//! What differs between the engines. SQL is written with `$1…$n`; SQLite reads `$1` as a *named* parameter numbered by
//! appearance, so it gets `?1…?n`.

use std::borrow::Cow;

/// Returns the statement with SQLite's numbered placeholders. Text in quotes is left alone.
///
/// It runs before each statement, so it changes single bytes of a copy and nothing moves.
pub fn to_sqlite(sql: &str) -> Cow<'_, str> {
    if !sql.contains('$') {
        return Cow::Borrowed(sql);
    }
    let mut rewritten = sql.as_bytes().to_vec();
    let is_placeholder = |index: &usize| sql.as_bytes().get(index + 1).is_some_and(u8::is_ascii_digit);
    let mut quotes = Quotes::default();
    // Few statements have quotes, and none is read byte by byte.
    let has_quotes = sql.contains(['\'', '"']);
    for index in sql.match_indices('$').map(|(index, _)| index).filter(is_placeholder) {
        if !has_quotes || quotes.are_closed_at(sql, index) {
            rewritten[index] = b'?';
        }
    }
    Cow::Owned(String::from_utf8(rewritten).expect("one ASCII byte was put in the place of another"))
}

/// How far a statement was read, and the quote that is open there.
#[derive(Default)]
struct Quotes {
    read: usize,
    open: Option<char>,
}

impl Quotes {
    /// Reads on to a place behind the last one.
    fn are_closed_at(&mut self, sql: &str, index: usize) -> bool {
        for (_, quote) in sql[self.read..index].match_indices(['\'', '"']) {
            let quote = quote.chars().next();
            match self.open {
                Some(_) if self.open == quote => self.open = None,
                Some(_) => {}
                None => self.open = quote,
            }
        }
        self.read = index;
        self.open.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expected: &str) {
        assert_eq!(to_sqlite(sql), expected);
    }

    #[test]
    fn placeholders_are_rewritten_outside_quotes_only() {
        check("SELECT 1", "SELECT 1");
        check("SELECT $1, $12 WHERE a = $2", "SELECT ?1, ?12 WHERE a = ?2");
        check("SELECT '$1', \"$2\", $3", "SELECT '$1', \"$2\", ?3");
        check("SELECT 'it''s $1', $2", "SELECT 'it''s $1', ?2");
        check("SELECT $.a", "SELECT $.a");
    }
}
