//! Kinds of items: every one that clients send, by name; what each counts as, and whether it belongs to an event. Kinds
//! that are handled have a file below; the rest are counted and named, never an error.

pub mod attachment;
pub mod event;

use crate::category::Category;
use crate::envelope::{Item, ItemHeader};
use std::borrow::Cow;
use std::fmt;

macro_rules! kinds {
    ($($variant:ident $name:literal,)*) => {
        /// What an item is.
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        pub enum ItemKind<'a> {
            $($variant,)*
            /// A type that we do not know; clients may be newer than we are.
            Unknown(Cow<'a, str>),
        }

        impl<'a> ItemKind<'a> {
            /// Every kind that is known.
            pub const KNOWN: &'static [ItemKind<'static>] = &[$(ItemKind::$variant,)*];

            /// Returns the kind of this `type`.
            pub fn from_name(name: Cow<'a, str>) -> Self {
                match name.as_ref() {
                    $($name => ItemKind::$variant,)*
                    // Android's SDK 8.10 and 8.11.
                    "profile_chunk_ui" => ItemKind::ProfileChunk,
                    _ => ItemKind::Unknown(name),
                }
            }

            /// Returns the name of a known kind, `unknown` for any other: one of a closed set, for counting.
            pub const fn label(&self) -> &'static str {
                match self {
                    $(ItemKind::$variant => $name,)*
                    ItemKind::Unknown(_) => "unknown",
                }
            }
        }
    };
}

kinds! {
    Event "event",
    Transaction "transaction",
    Attachment "attachment",
    Session "session",
    Sessions "sessions",
    ClientReport "client_report",
    UserReport "user_report",
    Feedback "feedback",
    CheckIn "check_in",
    Statsd "statsd",
    MetricMeta "metric_meta",
    MetricBuckets "metric_buckets",
    Profile "profile",
    ProfileChunk "profile_chunk",
    ReplayEvent "replay_event",
    ReplayRecording "replay_recording",
    ReplayVideo "replay_video",
    Log "log",
    OtelLog "otel_log",
    TraceMetric "trace_metric",
    Span "span",
    OtelSpan "otel_span",
    OtelTracesData "otel_traces_data",
    RawSecurity "raw_security",
    Security "security",
    FormData "form_data",
    UnrealReport "unreal_report",
    Nel "nel",
    Integration "integration",
}

/// Content type of a container of version 2 spans.
pub const SPAN_CONTAINER_TYPE: &str = "application/vnd.sentry.items.span.v2+json";

/// Platforms whose profile chunks count as those of a user interface.
const UI_PLATFORMS: [&str; 3] = ["javascript", "cocoa", "android"];

/// What an item counts: at most two quantities.
pub type Quantities = [Option<(Category, u64)>; 2];

impl ItemKind<'_> {
    /// Returns the name as the client wrote it; the alias of an old one is written as today's.
    pub fn name(&self) -> &str {
        match self {
            ItemKind::Unknown(name) => name,
            known => known.label(),
        }
    }

    pub fn into_owned(self) -> ItemKind<'static> {
        ItemKind::from_name(Cow::Owned(self.name().to_owned()))
    }

    /// Returns whether Vigie keeps items of this kind.
    pub const fn is_kept(&self) -> bool {
        matches!(self, ItemKind::Event | ItemKind::Attachment)
    }
}

impl fmt::Display for ItemKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ItemHeader<'_> {
    /// Returns whether the item belongs to the envelope's event and shares its id and its fate.
    pub fn is_event_bound(&self) -> bool {
        match &self.kind {
            ItemKind::Event
            | ItemKind::Transaction
            | ItemKind::Attachment
            | ItemKind::UserReport
            | ItemKind::Feedback
            | ItemKind::Profile
            | ItemKind::ReplayEvent
            | ItemKind::RawSecurity
            | ItemKind::Security
            | ItemKind::FormData
            | ItemKind::UnrealReport => true,
            ItemKind::Session
            | ItemKind::Sessions
            | ItemKind::ClientReport
            | ItemKind::CheckIn
            | ItemKind::Statsd
            | ItemKind::MetricMeta
            | ItemKind::MetricBuckets
            | ItemKind::ProfileChunk
            | ItemKind::ReplayRecording
            | ItemKind::ReplayVideo
            | ItemKind::Log
            | ItemKind::OtelLog
            | ItemKind::TraceMetric
            | ItemKind::Span
            | ItemKind::OtelSpan
            | ItemKind::OtelTracesData
            | ItemKind::Nel
            | ItemKind::Integration
            | ItemKind::Unknown(_) => false,
        }
    }

    /// Returns whether an error event comes out of the item, even when it stands alone.
    pub fn creates_event(&self) -> bool {
        match &self.kind {
            ItemKind::Event | ItemKind::RawSecurity | ItemKind::Security | ItemKind::UnrealReport => true,
            ItemKind::Attachment => self.attachment_kind().creates_event(),
            _ => false,
        }
    }

    /// Returns the category that limits the item; `None` for what is never limited.
    pub fn category(&self) -> Option<Category> {
        Some(match &self.kind {
            ItemKind::Event | ItemKind::UnrealReport | ItemKind::Nel => Category::Error,
            ItemKind::Transaction => Category::Transaction,
            ItemKind::Attachment => Category::Attachment,
            ItemKind::Session | ItemKind::Sessions => Category::Session,
            ItemKind::UserReport | ItemKind::Feedback => Category::Feedback,
            ItemKind::CheckIn => Category::Monitor,
            ItemKind::Statsd | ItemKind::MetricBuckets => Category::MetricBucket,
            ItemKind::Profile => Category::Profile,
            ItemKind::ProfileChunk if self.is_of_user_interface() => Category::ProfileChunkUi,
            ItemKind::ProfileChunk => Category::ProfileChunk,
            ItemKind::ReplayEvent | ItemKind::ReplayRecording | ItemKind::ReplayVideo => Category::Replay,
            ItemKind::Log | ItemKind::OtelLog => Category::LogItem,
            ItemKind::TraceMetric => Category::TraceMetric,
            ItemKind::Span | ItemKind::OtelSpan | ItemKind::OtelTracesData => Category::Span,
            ItemKind::RawSecurity | ItemKind::Security => Category::Security,
            ItemKind::Unknown(_) => Category::Unknown,
            ItemKind::ClientReport | ItemKind::MetricMeta | ItemKind::FormData | ItemKind::Integration => return None,
        })
    }

    /// Returns what the item counts with a payload of so many bytes. A container counts the items it claims, at least
    /// one, until somebody reads it.
    pub fn quantities(&self, payload_bytes: u64) -> Quantities {
        let Some(category) = self.category() else {
            return [None, None];
        };
        let count = match self.kind {
            ItemKind::Log | ItemKind::TraceMetric | ItemKind::Span => self.item_count.unwrap_or(1).max(1),
            _ => 1,
        };
        match category {
            Category::Attachment => [Some((category, payload_bytes)), Some((Category::AttachmentItem, 1))],
            Category::LogItem => [Some((category, count)), Some((Category::LogByte, payload_bytes))],
            Category::TraceMetric => [Some((category, count)), Some((Category::TraceMetricByte, payload_bytes))],
            _ => [Some((category, count)), None],
        }
    }

    /// Returns the first of its quantities, category by name; what has no category counts once as `default`.
    pub fn counted_as(&self, payload_bytes: u64) -> (&'static str, i64) {
        match self.quantities(payload_bytes)[0] {
            Some((category, count)) => (category.name(), i64::try_from(count).unwrap_or(i64::MAX)),
            None => ("default", 1),
        }
    }

    /// Returns whether this is a container of many spans and not one span.
    pub fn is_span_container(&self) -> bool {
        self.kind == ItemKind::Span && self.content_type.as_deref() == Some(SPAN_CONTAINER_TYPE)
    }

    fn is_of_user_interface(&self) -> bool {
        self.platform.as_deref().is_some_and(|platform| UI_PLATFORMS.contains(&platform))
    }
}

impl Item<'_> {
    /// Returns what the item counts.
    pub fn quantities(&self) -> Quantities {
        self.header.quantities(self.payload.len() as u64)
    }
}
