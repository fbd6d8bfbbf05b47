//! Exceptions and how they were caught.

use super::Stacktrace;
use super::interface::interface;
use super::reader::{self, Field, lenient_text};
use crate::json::{Object, Str, Value};

interface! {
    /// One exception of a chain; the list is oldest (innermost cause) first.
    pub struct Exception<'a> {
        /// The class or error name.
        kind: Str<'a> = "type",
        value: Str<'a> = "value" via reader::json_text,
        module: Str<'a> = "module",
        thread_id: Str<'a> = "thread_id" via lenient_text,
        stacktrace: Stacktrace<'a> = "stacktrace",
        raw_stacktrace: Stacktrace<'a> = "raw_stacktrace",
        mechanism: Mechanism<'a> = "mechanism",
    }
}

interface! {
    /// How an exception came to the SDK, and its place in a chain or group.
    pub struct Mechanism<'a> {
        kind: Str<'a> = "type",
        description: Str<'a> = "description",
        help_link: Str<'a> = "help_link",
        /// `false` marks a crash.
        handled: bool = "handled",
        synthetic: bool = "synthetic",
        source: Str<'a> = "source",
        exception_id: u64 = "exception_id",
        parent_id: u64 = "parent_id",
        is_exception_group: bool = "is_exception_group",
        data: Object<'a> = "data",
        meta: Object<'a> = "meta",
    }
}

impl<'a> Field<'a> for Vec<Exception<'a>> {
    fn read(value: Value<'a>, reader: &mut reader::Reader<'a>) -> Option<Self> {
        reader::values(value, reader)
    }

    fn into_value(self) -> Value<'a> {
        reader::values_into(self)
    }
}
