//! Globs of stack-trace rules: the language of the `globset` crate (`?`, `*`, `[…]`, `{a,b}`, `**` as a whole
//! component), matched on bytes and on whole values.
//!
//! A glob is compiled to one of four literal shapes where it can be; nearly all rules are. The rest are sequences of
//! tokens matched with two places to go back to, so no value takes more than quadratic time. A glob that is malformed or
//! too large is refused when it is compiled.

mod compile;

use compile::Token;

/// A compiled glob: it matches where one of its alternatives does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    alternatives: Vec<Shape>,
}

/// How one alternative is matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Contains(Box<[u8]>),
    Sequence(Box<[Token]>),
}

/// What a glob is matched against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Names: case counts, no byte is special, `\x` is a literal `x`.
    Name,
    /// Paths, lower-cased by the caller: `*` and `?` stop at slashes, a backslash is a slash.
    Path,
}

/// What the patterns of one text of rules may cost together (`Glob::cost`): some thousand patterns that hold a `*` in the
/// middle. Rules are strangers' in an installation of many projects, and meet every frame of every event.
pub const COST_MAX: usize = 16 << 10;
/// What is said of a text beyond it.
pub const TOO_COSTLY: &str =
    "patterns with '*' in the middle, and one for each matcher and action, are more than 16 KiB together";

impl Glob {
    /// Compiles a pattern. Returns nothing if it is malformed or stands for too many alternatives.
    pub fn new(pattern: &str, mode: Mode) -> Option<Glob> {
        let pattern = match mode {
            Mode::Name => pattern.to_owned(),
            Mode::Path => pattern.to_ascii_lowercase().replace('\\', "/"),
        };
        let alternatives = compile::alternatives(pattern.as_bytes(), mode)?;
        Some(Glob { alternatives: alternatives.into_iter().map(Shape::of).collect() })
    }

    /// Returns whether the whole value matches. In path mode the caller has lower-cased it.
    pub fn matches(&self, value: &[u8]) -> bool {
        self.alternatives.iter().any(|shape| shape.matches(value))
    }

    /// Returns what a match may cost for each byte of a value: 0 where it is one comparison.
    pub fn cost(&self) -> usize {
        let cost = |shape: &Shape| match shape {
            Shape::Exact(_) | Shape::Prefix(_) | Shape::Suffix(_) => 0,
            Shape::Contains(bytes) => bytes.len(),
            Shape::Sequence(tokens) => tokens.len(),
        };
        self.alternatives.iter().map(cost).sum()
    }

    pub fn alternatives(&self) -> &[Shape] {
        &self.alternatives
    }
}

impl Shape {
    fn of(tokens: Vec<Token>) -> Shape {
        let literal = |tokens: &[Token]| {
            let bytes = tokens.iter().map(|token| if let Token::Byte(byte) = token { Some(*byte) } else { None });
            bytes.collect::<Option<Box<[u8]>>>()
        };
        match tokens.as_slice() {
            [Token::Run, middle @ .., Token::Run] if let Some(bytes) = literal(middle) => Shape::Contains(bytes),
            [head @ .., Token::Run] if let Some(bytes) = literal(head) => Shape::Prefix(bytes),
            [Token::Run, tail @ ..] if let Some(bytes) = literal(tail) => Shape::Suffix(bytes),
            all if let Some(bytes) = literal(all) => Shape::Exact(bytes),
            _ => Shape::Sequence(tokens.into_boxed_slice()),
        }
    }

    pub fn matches(&self, value: &[u8]) -> bool {
        match self {
            Shape::Exact(bytes) => **bytes == *value,
            Shape::Prefix(bytes) => value.starts_with(bytes),
            Shape::Suffix(bytes) => value.ends_with(bytes),
            Shape::Contains(bytes) => contains(value, bytes),
            Shape::Sequence(tokens) => matches_sequence(tokens, value),
        }
    }
}

fn contains(value: &[u8], wanted: &[u8]) -> bool {
    match wanted.first() {
        None => true,
        Some(first) => {
            let last = value.len().saturating_sub(wanted.len() - 1);
            (0..last).any(|at| value[at] == *first && value[at..].starts_with(wanted))
        }
    }
}

/// Matches with two places to go back to: the last run within a component and the last run across components. The
/// shortest match of what stands before a run is always as good as a longer one, so no other place is needed.
fn matches_sequence(tokens: &[Token], value: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut within: Option<(usize, usize)> = None;
    let mut across: Option<(usize, usize)> = None;
    loop {
        match tokens.get(token) {
            Some(Token::Run) => {
                token += 1;
                across = Some((token, at));
                within = None;
                continue;
            }
            Some(Token::RunWithin) => {
                token += 1;
                within = Some((token, at));
                continue;
            }
            Some(single) if value.get(at).is_some_and(|byte| single.takes(*byte)) => {
                token += 1;
                at += 1;
                continue;
            }
            None if at == value.len() => return true,
            Some(_) | None => {}
        }
        if let Some((after, from)) = within.filter(|(_, from)| value.get(*from).is_some_and(|byte| *byte != b'/')) {
            within = Some((after, from + 1));
            (token, at) = (after, from + 1);
        } else if let Some((after, from)) = across.filter(|(_, from)| *from < value.len()) {
            within = None;
            across = Some((after, from + 1));
            (token, at) = (after, from + 1);
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Glob, Mode, Shape};

    fn check(mode: Mode, pattern: &str, value: &str, expected: bool) {
        let glob = Glob::new(pattern, mode).expect("a pattern");
        assert_eq!(glob.matches(value.as_bytes()), expected, "{pattern} on {value}");
    }

    #[test]
    fn names_match_as_globset_would() {
        let check = |pattern, value, expected| check(Mode::Name, pattern, value, expected);
        check("std::*", "std::vec", true);
        check("std::*", "mystd::vec", false);
        check("*::operator()*", "a::operator()(int)", true);
        check("a/*", "a/b/c", true);
        check("?[[]KSCrash*", "-[KSCrash start]", true);
        check("?[[]KSCrash*", "[KSCrash start]", false);
        check(r"*::\{dtor\}", "a::{dtor}", true);
        check(r"-\[NSISEngine*", "-[NSISEngine x]", true);
        check("**/packages/flutter/**", "packages/flutter/a", true);
        check("**/packages/flutter/**", "x/packages/flutter/", true);
        check("**/packages/flutter/**", "xpackages/flutter/a", false);
        check("{foo,b{a,o}r}*", "bor!", true);
        check("[a-c][!x]", "by", true);
        check("[a-c][!x]", "bx", false);
        check("[]a]", "]", true);
        check("androidx.*.widget.*", "androidx.a.b.widget.c", true);
        check("a*b*c", "a-b-b-c", true);
        check("", "", true);
        check("a\\", "a\\", true);
    }

    #[test]
    fn paths_stop_runs_at_slashes() {
        let check = |pattern, value, expected| check(Mode::Path, pattern, value, expected);
        check("/usr/lib/**", "/usr/lib/x/y", true);
        check("/usr/lib/**", "/usr/lib", false);
        check("**/node_modules/**", "node_modules/a", true);
        check("**/node_modules/**", "/a/b/node_modules/c", true);
        check("**/*newrelic*/**", "/a/my-newrelic-x/b", true);
        check("**/*newrelic*/**", "/a/my/newrelic", false);
        check("**/libGLES*.so", "/system/lib/libgles_v2.so", true);
        check("/a/**/b", "/a/b", true);
        check("/a/**/b", "/a/x/y/b", true);
        check("/apex/com.android.*/lib*/**", "/apex/com.android.art/lib64/x.so", true);
        check("C:\\Windows\\**", "c:/windows/x.dll", true);
        check("**https://unpkg.com/**", "https://unpkg.com/a", true);
        check("**https://unpkg.com/**", "/https://unpkg.com/a", false);
        check("dart:*/**", "dart:core/a", true);
        check("**", "a/b", true);
        check("a?c", "a/c", false);
    }

    #[test]
    fn malformed_and_exploding_patterns_are_refused() {
        for pattern in ["[a", "{a,b", "a}", "[b-a]", &"{a,b}".repeat(20)] {
            assert_eq!(Glob::new(pattern, Mode::Name), None, "{pattern}");
        }
    }

    #[test]
    fn most_patterns_are_literals_with_a_run() {
        let shape = |pattern| Glob::new(pattern, Mode::Name).map(|glob| glob.alternatives);
        assert_eq!(shape("abc"), Some(vec![Shape::Exact(Box::from(*b"abc"))]));
        assert_eq!(shape("abc*"), Some(vec![Shape::Prefix(Box::from(*b"abc"))]));
        assert_eq!(shape("*abc"), Some(vec![Shape::Suffix(Box::from(*b"abc"))]));
        assert_eq!(shape("*abc*"), Some(vec![Shape::Contains(Box::from(*b"abc"))]));
    }
}
