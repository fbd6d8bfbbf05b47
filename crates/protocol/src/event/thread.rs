//! Threads that were alive when the event happened.

use super::Stacktrace;
use super::interface::interface;
use super::reader::{self, Field, Reader, lenient_text};
use crate::json::{Object, Str, Value};

interface! {
    /// One thread.
    pub struct Thread<'a> {
        id: Str<'a> = "id" via lenient_text,
        name: Str<'a> = "name" via lenient_text,
        crashed: bool = "crashed",
        current: bool = "current",
        main: bool = "main",
        state: Str<'a> = "state",
        priority: Value<'a> = "priority",
        daemon: bool = "daemon",
        stacktrace: Stacktrace<'a> = "stacktrace",
        raw_stacktrace: Stacktrace<'a> = "raw_stacktrace",
        held_locks: Object<'a> = "held_locks",
    }
}

impl<'a> Field<'a> for Vec<Thread<'a>> {
    fn read(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        reader::values(value, reader)
    }

    fn into_value(self) -> Value<'a> {
        reader::values_into(self)
    }
}
