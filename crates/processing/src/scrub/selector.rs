//! Selectors: which values of an event a rule is for. `extra.env.**`, `$http.headers.'x-key' && !$number`, in the language
//! of Sentry's advanced data scrubbing.
//!
//! A path begins at the event, or with `$type` anywhere that type is. `*` is one step, `**` any number, quotes make a key
//! of anything. A selector of an object is of that object, not of what it holds.

use std::fmt;

const SELECTOR_BYTES_MAX: usize = 1_000;
const NESTING_MAX: usize = 16;
/// More say nothing that these do not; Sentry's users write one or two.
const DEEP_WILDCARDS_MAX: usize = 4;

/// Why a text is no selector: what is wrong, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SelectorError {
    pub at: usize,
    pub what: &'static str,
}

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at character {}", self.what, self.at + 1)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    Path(Vec<Segment>),
    Not(Box<Selector>),
    And(Vec<Selector>),
    Or(Vec<Selector>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    Any,
    Deep,
    Key(String),
    Type(String),
}

impl Segment {
    /// Whether it can stand for the step that ends at `at`.
    fn takes(&self, node: &Node, at: usize) -> bool {
        match self {
            Segment::Any | Segment::Deep => true,
            Segment::Key(key) => node.steps[at - 1].eq_ignore_ascii_case(key),
            Segment::Type(name) => node.is_type(at, name),
        }
    }
}

/// A value and where it is.
pub(super) struct Node {
    steps: Vec<String>,
    kind: Option<&'static str>,
}

impl Node {
    pub fn of(steps: Vec<String>, kind: Option<&'static str>) -> Node {
        Node { steps, kind }
    }

    pub fn push(&mut self, step: &str) {
        self.steps.push(step.to_owned());
    }

    pub fn pop(&mut self) {
        self.steps.pop();
    }

    pub fn set_kind(&mut self, kind: &'static str) {
        self.kind = Some(kind);
    }

    pub fn steps(&self) -> &[String] {
        &self.steps
    }

    /// Whether the value after `length` steps is of a type.
    fn is_type(&self, length: usize, name: &str) -> bool {
        if length == self.steps.len() && self.kind == Some(name) {
            return true;
        }
        let steps: Vec<&str> = self.steps[..length].iter().map(String::as_str).collect();
        let types: &[&str] = match steps.as_slice() {
            [] => &["event"],
            ["exception", "values", _] => &["error", "exception"],
            ["threads", "values", _] => &["thread"],
            ["breadcrumbs", "values", _] => &["breadcrumb"],
            [.., "stacktrace" | "raw_stacktrace"] => &["stacktrace"],
            [.., "frames", _] => &["frame"],
            ["request"] => &["http", "request"],
            ["user"] => &["user"],
            ["sdk"] => &["sdk"],
            ["spans", _] => &["span"],
            ["contexts", _] => &["context"],
            ["logentry"] => &["logentry"],
            ["logentry", "formatted" | "message"] => &["message"],
            [first] if first.strip_prefix('$') == Some(name) => return true,
            _ => &[],
        };
        types.contains(&name)
    }
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// What does not fit, and where.
    pub fn parse(text: &str) -> Result<Selector, SelectorError> {
        let mut parser = Parser { text, at: 0, nesting: 0 };
        if text.len() > SELECTOR_BYTES_MAX {
            return Err(parser.error("the selector is too long"));
        }
        let selector = parser.either()?;
        parser.skip_blanks();
        if parser.at < text.len() {
            return Err(parser.error("something is left over"));
        }
        Ok(selector)
    }

    pub(super) fn matches(&self, node: &Node) -> bool {
        match self {
            Selector::Path(segments) => matches_path(segments, node, &mut |_| {}),
            Selector::Not(inner) => !inner.matches(node),
            Selector::And(all) => all.iter().all(|selector| selector.matches(node)),
            Selector::Or(any) => any.iter().any(|selector| selector.matches(node)),
        }
    }

    /// Whether a type is named somewhere: attachments are only looked at by rules that say so.
    pub(super) fn names_type(&self, name: &str) -> bool {
        match self {
            Selector::Path(segments) => matches!(segments.first(), Some(Segment::Type(first)) if first == name),
            Selector::Not(inner) => inner.names_type(name),
            Selector::And(all) | Selector::Or(all) => all.iter().any(|selector| selector.names_type(name)),
        }
    }
}

/// Whether a path is that of the node. It goes through the segments once and keeps every place that those before can have
/// come to: a hostile selector costs segments times steps, whatever its wildcards. `looked` is told of each place.
fn matches_path(segments: &[Segment], node: &Node, looked: &mut dyn FnMut(usize)) -> bool {
    if let (Some(Segment::Key(key)), Some(step)) = (segments.first(), node.steps.first())
        && !step.eq_ignore_ascii_case(key)
    {
        return false;
    }
    let length = node.steps.len();
    let (mut reached, rest): (Vec<bool>, _) = match segments.split_first() {
        // A type at the beginning is of any value on the way, the event too.
        Some((Segment::Type(name), rest)) => ((0..=length).map(|at| node.is_type(at, name)).collect(), rest),
        Some(_) | None => ((0..=length).map(|at| at == 0).collect(), segments),
    };
    for segment in rest {
        if *segment == Segment::Deep {
            (1..=length).for_each(|at| reached[at] |= reached[at - 1]);
            (0..=length).for_each(&mut *looked);
            continue;
        }
        // From the end, so that each still sees what was reached before this segment.
        for at in (1..=length).rev() {
            looked(at);
            reached[at] = reached[at - 1] && segment.takes(node, at);
        }
        reached[0] = false;
    }
    reached[length]
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    nesting: usize,
}

impl Parser<'_> {
    fn error(&self, what: &'static str) -> SelectorError {
        SelectorError { at: self.at, what }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_blanks();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn either(&mut self) -> Result<Selector, SelectorError> {
        let mut any = vec![self.both()?];
        while self.take("||") {
            any.push(self.both()?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Selector::Or(any) })
    }

    fn both(&mut self) -> Result<Selector, SelectorError> {
        let mut all = vec![self.one()?];
        while self.take("&&") {
            all.push(self.one()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Selector::And(all) })
    }

    fn one(&mut self) -> Result<Selector, SelectorError> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(self.error("the selector is nested too deeply"));
        }
        let selector = if self.take("!") {
            Selector::Not(Box::new(self.one()?))
        } else if self.take("(") {
            let inner = self.either()?;
            if !self.take(")") {
                return Err(self.error("a closing parenthesis is missing"));
            }
            inner
        } else {
            self.path()?
        };
        self.nesting -= 1;
        Ok(selector)
    }

    fn path(&mut self) -> Result<Selector, SelectorError> {
        self.skip_blanks();
        let mut segments = vec![self.segment()?];
        while self.rest().starts_with('.') {
            self.at += 1;
            segments.push(self.segment()?);
        }
        if segments.iter().filter(|segment| **segment == Segment::Deep).count() > DEEP_WILDCARDS_MAX {
            return Err(self.error("more than four '**'"));
        }
        Ok(Selector::Path(segments))
    }

    fn segment(&mut self) -> Result<Segment, SelectorError> {
        if self.rest().starts_with('\'') {
            return self.quoted();
        }
        for (token, segment) in [("**", Segment::Deep), ("*", Segment::Any)] {
            if self.rest().starts_with(token) {
                self.at += token.len();
                return Ok(segment);
            }
        }
        let is_type = self.rest().starts_with('$');
        self.at += usize::from(is_type);
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let length = self.rest().find(|c| !is_part(c)).unwrap_or(self.rest().len());
        if length == 0 {
            return Err(self.error("a key, '*', '$type' or a quoted key is expected"));
        }
        let word = self.rest()[..length].to_owned();
        self.at += length;
        Ok(if is_type { Segment::Type(word) } else { Segment::Key(word) })
    }

    /// `'a key'`; a quote in it is written twice.
    fn quoted(&mut self) -> Result<Segment, SelectorError> {
        self.at += 1;
        let mut key = String::new();
        loop {
            let Some((before, _)) = self.rest().split_once('\'') else {
                return Err(self.error("a closing quote is missing"));
            };
            key.push_str(before);
            self.at += before.len() + 1;
            if !self.rest().starts_with('\'') {
                return Ok(Segment::Key(key));
            }
            key.push('\'');
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_match_where_they_say() {
        fn check(selector: &str, path: &str, kind: &'static str, expected: bool) {
            let steps = path.split('.').map(str::to_owned).collect();
            let found = Selector::parse(selector).expect(selector).matches(&Node::of(steps, Some(kind)));
            assert_eq!(found, expected, "{selector} on {path}");
        }
        check("extra.foo", "extra.foo", "string", true);
        check("extra.foo", "extra.foo.bar", "string", false);
        check("extra.FOO", "extra.foo", "string", true);
        check("extra.*", "extra.foo", "string", true);
        check("extra.**", "extra.foo.bar.3", "string", true);
        check("**.bar", "extra.foo.bar", "string", true);
        check("**.bar", "extra.bar.foo", "string", false);
        check("$string", "extra.foo", "string", true);
        check("$string", "extra.foo", "number", false);
        check("$user.id", "user.id", "string", true);
        check("$error.value", "exception.values.0.value", "string", true);
        check("$http.headers.*", "request.headers.Authorization", "string", true);
        check("$frame.vars.**", "exception.values.1.stacktrace.frames.3.vars.x", "string", true);
        check("$message", "logentry.formatted", "string", true);
        check("extra.'a key' || user.id", "extra.a key", "string", true);
        check("extra.'it''s'", "extra.it's", "string", true);
        check("extra.** && !extra.foo", "extra.foo", "string", false);
        check("extra.** && !(extra.foo || $number)", "extra.bar", "string", true);
        check("$attachments.'a.txt'", "$attachments.a.txt", "binary", false);
    }

    #[test]
    fn no_selector_costs_more_than_its_segments_times_the_steps() {
        let mut steps = vec!["a".to_owned(); 200];
        steps.push("b".to_owned());
        let node = Node::of(steps, Some("string"));
        for text in ["**.a.**.a.**.a.**.a", "**.*.**.*.**.*.**.c"] {
            let Ok(Selector::Path(segments)) = Selector::parse(text) else {
                panic!("{text} is a path");
            };
            let mut looks = 0;
            assert!(!matches_path(&segments, &node, &mut |_| looks += 1), "{text}");
            assert!(looks <= segments.len() * 202, "{text}: {looks}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused_with_its_place() {
        fn check(selector: &str, at: usize, what: &str) {
            let error = Selector::parse(selector).expect_err(selector);
            assert_eq!((error.at, error.what), (at, what), "{selector}");
        }
        let expected = "a key, '*', '$type' or a quoted key is expected";
        check("", 0, expected);
        check("a.", 2, expected);
        check("a &&", 4, expected);
        check("(a", 2, "a closing parenthesis is missing");
        check("a b", 2, "something is left over");
        check("a.'b", 3, "a closing quote is missing");
        check("**.**.**.**.**", 14, "more than four '**'");
        check(&"!".repeat(40), 16, "the selector is nested too deeply");
    }
}
