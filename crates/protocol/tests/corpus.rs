//! Requests recorded from real clients, where the shared corpus is at hand: every body for `envelope/` and `store/` is
//! decoded, framed, within the limits and authenticated as the specification says.

use crate::envelopes::describe;
use protocol::auth::{self, AuthSources};
use protocol::encoding::{self, Encoding};
use protocol::item::event::glimpse;
use protocol::{Envelope, ItemKind, legacy, limits};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const KEY: &str = "aaaabbbbccccddddeeeeffff00001111";
const PROJECT: i64 = 42;

#[derive(serde::Deserialize)]
struct Recorded {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
}

impl Recorded {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn sources(&self) -> AuthSources<'_> {
        AuthSources {
            x_sentry_auth: self.header("x-sentry-auth"),
            authorization: self.header("authorization"),
            query: self.target.split_once('?').map(|(_, query)| query),
            path_key: None,
        }
    }
}

#[test]
fn every_recorded_envelope_and_store_body_is_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/requests");
    if !root.is_dir() {
        println!("corpus absent, nothing checked: {}", root.display());
        return;
    }
    let mut found = Found::default();
    for path in recorded_requests(&root) {
        let request: Recorded = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        if request.method != "POST" {
            continue;
        }
        if request.target.contains("/envelope/") {
            found.envelope(&path, &request);
        } else if request.target.contains("/store/") {
            found.store(&path, &request);
        }
    }
    println!("{} envelopes, {} store bodies, items {:?}", found.envelopes, found.stores, found.items);
    assert!(found.envelopes >= 120 && found.stores >= 6);
    assert!(!found.items.contains_key("unknown"), "{:?}", found.items);
}

#[derive(Default)]
struct Found {
    envelopes: usize,
    stores: usize,
    items: BTreeMap<&'static str, usize>,
}

impl Found {
    fn envelope(&mut self, path: &Path, request: &Recorded) {
        let raw = raw_body(path);
        let decoded = decoded(path, request, &raw);
        let envelope = Envelope::parse(&decoded).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        limits::check(&envelope).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!describe(&decoded).contains("invalid"), "{}", path.display());
        let auth = match auth::find(&request.sources()).unwrap() {
            Some(auth) => auth,
            None => auth::from_envelope_header(&envelope.header).unwrap(),
        };
        assert_eq!(auth.public_key.as_str(), KEY, "{}", path.display());
        auth::check_dsn(envelope.header.dsn.as_ref(), &auth, PROJECT).unwrap();
        for item in &envelope.items {
            *self.items.entry(item.header.kind.label()).or_default() += 1;
            if item.header.kind == ItemKind::Event {
                let seen = glimpse(item.payload).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                // `sentry-cli send-envelope --raw` sends neither; then ingest makes one.
                let id = envelope.header.event_id;
                assert!(seen.event_id.is_none() || seen.event_id == id, "{}", path.display());
            }
        }
        self.envelopes += 1;
    }

    fn store(&mut self, path: &Path, request: &Recorded) {
        let raw = raw_body(path);
        let decoded = decoded(path, request, &raw);
        let json = legacy::store_body(&decoded, limits::EVENT_BYTES_MAX).unwrap();
        assert!(glimpse(&json).unwrap().event_id.is_some(), "{}", path.display());
        let auth = auth::find(&request.sources()).unwrap().unwrap();
        assert_eq!(auth.public_key.as_str(), KEY);
        assert!(auth.client.unwrap().starts_with("raven"));
        self.stores += 1;
    }
}

/// Takes the content encoding off the body as sent, and compares with what the recorder made of it.
fn decoded<'a>(path: &Path, request: &Recorded, raw: &'a Option<Vec<u8>>) -> std::borrow::Cow<'a, [u8]> {
    let recorded = fs::read(sibling(path, "body")).unwrap();
    let encoding = Encoding::parse(request.header("content-encoding").unwrap_or_default()).unwrap();
    match raw {
        Some(raw) => {
            let decoded = encoding::decode(encoding, raw, limits::ENVELOPE_BYTES_MAX).unwrap();
            assert!(decoded == recorded, "{}: decoded differently", path.display());
            decoded
        }
        None => {
            assert_eq!(encoding, Encoding::Identity, "{}", path.display());
            recorded.into()
        }
    }
}

fn raw_body(path: &Path) -> Option<Vec<u8>> {
    fs::read(sibling(path, "body.raw")).ok()
}

/// `…/001.request.json` → `…/001.<extension>`.
fn sibling(path: &Path, extension: &str) -> PathBuf {
    let text = path.to_str().unwrap();
    PathBuf::from(format!("{}.{extension}", text.strip_suffix(".request.json").unwrap()))
}

fn recorded_requests(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(recorded_requests(&path));
        } else if path.to_str().is_some_and(|text| text.ends_with(".request.json")) {
            found.push(path);
        }
    }
    found.sort();
    found
}
