//! Celery's remote control as data: requests to all workers and the replies to them. Pure; a request that cannot be read
//! is nobody's.
//!
//! Source: kombu 5.7 `pidbox.py` and `matcher.py`, celery 5.7 `worker/control.py`, and captured traffic.

use crate::broadcast::{NOTICE_BYTES_MAX, Notice, REPLY_EXCHANGE};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use stdx::Timestamp;

/// Bytes of a pattern; what is longer matches nobody.
const PATTERN_BYTES_MAX: usize = 1_024;

/// A request that was read.
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    pub method: String,
    pub arguments: Map<String, Value>,
    /// The asker's clock.
    pub clock: u64,
    /// Where the reply goes; `None` if nobody waits for one.
    pub reply_key: Option<String>,
    ticket: Option<String>,
    destination: Vec<String>,
    pattern: Option<String>,
    matcher: Option<String>,
    expires: Option<f64>,
}

#[derive(Deserialize)]
struct Body {
    method: String,
    #[serde(default)]
    arguments: Option<Map<String, Value>>,
    #[serde(default)]
    destination: Option<Destination>,
    #[serde(default)]
    pattern: Option<String>,
    #[serde(default)]
    matcher: Option<String>,
    #[serde(default)]
    ticket: Option<String>,
    #[serde(default)]
    reply_to: Option<ReplyTo>,
}

/// Celery sends a list; callers of its API may give one name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Destination {
    One(String),
    Some(Vec<String>),
}

#[derive(Deserialize)]
struct ReplyTo {
    exchange: String,
    routing_key: String,
}

impl Request {
    /// # Errors
    /// Says why it is none. Pickle is refused: reading it would run what it says.
    pub fn read(notice: &Notice) -> Result<Request, String> {
        if notice.content_type != "application/json" {
            return Err(format!("its content type {:.64} is not accepted", notice.content_type));
        }
        if notice.body.len() > NOTICE_BYTES_MAX {
            return Err(format!("it has {} bytes, at most {NOTICE_BYTES_MAX} are read", notice.body.len()));
        }
        let body: Body = serde_json::from_slice(&notice.body).map_err(|error| format!("it is no request: {error}"))?;
        let reply_to = body.reply_to.filter(|reply_to| reply_to.exchange == REPLY_EXCHANGE);
        Ok(Request {
            method: body.method,
            arguments: body.arguments.unwrap_or_default(),
            clock: notice.headers.get("clock").and_then(Value::as_u64).unwrap_or(0),
            reply_key: reply_to.map(|reply_to| reply_to.routing_key),
            ticket: body.ticket,
            destination: match body.destination {
                None => Vec::new(),
                Some(Destination::One(name)) => vec![name],
                Some(Destination::Some(names)) => names,
            },
            pattern: body.pattern,
            matcher: body.matcher,
            expires: notice.headers.get("expires").and_then(Value::as_f64),
        })
    }

    /// Whether a node of this name is meant, now. A pattern that cannot be read means nobody.
    pub fn is_for(&self, node: &str, now: Timestamp) -> bool {
        if self.expires.is_some_and(|expires| expires < now.seconds_f64()) {
            return false;
        }
        if !self.destination.is_empty() {
            return self.destination.iter().any(|name| name == node);
        }
        match (&self.pattern, self.matcher.as_deref()) {
            (Some(pattern), _) if pattern.len() > PATTERN_BYTES_MAX => false,
            (Some(pattern), Some("glob")) => glob(pattern.as_bytes(), node.as_bytes()),
            (Some(pattern), Some("pcre")) => {
                // Python's `match` begins at the start and need not reach the end.
                regex_lite::Regex::new(&format!("^(?:{pattern})")).is_ok_and(|regex| regex.is_match(node))
            }
            (Some(_), Some(_)) => false,
            (Some(_) | None, None) | (None, Some(_)) => true,
        }
    }

    /// Returns the reply of a node. One that is too large is an error that says so.
    pub fn reply(&self, node: &str, value: &Value, clock: u64) -> Notice {
        let mut headers = Map::new();
        headers.insert("ticket".to_owned(), self.ticket.clone().into());
        headers.insert("clock".to_owned(), clock.into());
        let notice = Notice::json(headers.clone(), &json!({ node: value }));
        if notice.body.len() <= NOTICE_BYTES_MAX {
            return notice;
        }
        let why = format!("the reply has {} bytes, at most {NOTICE_BYTES_MAX} are sent", notice.body.len());
        Notice::json(headers, &json!({ node: {"error": why} }))
    }
}

/// Returns a request to all workers whose replies go to `key`.
pub(crate) fn request(method: &str, arguments: &Value, key: &str, clock: u64) -> Notice {
    let mut headers = Map::new();
    headers.insert("clock".to_owned(), clock.into());
    let body = json!({
        "method": method, "arguments": arguments, "destination": null, "pattern": null, "matcher": null,
        "ticket": stdx::random::uuid(), "reply_to": {"exchange": REPLY_EXCHANGE, "routing_key": key},
    });
    Notice::json(headers, &body)
}

/// Returns the nodes and values of a reply, none if it is no reply.
pub(crate) fn read_reply(notice: &Notice) -> Map<String, Value> {
    if notice.content_type != "application/json" || notice.body.len() > NOTICE_BYTES_MAX {
        return Map::new();
    }
    serde_json::from_slice(&notice.body).unwrap_or_default()
}

/// Python's `fnmatch`: `*`, `?`, `[abc]`, `[!abc]`, `[a-z]`; in time that is the product of the lengths at most.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    // Where the last star stands, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match one(&pattern[at..], text[read]) {
            Some(Step::Star) => {
                star = Some((at, read));
                at += 1;
            }
            Some(Step::Matched(length)) => {
                at += length;
                read += 1;
            }
            None => match &mut star {
                Some((position, taken)) => {
                    *taken += 1;
                    (at, read) = (*position + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

enum Step {
    Star,
    /// So many bytes of the pattern stand for the byte.
    Matched(usize),
}

fn one(pattern: &[u8], byte: u8) -> Option<Step> {
    match pattern.first()? {
        b'*' => Some(Step::Star),
        b'?' => Some(Step::Matched(1)),
        b'[' => match class(&pattern[1..], byte) {
            Some((length, is_in)) => is_in.then_some(Step::Matched(length + 1)),
            None => (byte == b'[').then_some(Step::Matched(1)),
        },
        first => (*first == byte).then_some(Step::Matched(1)),
    }
}

/// Returns the length of a class after its bracket and whether the byte is in it; `None` if it has no end.
fn class(pattern: &[u8], byte: u8) -> Option<(usize, bool)> {
    let is_negated = pattern.first() == Some(&b'!');
    let start = usize::from(is_negated);
    // A bracket that comes first is a member.
    let end = (start + 1..pattern.len()).find(|index| pattern[*index] == b']')?;
    let members = &pattern[start..end];
    let mut is_in = false;
    let mut at = 0;
    while at < members.len() {
        if at + 2 < members.len() && members[at + 1] == b'-' {
            is_in |= (members[at]..=members[at + 2]).contains(&byte);
            at += 3;
        } else {
            is_in |= members[at] == byte;
            at += 1;
        }
    }
    Some((end + 1, is_in != is_negated))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request_of(body: &Value) -> Request {
        Request::read(&Notice::json(Map::new(), body)).expect("a request")
    }

    fn check(body: &Value, node: &str, wanted: bool) {
        assert_eq!(request_of(body).is_for(node, Timestamp::from_seconds(10)), wanted, "{node}: {body}");
    }

    #[test]
    fn a_node_is_meant_by_name_or_pattern() {
        check(&json!({"method": "ping"}), "w@host", true);
        check(&json!({"method": "ping", "destination": ["w@host"]}), "w@host", true);
        check(&json!({"method": "ping", "destination": ["v@host"]}), "w@host", false);
        check(&json!({"method": "ping", "destination": []}), "w@host", true);
        let pattern = |pattern: &str, matcher: &str| json!({"method": "x", "pattern": pattern, "matcher": matcher});
        for (text, wanted) in [("w@*", true), ("?@ho*t", true), ("[v-x]@host", true), ("[!w]*", false), ("w", false)] {
            check(&pattern(text, "glob"), "w@host", wanted);
        }
        for (text, wanted) in [("w@h", true), ("[a-v]", false), ("(", false), (".*host$", true)] {
            check(&pattern(text, "pcre"), "w@host", wanted);
        }
        check(&pattern("*", "unheard-of"), "w@host", false);
        check(&pattern(&"*".repeat(2_000), "glob"), "w@host", false);
    }

    #[test]
    fn what_has_expired_or_is_no_request_is_passed_over() {
        let mut notice = Notice::json(Map::new(), &json!({"method": "ping"}));
        notice.headers.insert("expires".to_owned(), json!(9.5));
        assert!(!Request::read(&notice).expect("a request").is_for("w@host", Timestamp::from_seconds(10)));
        for body in ["", "[]", "{}", "{\"method\":1}", "\u{0}", "{\"method\":\"x\",\"arguments\":[]}"] {
            let notice = Notice { body: body.into(), ..notice.clone() };
            assert!(Request::read(&notice).is_err(), "{body}");
        }
        let pickle = Notice { content_type: "application/x-python-serialize".to_owned(), ..notice.clone() };
        assert!(Request::read(&pickle).is_err());
        let huge = Notice { body: vec![b' '; NOTICE_BYTES_MAX + 1], ..notice };
        assert!(Request::read(&huge).is_err());
    }

    #[test]
    fn replies_carry_the_ticket_and_go_to_celerys_exchange_only() {
        let reply_to = json!({"exchange": REPLY_EXCHANGE, "routing_key": "oid"});
        let request = request_of(&json!({"method": "ping", "ticket": "t", "reply_to": reply_to}));
        assert_eq!(request.reply_key.as_deref(), Some("oid"));
        let reply = request.reply("w@host", &json!({"ok": "pong"}), 7);
        assert_eq!((&reply.headers["ticket"], &reply.headers["clock"]), (&json!("t"), &json!(7)));
        assert_eq!(read_reply(&reply)["w@host"]["ok"], "pong");
        let large = request.reply("w@host", &Value::from("x".repeat(NOTICE_BYTES_MAX)), 7);
        assert!(read_reply(&large)["w@host"]["error"].is_string());
        let elsewhere = json!({"exchange": "celery", "routing_key": "oid"});
        assert_eq!(request_of(&json!({"method": "ping", "reply_to": elsewhere})).reply_key, None);
    }
}
