//! What tells one series from another: a name and its labels.

use hashbrown::Equivalent;
use std::borrow::Cow;
use std::hash::{Hash, Hasher};

/// Labels of one record, in the order of the metric's declaration.
pub type Tags<'a> = &'a [(&'static str, &'a str)];

/// Labels that are never kept, besides all that end with `_id`: a series for each project or event would never end.
const DENIED: [&str; 3] = ["event", "project", "group"];

/// A name with its labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    name: Cow<'static, str>,
    labels: Vec<(Cow<'static, str>, String)>,
}

/// The same, borrowed from a record: looking a series up allocates nothing.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub name: &'static str,
    pub tags: Tags<'a>,
}

impl Key {
    pub fn new(name: Cow<'static, str>, labels: Vec<(Cow<'static, str>, String)>) -> Key {
        Key { name, labels }
    }

    pub fn of_name(name: &'static str) -> Key {
        Key { name: Cow::Borrowed(name), labels: Vec::new() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|(label, value)| (label.as_ref(), value.as_str()))
    }

    /// Returns the key without labels that name single objects.
    pub fn without_ids(mut self) -> Key {
        self.labels.retain(|(label, _)| !DENIED.contains(&label.as_ref()) && !label.ends_with("_id"));
        self
    }

    /// Returns the key of what is beyond the metric's bound.
    pub fn other(mut self) -> Key {
        self.labels.iter_mut().for_each(|(_, value)| *value = "other".to_owned());
        self
    }
}

impl Asked<'_> {
    pub fn to_key(self) -> Key {
        let labels = self.tags.iter().map(|(label, value)| (Cow::Borrowed(*label), (*value).to_owned())).collect();
        Key { name: Cow::Borrowed(self.name), labels }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.labels().for_each(|label| label.hash(state));
    }
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.tags.iter().for_each(|label| label.hash(state));
    }
}

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.name == key.name
            && self.tags.len() == key.labels.len()
            && self.tags.iter().zip(&key.labels).all(|(asked, known)| asked.0 == known.0 && asked.1 == known.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{BuildHasher, RandomState};

    #[test]
    fn a_key_is_found_by_what_was_asked_for() {
        let state = RandomState::new();
        let value = "digest".to_owned();
        let tags = [("task", value.as_str()), ("project_id", "7")];
        let asked = Asked { name: "jobs", tags: &tags };
        let key = asked.to_key();
        assert!(asked.equivalent(&key));
        assert_eq!(state.hash_one(asked), state.hash_one(&key));
        assert!(!Asked { name: "jobs", tags: &tags[..1] }.equivalent(&key));
        assert_eq!(key.clone().without_ids().labels().collect::<Vec<_>>(), [("task", "digest")]);
        assert_eq!(key.without_ids().other().labels().collect::<Vec<_>>(), [("task", "other")]);
    }
}
