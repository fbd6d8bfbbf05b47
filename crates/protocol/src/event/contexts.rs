//! Contexts: named objects that describe the surroundings of the event.

use super::reader::{Field, Reader};
use crate::json::{Object, Str, Value};

/// Contexts by name, in the order they came. Known ones have accessors; all are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contexts<'a>(pub Vec<(Str<'a>, Object<'a>)>);

impl<'a> Contexts<'a> {
    /// Returns the context of that name (`os`, `browser`, `device`, `runtime`, `trace` …).
    pub fn get(&self, name: &str) -> Option<&Object<'a>> {
        self.0.iter().rev().find(|(known, _)| known.as_str() == name).map(|(_, context)| context)
    }
}

impl<'a> Field<'a> for Contexts<'a> {
    fn read(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        let Value::Object(object) = value else {
            return reader.wrong(value);
        };
        let mut contexts = Vec::with_capacity(object.len());
        for (index, (name, value)) in object.0.into_iter().enumerate() {
            contexts.extend(reader.element(index, value, Object::read).map(|context| (name, context)));
        }
        Some(Contexts(contexts))
    }

    fn into_value(self) -> Value<'a> {
        Value::Object(Object(self.0.into_iter().map(|(name, context)| (name, Value::Object(context))).collect()))
    }
}
