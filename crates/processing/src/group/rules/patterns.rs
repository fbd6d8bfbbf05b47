//! All patterns of one field of frames, arranged so that a value meets few of them: whole words by binary search,
//! prefixes by their first byte, the rest one after the other.

use super::glob::{Glob, Mode, Shape};
use std::collections::HashMap;

/// The place of a pattern in its field.
pub type PatternId = u16;

/// Distinct patterns of one field.
#[derive(Debug)]
pub struct Patterns {
    mode: Mode,
    exact: Vec<(Box<[u8]>, PatternId)>,
    /// Sorted; those that begin with the byte `b` are at `first[b]..first[b + 1]`.
    prefixes: Vec<(Box<[u8]>, PatternId)>,
    first: Vec<u16>,
    others: Vec<(Shape, PatternId)>,
    count: usize,
}

impl Patterns {
    /// Compiles distinct patterns; a malformed one matches nothing.
    fn new(patterns: &[String], mode: Mode) -> Patterns {
        let (mut exact, mut prefixes, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for (id, pattern) in patterns.iter().enumerate() {
            let id = PatternId::try_from(id).expect("a text of rules has at most 2000 rules of at most 18 matchers");
            let shapes = Glob::new(pattern, mode).map(|glob| glob.alternatives().to_vec()).unwrap_or_default();
            for shape in shapes {
                match shape {
                    Shape::Exact(bytes) => exact.push((bytes, id)),
                    Shape::Prefix(bytes) if !bytes.is_empty() => prefixes.push((bytes, id)),
                    other => others.push((other, id)),
                }
            }
        }
        exact.sort();
        prefixes.sort();
        let below = |byte: usize| prefixes.partition_point(|(prefix, _)| usize::from(prefix[0]) < byte) as u16;
        let first = (0..=256).map(below).collect();
        Patterns { mode, exact, prefixes, first, others, count: patterns.len() }
    }

    pub fn count(&self) -> usize {
        self.count
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Calls `found` for every pattern that matches the whole value, for some more than once.
    pub fn each_match(&self, value: &[u8], found: &mut impl FnMut(PatternId)) {
        let start = self.exact.partition_point(|(exact, _)| **exact < *value);
        for (_, id) in self.exact[start..].iter().take_while(|(exact, _)| **exact == *value) {
            found(*id);
        }
        if let Some(byte) = value.first() {
            let range = usize::from(self.first[usize::from(*byte)])..usize::from(self.first[usize::from(*byte) + 1]);
            for (_, id) in self.prefixes[range].iter().filter(|(prefix, _)| value.starts_with(prefix)) {
                found(*id);
            }
        }
        for (_, id) in self.others.iter().filter(|(shape, _)| shape.matches(value)) {
            found(*id);
        }
    }
}

/// Collects the patterns of a field while rules are compiled.
#[derive(Debug, Default)]
pub struct Collector {
    ids: HashMap<String, PatternId>,
    patterns: Vec<String>,
}

impl Collector {
    /// Returns the id of the pattern, the same for the same text.
    pub fn id(&mut self, pattern: &str) -> PatternId {
        if let Some(id) = self.ids.get(pattern) {
            return *id;
        }
        let id = PatternId::try_from(self.patterns.len()).unwrap_or(PatternId::MAX);
        self.patterns.push(pattern.to_owned());
        self.ids.insert(pattern.to_owned(), id);
        id
    }

    pub fn compile(self, mode: Mode) -> Patterns {
        Patterns::new(&self.patterns, mode)
    }
}
