//! Receipts: what became of an event id after it was accepted.

use crate::events::EventRef;
use crate::{Actor, ApiError, Ops};
use stdx::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptState {
    Queued,
    Processing,
    Stored,
    Filtered,
    Duplicate,
    Expired,
    Dead,
    NotKept,
    Unknown,
}

impl ReceiptState {
    pub fn as_str(self) -> &'static str {
        match self {
            ReceiptState::Queued => "queued",
            ReceiptState::Processing => "processing",
            ReceiptState::Stored => "stored",
            ReceiptState::Filtered => "filtered",
            ReceiptState::Duplicate => "duplicate",
            ReceiptState::Expired => "expired",
            ReceiptState::Dead => "dead",
            ReceiptState::NotKept => "not-kept",
            ReceiptState::Unknown => "unknown",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Receipt {
    pub event_id: String,
    pub state: ReceiptState,
    pub reason: Option<String>,
    pub issue_id: Option<i64>,
    /// Oldest first.
    pub steps: Vec<ReceiptStep>,
    /// Items of the envelope that were not kept, duplicates and the like, also when the event is stored.
    pub remarks: Vec<ReceiptRemark>,
}

#[derive(Clone, Debug)]
pub struct ReceiptStep {
    /// received, queued, processing, stored, duplicate …
    pub step: &'static str,
    pub at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct ReceiptRemark {
    pub state: String,
    pub reason: String,
    pub quantity: i64,
    pub at: Timestamp,
}

/// Returns what is known of the id in the project; an id never seen has state `unknown`.
pub async fn get(_cx: &Ops, _actor: &Actor, _input: &EventRef) -> Result<Receipt, ApiError> {
    Err(ApiError::NotFound)
}
