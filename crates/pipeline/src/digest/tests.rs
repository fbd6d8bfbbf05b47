//! What a project's settings do to its events: through the whole digest, from the accepted job to stores and receipts.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::*;
use protocol::accepted::{AcceptedBody, AcceptedJob, Endpoint};
use protocol::encoding::Encoding;
use queue::{JobId, JobOptions, LeaseId};
use stdx::{ManualClock, Timestamp};
use store::days::Afterwards;
use store::projects::NewProject;
use store::{days, event_lookup, organizations, outcomes, project_options, projects, receipts};

const NOW: Timestamp = Timestamp::from_seconds(1_795_262_400);
const SECRET: &str = "hunter2-correct-horse";

struct House {
    stores: Arc<Stores>,
    digest: Digest,
    org_id: i64,
    project_id: i64,
    sent: u8,
    received_at: Timestamp,
    _folder: tempfile::TempDir,
}

impl House {
    fn new() -> House {
        let folder = tempfile::tempdir().unwrap();
        let stores = Arc::new(Stores::open(folder.path(), NOW).unwrap());
        let (org_id, project_id) = stores
            .db
            .write_blocking(|tx| {
                let org = organizations::create(tx, "acme", "Acme", NOW)?;
                let new = NewProject { org_id: org.id, slug: "shop", name: "Shop", platform: None };
                Ok::<_, store::StoreError>((org.id, projects::create(tx, &new, NOW)?.id))
            })
            .unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let digest = Digest::new(stores.clone(), clock);
        House { stores, digest, org_id, project_id, sent: 0, received_at: NOW, _folder: folder }
    }

    fn set(&self, name: &str, value: &serde_json::Value) {
        let (project_id, value) = (self.project_id, value.to_string());
        self.stores.db.write_blocking(|tx| project_options::set(tx, project_id, name, &value, NOW)).unwrap();
    }

    /// Digests an envelope with an event and an attachment. Returns the event's id.
    fn send(&mut self, event: &str) -> [u8; 16] {
        let attachment = r#"{"type":"attachment","length":12,"filename":"a.log"}"#;
        let body = format!("{{}}\n{{\"type\":\"event\"}}\n{event}\n{attachment}\nmail a@b.co!\n");
        let claimed = self.claimed(AcceptedBody::Inline(body.as_bytes()));
        let outcomes = self.run(&[claimed.clone(), claimed]);
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done)), "{outcomes:?}");
        protocol::EventId::random([self.sent; 16]).bytes()
    }

    fn run(&self, jobs: &[Claimed]) -> Vec<Outcome> {
        self.digest.run(jobs, &|| false)
    }

    /// Returns the job of the next event, which has nothing with it.
    fn event(&mut self, json: &str) -> Claimed {
        let body = format!("{{}}\n{{\"type\":\"event\"}}\n{json}\n");
        self.claimed(AcceptedBody::Inline(body.as_bytes()))
    }

    /// Returns the job of the next event.
    fn claimed(&mut self, body: AcceptedBody<'_>) -> Claimed {
        self.sent += 1;
        let job = AcceptedJob {
            org_id: self.org_id,
            project_id: self.project_id,
            key_id: 1,
            event_id: protocol::EventId::random([self.sent; 16]),
            received_at: self.received_at,
            sent_at: None,
            client_ip: Some("203.0.113.9".into()),
            auth_client: None,
            user_agent: None,
            endpoint: Endpoint::Envelope,
            content_encoding: Encoding::Identity,
            body,
        };
        Claimed {
            lease: LeaseId(1),
            id: JobId::new("1"),
            task: "ingest.digest".into(),
            queue: "events".into(),
            attempt: 1,
            enqueued_at: NOW,
            payload: job.encode().into(),
            options: JobOptions::default(),
        }
    }

    /// Returns the stored body, header line and all, if the event is stored.
    fn body(&self, id: &[u8; 16]) -> Option<String> {
        let day = self.stores.db.read_blocking(|tx| days::find_open(tx, NOW.day())).unwrap();
        let event = self.stores.events.get(&day?, self.project_id, id).unwrap()?;
        Some(String::from_utf8(self.stores.body(&event).unwrap()).unwrap())
    }

    fn attachments(&self) -> Vec<Vec<u8>> {
        let keys: Vec<(String,)> =
            self.stores.db.read_blocking(|tx| tx.query("SELECT blob_key FROM attachment ORDER BY id", &[])).unwrap();
        keys.iter().map(|(key,)| self.stores.blobs.read(key, 100).unwrap()).collect()
    }
}

#[test]
fn secrets_are_in_no_store_by_default() {
    let mut house = House::new();
    let kept = r#"{ "message" : "as it was sent",  "n": 1.50 }"#;
    let id = house.send(kept);
    assert!(house.body(&id).unwrap().ends_with(&format!("\n{kept}")));
    assert!(house.body(&id).unwrap().contains("203.0.113.9"));
    let id = house.send(&format!(r#"{{"message":"m","extra":{{"environ":{{"API_TOKEN":"{SECRET}"}}}}}}"#));
    let body = house.body(&id).unwrap();
    assert!(!body.contains(SECRET) && body.contains(r#""API_TOKEN":"[Filtered]""#), "{body}");
    assert!(body.contains("@password:filter"), "{body}");
    assert_eq!(house.attachments(), [b"mail a@b.co!", b"mail a@b.co!"]);
}

#[test]
fn a_project_that_wants_no_addresses_stores_none() {
    let mut house = House::new();
    house.set("scrubbing", &serde_json::json!({"scrubs_ip": true}));
    let id = house.send(r#"{"platform":"javascript","message":"m","user":{"ip_address":"{{auto}}"}}"#);
    let body = house.body(&id).unwrap();
    assert!(!body.contains("203.0.113.9"), "{body}");
    let users = house.stores.db.read_blocking(|tx| tx.query_one::<(i64,)>("SELECT COUNT(*) FROM issue_user", &[]));
    assert_eq!(users.unwrap().0, 0);
}

#[test]
fn rules_reach_attachments() {
    let mut house = House::new();
    house.set("scrubbing", &serde_json::json!({"rules": r#"{"applications":{"$attachments.*":["@email"]}}"#}));
    house.send(r#"{"message":"m"}"#);
    assert_eq!(house.attachments(), [b"mail ******!"]);
    house
        .set("scrubbing", &serde_json::json!({"rules": r#"{"applications":{"$attachments.*":["@anything:remove"]}}"#}));
    let id = house.send(r#"{"message":"m"}"#);
    assert_eq!(house.attachments().len(), 1);
    let project_id = house.project_id;
    let remarks = house.stores.db.read_blocking(|tx| receipts::list(tx, project_id, &id)).unwrap();
    assert_eq!(remarks[0].reason, "attachment removed by scrubbing");
}

#[test]
fn a_filtered_event_is_counted_and_told_and_not_stored() {
    let mut house = House::new();
    house.set("filters", &serde_json::json!({"error_messages": ["*ignore*"]}));
    let id = house.send(r#"{"message":"please ignore"}"#);
    let project_id = house.project_id;
    assert_eq!(house.body(&id), None);
    assert!(house.attachments().is_empty());
    let (remarks, sums, counted) = house
        .stores
        .db
        .read_blocking(|tx| {
            let counted = event_lookup::day_of_event(tx, &[NOW.day()], project_id, &id)?;
            let sums = outcomes::sums(tx, Some(project_id), NOW.hour())?;
            Ok::<_, store::StoreError>((receipts::list(tx, project_id, &id)?, sums, counted))
        })
        .unwrap();
    let told: Vec<(&str, &str)> = remarks.iter().map(|row| (row.state.as_str(), row.reason.as_str())).collect();
    assert!(told.contains(&("filtered", "error-message")), "{told:?}");
    assert!(told.contains(&("not-kept", "attachment of a filtered event")), "{told:?}");
    assert_eq!(counted, None);
    let sum = |outcome: &str| -> i64 {
        sums.iter().filter(|row| row.0 == "error" && row.1 == outcome).map(|row| row.3).sum()
    };
    assert_eq!((sum("accepted"), sum("filtered"), sum("stored")), (1, 1, 0));
    // The next batch sees the change.
    house.set("filters", &serde_json::json!({}));
    let id = house.send(r#"{"message":"please ignore"}"#);
    assert!(house.body(&id).is_some());
}

#[test]
fn an_event_from_before_1970_is_refused_and_told() {
    let mut house = House::new();
    for json in [r#"{"timestamp":-1}"#, r#"{"start_timestamp":"1969-12-31T23:59:59Z"}"#] {
        let id = house.send(json);
        assert_eq!(house.body(&id), None, "{json}");
        let project_id = house.project_id;
        let remarks = house.stores.db.read_blocking(|tx| receipts::list(tx, project_id, &id)).unwrap();
        let told: Vec<(&str, &str)> = remarks.iter().map(|row| (row.state.as_str(), row.reason.as_str())).collect();
        assert!(told.contains(&("filtered", "timestamp")), "{json}: {told:?}");
    }
    let id = house.send(r#"{"timestamp":0}"#);
    assert!(house.body(&id).is_some());
}

/// Ends the day of all these tests, and deletes its files as a sweep in another process does.
fn end_day(house: &House, afterwards: Afterwards) {
    let db = &house.stores.db;
    let open = db.read_blocking(|tx| days::find_open(tx, NOW.day())).unwrap().unwrap();
    assert!(db.write_blocking(|tx| days::end(tx, &open, afterwards, NOW)).unwrap());
    let events = store::events::SqliteEvents::open(&house.stores.data_dir.join("events")).unwrap();
    store::events::EventStore::drop_day(&events, &open).unwrap();
}

#[test]
fn a_late_job_for_an_ended_day_expires_and_leaves_nothing_behind() {
    let mut house = House::new();
    let first = house.send(r#"{"message":"in time"}"#);
    end_day(&house, Afterwards::Closed);
    let late = house.send(r#"{"message":"late"}"#);
    assert_eq!((house.body(&first), house.body(&late)), (None, None));
    assert!(house.stores.events.days_on_disk().unwrap().is_empty(), "nothing is stored into the void");
    let project_id = house.project_id;
    let of = |id: [u8; 16]| house.stores.db.read_blocking(|tx| receipts::list(tx, project_id, &id)).unwrap();
    assert_eq!(of(late)[0].state, "expired");
    let sums = house.stores.db.read_blocking(|tx| outcomes::sums(tx, Some(project_id), NOW.hour())).unwrap();
    let sum = |outcome: &str| -> i64 {
        sums.iter().filter(|row| row.0 == "error" && row.1 == outcome).map(|row| row.3).sum()
    };
    assert_eq!((sum("accepted"), sum("stored"), sum("expired")), (2, 1, 1));
}

#[test]
fn a_job_that_was_counted_before_its_day_ended_does_not_expire_as_well() {
    let mut house = House::new();
    let id = house.send(r#"{"message":"in time"}"#);
    end_day(&house, Afterwards::Closed);
    house.sent -= 1;
    assert_eq!(house.send(r#"{"message":"in time"}"#), id, "its ack was lost, and it runs again");
    let project_id = house.project_id;
    let remarks = house.stores.db.read_blocking(|tx| receipts::list(tx, project_id, &id)).unwrap();
    assert!(remarks.iter().all(|row| row.state != "expired"), "{remarks:?}");
}

#[test]
fn a_day_that_still_receives_takes_events_after_it_was_emptied() {
    let mut house = House::new();
    let first = house.send(r#"{"message":"before"}"#);
    end_day(&house, Afterwards::Reopened);
    let second = house.send(r#"{"message":"after"}"#);
    assert_eq!(house.body(&first), None);
    assert!(house.body(&second).is_some());
    assert_eq!(house.stores.events.days_on_disk().unwrap().len(), 1);
}

#[test]
fn filters_of_a_later_release_do_not_stop_events() {
    let mut house = House::new();
    house.set("filters", &serde_json::json!([1]));
    let id = house.send(&format!(r#"{{"message":"m","extra":{{"password":"{SECRET}"}}}}"#));
    assert!(!house.body(&id).unwrap().contains(SECRET));
}

#[test]
fn events_wait_while_their_projects_scrubbing_cannot_be_used() {
    let mut house = House::new();
    let wrong = [
        serde_json::json!({"scrubs_ip": "maybe"}),
        serde_json::json!({"rules": r#"{"applications":{"**":["@of-tomorrow"]}}"#}),
    ];
    let job = house.event(&format!(r#"{{"message":"m","extra":{{"badge":"{SECRET}"}}}}"#));
    let id = protocol::EventId::random([house.sent; 16]).bytes();
    for settings in wrong {
        house.set("scrubbing", &settings);
        for outcome in house.run(&[job.clone(), job.clone()]) {
            assert_eq!(outcome, Outcome::Snooze { after: Duration::from_secs(30) }, "no attempt is spent");
        }
        assert_eq!(house.body(&id), None);
    }
    house.set("scrubbing", &serde_json::json!({"sensitive_fields": ["badge"]}));
    assert_eq!(house.run(&[job]), [Outcome::Done]);
    assert!(!house.body(&id).unwrap().contains(SECRET));
}

mod blame;
mod bodies;
mod grouping;
