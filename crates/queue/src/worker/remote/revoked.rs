//! Ids of jobs that somebody took back: a bounded number of them, for a bounded time, as Celery's workers keep them. All
//! workers hear of one; one that starts asks the others, and the broker for the case that there are none.

use super::super::lock;
use crate::JobId;
use crate::broadcast::{REVOKED_KEPT, REVOKED_MAX};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

#[derive(Default)]
struct Ids {
    since: HashMap<String, Instant>,
    /// The oldest first; an id that was revoked again stands here twice.
    order: VecDeque<(Instant, String)>,
}

#[derive(Default)]
pub(super) struct Revoked {
    ids: Mutex<Ids>,
    /// Whether there may be any: most workers never hear of one.
    is_used: AtomicBool,
}

impl Revoked {
    /// Returns whether a job can have such an id.
    pub fn add(&self, id: &str) -> bool {
        if id.len() > JobId::BYTES_MAX {
            return false;
        }
        let now = Instant::now();
        let mut ids = lock(&self.ids);
        ids.since.insert(id.to_owned(), now);
        ids.order.push_back((now, id.to_owned()));
        ids.trim(now);
        self.is_used.store(true, Ordering::SeqCst);
        true
    }

    pub fn contains(&self, id: &str) -> bool {
        self.is_used.load(Ordering::SeqCst)
            && lock(&self.ids).since.get(id).is_some_and(|since| since.elapsed() < REVOKED_KEPT)
    }

    /// The oldest first.
    pub fn ids(&self) -> Vec<String> {
        let mut ids = lock(&self.ids);
        ids.trim(Instant::now());
        let is_last = |(at, id): &&(Instant, String)| ids.since.get(id) == Some(at);
        ids.order.iter().filter(is_last).map(|(_, id)| id.clone()).collect()
    }

    /// Adds what another worker knows: a list of ids, or as before Celery 5.7 an object with a time for each. Returns how
    /// many those were.
    pub fn merge(&self, known: &Value) -> usize {
        let ids: Vec<&str> = match known {
            Value::Array(ids) => ids.iter().filter_map(Value::as_str).collect(),
            Value::Object(ids) => ids.keys().map(String::as_str).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        };
        for id in ids.iter().rev().take(REVOKED_MAX).rev() {
            if !self.contains(id) {
                self.add(id);
            }
        }
        ids.len()
    }
}

impl Ids {
    fn trim(&mut self, now: Instant) {
        while let Some((at, _)) = self.order.front()
            && (self.order.len() > REVOKED_MAX || now.duration_since(*at) >= REVOKED_KEPT)
        {
            let Some((at, id)) = self.order.pop_front() else { return };
            if self.since.get(&id) == Some(&at) {
                self.since.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_oldest_go_first() {
        let revoked = Revoked::default();
        assert!(!revoked.contains("0"));
        for number in 0..=REVOKED_MAX {
            revoked.add(&number.to_string());
        }
        assert!(!revoked.contains("0") && revoked.contains("1"));
        assert_eq!(revoked.ids().len(), REVOKED_MAX);
        revoked.add(&"x".repeat(JobId::BYTES_MAX + 1));
        assert_eq!(revoked.ids().len(), REVOKED_MAX, "no job has such an id");
    }

    #[test]
    fn both_shapes_of_other_workers_are_read() {
        let revoked = Revoked::default();
        assert_eq!(revoked.merge(&json!(["a", "b", 3])), 2);
        assert_eq!(revoked.merge(&json!({"c": 1.5, "a": 2.5})), 2);
        assert_eq!(revoked.merge(&json!("d")), 0);
        revoked.add("a");
        assert_eq!(revoked.ids(), ["b", "c", "a"]);
    }
}
