//! What was changed, written where Sentry's clients and pages look for it: in `_meta`, a tree of the event's shape whose
//! leaves are under the empty key. What a client wrote there itself stays.

use super::Context;
use protocol::event::{Event, Remark, RemarkKind};
use protocol::json::{Object, Str, Value};

/// Rule named in remarks about lengths.
const LIMIT_RULE: &str = "!limit";

pub(super) fn write_meta<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    if event.remarks.is_empty() {
        return;
    }
    let mut meta = event.meta.take().unwrap_or_default();
    for remark in &event.remarks {
        if let Some(leaf) = leaf_at(&mut meta, remark.path.split('.')) {
            note(leaf, remark);
        }
    }
    event.meta = Some(meta);
}

/// Returns the leaf of a path, made where it is missing; none where something else is in its way.
pub(crate) fn leaf_at<'m, 'a>(
    meta: &'m mut Object<'a>,
    path: impl Iterator<Item = impl AsRef<str>>,
) -> Option<&'m mut Object<'a>> {
    let mut node = meta;
    for step in path {
        node = child(node, step.as_ref())?;
    }
    child(node, "")
}

fn child<'m, 'a>(node: &'m mut Object<'a>, key: &str) -> Option<&'m mut Object<'a>> {
    let at = match node.iter().rposition(|(known, _)| known.as_str() == key) {
        Some(at) => at,
        None => {
            node.push((Str::from(key.to_owned()), Value::Object(Object::default())));
            node.len() - 1
        }
    };
    let (_, found) = &mut node[at];
    if found.is_null() {
        *found = Value::Object(Object::default());
    }
    match found {
        Value::Object(object) => Some(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Str(_) | Value::Array(_) => None,
    }
}

fn note<'a>(leaf: &mut Object<'a>, remark: &Remark<'a>) {
    match remark.kind {
        RemarkKind::ValueTooLong => {
            append(leaf, "rem", Value::Array(vec![Value::text(LIMIT_RULE), Value::text("s")]));
            if let Some(length) = &remark.value {
                leaf.set("len", length.clone());
            }
        }
        RemarkKind::InvalidData
        | RemarkKind::InvalidAttribute
        | RemarkKind::PastTimestamp
        | RemarkKind::FutureTimestamp
        | RemarkKind::ClockDrift => {
            append(leaf, "err", Value::text(remark.kind.as_str()));
            if let Some(value) = &remark.value {
                leaf.set("val", value.clone());
            }
        }
    }
}

/// Adds to the list under `key`. Something there that is no list is the client's and stays.
pub(crate) fn append<'a>(leaf: &mut Object<'a>, key: &'static str, entry: Value<'a>) {
    match leaf.iter_mut().rfind(|(known, _)| known.as_str() == key) {
        Some((_, Value::Array(entries))) => entries.push(entry),
        Some(_) => {}
        None => leaf.push((Str::from(key), Value::Array(vec![entry]))),
    }
}
