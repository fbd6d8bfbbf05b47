//! A task message as AMQP carries it, and as kombu's parcel, which is how the ledger keeps it and what `celery` reads.
//! Nothing is lost either way but what AMQP's tables cannot say.

use crate::NewJob;
use crate::broadcast::{NOTICE_BYTES_MAX, Notice};
use crate::celery::{self, Fields, Parcel, Received, Undecodable};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use stdx::Timestamp;

/// Tables within tables; deeper ones come as null.
const DEPTH_MAX: usize = 32;
/// Bytes of a property that AMQP calls short.
const SHORT_MAX: usize = 255;

/// The type of a message that only our processes read. What others have a header each for is a document before its payload,
/// behind the document's length: the server takes headers apart, and twenty cost it more than the rest of the message.
const PACKED: &str = "vigie";
/// Bytes of that length.
const LENGTH_BYTES: usize = 4;

/// A message of the server's.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub properties: BasicProperties,
    pub body: Bytes,
}

impl Message {
    /// Our name for it, which stays over redeliveries and repeated sends; others' messages have none.
    pub fn tag(&self) -> Option<&str> {
        self.properties.message_id().as_ref().map(ShortString::as_str)
    }

    pub fn reply_to(&self) -> Option<&str> {
        self.properties.reply_to().as_ref().map(ShortString::as_str).filter(|name| !name.is_empty())
    }

    /// Of the server's scale, where 9 is first as in ours.
    pub fn priority(&self) -> Option<u8> {
        *self.properties.priority()
    }

    /// Times that a quorum queue has delivered it in vain.
    pub fn deliveries(&self) -> u64 {
        let headers = self.properties.headers().as_ref();
        let count = headers.and_then(|headers| headers.inner().get("x-delivery-count"));
        count.and_then(|count| json_of(count, 0).as_u64()).unwrap_or(0)
    }

    pub fn decode(&self) -> Result<Received, Undecodable> {
        celery::decode_parcel(&self.parcel())
    }

    /// Returns the text that the ledger keeps.
    pub fn to_text(&self) -> Vec<u8> {
        self.parcel().to_text()
    }

    fn parcel(&self) -> Parcel<'_> {
        let text = |value: &Option<ShortString>| value.as_ref().map(|value| value.as_str().to_owned());
        let packed = self.unpacked();
        let payload = packed.map_or(&self.body[..], |(_, payload)| payload);
        let (body, encoding) = match std::str::from_utf8(payload) {
            Ok(text) => (Cow::Borrowed(text), "utf-8"),
            Err(_) => (Cow::Owned(STANDARD.encode(payload)), "base64"),
        };
        let mut properties = Fields::new();
        put(&mut properties, "body_encoding", &encoding);
        put_some(&mut properties, "delivery_tag", self.tag());
        put_some(&mut properties, "correlation_id", text(self.properties.correlation_id()));
        put_some(&mut properties, "reply_to", self.reply_to());
        put_some(&mut properties, "priority", self.priority().map(celery::turned_priority));
        Parcel {
            body,
            content_encoding: text(self.properties.content_encoding()).map(Cow::Owned),
            content_type: text(self.properties.content_type()).map(Cow::Owned),
            headers: packed.map_or_else(|| self.headers(), |(headers, _)| read_headers(headers)),
            properties,
        }
    }

    fn headers(&self) -> Fields {
        let mut headers = Fields::new();
        for (name, value) in self.properties.headers().iter().flat_map(|table| table.inner()) {
            if !name.as_str().starts_with("x-") {
                put(&mut headers, name.as_str(), &json_of(value, 0));
            }
        }
        headers
    }

    /// The headers' document and the payload of a packed message. One that is damaged has neither, and names no task then.
    fn unpacked(&self) -> Option<(&[u8], &[u8])> {
        self.properties.kind().as_ref().filter(|kind| kind.as_str() == PACKED)?;
        let parts = self.body.split_first_chunk::<LENGTH_BYTES>();
        let parts = parts.and_then(|(length, rest)| rest.split_at_checked(u32::from_be_bytes(*length) as usize));
        Some(parts.unwrap_or_default())
    }

    /// The message as it is sent where only our processes read.
    pub fn packed(self) -> Message {
        if self.unpacked().is_some() {
            return self;
        }
        let body = packed_body(&self.headers(), &self.body);
        let properties = self.properties.with_headers(FieldTable::default()).with_type(PACKED.into());
        Message { properties, body }
    }

    /// The message of a new job: what `of_text` makes of `celery::encode`, without the way through text.
    pub fn of_job(job: &NewJob, tag: &str, origin: &str, now: Timestamp) -> Message {
        let wrapping = celery::wrapping(job, origin, now);
        let mut table = FieldTable::default();
        for (name, value) in wrapping.headers.as_object().into_iter().flatten() {
            if let Some(name) = short(name) {
                table.insert(name, value_of(value));
            }
        }
        let properties = properties_of(job, tag, &wrapping).with_headers(table);
        Message { properties, body: job.payload.clone() }
    }

    /// The same where only our processes read.
    pub fn of_own_job(job: &NewJob, tag: &str, now: Timestamp) -> Message {
        let wrapping = celery::brief_wrapping(job, now);
        let body = packed_body(&wrapping.headers, &job.payload);
        Message { properties: properties_of(job, tag, &wrapping).with_type(PACKED.into()), body }
    }

    /// Reads what the ledger keeps, or what `celery::encode` wrote; `None` if it is damaged.
    pub fn of_text(text: &[u8]) -> Option<Message> {
        let parcel = Parcel::parse(text).ok()?;
        let body = parcel.body().ok()?;
        let mut headers = FieldTable::default();
        for (name, value) in &parcel.headers {
            let value: Value = serde_json::from_str(value.get()).ok()?;
            headers.insert(short(name)?, value_of(&value));
        }
        let mut properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
        if let Some(content_type) = parcel.content_type.as_deref().and_then(short) {
            properties = properties.with_content_type(content_type);
        }
        if let Some(encoding) = parcel.content_encoding.as_deref().and_then(short) {
            properties = properties.with_content_encoding(encoding);
        }
        let text = |name| celery::field::<String>(&parcel.properties, name).and_then(|text| short(&text));
        if let Some(tag) = text("delivery_tag") {
            properties = properties.with_message_id(tag);
        }
        if let Some(id) = text("correlation_id") {
            properties = properties.with_correlation_id(id);
        }
        if let Some(reply_to) = text("reply_to").filter(|name| !name.as_str().is_empty()) {
            properties = properties.with_reply_to(reply_to);
        }
        if let Some(priority) = celery::field::<u8>(&parcel.properties, "priority") {
            properties = properties.with_priority(celery::turned_priority(priority));
        }
        Some(Message { properties, body: body.into() })
    }
}

/// A document for whoever waits for a result, as Celery's rpc backend reads it.
pub(super) fn reply(correlation_id: &str, document: Vec<u8>) -> Message {
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_delivery_mode(1);
    let properties = match short(correlation_id) {
        Some(id) => properties.with_correlation_id(id),
        None => properties,
    };
    Message { properties, body: document.into() }
}

/// A notice as it travels: nobody keeps it.
pub(super) fn message_of_notice(notice: &Notice) -> Message {
    let mut headers = FieldTable::default();
    for (name, value) in &notice.headers {
        if let Some(name) = short(name) {
            headers.insert(name, value_of(value));
        }
    }
    let properties = BasicProperties::default()
        .with_content_encoding("utf-8".into())
        .with_delivery_mode(1)
        .with_headers(headers)
        .with_content_type(short(&notice.content_type).unwrap_or_default());
    Message { properties, body: notice.body.clone().into() }
}

/// # Errors
/// Says why it is none.
pub(super) fn notice_of_message(message: Message) -> Result<Notice, String> {
    if message.body.len() > NOTICE_BYTES_MAX {
        return Err(format!("it has {} bytes, at most {NOTICE_BYTES_MAX} are read", message.body.len()));
    }
    let table = message.properties.headers().iter().flat_map(|table| table.inner());
    let headers = table.map(|(name, value)| (name.as_str().to_owned(), json_of(value, 0))).collect();
    let content_type = message.properties.content_type().as_ref().map(|name| name.as_str().to_owned());
    celery::opened_notice(headers, content_type, message.body.into())
}

/// All but the headers.
fn properties_of(job: &NewJob, tag: &str, wrapping: &celery::Wrapping) -> BasicProperties {
    let mut properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type(wrapping.content_type.into())
        .with_content_encoding(wrapping.content_encoding.into())
        .with_priority(job.priority.min(9));
    if let Some(tag) = short(tag) {
        properties = properties.with_message_id(tag);
    }
    if let Some(id) = short(job.id.as_str()) {
        properties = properties.with_correlation_id(id);
    }
    if let Some(reply_to) = job.options.reply_to.as_deref().and_then(short) {
        properties = properties.with_reply_to(reply_to);
    }
    properties
}

fn packed_body(headers: &impl Serialize, payload: &[u8]) -> Bytes {
    let mut body = vec![0; LENGTH_BYTES];
    serde_json::to_writer(&mut body, headers).expect("texts and values that were read can be written");
    let length = u32::try_from(body.len() - LENGTH_BYTES).expect("headers have a bound far below");
    body[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    body.extend_from_slice(payload);
    body.into()
}

/// What cannot be read is nothing.
fn read_headers(text: &[u8]) -> Fields {
    serde_json::from_slice(text).unwrap_or_default()
}

pub(super) fn short(text: &str) -> Option<ShortString> {
    (text.len() <= SHORT_MAX).then(|| text.into())
}

fn put(fields: &mut Fields, name: &str, value: &impl Serialize) {
    let value = serde_json::value::to_raw_value(value).expect("plain values can be written");
    fields.insert(name.to_owned(), value);
}

fn put_some(fields: &mut Fields, name: &str, value: Option<impl Serialize>) {
    if let Some(value) = value {
        put(fields, name, &value);
    }
}

fn json_of(value: &AMQPValue, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    match value {
        AMQPValue::Boolean(yes) => json!(yes),
        AMQPValue::ShortShortInt(number) => json!(number),
        AMQPValue::ShortShortUInt(number) => json!(number),
        AMQPValue::ShortInt(number) => json!(number),
        AMQPValue::ShortUInt(number) => json!(number),
        AMQPValue::LongInt(number) => json!(number),
        AMQPValue::LongUInt(number) => json!(number),
        AMQPValue::LongLongInt(number) => json!(number),
        AMQPValue::Float(number) => json!(number),
        AMQPValue::Double(number) => json!(number),
        AMQPValue::DecimalValue(decimal) => {
            json!(f64::from(decimal.value) / 10_f64.powi(i32::from(decimal.scale)))
        }
        AMQPValue::ShortString(text) => json!(text.as_str()),
        AMQPValue::LongString(text) => json!(String::from_utf8_lossy(text.as_bytes())),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(|value| json_of(value, depth + 1)).collect(),
        AMQPValue::Timestamp(seconds) => json!(seconds),
        AMQPValue::FieldTable(table) => {
            table.inner().iter().map(|(name, value)| (name.as_str().to_owned(), json_of(value, depth + 1))).collect()
        }
        AMQPValue::ByteArray(bytes) => json!(String::from_utf8_lossy(bytes.as_slice())),
        AMQPValue::Void => Value::Null,
    }
}

fn value_of(value: &Value) -> AMQPValue {
    match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(yes) => AMQPValue::Boolean(*yes),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => AMQPValue::LongLongInt(whole),
            None => AMQPValue::Double(number.as_f64().unwrap_or(0.0)),
        },
        Value::String(text) => AMQPValue::LongString(text.as_str().into()),
        Value::Array(values) => {
            AMQPValue::FieldArray(FieldArray::from(values.iter().map(value_of).collect::<Vec<_>>()))
        }
        Value::Object(fields) => {
            let mut table = FieldTable::default();
            for (name, value) in fields {
                if let Some(name) = short(name) {
                    table.insert(name, value_of(value));
                }
            }
            AMQPValue::FieldTable(table)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{JobId, JobOptions};

    #[test]
    fn a_job_comes_back_as_it_went() {
        let options = JobOptions {
            unique_key: Some("key".to_owned()),
            time_limit_s: Some(3),
            headers: Some(r#"{"nested":{"list":[1,2.5,null,true]}}"#.to_owned()),
            ..JobOptions::default()
        };
        let payload = Bytes::from_static(b"\xff\x00 not text");
        let job = NewJob { options, priority: 9, ..NewJob::new(JobId::new("one"), "t", "q", payload) };
        let now = Timestamp::from_seconds(1_000_000);
        let text = celery::encode(&job, "tag", "gen1@host", now);
        let message = Message::of_text(&text).expect("a message");
        assert_eq!((message.tag(), message.priority()), (Some("tag"), Some(9)));
        let straight = Message::of_job(&job, "tag", "gen1@host", now);
        assert_eq!((&straight.properties, &straight.body), (&message.properties, &message.body));
        assert_eq!(message.body, job.payload);
        let again = Message::of_text(&message.to_text()).expect("a message");
        assert_eq!((&again.properties, &again.body), (&message.properties, &message.body));
        let received = again.decode().expect("a job");
        assert_eq!((received.id.as_str(), &*received.task, received.payload), ("one", "t", job.payload));
        assert_eq!((received.options, received.published_at), (job.options, Some(now)));
    }

    #[test]
    fn a_packed_message_says_the_same() {
        let options = JobOptions { is_call: true, keeps_result: true, ..JobOptions::default() };
        let options = JobOptions { headers: Some(r#"{"group":"g","root_id":"r"}"#.to_owned()), ..options };
        let payload = Bytes::from_static(br#"[["hi"],{},{}]"#);
        let job = NewJob { options, ..NewJob::new(JobId::new("one"), "t", "q", payload) };
        let now = Timestamp::from_seconds(1_000_000);
        let said = |message: &Message| format!("{:?}", message.decode().expect("a job"));
        let long = Message::of_job(&job, "tag", "gen1@host", now);
        let packed = long.clone().packed();
        assert_eq!((said(&packed), packed.to_text()), (said(&long), long.to_text()));
        assert_eq!(packed.clone().packed().body, packed.body);
        let brief = Message::of_own_job(&job, "tag", now);
        assert!(brief.properties.headers().is_none());
        let received = brief.decode().expect("a job");
        assert_eq!((received.group.as_deref(), received.published_at), (Some("g"), Some(now)));
        assert_eq!((received.options.keeps_result, &received.payload), (true, &job.payload));
        for cut in [0, 3, 4, 20] {
            let damaged = Message { body: brief.body.slice(..cut), ..brief.clone() };
            assert!(damaged.decode().is_err(), "{cut}");
        }
    }

    #[test]
    fn hostile_bytes_are_no_message_and_no_panic() {
        assert!(Message::of_text(b"{").is_none());
        let message = Message { properties: BasicProperties::default(), body: Bytes::from_static(b"\x80\x04pickle") };
        assert!(message.decode().is_err());
    }
}
