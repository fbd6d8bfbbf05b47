//! What a decoded body holds, as far as the answer needs it: framing, sizes, the event's id, and which items are kept.
//! Events are not parsed here: a broken payload inside a whole envelope is accepted, as SDKs expect, and dropped later
//! with a reason.

use super::head::Head;
use super::route::Endpoint;
use protocol::auth::{self, Auth};
use protocol::envelope::{Envelope, EnvelopeHeader, ItemHeader};
use protocol::item::event::glimpse;
use protocol::response::Refusal;
use protocol::{EventId, ItemKind, legacy, limits};
use stdx::Timestamp;

/// What ingest knows of a body.
#[derive(Debug, Default)]
pub struct Examined {
    /// Given by the client, or made here for what belongs to an event.
    pub event_id: Option<EventId>,
    pub sent_at: Option<Timestamp>,
    /// Something is kept: an event or an attachment.
    pub is_kept: bool,
    /// There is an event item, readable or not.
    pub has_event: bool,
    /// Items that are not kept: category, kind and quantity.
    pub not_kept: Vec<(&'static str, String, i64)>,
}

/// Examines a body that is in memory.
pub fn examine(head: &Head, auth: &Auth, decoded: &[u8]) -> Result<Examined, Refusal> {
    match head.endpoint {
        // A crash report is an envelope by now.
        Endpoint::Envelope | Endpoint::Minidump => examine_envelope(head.project_id, auth, decoded),
        // Reports are events before they come here, and go their own way.
        Endpoint::Store | Endpoint::Security => examine_store(decoded),
    }
}

fn examine_envelope(project_id: Option<i64>, auth: &Auth, decoded: &[u8]) -> Result<Examined, Refusal> {
    let envelope = Envelope::parse(decoded)?;
    check_header(project_id, auth, &envelope.header)?;
    limits::check(&envelope)?;
    let mut examined = Examined::of_header(&envelope.header);
    for item in &envelope.items {
        examined.note(&item.header, item.payload.len() as u64);
        if examined.event_id.is_none() && item.header.kind == ItemKind::Event {
            // A payload that cannot be read has no id of its own; it is dropped by the digest, with a reason.
            examined.event_id = glimpse(item.payload).ok().and_then(|seen| seen.event_id);
        }
    }
    if envelope.is_event_bound() {
        examined.need_event_id();
    }
    Ok(examined)
}

/// An old client's event: it must be JSON, and it is told so when it is not.
fn examine_store(decoded: &[u8]) -> Result<Examined, Refusal> {
    let json = legacy::store_body(decoded, limits::EVENT_BYTES_MAX)?;
    let seen = glimpse(&json).map_err(|error| Refusal::InvalidJson { cause: stdx::causes::on_one_line(&error) })?;
    let mut examined = Examined { event_id: seen.event_id, ..Examined::default() };
    match seen.kind.as_deref() {
        Some("transaction") => examined.not_kept.push(("transaction", "transaction".to_owned(), 1)),
        Some(_) | None => (examined.is_kept, examined.has_event) = (true, true),
    }
    examined.need_event_id();
    Ok(examined)
}

pub fn check_header(project_id: Option<i64>, auth: &Auth, header: &EnvelopeHeader<'_>) -> Result<(), Refusal> {
    match project_id {
        Some(project_id) => auth::check_dsn(header.dsn.as_ref(), auth, project_id),
        None => Ok(()),
    }
}

impl Examined {
    pub fn of_header(header: &EnvelopeHeader<'_>) -> Self {
        Examined { event_id: header.event_id.filter(|id| !id.is_nil()), sent_at: header.sent_at, ..Examined::default() }
    }

    /// Notes one item.
    pub fn note(&mut self, header: &ItemHeader<'_>, payload_bytes: u64) {
        if header.kind.is_kept() {
            self.is_kept = true;
            self.has_event |= header.kind == ItemKind::Event;
            return;
        }
        let (category, quantity) = header.counted_as(payload_bytes);
        self.not_kept.push((category, header.kind.label().to_owned(), quantity));
    }

    pub fn need_event_id(&mut self) {
        self.event_id.get_or_insert_with(|| EventId::random(stdx::random::bytes()));
    }
}
