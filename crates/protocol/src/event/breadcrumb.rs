//! What happened before the event.

use super::Level;
use super::interface::interface;
use super::reader::{self, Field, Reader};
use crate::json::{Object, Str, Value};
use stdx::Timestamp;

interface! {
    /// One step on the way to the event, oldest first.
    pub struct Breadcrumb<'a> {
        timestamp: Timestamp = "timestamp",
        kind: Str<'a> = "type",
        category: Str<'a> = "category",
        level: Level = "level",
        message: Str<'a> = "message" via reader::json_text,
        data: Object<'a> = "data",
        event_id: Str<'a> = "event_id",
        origin: Str<'a> = "origin",
    }
}

impl<'a> Field<'a> for Vec<Breadcrumb<'a>> {
    fn read(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        reader::values(value, reader)
    }

    fn into_value(self) -> Value<'a> {
        reader::values_into(self)
    }
}
