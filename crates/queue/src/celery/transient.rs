//! Notices in kombu's parcel: not kept by anybody who does not wait for them.

use super::parcel::Parcel;
use crate::broadcast::Notice;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Where a notice goes.
pub(crate) struct Transient<'a> {
    pub exchange: &'a str,
    pub routing_key: &'a str,
}

/// Returns the parcel of a notice.
pub(crate) fn encode_transient(notice: &Notice, to: &Transient<'_>) -> Vec<u8> {
    let parcel = json!({
        "body": STANDARD.encode(&notice.body),
        "content-encoding": "utf-8",
        "content-type": notice.content_type,
        "headers": notice.headers,
        "properties": {
            "delivery_mode": 1,
            "delivery_info": {"exchange": to.exchange, "routing_key": to.routing_key},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": stdx::random::uuid(),
        },
    });
    serde_json::to_vec(&parcel).expect("JSON values can be written")
}

/// # Errors
/// Says why it is none.
pub(crate) fn decode_transient(text: &[u8]) -> Result<Notice, String> {
    let parcel = Parcel::parse(text)?;
    let mut headers: Map<String, Value> = Map::new();
    for (name, value) in &parcel.headers {
        headers.extend(serde_json::from_str(value.get()).ok().map(|value| (name.clone(), value)));
    }
    opened_notice(headers, parcel.content_type.as_deref().map(str::to_owned), parcel.body()?)
}

/// Returns the notice of what a message says, its body without compression.
///
/// # Errors
/// Says why it cannot be read.
pub(crate) fn opened_notice(
    headers: Map<String, Value>,
    content_type: Option<String>,
    body: Vec<u8>,
) -> Result<Notice, String> {
    let body = super::body::decompress(body, headers.get("compression").and_then(Value::as_str))?;
    let content_type = content_type.unwrap_or_else(|| "application/json".to_owned());
    Ok(Notice { headers, content_type, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_survives_its_parcel() {
        let headers = json!({"clock": 3}).as_object().cloned().unwrap_or_default();
        let notice = Notice::json(headers, &json!({"method": "ping ☃"}));
        let text = encode_transient(&notice, &Transient { exchange: "celery.pidbox", routing_key: "" });
        assert_eq!(decode_transient(&text), Ok(notice));
        for end in 0..text.len() {
            assert!(decode_transient(&text[..end]).is_err(), "a part of it is no notice");
        }
    }
}
