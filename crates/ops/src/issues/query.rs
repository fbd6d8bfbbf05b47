//! The query language of issue lists, first version: `is:`, fields, tags, negation, quotes, `[a, b]` lists and free
//! text with `*`. Words follow Sentry's (<https://docs.sentry.io/concepts/search/>). What is not understood is refused
//! by name, never ignored: a filter that silently matches everything hides issues.

use super::IssueStatus;
use crate::ApiError;
use store::issues::{Field, Pattern, Term};

/// Longest query text: far beyond what a person types, short enough to parse in microseconds.
const QUERY_BYTES_MAX: usize = 2_000;
/// Most conditions of a query, each of which is evaluated for each candidate.
const TERMS_MAX: usize = 20;
/// Most values of a `[a, b]` list.
const VALUES_MAX: usize = 20;
/// Most `*` of a value: each multiplies the work of one comparison.
const WILDCARDS_MAX: usize = 4;

/// A query understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IssueQuery {
    /// Statuses an issue may have; empty = contradictory conditions, nothing matches.
    pub statuses: Vec<IssueStatus>,
    pub terms: Vec<Term>,
    /// Short ids or ids an issue must have one of.
    pub issues: Option<Vec<String>>,
}

/// One token of the text, before its meaning is looked up.
#[derive(Debug)]
struct Token {
    /// As written, for messages.
    written: String,
    negated: bool,
    /// `None` = free text.
    key: Option<String>,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Text { text: String, is_quoted: bool },
    List(Vec<String>),
}

impl IssueQuery {
    /// # Errors
    /// `Invalid`, naming the token that is unknown or malformed.
    pub(crate) fn parse(text: &str) -> Result<IssueQuery, ApiError> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(ApiError::invalid(format!(
                "Error parsing search query: longer than {QUERY_BYTES_MAX} characters"
            )));
        }
        let mut query = IssueQuery {
            statuses: vec![IssueStatus::Unresolved, IssueStatus::Resolved, IssueStatus::Ignored],
            terms: Vec::new(),
            issues: None,
        };
        for token in tokens(text)? {
            query.add(token)?;
            if query.terms.len() > TERMS_MAX {
                return Err(ApiError::invalid(format!("Error parsing search query: more than {TERMS_MAX} conditions")));
            }
        }
        Ok(query)
    }

    fn add(&mut self, token: Token) -> Result<(), ApiError> {
        let Some(key) = token.key.clone() else { return self.add_text(token) };
        match key.as_str() {
            "is" => self.add_is(&token),
            "has" => {
                let field = Field::HasTag(token.single()?.to_owned());
                self.push(token.negated, field, Vec::new())
            }
            "issue" | "issue.id" | "id" => self.add_issues(&token),
            "user.id" | "user.email" | "user.username" | "user.ip" => {
                let values = user_patterns(&key, token.patterns()?);
                self.push(token.negated, Field::Tag("user".to_owned()), values)
            }
            _ => {
                let values = token.patterns()?;
                self.push(token.negated, field_named(&key, &token)?, values)
            }
        }
    }

    fn add_text(&mut self, token: Token) -> Result<(), ApiError> {
        let Value::Text { text, is_quoted } = &token.value else { return Err(token.malformed("a list needs a key")) };
        if !is_quoted && matches!(text.as_str(), "AND" | "OR") {
            return Err(token.malformed("boolean operators are not supported"));
        }
        if !is_quoted && text.contains(['(', ')']) && text.trim_matches(['(', ')']).is_empty() {
            return Err(token.malformed("parentheses are not supported"));
        }
        check_wildcards(text, &token)?;
        self.push(token.negated, Field::Text, vec![Pattern::containing(text)])
    }

    fn add_is(&mut self, token: &Token) -> Result<(), ApiError> {
        for value in token.values() {
            match value {
                "unhandled" => self.push(token.negated, Field::Unhandled, Vec::new())?,
                "handled" => self.push(!token.negated, Field::Unhandled, Vec::new())?,
                _ if IssueStatus::parse(value).is_none() => return Err(token.malformed("unknown value for \"is\"")),
                _ => {}
            }
        }
        let wanted: Vec<IssueStatus> = token.values().into_iter().filter_map(IssueStatus::parse).collect();
        if !wanted.is_empty() {
            self.statuses.retain(|status| wanted.contains(status) != token.negated);
        }
        Ok(())
    }

    fn add_issues(&mut self, token: &Token) -> Result<(), ApiError> {
        if token.negated || self.issues.is_some() {
            return Err(token.malformed("issue ids cannot be negated or given twice"));
        }
        self.issues = Some(token.values().into_iter().map(str::to_owned).collect());
        Ok(())
    }

    fn push(&mut self, negated: bool, field: Field, values: Vec<Pattern>) -> Result<(), ApiError> {
        self.terms.push(Term { negated, field, values });
        Ok(())
    }
}

/// The tag `user` holds what tells a user apart, with its kind before it: `email:a@example.com`.
fn user_patterns(key: &str, values: Vec<Pattern>) -> Vec<Pattern> {
    let kind = key.trim_start_matches("user.");
    let prefixed = |pattern| match pattern {
        Pattern::Exact(text) => Pattern::Exact(format!("{kind}:{text}")),
        Pattern::Like(text) => Pattern::Like(format!("{kind}:{text}")),
    };
    values.into_iter().map(prefixed).collect()
}

fn field_named(key: &str, token: &Token) -> Result<Field, ApiError> {
    Ok(match key {
        "level" => Field::Level,
        "platform" | "platform.name" => Field::Platform,
        "logger" => Field::Logger,
        "title" => Field::Title,
        "message" => Field::Text,
        "culprit" => Field::Culprit,
        "release" => Field::Release,
        "environment" => Field::Environment,
        "first-release" | "firstRelease" => Field::FirstRelease,
        // Sentry's fields without a meaning here yet. As tags they would match nothing and hide the mistake.
        "assigned"
        | "assigned_or_suggested"
        | "bookmarks"
        | "age"
        | "firstSeen"
        | "lastSeen"
        | "first_seen"
        | "last_seen"
        | "timesSeen"
        | "times_seen"
        | "issue.category"
        | "issue.type"
        | "issue.priority"
        | "date"
        | "timestamp" => return Err(token.malformed("this filter is not supported")),
        _ => Field::Tag(key.to_owned()),
    })
}

fn check_wildcards(text: &str, token: &Token) -> Result<(), ApiError> {
    if text.bytes().filter(|byte| *byte == b'*').count() > WILDCARDS_MAX {
        return Err(token.malformed("too many wildcards"));
    }
    Ok(())
}

impl Token {
    fn malformed(&self, why: &str) -> ApiError {
        malformed(&self.written, why)
    }

    fn values(&self) -> Vec<&str> {
        match &self.value {
            Value::Text { text, .. } => vec![text],
            Value::List(values) => values.iter().map(String::as_str).collect(),
        }
    }

    fn single(&self) -> Result<&str, ApiError> {
        match &self.value {
            Value::Text { text, .. } => Ok(text),
            Value::List(_) => Err(self.malformed("one value expected")),
        }
    }

    /// Title, culprit and message are looked for inside; everything else is compared whole.
    fn patterns(&self) -> Result<Vec<Pattern>, ApiError> {
        let is_inside = matches!(self.key.as_deref(), Some("message" | "title" | "culprit"));
        let mut patterns = Vec::new();
        for value in self.values() {
            check_wildcards(value, self)?;
            patterns.push(if is_inside { Pattern::containing(value) } else { Pattern::wildcard(value) });
        }
        Ok(patterns)
    }
}

fn malformed(written: &str, why: &str) -> ApiError {
    ApiError::invalid(format!("Error parsing search query: {why}: \"{written}\""))
}

fn tokens(text: &str) -> Result<Vec<Token>, ApiError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (token, after) = token(rest)?;
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

/// Reads one token from the start of `text`, which is not empty and does not start with white space.
fn token(text: &str) -> Result<(Token, &str), ApiError> {
    let (negated, body) = match text.strip_prefix('!') {
        Some(body) if !body.is_empty() && !body.starts_with(char::is_whitespace) => (true, body),
        _ => (false, text),
    };
    let (key, after_key) = key(body)?;
    let (value, rest) = match key {
        Some(_) => value(text, after_key)?,
        None => text_value(text, after_key)?,
    };
    let written = text[..text.len() - rest.len()].to_owned();
    Ok((Token { written, negated, key, value }, rest))
}

/// Reads `key:` or `"key":`; without a colon behind it there is no key.
fn key(text: &str) -> Result<(Option<String>, &str), ApiError> {
    if let Some(inside) = text.strip_prefix('"') {
        return Ok(match inside.split_once("\":") {
            Some((key, rest)) if is_key(key) => (Some(key.to_owned()), rest),
            _ => (None, text),
        });
    }
    let word = text.split(char::is_whitespace).next().unwrap_or_default();
    match word.split_once(':') {
        Some((key, _)) if is_key(key) => Ok((Some(key.to_owned()), &text[key.len() + 1..])),
        _ => Ok((None, text)),
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// Reads what follows `key:`; `whole` is the token from its start, for messages.
fn value<'a>(whole: &str, text: &'a str) -> Result<(Value, &'a str), ApiError> {
    if let Some(inside) = text.strip_prefix('[') {
        return list(whole, inside);
    }
    let (value, rest) = text_value(whole, text)?;
    match &value {
        Value::Text { text, is_quoted: false } if text.is_empty() => {
            Err(malformed(whole.split_whitespace().next().unwrap_or(whole), "a value is missing"))
        }
        Value::Text { .. } | Value::List(_) => Ok((value, rest)),
    }
}

fn text_value<'a>(whole: &str, text: &'a str) -> Result<(Value, &'a str), ApiError> {
    let Some(inside) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return Ok((Value::Text { text: text[..end].to_owned(), is_quoted: false }, &text[end..]));
    };
    let (text, rest) = quoted(inside).ok_or_else(|| malformed(whole, "a quote is not closed"))?;
    Ok((Value::Text { text, is_quoted: true }, rest))
}

/// Reads up to the closing quote; `\"` and `\\` stand for themselves.
fn quoted(inside: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut characters = inside.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((text, &inside[at + 1..])),
            '\\' => match characters.next()?.1 {
                escaped @ ('"' | '\\') => text.push(escaped),
                other => text.extend(['\\', other]),
            },
            _ => text.push(character),
        }
    }
    None
}

fn list<'a>(whole: &str, inside: &'a str) -> Result<(Value, &'a str), ApiError> {
    let not_closed = || malformed(whole, "a list is not closed");
    let mut values = Vec::new();
    let mut rest = inside;
    loop {
        rest = rest.trim_start();
        let (value, after) = match rest.strip_prefix('"') {
            Some(inside) => quoted(inside).ok_or_else(not_closed)?,
            None => {
                let end = rest.find([',', ']']).ok_or_else(not_closed)?;
                (rest[..end].trim_end().to_owned(), &rest[end..])
            }
        };
        values.push(value);
        rest = after.trim_start();
        if let Some(after) = rest.strip_prefix(']') {
            rest = after;
            break;
        }
        rest = rest.strip_prefix(',').ok_or_else(not_closed)?;
    }
    if values.len() > VALUES_MAX || values.iter().any(String::is_empty) {
        return Err(malformed(whole, "a list has 1 to 20 values, none empty"));
    }
    Ok((Value::List(values), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> IssueQuery {
        IssueQuery::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn check_term(text: &str, negated: bool, field: Field, values: &[Pattern]) {
        assert_eq!(parsed(text).terms, [Term { negated, field, values: values.to_vec() }], "{text}");
    }

    fn exact(text: &str) -> Pattern {
        Pattern::Exact(text.into())
    }

    fn like(text: &str) -> Pattern {
        Pattern::Like(text.into())
    }

    #[test]
    fn statuses_narrow_each_other() {
        use IssueStatus::*;
        let check = |text: &str, expected: &[IssueStatus]| assert_eq!(parsed(text).statuses, expected, "{text}");
        check("", &[Unresolved, Resolved, Ignored]);
        check("is:unresolved", &[Unresolved]);
        check("!is:resolved", &[Unresolved, Ignored]);
        check("is:archived", &[Ignored]);
        check("is:[resolved, ignored]", &[Resolved, Ignored]);
        check("is:resolved is:ignored", &[]);
        check("is:unhandled", &[Unresolved, Resolved, Ignored]);
    }

    #[test]
    fn terms_name_fields_tags_and_free_text() {
        check_term("level:error", false, Field::Level, &[exact("error")]);
        check_term("!release:1.*", true, Field::Release, &[like("1.%")]);
        check_term("first-release:\"a b\"", false, Field::FirstRelease, &[exact("a b")]);
        check_term("browser.name:\"say \\\"x\\\"\"", false, Field::Tag("browser.name".into()), &[exact("say \"x\"")]);
        check_term("\"my-tag\":v", false, Field::Tag("my-tag".into()), &[exact("v")]);
        check_term("has:user", false, Field::HasTag("user".into()), &[]);
        check_term("level:[error, \"fatal\"]", false, Field::Level, &[exact("error"), exact("fatal")]);
        check_term("time*out", false, Field::Text, &[like("%time%out%")]);
        check_term("!noise", true, Field::Text, &[like("%noise%")]);
        check_term("\"two words: here\"", false, Field::Text, &[like("%two words: here%")]);
        check_term("environment:\"\"", false, Field::Environment, &[exact("")]);
        check_term("user.id:42", false, Field::Tag("user".into()), &[exact("id:42")]);
        check_term("is:unhandled", false, Field::Unhandled, &[]);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, named) in [
            ("is:happy", "is:happy"),
            ("level:", "level:"),
            ("level: error", "level:"),
            ("a \"b", "\"b"),
            ("level:\"x", "level:\"x"),
            ("level:[a", "level:[a"),
            ("level:[]", "level:[]"),
            ("a OR b", "OR"),
            ("( a )", "("),
            ("age:-24h", "age:-24h"),
            ("x:*a*b*c*d*", "x:*a*b*c*d*"),
        ] {
            let error = IssueQuery::parse(text).expect_err(text);
            assert_eq!(error.status(), 400, "{text}");
            assert!(error.detail().contains(named), "{text}: {}", error.detail());
        }
    }

    #[test]
    fn long_queries_are_refused() {
        assert!(IssueQuery::parse(&"a".repeat(QUERY_BYTES_MAX + 1)).is_err());
        assert!(IssueQuery::parse(&"a ".repeat(TERMS_MAX + 1)).is_err());
    }

    #[test]
    fn no_text_makes_the_parser_panic() {
        let pieces = ["\"", "\\", "[", "]", ",", ":", "!", " ", "a", "é", "is:", "*", "("];
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    for d in pieces {
                        let _ = IssueQuery::parse(&[a, b, c, d].concat()).is_ok();
                    }
                }
            }
        }
    }
}
