//! The user: address, and the one text that says who it was.

use super::Context;
use crate::limits::{USER_CHARS_MAX, USER_EMAIL_CHARS_MAX};
use crate::text::{cut_field, drop_empty};
use protocol::event::{Event, RemarkKind, User};
use protocol::json::{Object, Str, Value};
use std::net::IpAddr;

/// What a client writes where the server shall put the address it sees.
const AUTO: &str = "{{auto}}";

/// Settles the address, moves unknown keys to `data`, and sets `sentry_user`.
pub(super) fn set_user<'a>(event: &mut Event<'a>, context: &Context<'_>) {
    resolve_remote_addr(event, context);
    let ip_address = resolve_ip(event, context);
    let Some(user) = &mut event.user else {
        event.user = ip_address.map(|ip| User { ip_address: Some(ip), ..User::default() });
        name_user(event);
        return;
    };
    user.ip_address = ip_address;
    for field in [&mut user.id, &mut user.email, &mut user.username, &mut user.name] {
        *field = field.take().map(|text| text.trimmed());
        drop_empty(field);
    }
    let cuts = [
        ("user.id", cut_field(&mut user.id, USER_CHARS_MAX)),
        ("user.username", cut_field(&mut user.username, USER_CHARS_MAX)),
        ("user.name", cut_field(&mut user.name, USER_CHARS_MAX)),
        ("user.email", cut_field(&mut user.email, USER_EMAIL_CHARS_MAX)),
    ];
    let unknown = std::mem::take(&mut user.other);
    if !unknown.is_empty() {
        user.data.get_or_insert_with(Object::default).extend(unknown.0);
    }
    for (path, length) in cuts {
        if let Some(length) = length {
            event.remark(path, RemarkKind::ValueTooLong, Some(Value::length(length)));
        }
    }
    name_user(event);
}

/// The first of id, username, email and address; a name alone identifies nobody. An empty user is none.
fn name_user(event: &mut Event<'_>) {
    let Some(user) = &mut event.user else {
        return;
    };
    let keys = [("id", &user.id), ("username", &user.username), ("email", &user.email), ("ip", &user.ip_address)];
    let named = keys.into_iter().find_map(|(kind, text)| text.as_ref().map(|text| format!("{kind}:{text}")));
    user.sentry_user = named.map(Str::from);
    if *user == User::default() {
        event.user = None;
    }
}

fn resolve_remote_addr(event: &mut Event<'_>, context: &Context<'_>) {
    let Some(env) = event.request.as_mut().and_then(|request| request.env.as_mut()) else {
        return;
    };
    if env.text("REMOTE_ADDR") == Some(AUTO) && may_infer(event.sdk.as_ref()) {
        let address = context.client_ip.map_or(Value::Null, |ip| Value::text(ip.to_string()));
        env.set("REMOTE_ADDR", address);
    }
}

/// Returns the user's address: the one sent, the request's, or the client's where the SDK's settings allow to infer it.
fn resolve_ip<'a>(event: &mut Event<'a>, context: &Context<'_>) -> Option<Str<'a>> {
    let sent = event.user.as_mut().and_then(|user| user.ip_address.take()).filter(|ip| !ip.is_empty());
    let client = || context.client_ip.map(|ip| Str::from(ip.to_string()));
    match sent {
        Some(ip) if ip == AUTO => return client().filter(|_| may_infer(event.sdk.as_ref())),
        Some(ip) if ip.parse::<IpAddr>().is_ok() => return Some(ip),
        Some(ip) => event.remark("user.ip_address", RemarkKind::InvalidData, Some(Value::Str(ip))),
        None => {}
    }
    let env = event.request.as_ref().and_then(|request| request.env.as_ref());
    let remote = env.and_then(|env| env.text("REMOTE_ADDR")).filter(|ip| ip.parse::<IpAddr>().is_ok());
    if let Some(remote) = remote {
        return Some(Str::from(remote.to_owned()));
    }
    let fill = match infer_ip(event.sdk.as_ref()) {
        Some(setting) => setting == "auto",
        // Before the setting existed, these platforms' events were filled.
        None => matches!(event.platform.as_deref(), Some("javascript" | "cocoa" | "objc")),
    };
    client().filter(|_| fill)
}

fn may_infer(sdk: Option<&protocol::event::Sdk<'_>>) -> bool {
    infer_ip(sdk).is_none_or(|setting| setting == "auto")
}

fn infer_ip<'s>(sdk: Option<&'s protocol::event::Sdk<'_>>) -> Option<&'s str> {
    sdk.and_then(|sdk| sdk.settings.as_ref()).and_then(|settings| settings.text("infer_ip"))
}
