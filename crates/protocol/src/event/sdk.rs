//! The SDK that made the event.

use super::interface::interface;
use super::reader::{self, Field, Reader};
use crate::json::{Object, Str, Value};

interface! {
    /// An SDK and what it was made of.
    pub struct Sdk<'a> {
        name: Str<'a> = "name",
        version: Str<'a> = "version",
        integrations: Vec<Str<'a>> = "integrations",
        features: Vec<Str<'a>> = "features",
        packages: Vec<Package<'a>> = "packages",
        settings: Object<'a> = "settings",
        client_ip: Str<'a> = "client_ip",
    }
}

interface! {
    /// A package of the SDK.
    pub struct Package<'a> {
        name: Str<'a> = "name",
        version: Str<'a> = "version",
    }
}

impl<'a> Field<'a> for Vec<Package<'a>> {
    fn read(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        reader::list(value, reader)
    }

    fn into_value(self) -> Value<'a> {
        Value::Array(self.into_iter().map(Field::into_value).collect())
    }
}
