//! What a list of issues is asked for, as data: the words of the query language after parsing, before SQL.
//! Every value travels as a parameter; only the fixed texts of this module reach the statement.

use db::Val;

/// A condition; all of a query's conditions must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    pub negated: bool,
    pub field: Field,
    /// Any of these must match; not used by `Unhandled` and `HasTag`.
    pub values: Vec<Pattern>,
}

/// What a condition looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    Level,
    Platform,
    Logger,
    Title,
    Culprit,
    FirstRelease,
    /// Any release the issue was seen in.
    Release,
    /// Any environment the issue was seen in.
    Environment,
    /// A tag's kept values.
    Tag(String),
    /// The tag is there at all.
    HasTag(String),
    /// Title or culprit contains it.
    Text,
    Unhandled,
}

/// A value to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// The very same text.
    Exact(String),
    /// A `LIKE` pattern with `\` as the escape; letter case does not count.
    Like(String),
}

impl Pattern {
    /// Returns a pattern for `text`, where `*` stands for anything.
    pub fn wildcard(text: &str) -> Pattern {
        if !text.contains('*') {
            return Pattern::Exact(text.to_owned());
        }
        Pattern::Like(escape(text).replace('*', "%"))
    }

    /// Returns a pattern for whatever contains `text`, where `*` stands for anything.
    pub fn containing(text: &str) -> Pattern {
        Pattern::Like(format!("%{}%", escape(text).replace('*', "%")))
    }

    fn text(&self) -> &str {
        match self {
            Pattern::Exact(text) | Pattern::Like(text) => text,
        }
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// A statement under construction: its text and the values its `$n` stand for.
#[derive(Default)]
pub(crate) struct Statement<'a> {
    pub sql: String,
    pub values: Vec<Val<'a>>,
}

impl<'a> Statement<'a> {
    pub fn push(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// Adds a value and its placeholder.
    pub fn bind(&mut self, value: Val<'a>) {
        self.values.push(value);
        self.sql.push('$');
        self.sql.push_str(&self.values.len().to_string());
    }

    /// Adds `$a, $b, …` for a list; an empty list becomes `NULL`, which matches nothing.
    pub fn bind_list(&mut self, values: impl IntoIterator<Item = Val<'a>>) {
        let start = self.sql.len();
        for value in values {
            if self.sql.len() > start {
                self.sql.push_str(", ");
            }
            self.bind(value);
        }
        if self.sql.len() == start {
            self.sql.push_str("NULL");
        }
    }

    /// Adds the conditions, joined by AND, over a row of `issue` named `i`. Each is 0 or 1, never null.
    pub fn push_terms(&mut self, terms: &'a [Term]) {
        for (number, term) in terms.iter().enumerate() {
            if number > 0 {
                self.push(" AND ");
            }
            self.push(if term.negated { "NOT (" } else { "(" });
            self.push_condition(term);
            self.push(")");
        }
    }

    fn push_condition(&mut self, term: &'a Term) {
        match &term.field {
            Field::Level => self.push_any("i.level", &term.values),
            Field::Platform => self.push_any("i.platform", &term.values),
            Field::Logger => self.push_any("i.logger", &term.values),
            Field::Title => self.push_any("i.title", &term.values),
            Field::Culprit => self.push_any("i.culprit", &term.values),
            Field::FirstRelease => self.push_any("COALESCE(i.first_release, '')", &term.values),
            Field::Release => self.push_release(&term.values),
            Field::Environment => {
                self.push("EXISTS (SELECT 1 FROM issue_environment e WHERE e.issue_id = i.id AND (");
                self.push_any("e.environment", &term.values);
                self.push("))");
            }
            Field::Tag(key) => self.push_tag(key, &term.values),
            Field::HasTag(key) => {
                self.push("EXISTS (SELECT 1 FROM issue_tag_key k WHERE k.issue_id = i.id AND k.key = ");
                self.bind(Val::Text(key));
                self.push(")");
            }
            Field::Text => {
                self.push_any("i.title", &term.values);
                self.push(" OR ");
                self.push_any("i.culprit", &term.values);
            }
            Field::Unhandled => self.push("i.is_unhandled = 1"),
        }
    }

    /// The first and last release are in the row; those between are tag values.
    fn push_release(&mut self, values: &'a [Pattern]) {
        self.push_any("COALESCE(i.first_release, '')", values);
        self.push(" OR ");
        self.push_any("COALESCE(i.last_release, '')", values);
        self.push(" OR ");
        self.push_tag("release", values);
    }

    fn push_tag(&mut self, key: &'a str, values: &'a [Pattern]) {
        self.push("EXISTS (SELECT 1 FROM issue_tag t WHERE t.issue_id = i.id AND t.key = ");
        self.bind(Val::Text(key));
        self.push(" AND (");
        self.push_any("t.value", values);
        self.push("))");
    }

    fn push_any(&mut self, column: &str, values: &'a [Pattern]) {
        for (number, pattern) in values.iter().enumerate() {
            if number > 0 {
                self.push(" OR ");
            }
            match pattern {
                Pattern::Exact(_) => {
                    self.push(column);
                    self.push(" = ");
                    self.bind(Val::Text(pattern.text()));
                }
                Pattern::Like(_) => {
                    self.push("LOWER(");
                    self.push(column);
                    self.push(") LIKE LOWER(");
                    self.bind(Val::Text(pattern.text()));
                    self.push(") ESCAPE '\\'");
                }
            }
        }
        if values.is_empty() {
            self.push("1 = 0");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_become_like_and_its_own_characters_are_escaped() {
        assert_eq!(Pattern::wildcard("1.0"), Pattern::Exact("1.0".into()));
        assert_eq!(Pattern::wildcard("1_%*"), Pattern::Like("1\\_\\%%".into()));
        assert_eq!(Pattern::containing("a\\*b"), Pattern::Like("%a\\\\%b%".into()));
    }
}
