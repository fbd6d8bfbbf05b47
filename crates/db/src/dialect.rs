//! What differs between the engines. SQL is written with `$1…$n`; SQLite reads `$1` as a *named* parameter numbered by
//! appearance, so it gets `?1…?n`.

use std::borrow::Cow;

/// Returns the statement with SQLite's numbered placeholders. Text in quotes is left alone.
pub fn to_sqlite(sql: &str) -> Cow<'_, str> {
    if !sql.contains('$') {
        return Cow::Borrowed(sql);
    }
    let mut rewritten = String::with_capacity(sql.len());
    let mut quote: Option<char> = None;
    let mut characters = sql.chars().peekable();
    while let Some(character) = characters.next() {
        match quote {
            Some(open) if character == open => quote = None,
            Some(_) => {}
            None if matches!(character, '\'' | '"') => quote = Some(character),
            None if character == '$' && characters.peek().is_some_and(char::is_ascii_digit) => {
                rewritten.push('?');
                continue;
            }
            None => {}
        }
        rewritten.push(character);
    }
    Cow::Owned(rewritten)
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
