//! Sizes and counts that an envelope may have, of decoded data. Exceeding one refuses the whole envelope with 413.
//!
//! Source: Relay's defaults. Kinder in two points: several check-ins and several containers may share an envelope.

use crate::envelope::{Envelope, ITEMS_MAX, ItemHeader};
use crate::item::ItemKind;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// A whole envelope.
pub const ENVELOPE_BYTES_MAX: u64 = 200 * MIB;
/// An event payload, also as the body of `store/`.
pub const EVENT_BYTES_MAX: u64 = MIB;
/// Events, transactions and the like in one envelope.
pub const EVENTS_MAX: u64 = 1;
pub const ATTACHMENT_BYTES_MAX: u64 = 200 * MIB;
pub const ATTACHMENTS_MAX: u64 = 30;
pub const SESSIONS_BYTES_MAX: u64 = 10 * MIB;
pub const SESSIONS_MAX: u64 = 100;
pub const CLIENT_REPORTS_BYTES_MAX: u64 = 100 * KIB;
pub const CLIENT_REPORTS_MAX: u64 = 100;
pub const CHECK_IN_BYTES_MAX: u64 = 100 * KIB;
/// Relay takes one; a job runner that batches is no attack.
pub const CHECK_INS_MAX: u64 = 100;
pub const PROFILE_BYTES_MAX: u64 = 50 * MIB;
pub const PROFILES_MAX: u64 = 1;
pub const REPLAY_BYTES_MAX: u64 = 10 * MIB;
pub const REPLAYS_MAX: u64 = 1;
/// One log, on the average of its container.
pub const LOG_BYTES_MAX: u64 = 2 * MIB;
/// One trace metric, on the average of its container.
pub const TRACE_METRIC_BYTES_MAX: u64 = MIB;
/// One span, on the average of its container.
pub const SPAN_BYTES_MAX: u64 = 10 * MIB;
/// All containers of one kind together.
pub const CONTAINER_BYTES_MAX: u64 = 12 * MIB;
/// Relay takes one of each kind; bounded here by their bytes.
pub const CONTAINERS_MAX: u64 = 100;
/// Stand-alone spans, one an item.
pub const SPANS_MAX: u64 = 25;
pub const METRICS_BYTES_MAX: u64 = MIB;
pub const METRICS_MAX: u64 = 1;
/// Reports of kinds without a limit of Relay's.
pub const OTHER_BYTES_MAX: u64 = 12 * MIB;

/// Which limit an envelope exceeds; the `Display` text is the answer's `detail`.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LimitError {
    #[error("envelope exceeded size limits for type '{kind}' ({bytes} bytes, at most {limit})")]
    TooLarge { kind: &'static str, bytes: u64, limit: u64 },
    #[error("envelope exceeded size limits for type '{kind}' ({bytes} bytes an item on average, at most {limit})")]
    TooLargeOnAverage { kind: &'static str, bytes: u64, limit: u64 },
    #[error("envelope exceeded size limits for type '{kind}' ({bytes} bytes together, at most {limit})")]
    TooLargeTogether { kind: &'static str, bytes: u64, limit: u64 },
    #[error("envelope exceeded size limits for type '{kind}' (more than {limit} in one envelope)")]
    TooMany { kind: &'static str, limit: u64 },
    #[error("envelope exceeded size limits for type 'envelope' (more than {ITEMS_MAX} items)")]
    TooManyItems,
}

/// Checks a whole envelope.
///
/// # Errors
/// The first limit that is exceeded, in the order of the items.
pub fn check(envelope: &Envelope<'_>) -> Result<(), LimitError> {
    let mut tally = LimitTally::default();
    envelope.items.iter().try_for_each(|item| tally.add(&item.header, item.payload.len() as u64))
}

/// Returns the largest payload that an item with this header may have, for readers that stop before they read more.
pub fn payload_bytes_max(header: &ItemHeader<'_>) -> u64 {
    Group::of(header).allowance().item_bytes
}

/// What the items of an envelope have used up so far; for envelopes that are read as a stream.
#[derive(Default, Debug)]
pub struct LimitTally {
    items: u64,
    bytes: u64,
    used: [Used; GROUPS],
}

#[derive(Clone, Copy, Default, Debug)]
struct Used {
    items: u64,
    bytes: u64,
}

/// Kinds that share one allowance.
#[derive(Clone, Copy)]
enum Group {
    Event,
    Attachment,
    Session,
    ClientReport,
    CheckIn,
    Profile,
    ReplayRecording,
    ReplayVideo,
    Log,
    TraceMetric,
    SpanContainer,
    Span,
    Metrics,
    Other,
}

const GROUPS: usize = Group::Other as usize + 1;

struct Allowance {
    items: u64,
    item_bytes: u64,
    bytes: u64,
}

impl LimitTally {
    /// Adds an item with a payload of so many bytes.
    ///
    /// # Errors
    /// The limit that this item exceeds, alone or with those before it.
    pub fn add(&mut self, header: &ItemHeader<'_>, payload_bytes: u64) -> Result<(), LimitError> {
        let kind = header.kind.label();
        self.items += 1;
        if self.items > ITEMS_MAX as u64 {
            return Err(LimitError::TooManyItems);
        }
        self.bytes = self.bytes.saturating_add(payload_bytes);
        if self.bytes > ENVELOPE_BYTES_MAX {
            let limit = ENVELOPE_BYTES_MAX;
            return Err(LimitError::TooLargeTogether { kind: "envelope", bytes: self.bytes, limit });
        }
        check_container(header, kind, payload_bytes)?;
        let group = Group::of(header);
        let allowance = group.allowance();
        if payload_bytes > allowance.item_bytes {
            return Err(LimitError::TooLarge { kind, bytes: payload_bytes, limit: allowance.item_bytes });
        }
        let used = &mut self.used[group as usize];
        used.items += 1;
        used.bytes = used.bytes.saturating_add(payload_bytes);
        if used.items > allowance.items {
            return Err(LimitError::TooMany { kind, limit: allowance.items });
        }
        if used.bytes > allowance.bytes {
            return Err(LimitError::TooLargeTogether { kind, bytes: used.bytes, limit: allowance.bytes });
        }
        Ok(())
    }
}

/// Containers are checked by the average of the items they claim to have.
fn check_container(header: &ItemHeader<'_>, kind: &'static str, payload_bytes: u64) -> Result<(), LimitError> {
    let limit = match header.kind {
        ItemKind::Log => LOG_BYTES_MAX,
        ItemKind::TraceMetric => TRACE_METRIC_BYTES_MAX,
        ItemKind::Span => SPAN_BYTES_MAX,
        _ => return Ok(()),
    };
    let bytes = payload_bytes / header.item_count.unwrap_or(1).max(1);
    if bytes > limit {
        return Err(LimitError::TooLargeOnAverage { kind, bytes, limit });
    }
    Ok(())
}

impl Group {
    fn of(header: &ItemHeader<'_>) -> Self {
        match &header.kind {
            ItemKind::Event
            | ItemKind::Transaction
            | ItemKind::Security
            | ItemKind::RawSecurity
            | ItemKind::ReplayEvent
            | ItemKind::Feedback
            | ItemKind::FormData => Group::Event,
            ItemKind::Attachment | ItemKind::UnrealReport | ItemKind::UserReport => Group::Attachment,
            ItemKind::Session | ItemKind::Sessions => Group::Session,
            ItemKind::ClientReport => Group::ClientReport,
            ItemKind::CheckIn => Group::CheckIn,
            ItemKind::Profile | ItemKind::ProfileChunk => Group::Profile,
            ItemKind::ReplayRecording => Group::ReplayRecording,
            ItemKind::ReplayVideo => Group::ReplayVideo,
            ItemKind::Log | ItemKind::OtelLog => Group::Log,
            ItemKind::TraceMetric => Group::TraceMetric,
            ItemKind::Span if header.is_span_container() => Group::SpanContainer,
            ItemKind::Span | ItemKind::OtelSpan | ItemKind::OtelTracesData => Group::Span,
            ItemKind::Statsd | ItemKind::MetricBuckets => Group::Metrics,
            ItemKind::MetricMeta | ItemKind::Nel | ItemKind::Integration | ItemKind::Unknown(_) => Group::Other,
        }
    }

    const fn allowance(self) -> Allowance {
        match self {
            Group::Event => Allowance::new(EVENTS_MAX, EVENT_BYTES_MAX, EVENT_BYTES_MAX),
            Group::Attachment => Allowance::new(ATTACHMENTS_MAX, ATTACHMENT_BYTES_MAX, ATTACHMENT_BYTES_MAX),
            Group::Session => Allowance::new(SESSIONS_MAX, SESSIONS_BYTES_MAX, SESSIONS_BYTES_MAX),
            Group::ClientReport => {
                Allowance::new(CLIENT_REPORTS_MAX, CLIENT_REPORTS_BYTES_MAX, CLIENT_REPORTS_BYTES_MAX)
            }
            Group::CheckIn => Allowance::new(CHECK_INS_MAX, CHECK_IN_BYTES_MAX, CHECK_INS_MAX * CHECK_IN_BYTES_MAX),
            Group::Profile => Allowance::new(PROFILES_MAX, PROFILE_BYTES_MAX, PROFILE_BYTES_MAX),
            Group::ReplayRecording | Group::ReplayVideo => {
                Allowance::new(REPLAYS_MAX, REPLAY_BYTES_MAX, REPLAY_BYTES_MAX)
            }
            Group::Log | Group::TraceMetric | Group::SpanContainer => {
                Allowance::new(CONTAINERS_MAX, CONTAINER_BYTES_MAX, CONTAINER_BYTES_MAX)
            }
            Group::Span => Allowance::new(SPANS_MAX, SPAN_BYTES_MAX, CONTAINER_BYTES_MAX),
            Group::Metrics => Allowance::new(METRICS_MAX, METRICS_BYTES_MAX, METRICS_BYTES_MAX),
            Group::Other => Allowance::new(ITEMS_MAX as u64, OTHER_BYTES_MAX, ENVELOPE_BYTES_MAX),
        }
    }
}

impl Allowance {
    const fn new(items: u64, item_bytes: u64, bytes: u64) -> Self {
        Allowance { items, item_bytes, bytes }
    }
}
