//! Invented error events of a web shop, as an SDK would send them: exception with stack trace, source lines and
//! variables, breadcrumbs, request, user, tags, contexts, modules.
//!
//! What decides an event's group (exception, frames, transaction) depends on the group's number alone; ids, times,
//! addresses, users and tokens are new in every event, so that bodies compress and count like real ones.

use crate::random::Random;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};
use std::io::Write;
use stdx::Timestamp;

const THINGS: &[&str] = &[
    "parcel",
    "voucher",
    "account",
    "wishlist",
    "review",
    "supplier",
    "payment",
    "stock",
    "courier",
    "label",
    "tariff",
    "newsletter",
    "return",
    "warehouse",
    "pallet",
    "quote",
];
const ACTIONS: &[&str] = &[
    "reserve", "cancel", "collect", "price", "weigh", "announce", "split", "refund", "rank", "import", "sign", "retry",
];
const ERRORS: &[&str] = &[
    "OutOfStock",
    "ValueError",
    "GatewayTimeout",
    "KeyError",
    "TariffMissing",
    "TypeError",
    "LockTimeout",
    "DecodeError",
    "CourierRefused",
    "AttributeError",
];
const LIBRARIES: &[&str] =
    &["webframe/dispatch", "webframe/middleware", "ormlite/session", "ormlite/query", "fetchlib/pool"];
const LINES: &[&str] = &[
    "    {t} = store.find_{t}({t}_id, lock=True)",
    "    if {t}.state not in OPEN_STATES:",
    "        raise {e}(f\"{a} {t}: {reason}\")",
    "    with db.transaction(timeout=settings.{a}_timeout):",
    "    for line in {t}.lines.order_by(\"position\"):",
    "        total = total + line.amount * line.price",
    "    log.debug(\"{a} of %s took %s ms\", {t}_id, elapsed)",
    "    response = courier.{a}({t}.reference, attempts=3)",
    "    return serialise({t}, fields=request.fields)",
    "",
];
/// Users of the shop; the lower numbers come more often.
const USERS: u64 = 5_000;

/// What events look like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many groups, and so issues, arise.
    pub groups: u64,
    /// About how many bytes of JSON an event has; 2,000 at least.
    pub bytes: usize,
}

/// A request that is ready to be sent.
pub struct Prepared {
    pub event_id: String,
    pub request: Vec<u8>,
}

/// Returns the request of one event: an envelope, gzip, to the endpoint of `project` with `key`.
pub fn prepare(shape: Shape, random: &mut Random, now: Timestamp, project: &str, key: &str) -> Prepared {
    let group = random.below(shape.groups);
    let event_id = random.event_id();
    let event = event(group, shape.bytes, &event_id, random, now);
    let body = gzip(&envelope(&event_id, &event));
    Prepared { request: envelope_request(project, key, &[("Content-Encoding", "gzip")], &body), event_id }
}

/// Returns an envelope with one event.
pub fn envelope(event_id: &str, event: &Value) -> Vec<u8> {
    format!("{{\"event_id\":\"{event_id}\"}}\n{{\"type\":\"event\"}}\n{event}\n").into_bytes()
}

/// Returns a POST of an envelope body.
pub fn envelope_request(project: &str, key: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let auth = format!("Sentry sentry_version=7, sentry_client=vigie-bench/0.1, sentry_key={key}");
    let mut all = vec![("Content-Type", "application/x-sentry-envelope"), ("X-Sentry-Auth", auth.as_str())];
    all.extend_from_slice(headers);
    crate::http::request("POST", &format!("/api/{project}/envelope/"), &all, body)
}

/// Returns `bytes` as gzip.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::default());
    encoder.write_all(bytes).expect("a vector takes every byte");
    encoder.finish().expect("a vector takes every byte")
}

/// Returns an event of a group.
pub fn event(group: u64, bytes: usize, event_id: &str, random: &mut Random, now: Timestamp) -> Value {
    // Seeded by the group alone: the same frames and texts for each of its events.
    let mut fixed = Random::new(group.wrapping_mul(7_919).wrapping_add(13));
    let (thing, action, error) = (fixed.pick(THINGS), fixed.pick(ACTIONS), fixed.pick(ERRORS));
    let seconds = now.micros() as f64 / 1e6 - random.below(500) as f64 / 1e3;
    let mut event = json!({
        "event_id": event_id,
        "timestamp": seconds,
        "platform": "python",
        "level": if group.is_multiple_of(9) { "warning" } else { "error" },
        "logger": format!("shop.{thing}"),
        "transaction": format!("shop.{thing}.{action}_{group}"),
        "server_name": format!("web-{}", random.below(6)),
        "release": format!("shop@2.{}.0", group % 6),
        "environment": if group.is_multiple_of(5) { "staging" } else { "production" },
        "tags": { "region": fixed.pick(&["north", "south", "west"]), "queue": format!("q{}", group % 30), "canary": (random.below(20) == 0).to_string() },
        "user": user(random),
        "request": request(thing, action, random),
        "contexts": {
            "trace": { "trace_id": random.event_id(), "span_id": format!("{:016x}", random.next_u64()), "op": "http.server" },
            "runtime": { "name": "CPython", "version": "3.12.7" },
            "os": { "name": "Linux", "version": "6.6" },
        },
        "sdk": { "name": "sentry.python", "version": "2.75.0", "packages": [{ "name": "pypi:sentry-sdk", "version": "2.75.0" }] },
        "modules": THINGS.iter().map(|name| ((*name).to_owned(), json!(format!("1.{}.0", name.len())))).collect::<Map<_, _>>(),
    });
    let mut frames = vec![raising_frame(group, thing, action, &mut fixed, random)];
    let mut crumbs = Vec::new();
    let mut length = event.to_string().len() + frames[0].to_string().len() + 200;
    while length < bytes {
        let next =
            if fixed.below(3) == 0 { breadcrumb(&mut fixed, random, seconds) } else { frame(&mut fixed, random) };
        length += next.to_string().len() + 1;
        if next.get("function").is_some() { frames.insert(0, next) } else { crumbs.push(next) }
    }
    event["breadcrumbs"] = json!({ "values": crumbs });
    event["exception"] = json!({ "values": [{
        "type": error, "module": "shop.errors", "value": format!("cannot {action} {thing} in depot {group}"),
        "mechanism": { "type": "generic", "handled": !group.is_multiple_of(3) },
        "stacktrace": { "frames": frames },
    }] });
    event
}

fn user(random: &mut Random) -> Value {
    let id = random.below(USERS).min(random.below(USERS));
    json!({ "id": id.to_string(), "ip_address": format!("198.51.100.{}", 1 + random.below(254)) })
}

fn request(thing: &str, action: &str, random: &mut Random) -> Value {
    json!({
        "method": "POST", "url": format!("https://shop.example/{thing}/{action}/{}", random.below(100_000)),
        "headers": {
            "Host": "shop.example", "X-Request-Id": random.event_id(),
            "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
        },
    })
}

/// The frame that raised: its function names the group.
fn raising_frame(group: u64, thing: &str, action: &str, fixed: &mut Random, random: &mut Random) -> Value {
    let mut frame = frame(fixed, random);
    frame["function"] = json!(format!("{action}_{thing}_{group}"));
    frame["in_app"] = json!(true);
    frame
}

fn frame(fixed: &mut Random, random: &mut Random) -> Value {
    let (thing, action) = (fixed.pick(THINGS), fixed.pick(ACTIONS));
    let is_in_app = fixed.below(5) < 3;
    let module = if is_in_app { format!("shop/{thing}/actions") } else { fixed.pick(LIBRARIES).to_owned() };
    let mut source = |count: usize| -> Vec<String> { (0..count).map(|_| source_line(fixed)).collect() };
    let (before, line, after) = (source(5), source(1), source(5));
    json!({
        "filename": format!("{module}.py"), "abs_path": format!("/srv/shop/{module}.py"), "module": module.replace('/', "."),
        "function": format!("{action}_{thing}"), "lineno": 20 + fixed.below(600), "in_app": is_in_app,
        "pre_context": before, "context_line": line[0], "post_context": after,
        "vars": {
            "self": format!("<{thing} at 0x{:012x}>", random.below(1 << 47)), "attempt": "2",
            format!("{thing}_id"): random.below(1_000_000).to_string(),
        },
    })
}

fn source_line(fixed: &mut Random) -> String {
    let (line, thing, action, error) = (fixed.pick(LINES), fixed.pick(THINGS), fixed.pick(ACTIONS), fixed.pick(ERRORS));
    line.replace("{t}", thing).replace("{a}", action).replace("{e}", error)
}

fn breadcrumb(fixed: &mut Random, random: &mut Random, seconds: f64) -> Value {
    let (thing, action) = (fixed.pick(THINGS), fixed.pick(ACTIONS));
    let at = seconds - random.below(30_000) as f64 / 1e3;
    if fixed.below(2) == 0 {
        let url = format!("https://courier.example/{thing}/{}", random.below(1_000_000));
        return json!({ "type": "http", "category": "httplib", "timestamp": at, "data": { "url": url, "method": "GET", "status_code": 200 } });
    }
    let message = format!("query {thing} by owner {} and state, then {action}: 3 rows", random.below(1_000_000));
    json!({ "type": "default", "category": "query", "level": "info", "timestamp": at, "message": message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_about_the_size_and_groups_keep_what_groups_them() {
        let now = Timestamp::from_seconds(1_800_000_000);
        for bytes in [2_000, 10_000, 50_000] {
            let make = |seed| event(17, bytes, "0", &mut Random::new(seed), now);
            let (one, other) = (make(1), make(2));
            let length = one.to_string().len();
            assert!(length >= bytes && length < bytes + 3_000, "{length} of {bytes}");
            assert_eq!(one["exception"]["values"][0]["value"], other["exception"]["values"][0]["value"]);
            assert_ne!(one["contexts"], other["contexts"]);
        }
    }

    #[test]
    fn a_prepared_request_is_an_envelope_of_its_id() {
        let shape = Shape { groups: 3, bytes: 2_000 };
        let prepared = prepare(shape, &mut Random::new(1), Timestamp::from_seconds(0), "1", "k");
        let text = String::from_utf8_lossy(&prepared.request).into_owned();
        assert!(text.starts_with("POST /api/1/envelope/ HTTP/1.1\r\n") && text.contains("sentry_key=k"), "{text}");
        assert_eq!(prepared.event_id.len(), 32);
    }
}
