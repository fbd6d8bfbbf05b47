//! Crash reports become envelopes: the form that crashpad sends, fields of breakpad's clients, dumps alone, and nonsense.

use protocol::minidump::{MinidumpError, dump_to_envelope, form_to_envelope};
use protocol::{Envelope, EventId, ItemKind};
use serde_json::{Value, json};
use std::io::Cursor;

const NEW_ID: [u8; 16] = [7; 16];

/// A dump's head with one stream, of crashpad, written at second 1,000.
fn dump() -> Vec<u8> {
    let numbers = [0x504d_444d_u32, 0xa793, 1, 32, 0, 1_000, 0, 0, 0x4350_0001, 0, 0];
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut form = Vec::new();
    for (name, body) in parts {
        form.extend_from_slice(format!("--x\r\nContent-Disposition: form-data; name={name}\r\n\r\n").as_bytes());
        form.extend_from_slice(body);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(b"--x--\r\n");
    form
}

/// Name, kind and bytes of an attachment.
type File = (String, String, Vec<u8>);

/// Returns the event and the attachments.
fn read(form: &[u8]) -> Result<(Value, Vec<File>), MinidumpError> {
    let mut out = Cursor::new(Vec::new());
    let id = form_to_envelope(form, "x", EventId::random(NEW_ID), &mut out)?;
    let envelope = out.into_inner();
    let envelope = Envelope::parse(&envelope).unwrap();
    assert_eq!(envelope.header.event_id, Some(id));
    let event = envelope.items.iter().find(|item| item.header.kind == ItemKind::Event).unwrap();
    let event: Value = serde_json::from_slice(event.payload).unwrap();
    assert_eq!(event["event_id"], json!(id));
    let files = envelope.items.iter().filter(|item| item.header.kind == ItemKind::Attachment);
    let files = files.map(|item| {
        let kind = item.header.attachment_type.clone().unwrap_or_default();
        (item.header.attachment_name().to_owned(), kind.into_owned(), item.payload.to_vec())
    });
    Ok((event, files.collect()))
}

#[test]
fn crashpads_form_becomes_an_event_with_its_dump() {
    let event = b"\x83\xa8event_id\xd9\x2041d810e7e4ec4a21b5001f8cda6341f4\xa7release\xa3a@1\xa4tags\x81\xa1k\xa1v";
    let (event, files) = read(&form(&[
        ("guid", b"3135f173"),
        ("\"__sentry-breadcrumb2\"; filename=\"b\"", b"\x82\xa9timestamp\xa11\xa7message\xa3one\x82\xa9time"),
        ("\"__sentry-breadcrumb1\"; filename=\"b\"", b"\x82\xa9timestamp\xa12\xa7message\xa3two"),
        ("\"__sentry-event\"; filename=\"__sentry-event\"", event),
        ("\"upload_file_minidump\"; filename=\"e48d.dmp\"", &dump()),
        ("\"log\"; filename=\"app.log\"", b"line\n"),
        ("\"view-hierarchy.json\"; filename=\"view-hierarchy.json\"", b"{}"),
    ]))
    .unwrap();
    assert_eq!(event["event_id"], "41d810e7e4ec4a21b5001f8cda6341f4");
    assert_eq!(
        (&event["release"], &event["platform"], &event["level"]),
        (&json!("a@1"), &json!("native"), &json!("fatal"))
    );
    assert_eq!(event["exception"]["values"][0]["type"], "Minidump");
    assert_eq!((&event["timestamp"], &event["extra"]), (&json!(1_000), &json!({ "guid": "3135f173" })));
    assert_eq!(event["sdk"]["name"], "minidump.crashpad");
    let messages: Vec<&Value> =
        event["breadcrumbs"]["values"].as_array().unwrap().iter().map(|b| &b["message"]).collect();
    assert_eq!(messages, ["one", "two"]);
    let expected = [
        ("e48d.dmp", "event.minidump", dump()),
        ("app.log", "event.attachment", b"line\n".to_vec()),
        ("view-hierarchy.json", "event.view_hierarchy", b"{}".to_vec()),
    ];
    assert_eq!(files, expected.map(|(name, kind, bytes)| (name.to_owned(), kind.to_owned(), bytes)));
}

#[test]
fn fields_of_older_clients_are_read() {
    let (event, files) = read(&form(&[
        ("sentry__2", b"\"warning\",\"tags\":{\"a\":\"json\"}}"),
        ("sentry__1", b"{\"level\":"),
        ("sentry[tags][a]", b"field"),
        ("sentry[tags][b]", b"field"),
        ("sentry[user][id]", b"5"),
        ("prod", b"Shop"),
        ("upload_file_minidump", b"BZh91"),
    ]))
    .unwrap();
    assert_eq!((&event["level"], &event["tags"]), (&json!("warning"), &json!({ "a": "json", "b": "field" })));
    assert_eq!((&event["user"]["id"], &event["extra"]["prod"]), (&json!("5"), &json!("Shop")));
    assert_eq!((&event["sdk"]["name"], &event["timestamp"]), (&json!("minidump.unknown"), &Value::Null));
    assert_eq!(files[0].0, "minidump.dmp");
}

#[test]
fn a_dump_may_come_alone() {
    let mut out = Cursor::new(Vec::new());
    let id = dump_to_envelope(dump().as_slice(), EventId::random(NEW_ID), &mut out).unwrap();
    let envelope = out.into_inner();
    let envelope = Envelope::parse(&envelope).unwrap();
    assert_eq!((envelope.header.event_id, envelope.items.len()), (Some(id), 2));
    assert_eq!(envelope.items[0].payload, dump());
}

#[test]
fn what_is_no_crash_report_is_refused() {
    assert!(matches!(read(&form(&[("prod", b"Shop")])), Err(MinidumpError::Missing)));
    assert!(matches!(
        read(&form(&[("upload_file_minidump", b"")])),
        Err(MinidumpError::Invalid | MinidumpError::Missing)
    ));
    assert!(matches!(read(&form(&[("upload_file_minidump", b"MZ..")])), Err(MinidumpError::Invalid)));
    let whole = form(&[("upload_file_minidump", &dump())]);
    assert!(matches!(read(&whole[..whole.len() - 20]), Err(MinidumpError::Form(_))));
    let mut out = Cursor::new(Vec::new());
    assert!(matches!(
        dump_to_envelope(b"MZ".as_slice(), EventId::random(NEW_ID), &mut out),
        Err(MinidumpError::Invalid)
    ));
    // Streams that lie about where they are say nothing.
    let mut lying = dump();
    lying[8..16].fill(0xff);
    let (event, _) = read(&form(&[("upload_file_minidump", &lying)])).unwrap();
    assert_eq!(event["sdk"]["name"], "minidump.breakpad");
}
