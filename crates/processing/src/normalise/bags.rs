//! Sizes of free-form data: what is too deep becomes its JSON text, what is too much is left out from the end.
//!
//! Every value costs its characters and one more, so that a million empty values are too much as well.

use super::Context;
use crate::limits::{
    BREADCRUMB_DATA_CHARS_MAX, CONTEXT_CHARS_MAX, DATA_DEPTH_MAX, EXTRA_CHARS_MAX, EXTRA_VALUE_CHARS_MAX,
    MECHANISM_DATA_CHARS_MAX, MODULES_CHARS_MAX, PARAMS_CHARS_MAX, REQUEST_COOKIES_CHARS_MAX, REQUEST_DATA_CHARS_MAX,
    REQUEST_ENV_CHARS_MAX, REQUEST_HEADERS_CHARS_MAX, REQUEST_QUERY_CHARS_MAX,
};
use crate::text::cut;
use protocol::event::{Event, Pairs, RemarkKind};
use protocol::json::{Object, Str, Value, to_text};

/// What is too large is remarked on: path and size before.
type Cuts = Vec<(String, usize)>;

/// Brings all free-form data of the event to its size.
pub(super) fn fit_data<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    let mut cuts = Cuts::new();
    fit_extra(event, &mut cuts);
    fit_request(event, &mut cuts);
    fit_object(event.modules.as_mut(), MODULES_CHARS_MAX, || "modules".to_owned(), &mut cuts);
    for (name, context) in event.contexts.iter_mut().flat_map(|contexts| &mut contexts.0) {
        fit_object(Some(context), CONTEXT_CHARS_MAX, || format!("contexts.{name}"), &mut cuts);
    }
    for (index, breadcrumb) in event.breadcrumbs.iter_mut().flatten().enumerate() {
        let path = || format!("breadcrumbs.values.{index}.data");
        fit_object(breadcrumb.data.as_mut(), BREADCRUMB_DATA_CHARS_MAX, path, &mut cuts);
    }
    for (index, exception) in event.exceptions.iter_mut().flatten().enumerate() {
        let data = exception.mechanism.as_mut().and_then(|mechanism| mechanism.data.as_mut());
        let path = || format!("exception.values.{index}.mechanism.data");
        fit_object(data, MECHANISM_DATA_CHARS_MAX, path, &mut cuts);
    }
    let params = event.logentry.as_mut().and_then(|entry| entry.params.as_mut());
    fit_value(params, PARAMS_CHARS_MAX, || "logentry.params".to_owned(), &mut cuts);
    fit_object(
        event.user.as_mut().and_then(|user| user.data.as_mut()),
        CONTEXT_CHARS_MAX,
        || "user.data".to_owned(),
        &mut cuts,
    );
    for (path, size) in cuts {
        event.remark(path, RemarkKind::ValueTooLong, Some(Value::length(size)));
    }
}

/// Extra has a bound for each value beside the one for all.
fn fit_extra(event: &mut Event<'_>, cuts: &mut Cuts) {
    for (key, value) in event.extra.iter_mut().flat_map(|extra| &mut extra.0) {
        fit_value(Some(value), EXTRA_VALUE_CHARS_MAX, || format!("extra.{key}"), cuts);
    }
    // Its values have their own depth: only the size of all together is left to see to.
    if let Some(extra) = &mut event.extra {
        shrink_object(extra, EXTRA_CHARS_MAX, || "extra".to_owned(), cuts);
    }
}

fn fit_request(event: &mut Event<'_>, cuts: &mut Cuts) {
    let Some(request) = &mut event.request else {
        return;
    };
    fit_value(request.data.as_mut(), REQUEST_DATA_CHARS_MAX, || "request.data".to_owned(), cuts);
    fit_object(request.env.as_mut(), REQUEST_ENV_CHARS_MAX, || "request.env".to_owned(), cuts);
    let bags = [
        ("request.headers", &mut request.headers, REQUEST_HEADERS_CHARS_MAX),
        ("request.cookies", &mut request.cookies, REQUEST_COOKIES_CHARS_MAX),
        ("request.query_string", &mut request.query_string, REQUEST_QUERY_CHARS_MAX),
    ];
    for (path, pairs, chars_max) in bags {
        fit_pairs(pairs.as_mut(), chars_max, path, cuts);
    }
}

fn fit_value(value: Option<&mut Value<'_>>, chars_max: usize, path: impl Fn() -> String, cuts: &mut Cuts) {
    let Some(value) = value else {
        return;
    };
    flatten(value, DATA_DEPTH_MAX);
    shrink(value, chars_max, path, cuts);
}

fn fit_object(object: Option<&mut Object<'_>>, chars_max: usize, path: impl Fn() -> String, cuts: &mut Cuts) {
    if let Some(object) = object {
        object.iter_mut().for_each(|(_, value)| flatten(value, DATA_DEPTH_MAX - 1));
        shrink_object(object, chars_max, path, cuts);
    }
}

fn shrink_object(object: &mut Object<'_>, chars_max: usize, path: impl Fn() -> String, cuts: &mut Cuts) {
    let mut value = Value::Object(std::mem::take(object));
    shrink(&mut value, chars_max, path, cuts);
    if let Value::Object(shrunk) = value {
        *object = shrunk;
    }
}

fn shrink(value: &mut Value<'_>, chars_max: usize, path: impl Fn() -> String, cuts: &mut Cuts) {
    if bytes_of(value) <= chars_max {
        return;
    }
    let size = cost_of(value);
    if size > chars_max {
        let mut room = chars_max;
        fit(value, &mut room);
        cuts.push((path(), size));
    }
}

fn fit_pairs(pairs: Option<&mut Pairs<'_>>, chars_max: usize, path: &str, cuts: &mut Cuts) {
    let Some(Pairs(pairs)) = pairs else {
        return;
    };
    let cost = |(name, value): &(Str<'_>, Option<Str<'_>>)| {
        name.chars().count() + value.as_ref().map_or(0, |text| text.chars().count()) + 2
    };
    let size: usize = pairs.iter().map(cost).sum();
    if size <= chars_max {
        return;
    }
    let mut room = chars_max;
    let kept = count_while(pairs, |(name, value)| {
        let name_cost = name.chars().count() + 1;
        let has_room = room > name_cost;
        room = room.saturating_sub(name_cost);
        has_room && value.as_mut().is_none_or(|text| fit_text(text, &mut room))
    });
    pairs.truncate(kept);
    cuts.push((path.to_owned(), size));
}

/// Replaces what lies deeper than `depth` by its JSON text.
fn flatten(value: &mut Value<'_>, depth: usize) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Str(_) => {}
        Value::Array(values) if depth > 0 => values.iter_mut().for_each(|value| flatten(value, depth - 1)),
        Value::Object(object) if depth > 0 => object.iter_mut().for_each(|(_, value)| flatten(value, depth - 1)),
        Value::Array(values) if values.is_empty() => {}
        Value::Object(object) if object.is_empty() => {}
        Value::Array(_) | Value::Object(_) => *value = Value::text(to_text(value)),
    }
}

/// Never less than `cost_of`, and quicker: no characters are counted.
fn bytes_of(value: &Value<'_>) -> usize {
    1 + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::Str(text) => text.len(),
        Value::Array(values) => values.iter().map(bytes_of).sum(),
        Value::Object(object) => object.iter().map(|(key, value)| key.len() + 1 + bytes_of(value)).sum(),
    }
}

fn cost_of(value: &Value<'_>) -> usize {
    1 + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::Str(text) => text.chars().count(),
        Value::Array(values) => values.iter().map(cost_of).sum(),
        Value::Object(object) => object.iter().map(|(key, value)| key.chars().count() + 1 + cost_of(value)).sum(),
    }
}

/// Keeps what of the value has room. Returns whether anything has.
fn fit(value: &mut Value<'_>, room: &mut usize) -> bool {
    if *room == 0 {
        return false;
    }
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            *room -= 1;
            true
        }
        Value::Str(text) => fit_text(text, room),
        Value::Array(values) => {
            *room -= 1;
            let kept = count_while(values, |value| fit(value, room));
            values.truncate(kept);
            true
        }
        Value::Object(object) => {
            *room -= 1;
            let kept = count_while(object, |(key, value)| {
                let key_cost = key.chars().count() + 1;
                let has_room = *room > key_cost;
                *room = room.saturating_sub(key_cost);
                has_room && fit(value, room)
            });
            object.truncate(kept);
            true
        }
    }
}

/// Returns how many entries from the first on are kept.
fn count_while<T>(entries: &mut [T], mut is_kept: impl FnMut(&mut T) -> bool) -> usize {
    entries.iter_mut().position(|entry| !is_kept(entry)).unwrap_or(entries.len())
}

/// Shortest text that is cut rather than left out.
const TEXT_CHARS_MIN: usize = 4;

fn fit_text(text: &mut Str<'_>, room: &mut usize) -> bool {
    let cost = text.chars().count() + 1;
    if cost <= *room {
        *room -= cost;
        return true;
    }
    let fits = *room > TEXT_CHARS_MIN;
    if fits {
        *text = Str::from(cut(text, *room - 1).into_owned());
    }
    *room = 0;
    fits
}
