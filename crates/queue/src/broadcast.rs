//! What a broker may carry beside jobs: requests to all workers, the replies to them, and events for monitors. Celery's
//! tools speak this way, in the exchanges named here. A message is what it means, without the broker's own envelope.

use crate::{JobId, QueueError};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use stdx::Timestamp;

/// Every worker hears what is published here.
pub const CONTROL_EXCHANGE: &str = "celery.pidbox";
/// Replies go through this one, by the key that the asker names.
pub const REPLY_EXCHANGE: &str = "reply.celery.pidbox";
/// Monitors hear what is published here.
pub const EVENT_EXCHANGE: &str = "celeryev";
/// Bytes of a request, or of a reply, with its envelope; what is larger is not read.
pub const NOTICE_BYTES_MAX: usize = 1 << 20;
/// So long a reply waits for an asker that went away.
pub const REPLY_KEPT: Duration = Duration::from_secs(60);

/// So many revoked ids are known, and for so long, as Celery's workers know them.
pub const REVOKED_MAX: usize = 50_000;
pub const REVOKED_KEPT: Duration = Duration::from_secs(3 * 3_600);

/// A message that is no job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notice {
    pub headers: Map<String, Value>,
    pub content_type: String,
    pub body: Vec<u8>,
}

impl Notice {
    /// A notice whose body is JSON.
    pub fn json(headers: Map<String, Value>, body: &Value) -> Notice {
        let body = serde_json::to_vec(body).expect("JSON values can be written");
        Notice { headers, content_type: "application/json".to_owned(), body }
    }
}

/// A job that waits in the broker for its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    pub due: Timestamp,
    pub id: JobId,
    pub task: Arc<str>,
    pub queue: Arc<str>,
    pub attempt: u32,
}

/// Carries notices. Nothing is kept for who is absent; a notice that is lost is asked for again or was not important.
pub trait Broadcast: Send + Sync + 'static {
    /// Hears requests under a node's name until `hear` returns false; it is called with nothing at least every
    /// `POLL_MAX`. What is too large or has an envelope that cannot be read is passed over.
    ///
    /// # Errors
    /// If the broker was lost; who calls again hears on.
    fn listen(&self, node: &str, hear: &mut dyn FnMut(Option<Notice>) -> bool) -> Result<(), QueueError>;

    /// Sends a request to all, whose replies go to `key`, and returns those that came within the time.
    ///
    /// # Errors
    /// If the broker does not answer.
    fn ask(&self, key: &str, request: &Notice, within: Duration) -> Result<Vec<Notice>, QueueError>;

    /// Sends a reply to whoever listens for `key`. An asker that is gone is no error.
    ///
    /// # Errors
    /// If the broker does not answer.
    fn reply(&self, key: &str, reply: &Notice) -> Result<(), QueueError>;

    /// Sends events to monitors.
    ///
    /// # Errors
    /// If the broker does not answer.
    fn tell(&self, key: &str, events: &Notice) -> Result<(), QueueError>;

    /// Returns jobs of these queues that wait for their time, the next first.
    ///
    /// # Errors
    /// If the broker does not answer.
    fn scheduled(&self, queues: &[String], at_most: usize) -> Result<Vec<Scheduled>, QueueError>;

    /// Remembers that jobs were revoked, for workers that start when nobody is there whom they could ask. A broker that
    /// cannot remember does nothing.
    ///
    /// # Errors
    /// If the broker does not answer.
    fn keep_revoked(&self, ids: &[String]) -> Result<(), QueueError>;

    /// Returns what was kept, the oldest first.
    ///
    /// # Errors
    /// If the broker does not answer.
    fn kept_revoked(&self) -> Result<Vec<String>, QueueError>;

    /// Returns where the broker is, in Celery's words and without a password.
    fn about(&self) -> Value;
}
