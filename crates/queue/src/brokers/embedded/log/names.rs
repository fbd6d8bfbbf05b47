//! What the names in a log's folder say: which segments are there, which are leaving, which were lost. Nothing here opens
//! a file.
//!
//! ```text
//! 7.log, 7.state      a segment
//! 7.over              all its jobs are over: what is left of it goes
//! 7.damaged, 7.lost   put aside for people: a log that is damaged, the records of a log that is gone
//! ```

use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub has_log: bool,
    pub has_state: bool,
    pub is_over: bool,
    pub is_damaged: bool,
    pub is_lost: bool,
}

/// What a number's names make of its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Living,
    Leaving,
    /// Its records are there and its log is not, although nobody said that it was over.
    Orphan,
    /// Only what was put aside.
    Aside,
}

impl Names {
    pub fn kind(self) -> Kind {
        match self {
            Names { is_over: true, .. } => Kind::Leaving,
            Names { has_log: true, .. } => Kind::Living,
            // Its log was put aside a moment before.
            Names { has_state: true, is_damaged: true, .. } => Kind::Leaving,
            Names { has_state: true, .. } => Kind::Orphan,
            Names { .. } => Kind::Aside,
        }
    }
}

/// Returns the segments by number; names that are no segment's are none of ours.
pub fn sort(names: Vec<String>) -> BTreeMap<u32, Names> {
    let mut found: BTreeMap<u32, Names> = BTreeMap::new();
    for name in names {
        let Some((number, kind)) = name.split_once('.') else { continue };
        let Ok(number) = number.parse::<u32>() else { continue };
        let mut seen = found.get(&number).copied().unwrap_or_default();
        match kind {
            "log" => seen.has_log = true,
            "state" => seen.has_state = true,
            "over" => seen.is_over = true,
            "damaged" => seen.is_damaged = true,
            "lost" => seen.is_lost = true,
            _ => continue,
        }
        found.insert(number, seen);
    }
    found
}
