//! Payloads that SDKs should never send: each is accepted, and afterwards either stored and readable, or its receipt
//! says why not.

use super::{Failures, new_id, post, small_event, with_event};
use crate::e2e::Place;
use anyhow::ensure;
use bench::server::Dsn;
use std::time::Duration;

const DRAIN_WITHIN: Duration = Duration::from_secs(60);

/// What becomes of an event after 200.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stored,
    /// Stored, or not kept with a reason.
    Answered,
}

pub fn check(place: &mut Place, dsn: &Dsn, failures: &mut Failures) -> anyhow::Result<()> {
    let mut sent = Vec::new();
    for (name, fate, event) in payloads() {
        let id = new_id();
        let answer = post(place, dsn, &[], &with_event(&id, &event));
        failures.expect(name, &[200], answer);
        sent.push((name, fate, id));
    }
    place.drained(DRAIN_WITHIN)?;
    for (name, fate, id) in sent {
        let (_, receipt) = place.api(&format!("/projects/default/default/events/{id}/receipt/"))?;
        let state = receipt["state"].as_str().unwrap_or_default().to_owned();
        let page = place.api(&format!("/projects/default/default/events/{id}/"))?.0.status;
        failures.note(&format!("{name}: afterwards"), || {
            let is_stored = state == "stored" && page == 200;
            let is_explained = matches!(state.as_str(), "not-kept" | "filtered" | "dead") && page == 404;
            ensure!(is_stored || (fate == Fate::Answered && is_explained), "receipt {receipt}, event {page}");
            Ok(())
        });
    }
    check_duplicates(place, dsn, failures)
}

fn payloads() -> Vec<(&'static str, Fate, Vec<u8>)> {
    let deep = |count: usize| format!("{{\"extra\":{}{}}}", "[".repeat(count), "]".repeat(count)).into_bytes();
    let tags: Vec<String> = (0..20_000).map(|n| format!("\"tag{n}\":\"value{n}\"")).collect();
    let frames = "{\"function\":\"f\"},".repeat(5_000);
    let frames = frames.trim_end_matches(',');
    let wrong_types = b"{\"timestamp\":{},\"level\":[],\"platform\":1,\"tags\":7,\"user\":\"me\",\"request\":[1],\"contexts\":\"x\",\
        \"exception\":{\"values\":{\"type\":1}},\"breadcrumbs\":true,\"extra\":0,\"sdk\":[],\"release\":{},\"fingerprint\":{},\
        \"logger\":1,\"modules\":[],\"threads\":\"no\",\"message\":{\"formatted\":[]},\"environment\":[]}";
    let at = |text: &str| format!("{{\"message\":\"when\",\"timestamp\":{text}}}").into_bytes();
    vec![
        ("bytes that are no UTF-8", Fate::Stored, b"{\"message\":\"caf\xe9 \xff\xfe\"}".to_vec()),
        ("half a surrogate pair", Fate::Stored, b"{\"message\":\"a \\ud83d b \\udc00\"}".to_vec()),
        ("a zero character", Fate::Stored, b"{\"message\":\"a\\u0000b\"}".to_vec()),
        (
            "NaN and infinity",
            Fate::Stored,
            b"{\"message\":\"n\",\"extra\":{\"a\":NaN,\"b\":-Infinity,\"c\":1e999}}".to_vec(),
        ),
        ("wrong types in every field", Fate::Stored, wrong_types.to_vec()),
        (
            "markup in every place",
            Fate::Stored,
            b"{\"message\":\"<script>alert(1)</script>\",\"tags\":{\"<b>\":\"\\\"'><i>\"}}".to_vec(),
        ),
        ("20,000 tags", Fate::Stored, format!("{{\"tags\":{{{}}}}}", tags.join(",")).into_bytes()),
        ("5,000 frames", Fate::Stored, format!("{{\"stacktrace\":{{\"frames\":[{frames}]}}}}").into_bytes()),
        ("100 levels deep", Fate::Stored, deep(100)),
        ("100,000 levels deep", Fate::Answered, deep(100_000)),
        ("31 days old", Fate::Stored, at("1000000000")),
        ("from the future", Fate::Stored, at("\"2999-01-01T00:00:00Z\"")),
        ("before the epoch", Fate::Stored, at("-1e18")),
        ("an event that is a list", Fate::Answered, b"[1,2]".to_vec()),
        ("an event that is no JSON", Fate::Answered, b"{\"message\":".to_vec()),
        ("an empty event", Fate::Stored, b"{}".to_vec()),
        ("the same key twice", Fate::Stored, b"{\"message\":\"a\",\"message\":\"b\"}".to_vec()),
    ]
}

/// The same id again is accepted and not counted; in another project it is another event.
fn check_duplicates(place: &mut Place, dsn: &Dsn, failures: &mut Failures) -> anyhow::Result<()> {
    place.json(&["projects", "create", "default/twin"])?;
    let twin = place.dsn("default/twin")?;
    let id = new_id();
    let body = small_event(&id);
    for (name, dsn) in [("an event", dsn), ("the same again", dsn), ("the same id elsewhere", &twin)] {
        failures.expect(name, &[200], post(place, dsn, &[], &body));
    }
    place.drained(DRAIN_WITHIN)?;
    failures.expect("the same once more, after it was stored", &[200], post(place, dsn, &[], &body));
    place.drained(DRAIN_WITHIN)?;
    let token = place.token()?;
    for project in ["default/default", "default/twin"] {
        let ids = bench::accounts::stored_ids(place.address, &token, project)?;
        let count = ids.iter().filter(|stored| **stored == id).count();
        failures.note(&format!("one row in {project}"), || {
            ensure!(count == 1, "{count} rows");
            Ok(())
        });
    }
    Ok(())
}
