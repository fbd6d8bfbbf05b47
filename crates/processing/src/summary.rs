//! What the digest writes down of an event beside its body: one plain struct, borrowing nothing.

use crate::group::{self, GroupConfig, Grouping};
use crate::tags;
use crate::title::{Kind, Metadata, culprit};
use protocol::event::{Event, Level};
use stdx::Timestamp;

/// A normalised event in the words of the issue list.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub kind: Kind,
    pub title: String,
    /// Empty when nothing tells where it happened.
    pub culprit: String,
    pub metadata: Metadata,
    pub level: Level,
    pub platform: String,
    /// Empty when none was given.
    pub logger: String,
    pub environment: Option<String>,
    pub release: Option<String>,
    pub dist: Option<String>,
    /// The unit of "users affected": `id:42`, `email:…`, `username:…`, `ip:…`.
    pub user: Option<String>,
    /// An exception that the program did not handle.
    pub is_unhandled: bool,
    pub timestamp: Timestamp,
    pub tags: Vec<(String, String)>,
    pub grouping: Grouping,
}

/// Returns the summary of a normalised event, grouped by the default configuration.
pub fn summarise(event: &Event<'_>) -> Summary {
    summarise_with(event, &GroupConfig::default())
}

/// Returns the summary of a normalised event, grouped as a project wants it.
pub fn summarise_with(event: &Event<'_>, config: &GroupConfig) -> Summary {
    let stacks = group::prepare(event, config);
    let grouping = group::group_prepared(event, &stacks, config);
    let mut metadata = Metadata::of(event, &stacks, group::main_exception(event, &stacks, config));
    metadata.title = grouping.title.clone().or(metadata.title);
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Summary {
        kind: Kind::of(event),
        title: metadata.title(),
        culprit: culprit(event, &stacks),
        metadata,
        level: event.level.unwrap_or(Level::Error),
        platform: event.platform.as_deref().unwrap_or("other").to_owned(),
        logger: event.logger.as_deref().unwrap_or_default().to_owned(),
        environment: owned(event.environment.as_deref()),
        release: owned(event.release.as_deref()),
        dist: owned(event.dist.as_deref()),
        user: owned(event.user.as_ref().and_then(|user| user.sentry_user.as_deref())),
        is_unhandled: is_unhandled(event),
        timestamp: event.timestamp.or(event.received).unwrap_or_default(),
        tags: tags::derived(event),
        grouping,
    }
}

fn is_unhandled(event: &Event<'_>) -> bool {
    let mut mechanisms = event.exceptions.iter().flatten().filter_map(|exception| exception.mechanism.as_ref());
    mechanisms.any(|mechanism| mechanism.handled == Some(false))
}
