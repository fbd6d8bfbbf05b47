//! Events of somebody's own machine.

use protocol::event::{Event, Request};
use std::net::IpAddr;

pub(super) fn is_local(event: &Event<'_>) -> bool {
    let address = event.user.as_ref().and_then(|user| user.ip_address.as_deref());
    if address.is_some_and(is_loopback) {
        return true;
    }
    event.request.as_ref().is_some_and(is_local_request)
}

fn is_local_request(request: &Request<'_>) -> bool {
    let header = |name| request.headers.as_ref().and_then(|headers| headers.get(name));
    let forwarded = header("X-Forwarded-For").and_then(|text| text.split(',').next()).map(str::trim);
    if forwarded.is_some_and(is_loopback) {
        return true;
    }
    match request.url.as_deref() {
        Some(url) => match url.split_once("://") {
            Some(("file", _)) => true,
            Some((_, rest)) => is_local_host(rest.split(['/', '?', '#']).next().unwrap_or_default()),
            None => false,
        },
        None => ["X-Forwarded-Host", "Host"].iter().find_map(|name| header(name)).is_some_and(is_local_host),
    }
}

/// `localhost`, `127.0.0.1`, their sub-domains, with or without a port.
fn is_local_host(authority: &str) -> bool {
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let host = host.to_ascii_lowercase();
    ["localhost", "127.0.0.1"].iter().any(|local| host == *local || host.ends_with(&format!(".{local}")))
        || host == "::1"
}

fn is_loopback(text: &str) -> bool {
    matches!(text.parse::<IpAddr>(), Ok(address) if address.is_loopback())
}
