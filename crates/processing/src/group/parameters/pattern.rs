//! Small patterns with Python's meaning: leftmost alternative first, backtracking, Unicode digits and blanks. They are
//! ours and fixed, so the syntax is only what they need: literals, `.`, `\d`, `\s`, `\b`, classes, groups with `|`,
//! `?`, `*`, `+`, `{m,n}`, `*?`, and `(?<!…)`, `(?!…)` around one class.

use super::words::{Text, is_digit};
use crate::group::text::is_blank;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    nodes: Vec<Node>,
}

#[derive(Debug)]
enum Node {
    One(One),
    Boundary,
    NotBefore(One),
    NotAfter(One),
    /// Alternatives in order.
    Group(Vec<Vec<Node>>),
    Repeat {
        what: Box<Node>,
        min: usize,
        max: usize,
        is_lazy: bool,
    },
}

/// What one character may be.
#[derive(Debug)]
enum One {
    Char(char),
    Digit,
    Blank,
    /// Anything but a line feed.
    Any,
    Class(Vec<Item>, bool),
}

#[derive(Debug)]
enum Item {
    Range(char, char),
    Digit,
    Blank,
}

impl One {
    fn takes(&self, c: char) -> bool {
        match self {
            One::Char(wanted) => *wanted == c,
            One::Digit => is_digit(c),
            One::Blank => is_blank(c),
            One::Any => c != '\n',
            One::Class(items, is_negated) => {
                let is_in = items.iter().any(|item| match item {
                    Item::Range(low, high) => (*low..=*high).contains(&c),
                    Item::Digit => is_digit(c),
                    Item::Blank => is_blank(c),
                });
                is_in != *is_negated
            }
        }
    }
}

impl Pattern {
    /// Compiles one of our patterns.
    ///
    /// # Panics
    /// If the pattern is not of this syntax; a test compiles all of them.
    pub fn new(pattern: &str) -> Pattern {
        let mut reader = Reader { chars: pattern.chars().collect(), at: 0 };
        let mut alternatives = reader.alternatives();
        assert_eq!(reader.at, reader.chars.len(), "a closing bracket too many in {pattern}");
        let nodes = match alternatives.len() {
            1 => alternatives.swap_remove(0),
            _ => vec![Node::Group(alternatives)],
        };
        Pattern { nodes }
    }

    /// Returns where the match that begins at `at` ends.
    pub fn end(&self, text: Text<'_>, at: usize) -> Option<usize> {
        sequence(&self.nodes, text, at, &|end| Some(end))
    }
}

type Then<'t> = dyn Fn(usize) -> Option<usize> + 't;

fn sequence(nodes: &[Node], text: Text<'_>, at: usize, then: &Then<'_>) -> Option<usize> {
    let Some((first, rest)) = nodes.split_first() else {
        return then(at);
    };
    match first {
        Node::One(one) => {
            let next = step(one, text, at)?;
            sequence(rest, text, next, then)
        }
        Node::Boundary => text.is_boundary(at).then(|| sequence(rest, text, at, then))?,
        Node::NotBefore(one) => {
            let is_there = text.before(at).is_some_and(|c| one.takes(c));
            if is_there { None } else { sequence(rest, text, at, then) }
        }
        Node::NotAfter(one) => {
            let is_there = text.at(at).is_some_and(|c| one.takes(c));
            if is_there { None } else { sequence(rest, text, at, then) }
        }
        Node::Group(alternatives) => alternatives
            .iter()
            .find_map(|alternative| sequence(alternative, text, at, &|end| sequence(rest, text, end, then))),
        Node::Repeat { what, min, max, is_lazy } => match &**what {
            Node::One(one) if !is_lazy => greedy(one, (*min, *max), text, at, &|end| sequence(rest, text, end, then)),
            Node::One(one) => lazy(one, (*min, *max), text, at, &|end| sequence(rest, text, end, then)),
            what => repeated(what, (*min, *max), text, at, &|end| sequence(rest, text, end, then)),
        },
    }
}

fn step(one: &One, text: Text<'_>, at: usize) -> Option<usize> {
    text.at(at).filter(|c| one.takes(*c)).map(|c| at + c.len_utf8())
}

/// As many characters as there are, then fewer.
fn greedy(one: &One, (min, max): (usize, usize), text: Text<'_>, at: usize, then: &Then<'_>) -> Option<usize> {
    let (mut end, mut count) = (at, 0);
    while count < max
        && let Some(next) = step(one, text, end)
    {
        (end, count) = (next, count + 1);
    }
    while count >= min {
        if let Some(found) = then(end) {
            return Some(found);
        }
        if count == 0 {
            return None;
        }
        end -= text.before(end)?.len_utf8();
        count -= 1;
    }
    None
}

/// As few characters as are needed, then more.
fn lazy(one: &One, (min, max): (usize, usize), text: Text<'_>, at: usize, then: &Then<'_>) -> Option<usize> {
    let (mut end, mut count) = (at, 0);
    loop {
        if count >= min
            && let Some(found) = then(end)
        {
            return Some(found);
        }
        if count == max {
            return None;
        }
        (end, count) = (step(one, text, end)?, count + 1);
    }
}

/// A group as often as it is there, then less often.
fn repeated(what: &Node, (min, max): (usize, usize), text: Text<'_>, at: usize, then: &Then<'_>) -> Option<usize> {
    let more = || {
        let once_more = |end: usize| {
            // What matches nothing would be repeated for ever.
            let is_longer = end > at || min > 0;
            let rest = (min.saturating_sub(1), max.saturating_sub(1));
            if is_longer { repeated(what, rest, text, end, then) } else { None }
        };
        if max == 0 { None } else { sequence(std::slice::from_ref(what), text, at, &once_more) }
    };
    if min > 0 { more() } else { more().or_else(|| then(at)) }
}

struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn eats(&mut self, wanted: &str) -> bool {
        let is_next = wanted.chars().enumerate().all(|(place, c)| self.chars.get(self.at + place) == Some(&c));
        self.at += if is_next { wanted.chars().count() } else { 0 };
        is_next
    }

    fn next(&mut self) -> char {
        self.at += 1;
        self.chars[self.at - 1]
    }

    fn alternatives(&mut self) -> Vec<Vec<Node>> {
        let mut alternatives = vec![Vec::new()];
        while let Some(c) = self.peek() {
            match c {
                ')' => break,
                '|' => {
                    self.at += 1;
                    alternatives.push(Vec::new());
                }
                _ => {
                    let node = self.node();
                    let node = self.quantified(node);
                    alternatives.last_mut().expect("one alternative at least").push(node);
                }
            }
        }
        alternatives
    }

    fn node(&mut self) -> Node {
        if self.eats("(?<!") {
            let one = self.one();
            assert!(self.eats(")"), "a look-behind holds one class");
            return Node::NotBefore(one);
        }
        if self.eats("(?!") {
            let one = self.one();
            assert!(self.eats(")"), "a look-ahead holds one class");
            return Node::NotAfter(one);
        }
        if self.eats("(") {
            let alternatives = self.alternatives();
            assert!(self.eats(")"), "a group is closed");
            return Node::Group(alternatives);
        }
        if self.eats("\\b") { Node::Boundary } else { Node::One(self.one()) }
    }

    fn one(&mut self) -> One {
        match self.next() {
            '.' => One::Any,
            '[' => self.class(),
            '\\' => match self.next() {
                'd' => One::Digit,
                's' => One::Blank,
                escaped => One::Char(escaped),
            },
            c => One::Char(c),
        }
    }

    fn class(&mut self) -> One {
        let is_negated = self.eats("^");
        let mut items = Vec::new();
        while !self.eats("]") {
            let item = match self.next() {
                '\\' => match self.next() {
                    'd' => Item::Digit,
                    's' => Item::Blank,
                    escaped => Item::Range(escaped, escaped),
                },
                low if self.peek() == Some('-') && self.chars.get(self.at + 1) != Some(&']') => {
                    self.at += 1;
                    Item::Range(low, self.next())
                }
                c => Item::Range(c, c),
            };
            items.push(item);
        }
        One::Class(items, is_negated)
    }

    fn quantified(&mut self, node: Node) -> Node {
        let (min, max) = match self.peek() {
            Some('?') => (0, 1),
            Some('*') => (0, usize::MAX),
            Some('+') => (1, usize::MAX),
            Some('{') => return self.counted(node),
            _ => return node,
        };
        self.at += 1;
        let is_lazy = self.eats("?");
        Node::Repeat { what: Box::new(node), min, max, is_lazy }
    }

    fn counted(&mut self, node: Node) -> Node {
        self.at += 1;
        let mut bounds = [String::new(), String::new()];
        let mut place = 0;
        while !self.eats("}") {
            match self.next() {
                ',' => place = 1,
                digit => bounds[place].push(digit),
            }
        }
        let [min, max] = bounds.map(|bound| bound.parse::<usize>().ok());
        let min = min.expect("a count");
        Node::Repeat { what: Box::new(node), min, max: max.unwrap_or(min), is_lazy: false }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;
    use crate::group::parameters::words::Text;

    #[test]
    fn patterns_match_as_python_would() {
        fn check(pattern: &str, text: &str, expected: Option<usize>) {
            assert_eq!(Pattern::new(pattern).end(Text(text), 0), expected, "{pattern} on {text}");
        }
        check(r"a|ab", "ab", Some(1));
        check(r"(a|ab)c", "abc", Some(3));
        check(r"\d{1,2}:\d\d", "7:30", Some(4));
        check(r"\d+\b", "12a", None);
        check(r"(\d:){1,3}\d", "1:2:3", Some(5));
        check(r"x.*?\)", "x(a)b)", Some(4));
        check(r"(?<!\d)a(?![b:])", "ac", Some(1));
        check(r"(?<!\d)a(?![b:])", "ab", None);
        check(r"[^)]+", "é)", Some(2));
        check(r"a?b*c+", "bbc", Some(3));
        check(r"[\sT]", "T", Some(1));
        check(r"(ab)?abc", "abc", Some(3));
    }
}
