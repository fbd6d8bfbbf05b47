//! The typed, borrowed event: every interface of an error event as Sentry's SDKs send it, read leniently from the tree.
//!
//! Reading changes nothing and judges nothing beyond types: a value of the wrong type becomes `None` with a `Remark`,
//! unknown keys stay in `other`. Only something that is not an object is refused. Defaults, limits and moves between
//! fields are `processing`'s. Source of shapes and legacy names: Sentry's event payload documentation.

mod breadcrumb;
mod contexts;
mod debug_meta;
mod exception;
mod interface;
mod level;
mod log_entry;
mod reader;
mod request;
mod sdk;
mod stacktrace;
mod tags;
mod thread;
mod time;
mod user;

pub use breadcrumb::Breadcrumb;
pub use contexts::Contexts;
pub use debug_meta::DebugMeta;
pub use exception::{Exception, Mechanism};
pub use level::Level;
pub use log_entry::LogEntry;
pub use reader::{REMARKS_MAX, Remark, RemarkKind};
pub use request::{Pairs, Request};
pub use sdk::{Package, Sdk};
pub use stacktrace::{Frame, Stacktrace};
pub use tags::Tags;
pub use thread::Thread;
pub use user::{Geo, User};

use crate::json::{self, JsonError, Object, Str, Value};
use interface::interface;
use reader::{Reader, lenient_text};
use stdx::Timestamp;

/// Why a payload is no event.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    #[error("read event")]
    Json(#[source] JsonError),
    #[error("read event: the payload is not an object")]
    NotAnObject,
}

interface! {
    /// An error event. Every field is optional until `processing` normalises it.
    pub struct Event<'a> {
        id: [u8; 16] = "event_id" via reader::event_id,
        timestamp: Timestamp = "timestamp",
        start_timestamp: Timestamp = "start_timestamp",
        received: Timestamp = "received",
        /// What the client says it is; see `processing` for what is believed.
        kind: Str<'a> = "type",
        platform: Str<'a> = "platform",
        level: Level = "level",
        logger: Str<'a> = "logger" via lenient_text,
        transaction: Str<'a> = "transaction" via lenient_text,
        transaction_info: Object<'a> = "transaction_info",
        culprit: Str<'a> = "culprit",
        server_name: Str<'a> = "server_name" via lenient_text,
        site: Str<'a> = "site" via lenient_text,
        release: Str<'a> = "release" via lenient_text,
        dist: Str<'a> = "dist" via lenient_text,
        environment: Str<'a> = "environment" via lenient_text,
        /// The top-level alias; `logentry` wins when both are there.
        message: LogEntry<'a> = "message" via log_entry::entry_or_text,
        logentry: LogEntry<'a> = "logentry" | "sentry.interfaces.Message" via log_entry::entry_or_text,
        exceptions: Vec<Exception<'a>> = "exception" | "sentry.interfaces.Exception" via reader::values,
        threads: Vec<Thread<'a>> = "threads" | "sentry.interfaces.Threads" via reader::values,
        /// Deprecated: a stack of the event itself.
        stacktrace: Stacktrace<'a> = "stacktrace" | "sentry.interfaces.Stacktrace",
        template: Object<'a> = "template" | "sentry.interfaces.Template",
        breadcrumbs: Vec<Breadcrumb<'a>> = "breadcrumbs" | "sentry.interfaces.Breadcrumbs" via reader::values,
        tags: Tags<'a> = "tags",
        fingerprint: Vec<Str<'a>> = "fingerprint" via reader::fingerprint,
        checksum: Str<'a> = "checksum",
        user: User<'a> = "user" | "sentry.interfaces.User",
        request: Request<'a> = "request" | "sentry.interfaces.Http",
        contexts: Contexts<'a> = "contexts" | "sentry.interfaces.Contexts",
        extra: Object<'a> = "extra",
        modules: Object<'a> = "modules",
        sdk: Sdk<'a> = "sdk",
        debug_meta: DebugMeta<'a> = "debug_meta" | "sentry.interfaces.DebugMeta",
        /// Errors the client met while it made the event.
        errors: Vec<Value<'a>> = "errors",
        csp: Object<'a> = "csp" | "sentry.interfaces.Csp",
        hpkp: Object<'a> = "hpkp" | "sentry.interfaces.Hpkp",
        expectct: Object<'a> = "expectct" | "sentry.interfaces.ExpectCT",
        expectstaple: Object<'a> = "expectstaple" | "sentry.interfaces.ExpectStaple",
        spans: Vec<Value<'a>> = "spans",
        measurements: Object<'a> = "measurements",
        breakdowns: Object<'a> = "breakdowns",
        /// The client's own remarks on its fields.
        meta: Object<'a> = "_meta",
    }
    /// What was changed or left out while reading and normalising, at most `REMARKS_MAX`.
    pub remarks: Vec<Remark<'a>>,
}

impl<'a> Event<'a> {
    /// Reads an event from JSON text that parses.
    ///
    /// # Errors
    /// `EventError::Json` when the text is no JSON or beyond its bounds, `NotAnObject` when it is something else.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EventError> {
        Self::from_value(json::parse(bytes).map_err(EventError::Json)?)
    }

    /// Reads an event from a tree, taking its parts.
    ///
    /// # Errors
    /// `NotAnObject` when `value` is no object; nothing else fails.
    pub fn from_value(value: Value<'a>) -> Result<Self, EventError> {
        let Value::Object(object) = value else {
            return Err(EventError::NotAnObject);
        };
        let mut reader = Reader::default();
        let mut event = Self::read_object(object, &mut reader);
        event.remarks = reader.into_remarks();
        Ok(event)
    }

    /// Adds a remark, unless there are too many already.
    pub fn remark(&mut self, path: impl Into<String>, kind: RemarkKind, value: Option<Value<'a>>) {
        if self.remarks.len() < REMARKS_MAX {
            self.remarks.push(Remark { path: path.into(), kind, value });
        }
    }

    /// Returns the event as the tree it would have been sent as, remarks left out.
    pub fn into_value(self) -> Value<'a> {
        reader::Field::into_value(self)
    }
}

#[cfg(test)]
mod tests;
