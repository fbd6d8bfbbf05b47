//! The HTTP request: address apart from query and fragment, header names in one case, cookies and body taken apart.

use super::Context;
use crate::limits::{URL_CHARS_MAX, URL_FRAGMENT_CHARS_MAX};
use crate::text::{cut_field, drop_empty};
use protocol::event::{Event, Pairs, RemarkKind, Request};
use protocol::json::{self, Object, Str, Value};
use std::borrow::Cow;

const FORM_TYPE: &str = "application/x-www-form-urlencoded";
const METHOD_CHARS: std::ops::RangeInclusive<usize> = 3..=32;

pub(super) fn clean_request<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    let Some(request) = &mut event.request else {
        return;
    };
    let refused = clean_method(request);
    split_url(request);
    for (name, _) in request.headers.iter_mut().flat_map(|headers| &mut headers.0) {
        title_case(name);
    }
    take_cookie_header(request);
    read_body(request);
    drop_empty(&mut request.fragment);
    let url_length = cut_field(&mut request.url, URL_CHARS_MAX);
    let fragment_length = cut_field(&mut request.fragment, URL_FRAGMENT_CHARS_MAX);
    for (path, length) in [("request.url", url_length), ("request.fragment", fragment_length)] {
        if let Some(length) = length {
            event.remark(path, RemarkKind::ValueTooLong, Some(Value::length(length)));
        }
    }
    if let Some(method) = refused {
        event.remark("request.method", RemarkKind::InvalidData, Some(Value::Str(method)));
    }
}

/// Upper-cases the method. Returns one that is none.
fn clean_method<'a>(request: &mut Request<'a>) -> Option<Str<'a>> {
    let method = request.method.take().filter(|method| !method.is_empty())?;
    let is_part = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
    if !METHOD_CHARS.contains(&method.len()) || !method.bytes().all(is_part) {
        return Some(method);
    }
    let is_upper = !method.bytes().any(|byte| byte.is_ascii_lowercase());
    request.method = Some(if is_upper { method } else { Str::from(method.to_ascii_uppercase()) });
    None
}

/// Takes query and fragment off the address; those sent in their own fields win.
fn split_url(request: &mut Request<'_>) {
    drop_empty(&mut request.url);
    let Some(url) = request.url.take() else {
        return;
    };
    let (rest, fragment) = match url.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (url.as_str(), None),
    };
    let (base, query) = match rest.split_once('?') {
        Some((base, query)) => (base, Some(query)),
        None => (rest, None),
    };
    if let Some(fragment) = fragment {
        request.fragment.get_or_insert_with(|| Str::from(fragment.to_owned()));
    }
    if let Some(query) = query {
        request.query_string.get_or_insert_with(|| Pairs::from_query(query));
    }
    request.url = Some(if base.len() == url.len() { url } else { Str::from(base.to_owned()) });
}

/// `x-forwarded-for` becomes `X-Forwarded-For`.
fn title_case(name: &mut Str<'_>) {
    let mut starts_word = true;
    let mut is_titled = true;
    for byte in name.bytes() {
        is_titled &= if starts_word { !byte.is_ascii_lowercase() } else { !byte.is_ascii_uppercase() };
        starts_word = byte == b'-';
    }
    if is_titled {
        return;
    }
    let mut starts_word = true;
    let titled = name.chars().map(|c| {
        let cased = if starts_word { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        starts_word = c == '-';
        cased
    });
    *name = Str(Cow::Owned(titled.collect()));
}

/// The `Cookie` header becomes `cookies`, unless those are there.
fn take_cookie_header(request: &mut Request<'_>) {
    let Some(headers) = &mut request.headers else {
        return;
    };
    if let Some(at) = headers.0.iter().position(|(name, _)| name.as_str() == "Cookie") {
        let (_, cookie) = headers.0.remove(at);
        if let Some(cookie) = cookie {
            request.cookies.get_or_insert_with(|| Pairs::from_cookies(&cookie));
        }
    }
}

/// A body that is the text of a JSON object or list, or of a form, is shown as such.
fn read_body(request: &mut Request<'_>) {
    let Some(Value::Str(text)) = &request.data else {
        return;
    };
    if !text.trim_start().starts_with(['{', '[']) {
        let declared = request.headers.as_ref().and_then(|headers| headers.get("Content-Type"));
        if is_form(text, declared) {
            let form = Pairs::from_query(text).0.into_iter();
            let fields = form.map(|(name, value)| (name, value.map_or(Value::Null, Value::Str)));
            request.data = Some(Value::Object(Object(fields.collect())));
            request.inferred_content_type.get_or_insert(Str::from(FORM_TYPE));
        }
        return;
    }
    if let Ok(value) = json::parse(text.as_bytes()) {
        request.data = Some(value.into_static());
        request.inferred_content_type.get_or_insert(Str::from("application/json"));
    }
}

/// Without a declared type only what no prose looks like is a form: names and values without blanks.
fn is_form(text: &str, declared: Option<&str>) -> bool {
    let fits = |part: &str| part.split_once('=').is_some_and(|(name, _)| !name.is_empty());
    let is_plain = |text: &str| !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '<');
    match declared {
        Some(declared) => declared.starts_with(FORM_TYPE) && text.contains('='),
        // Text in base64 ends in equals signs too.
        None => is_plain(text) && !text.ends_with('=') && text.split('&').all(fits),
    }
}
