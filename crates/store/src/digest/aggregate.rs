//! Sums of a batch, made in memory before any statement runs, so that a batch costs one row change for each counter
//! and not one for each event. Pure: no SQL here.

use super::{DigestEvent, GroupHash};
use std::collections::{BTreeMap, HashMap, HashSet};
use stdx::{Hour, Timestamp};

/// A group within its project.
pub(super) type GroupId = (i64, i64);

/// Other hashes of one group that are asked for its issue. Events of one group differ little in them.
const OTHER_HASHES_MAX: usize = 16;

/// First and last time, and how often.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub first: Timestamp,
    pub last: Timestamp,
    pub count: i64,
}

impl Span {
    fn of(at: Timestamp) -> Self {
        Span { first: at, last: at, count: 1 }
    }

    fn add(&mut self, at: Timestamp) {
        self.first = self.first.min(at);
        self.last = self.last.max(at);
        self.count += 1;
    }
}

/// Everything a batch adds to one group. Ordered maps, so that statements run in key order (fewer page faults).
#[derive(Debug)]
pub(super) struct GroupTotals<'a> {
    pub newest: &'a DigestEvent,
    pub oldest: &'a DigestEvent,
    pub seen: Span,
    pub last_received: Timestamp,
    pub is_unhandled: bool,
    pub environments: BTreeMap<&'a str, Span>,
    pub hours: BTreeMap<(Hour, &'a str), i64>,
    pub users: HashSet<i64>,
    pub tags: BTreeMap<(&'a str, &'a str), Span>,
    pub others: Vec<&'a GroupHash>,
    pub former_keys: &'a [i64],
}

impl<'a> GroupTotals<'a> {
    fn of(event: &'a DigestEvent) -> Self {
        GroupTotals {
            newest: event,
            oldest: event,
            seen: Span { first: event.timestamp, last: event.timestamp, count: 0 },
            last_received: event.received_at,
            is_unhandled: false,
            environments: BTreeMap::new(),
            hours: BTreeMap::new(),
            users: HashSet::new(),
            tags: BTreeMap::new(),
            others: Vec::new(),
            former_keys: &event.former_keys,
        }
    }

    fn add(&mut self, event: &'a DigestEvent) {
        if event.timestamp >= self.newest.timestamp {
            self.newest = event;
        }
        if event.timestamp < self.oldest.timestamp {
            self.oldest = event;
        }
        self.seen.add(event.timestamp);
        self.last_received = self.last_received.max(event.received_at);
        self.is_unhandled |= event.is_unhandled;
        add_span(&mut self.environments, event.environment.as_str(), event.timestamp);
        *self.hours.entry((event.timestamp.hour(), event.environment.as_str())).or_default() += 1;
        self.users.extend(event.user_hash);
        for (key, value) in &event.tags {
            add_span(&mut self.tags, (key.as_str(), value.as_str()), event.timestamp);
        }
        for other in &event.other_hashes {
            if self.others.len() < OTHER_HASHES_MAX && self.others.iter().all(|known| known.key != other.key) {
                self.others.push(other);
            }
        }
    }
}

fn add_span<K: Ord>(spans: &mut BTreeMap<K, Span>, key: K, at: Timestamp) {
    spans.entry(key).and_modify(|span| span.add(at)).or_insert_with(|| Span::of(at));
}

/// One row of `outcome_hour` without its quantity.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct OutcomeKey {
    pub project_id: i64,
    pub key_id: i64,
    pub hour: Hour,
    pub category: &'static str,
    pub outcome: &'static str,
    pub reason: String,
}

/// The sums of a batch.
#[derive(Debug, Default)]
pub struct BatchTotals<'a> {
    pub(super) groups: BTreeMap<GroupId, GroupTotals<'a>>,
    pub(super) project_hours: BTreeMap<(i64, Hour), Span>,
    pub(super) project_releases: BTreeMap<(i64, &'a str), Span>,
    pub(super) project_environments: BTreeMap<(i64, &'a str), Span>,
    pub(super) outcomes: BTreeMap<OutcomeKey, i64>,
}

impl<'a> BatchTotals<'a> {
    pub(super) fn add(&mut self, event: &'a DigestEvent) {
        let project = event.project_id;
        self.groups.entry((project, event.group_key)).or_insert_with(|| GroupTotals::of(event)).add(event);
        add_span(&mut self.project_hours, (project, event.received_at.hour()), event.received_at);
        add_span(&mut self.project_environments, (project, event.environment.as_str()), event.timestamp);
        if let Some(release) = &event.release {
            add_span(&mut self.project_releases, (project, release.as_str()), event.timestamp);
        }
    }

    pub(super) fn add_outcome(&mut self, key: OutcomeKey, quantity: i64) {
        *self.outcomes.entry(key).or_default() += quantity;
    }

    pub(super) fn stored_by_project(&self) -> Vec<(i64, u64)> {
        let mut sums: HashMap<i64, u64> = HashMap::new();
        for ((project, _), group) in &self.groups {
            *sums.entry(*project).or_default() += group.seen.count as u64;
        }
        sums.into_iter().collect()
    }
}
