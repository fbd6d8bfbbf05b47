//! Jobs as messages and messages as jobs. Every form that a Python client writes is read; what cannot be read says why
//! and never panics.

use super::body::{self, Body1};
use super::parcel::{Fields, Parcel, field, set};
use super::{iso, repr, turned_priority};
use crate::call::Call;
use crate::{JobId, JobOptions, NewJob};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use stdx::Timestamp;

const CALL: &str = "application/json";
const OPAQUE: &str = "application/octet-stream";
/// Headers of ours: when it was published (microseconds), its unique key, and the deaths of its workers.
const PUBLISHED_AT: &str = "vigie_at";
const UNIQUE_KEY: &str = "vigie_unique";
const DEATHS: &str = "vigie_deaths";
const COMPANY_DEATHS: &str = "vigie_company_deaths";
/// Headers with a place of their own in a job; the others travel along.
const OWN_HEADERS: [&str; 18] = [
    "task",
    "id",
    "lang",
    "retries",
    "eta",
    "expires",
    "timelimit",
    "ignore_result",
    "argsrepr",
    "kwargsrepr",
    "compression",
    "redelivered",
    "origin",
    PUBLISHED_AT,
    UNIQUE_KEY,
    DEATHS,
    COMPANY_DEATHS,
    "stamps",
];

/// `datetime.max` and its neighbours, and what they are read as.
const LAST_DAYS: &str = "9999-12-3";
const NEVER: &str = "9999-12-30T00:00:00Z";

/// A message that was read.
#[derive(Debug)]
pub(crate) struct Received {
    pub id: JobId,
    pub task: Arc<str>,
    pub attempt: u32,
    pub published_at: Option<Timestamp>,
    pub eta: Option<Timestamp>,
    pub payload: Bytes,
    pub options: JobOptions,
    pub deaths: u32,
    pub company_deaths: u32,
    /// Of which it is a part, and which.
    pub group: Option<String>,
    pub group_index: Option<i64>,
}

/// Why a message is none, and what could be read of it.
#[derive(Debug)]
pub(crate) struct Undecodable {
    pub id: Option<String>,
    pub task: Option<String>,
    pub why: String,
}

/// What stands around a job's payload on any wire.
pub(crate) struct Wrapping {
    pub content_type: &'static str,
    pub content_encoding: &'static str,
    /// An object.
    pub headers: Value,
}

/// Returns what stands around a job's payload. `origin` names the process for monitors.
pub(crate) fn wrapping(job: &NewJob, origin: &str, now: Timestamp) -> Wrapping {
    let (content_type, content_encoding) = content_of(job);
    Wrapping { content_type, content_encoding, headers: headers(job, Some(origin), now) }
}

/// The same for messages that no Python program reads: without what only monitors and old workers look at.
pub(crate) fn brief_wrapping(job: &NewJob, now: Timestamp) -> Wrapping {
    let (content_type, content_encoding) = content_of(job);
    Wrapping { content_type, content_encoding, headers: headers(job, None, now) }
}

fn content_of(job: &NewJob) -> (&'static str, &'static str) {
    if job.options.is_call { (CALL, "utf-8") } else { (OPAQUE, "binary") }
}

/// Returns the parcel of a job. `origin` names the process for monitors.
pub(crate) fn encode(job: &NewJob, tag: &str, origin: &str, now: Timestamp) -> Vec<u8> {
    let Wrapping { content_type, content_encoding, headers } = wrapping(job, origin, now);
    let mut properties = json!({
        "correlation_id": job.id.as_str(),
        "reply_to": job.options.reply_to.as_deref().unwrap_or_default(),
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": &*job.queue},
        "priority": turned_priority(job.priority),
        "body_encoding": "base64",
        "delivery_tag": tag,
    });
    if let Some(expires_at) = job.options.expires_at {
        properties["expiration"] = Value::from(expires_at.since(now).as_millis().to_string());
    }
    let message = json!({
        "body": STANDARD.encode(&job.payload),
        "content-encoding": content_encoding,
        "content-type": content_type,
        "headers": headers,
        "properties": properties,
    });
    serde_json::to_vec(&message).expect("JSON values can be written")
}

fn headers(job: &NewJob, origin: Option<&str>, now: Timestamp) -> Value {
    let options = &job.options;
    let mut headers = json!({
        "lang": "rust",
        "task": &*job.task,
        "id": job.id.as_str(),
        "retries": 0,
        "ignore_result": !options.keeps_result,
        "expires": options.expires_at.map(iso),
        "timelimit": [options.time_limit_s, null],
        PUBLISHED_AT: job.enqueued_at.unwrap_or(now).micros(),
    });
    if let Some(key) = &options.unique_key {
        headers[UNIQUE_KEY] = Value::from(key.as_str());
    }
    match origin {
        Some(origin) if options.is_call => add_headers_of_call(&mut headers, job, origin),
        None if options.is_call => headers["root_id"] = Value::from(job.id.as_str()),
        Some(_) | None => {}
    }
    let travelling: Option<Map<String, Value>> =
        options.headers.as_deref().and_then(|text| serde_json::from_str(text).ok());
    for (name, value) in travelling.unwrap_or_default() {
        if !OWN_HEADERS.contains(&name.as_str()) {
            headers[name.as_str()] = value;
        }
    }
    headers
}

/// All that a Python client always sends: monitors and old workers count on them.
fn add_headers_of_call(headers: &mut Value, job: &NewJob, origin: &str) {
    let call = Call::parse(&job.payload).unwrap_or_default();
    let always = json!({
        "root_id": job.id.as_str(), "parent_id": null, "group": null, "group_index": null, "shadow": null, "eta": null,
        "argsrepr": repr::of_args(&call.args), "kwargsrepr": repr::of_kwargs(&call.kwargs), "origin": origin,
        "replaced_task_nesting": 0, "stamped_headers": null, "stamps": {},
    });
    let Value::Object(always) = always else { return };
    for (name, value) in always {
        headers[name.as_str()] = value;
    }
}

/// # Errors
/// Says why it cannot be run. Pickle is refused: reading it would run what it says.
pub(crate) fn decode(text: &[u8]) -> Result<Received, Undecodable> {
    decode_parcel(&Parcel::parse(text).map_err(|why| Undecodable { id: None, task: None, why })?)
}

/// # Errors
/// As `decode`.
pub(crate) fn decode_parcel(parcel: &Parcel<'_>) -> Result<Received, Undecodable> {
    read(parcel).map_err(|why| Undecodable {
        id: field(&parcel.headers, "id").or_else(|| field(&parcel.properties, "correlation_id")),
        task: field(&parcel.headers, "task"),
        why,
    })
}

fn read(parcel: &Parcel<'_>) -> Result<Received, String> {
    let headers = &parcel.headers;
    let content_type = parcel.content_type.as_deref().unwrap_or(CALL);
    let is_call = content_type == CALL;
    if !is_call && content_type != OPAQUE {
        return Err(format!("its content type {content_type:.64} is not accepted"));
    }
    let compression: Option<String> = field(headers, "compression");
    let body = body::decompress(parcel.body()?, compression.as_deref())?;
    let (payload, old) = if is_call { body::read_call(body)? } else { (body, Body1::default()) };
    let name = |text: String| if text.len() <= JobId::BYTES_MAX { Ok(text) } else { Err("a name of it is too long") };
    let task = name(field(headers, "task").or(old.task).ok_or("it names no task")?)?;
    let id = field(headers, "id").or(old.id).or_else(|| field(&parcel.properties, "correlation_id"));
    let id = name(id.ok_or("it has no id")?)?;
    let retries: u32 = field(headers, "retries").or(old.retries).unwrap_or(0);
    let time =
        |name, old: Option<String>| field(headers, name).or(old).map(|text: String| parsed(name, &text)).transpose();
    let limits: Option<(Option<f64>, Option<f64>)> = field(headers, "timelimit");
    let hard_limit = limits.and_then(|(hard, _soft)| hard).or(old.hard_limit);
    let keeps_result =
        is_call && !field(headers, "ignore_result").unwrap_or(false) || field(headers, "ignore_result") == Some(false);
    Ok(Received {
        id: JobId::new(&id),
        task: task.into(),
        attempt: retries.saturating_add(1),
        published_at: field(headers, PUBLISHED_AT).map(Timestamp::from_micros),
        eta: time("eta", old.eta)?,
        payload: payload.into(),
        options: JobOptions {
            // A header that says "never" holds for a body that says otherwise: so a retry is told of a letter that expired.
            expires_at: time("expires", old.expires.filter(|_| !headers.contains_key("expires")))?,
            unique_key: field(headers, UNIQUE_KEY),
            is_call,
            keeps_result,
            time_limit_s: hard_limit.filter(|limit| *limit > 0.0).map(|limit| limit.ceil() as u32),
            headers: travelling(headers),
            reply_to: field(&parcel.properties, "reply_to").filter(|name: &String| !name.is_empty()),
            // Nobody else counts them.
            outside_bytes: 0,
        },
        deaths: field(headers, DEATHS).unwrap_or(0),
        company_deaths: field(headers, COMPANY_DEATHS).unwrap_or(0),
        group: field(headers, "group").or(old.group),
        group_index: field(headers, "group_index"),
    })
}

/// ISO 8601 as Python writes it; without an offset it means UTC. A time that cannot be read stops the job (fails closed):
/// run at once, it would be run too early. Python's last day lies beyond what we count to, and means "never".
fn parsed(name: &str, text: &str) -> Result<Timestamp, String> {
    let text = if text.starts_with(LAST_DAYS) { NEVER } else { text };
    let read = Timestamp::parse_rfc3339(text).or_else(|| Timestamp::parse_rfc3339(&text.replacen(' ', "T", 1)));
    read.ok_or_else(|| format!("its {name} '{text:.64}' is no time in ISO 8601"))
}

fn travelling(headers: &Fields) -> Option<String> {
    let rest: Vec<_> =
        headers.iter().filter(|(name, value)| !OWN_HEADERS.contains(&name.as_str()) && value.get() != "null").collect();
    if rest.is_empty() {
        return None;
    }
    let rest: std::collections::BTreeMap<_, _> = rest.into_iter().collect();
    let text = serde_json::to_string(&rest).expect("values that were read can be written");
    (text.len() <= crate::job::HEADERS_BYTES_MAX).then_some(text)
}

/// What changes in a message that goes back.
#[derive(Default, Clone, Copy, Debug)]
pub(crate) struct Edit {
    pub retries: Option<u32>,
    pub is_redelivered: bool,
    /// Deaths of its worker while it ran alone, and in company.
    pub deaths: Option<(u32, u32)>,
    /// It is published anew: deaths are forgotten, and when it was to expire.
    pub is_fresh: bool,
}

/// Returns the changed message, `None` if it is no parcel.
pub(crate) fn rewrite(text: &[u8], edit: &Edit) -> Option<Vec<u8>> {
    let mut parcel = Parcel::parse(text).ok()?;
    if let Some(retries) = edit.retries {
        set(&mut parcel.headers, "retries", &retries);
    }
    if let Some((alone, company)) = edit.deaths {
        set(&mut parcel.headers, DEATHS, &alone);
        set(&mut parcel.headers, COMPANY_DEATHS, &company);
    }
    if edit.is_fresh {
        parcel.headers.remove(DEATHS);
        parcel.headers.remove(COMPANY_DEATHS);
        set(&mut parcel.headers, "expires", &Value::Null);
        parcel.properties.remove("expiration");
    }
    if edit.is_redelivered {
        set(&mut parcel.headers, "redelivered", &true);
        let mut info: Map<String, Value> = field(&parcel.properties, "delivery_info").unwrap_or_default();
        info.insert("redelivered".to_owned(), Value::Bool(true));
        set(&mut parcel.properties, "delivery_info", &info);
    }
    Some(parcel.to_text())
}

/// Returns the step of kombu's priorities at which a message stands.
pub(crate) fn step_of(text: &[u8]) -> u8 {
    let Ok(parcel) = Parcel::parse(text) else { return 0 };
    let priority: u8 = field(&parcel.properties, "priority").unwrap_or(0);
    priority.min(9) / 3 * 3
}

pub(crate) fn tag_of(text: &[u8]) -> Option<String> {
    field(&Parcel::parse(text).ok()?.properties, "delivery_tag")
}

/// Returns the message with another tag.
pub(crate) fn retagged(text: &[u8], tag: &str) -> Option<Vec<u8>> {
    let mut parcel = Parcel::parse(text).ok()?;
    set(&mut parcel.properties, "delivery_tag", &tag);
    Some(parcel.to_text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_cannot_be_read_stops_the_job_and_pythons_last_day_is_never() {
        let reads = |text: &str| parsed("eta", text).is_ok();
        for fine in ["2026-11-21T10:00:00+00:00", "2026-11-21T10:00:00.123456Z", "2026-11-21 10:00:00+01:00"] {
            assert!(reads(fine), "{fine}");
        }
        for never in ["9999-12-31T23:59:59.999999+00:00", "9999-12-30T23:00:00+00:00"] {
            assert!(parsed("eta", never).expect(never) > Timestamp::from_seconds(250_000_000_000), "{never}");
        }
        for broken in ["tomorrow", "", "1795262400", "99999-01-01T00:00:00Z"] {
            assert!(parsed("eta", broken).expect_err(broken).contains("eta"), "{broken}");
        }
    }
}
