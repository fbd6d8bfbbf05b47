//! The tags of an issue: for each key its most frequent values, with counts and shares.

use crate::event_json::cut_to;
use crate::format::{grouped, percent, query_string};
use askama::Template;
use ops::issues::IssueTag;

/// Values of one key in sight.
const VALUES_SHOWN: usize = 4;
const VALUE_CHARS_MAX: usize = 200;

#[derive(Clone, Debug, Template)]
#[template(path = "components/tag_table.html")]
pub struct TagTable {
    tags: Vec<TagView>,
}

impl askama::filters::HtmlSafe for TagTable {}

#[derive(Clone, Debug)]
struct TagView {
    key: String,
    values: Vec<ValueView>,
    /// How many further values there are, and their events.
    more: Option<String>,
}

#[derive(Clone, Debug)]
struct ValueView {
    value: String,
    count: String,
    percent: i64,
}

impl TagTable {
    pub fn of(tags: &[IssueTag]) -> TagTable {
        TagTable { tags: tags.iter().map(TagView::of).collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }
}

impl TagView {
    fn of(tag: &IssueTag) -> TagView {
        let shown = &tag.values[..tag.values.len().min(VALUES_SHOWN)];
        let values = shown.iter().map(|value| ValueView {
            value: cut_to(&value.value, VALUE_CHARS_MAX).into_owned(),
            count: grouped(value.event_count),
            percent: percent(value.event_count, tag.event_count),
        });
        let others = tag.value_count - i64::try_from(shown.len()).unwrap_or(0);
        let more = match (others, tag.other_count) {
            (..=0, ..=0) => None,
            (others, ..=0) => Some(format!("{} more", grouped(others))),
            (others, _) => Some(format!("more than {} more", grouped(others.max(0)))),
        };
        TagView { key: tag.key.clone(), values: values.collect(), more }
    }
}

/// A tag of one event, with the search it leads to where the list can filter by it.
#[derive(Clone, Debug)]
pub struct EventTag {
    pub key: String,
    pub value: String,
    pub search: Option<String>,
}

impl EventTag {
    pub fn of(key: &str, value: &str) -> EventTag {
        let can_search = matches!(key, "level" | "environment" | "release");
        let quoted = format!("{key}:\"{}\"", value.replace('"', ""));
        let search = can_search.then(|| format!("/{}", query_string(&[("query", &quoted)])));
        EventTag { key: key.to_owned(), value: cut_to(value, VALUE_CHARS_MAX).into_owned(), search }
    }
}
