//! What the disk governor last said: kept as a setting, so that pages, health and other processes can tell.

use crate::{StoreError, settings};
use db::Tx;
use stdx::Timestamp;

const SETTING: &str = "disk.governor";

/// How the governor left the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It would remove events, and a sweep, the deletion of an issue or a backup has the lock.
    Waiting,
    /// It is removing events.
    Freeing,
    /// Enough is free again.
    Relieved,
    /// Nothing more may go: of each group its first and last event are left.
    Exhausted,
    /// All stored events together are less than what is missing: none was removed for nothing.
    Helpless,
}

/// What it said, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Said {
    pub verdict: Verdict,
    pub at: Timestamp,
    pub free_bytes: u64,
    /// `disk.min-free`, as it was then.
    pub free_min_bytes: u64,
}

impl Verdict {
    /// In words, for pages and health.
    pub fn text(self) -> &'static str {
        match self {
            Verdict::Waiting => "a cleanup, the deletion of an issue or a backup has to end first",
            Verdict::Freeing => "events that repeat others are being removed, the oldest first",
            Verdict::Relieved => "events that repeat others were removed until enough was free",
            Verdict::Exhausted => {
                "no more can be removed: the first and the last event of each group are kept; make room"
            }
            Verdict::Helpless => {
                "all stored events together are less than what is missing: none was removed; make room"
            }
        }
    }

    /// Tells whether somebody must act.
    pub fn is_bad(self) -> bool {
        match self {
            Verdict::Waiting | Verdict::Freeing | Verdict::Relieved => false,
            Verdict::Exhausted | Verdict::Helpless => true,
        }
    }
}

/// Returns what it last said; `None` if it never had to, or a later release wrote it in words of its own.
///
/// # Errors
/// If the database fails.
pub fn last(tx: &mut Tx<'_>) -> Result<Option<Said>, StoreError> {
    Ok(settings::get(tx, SETTING)?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// # Errors
/// If the database fails.
pub fn say(tx: &mut Tx<'_>, said: &Said) -> Result<(), StoreError> {
    let text = serde_json::to_string(said).expect("plain data is JSON");
    settings::set(tx, SETTING, &text, said.at)
}
