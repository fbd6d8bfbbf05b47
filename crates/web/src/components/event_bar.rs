//! The bar above an event: which one it is, and the ways to the first, previous, next and latest.

use crate::format::Ago;
use askama::Template;
use ops::events::EventDetail;
use stdx::Timestamp;

#[derive(Clone, Debug, Template)]
#[template(path = "components/event_bar.html")]
pub struct EventBar {
    issue_id: i64,
    event_id: String,
    short_id: String,
    at: Ago,
    size: String,
    previous: Option<String>,
    next: Option<String>,
}

impl askama::filters::HtmlSafe for EventBar {}

impl EventBar {
    pub fn of(event: &EventDetail, issue_id: i64, now: Timestamp) -> EventBar {
        EventBar {
            issue_id,
            event_id: event.summary.event_id.clone(),
            short_id: event.summary.event_id.chars().take(8).collect(),
            at: Ago { time: event.summary.timestamp, now },
            size: crate::format::bytes(event.size_bytes),
            previous: event.previous_event_id.clone(),
            next: event.next_event_id.clone(),
        }
    }
}
