//! Two organizations with projects, people and events in real stores of a temporary directory, a clock that stands
//! still, and a broker that keeps nothing. The tests of the web API use it too.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use ops::tokens::CreateToken;
use ops::{Actor, Caller, Channel, Ops};
use queue::{
    Account, BoxFuture, Broker, ClaimRequest, Claimed, Cursor, DeadLetter, Finish, JobId, JobResult, JobState, LeaseId,
    Ledger, NewJob, Parked, Published, QueueError, WorkerRow,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use stdx::{ManualClock, Redacted, Timestamp};
use store::Stores;
use store::digest::{DigestAttachment, DigestEvent, NotKept};
use store::events::EventRow;

pub const PASSWORD: &str = "a good password";
/// 2026-11-21T12:00:00Z
pub const NOON: Timestamp = Timestamp::from_seconds(1_795_262_400);

pub struct World {
    pub ops: Arc<Ops>,
    pub clock: ManualClock,
    pub broker: Arc<QuietBroker>,
    /// `acme/shop`
    pub shop: i64,
    /// `acme/site`
    pub site: i64,
    /// `evil/lair`, where nobody of acme belongs.
    pub lair: i64,
    events: Mutex<u32>,
    _directory: tempfile::TempDir,
}

pub type Retry = dyn FnMut() -> Result<bool, QueueError> + Send;

/// Keeps no job; tests say what state an id is in.
#[derive(Default)]
pub struct QuietBroker {
    states: Mutex<HashMap<String, JobState>>,
    /// What a retry does. With it any id is one of a dead letter.
    pub retry: Mutex<Option<Box<Retry>>>,
}

impl Broker for QuietBroker {
    fn publish(&self, jobs: Vec<NewJob>) -> BoxFuture<'_, Result<Vec<Published>, QueueError>> {
        Box::pin(async move { Ok(jobs.iter().map(|_| Published::Accepted).collect()) })
    }

    fn claim(&self, _request: &ClaimRequest) -> Result<Vec<Claimed>, QueueError> {
        Ok(Vec::new())
    }

    fn extend(&self, _leases: &[LeaseId], _lease: Duration) -> Result<Vec<LeaseId>, QueueError> {
        Ok(Vec::new())
    }

    fn finish(&self, _finished: Vec<(LeaseId, Finish)>) -> Result<Vec<LeaseId>, QueueError> {
        Ok(Vec::new())
    }

    fn declare(&self, _queue: &str) -> Result<(), QueueError> {
        Ok(())
    }

    fn upkeep(&self) -> Result<(), QueueError> {
        Ok(())
    }

    fn depths(&self) -> Result<Vec<queue::QueueDepth>, QueueError> {
        let depth = |queue: &str| queue::QueueDepth { queue: queue.to_owned(), ..Default::default() };
        Ok(vec![depth("events"), depth("debug")])
    }

    fn locate(&self, id: &JobId) -> Result<Option<JobState>, QueueError> {
        Ok(self.states.lock().unwrap().get(id.as_str()).copied())
    }

    fn accepting(&self) -> Result<(), QueueError> {
        Ok(())
    }
}

impl Ledger for QuietBroker {
    fn letters(&self, _page: &queue::LetterPage) -> Result<queue::Letters, QueueError> {
        Ok(queue::Letters::default())
    }

    fn dead_names(&self, _since: Timestamp, _from: Option<&str>) -> Result<queue::DeadNames, QueueError> {
        Ok(queue::DeadNames::default())
    }

    fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, QueueError> {
        let letter = || DeadLetter {
            id: id.to_owned(),
            queue: "events".to_owned(),
            task: "t".to_owned(),
            reason: "rejected".to_owned(),
            attempts: 1,
            deaths: 0,
            error: String::new(),
            at: NOON,
            enqueued_at: NOON,
        };
        Ok(self.retry.lock().unwrap().is_some().then(letter))
    }

    fn retry_dead(&self, _id: &str) -> Result<bool, QueueError> {
        self.retry.lock().unwrap().as_mut().map_or(Ok(false), |retry| retry())
    }

    fn discard_letters(&self, _ids: &[String], _account: Account<'_>) -> Result<u64, QueueError> {
        Ok(0)
    }

    fn pause(&self, _queue: &str) -> Result<(), QueueError> {
        Ok(())
    }

    fn resume(&self, _queue: &str) -> Result<(), QueueError> {
        Ok(())
    }

    fn purge(&self, _queue: &str, _account: Account<'_>) -> Result<u64, QueueError> {
        Ok(0)
    }

    fn parked(&self) -> Result<Vec<Parked>, QueueError> {
        Ok(Vec::new())
    }

    fn unpark(&self, _tasks: &[&str]) -> Result<u64, QueueError> {
        Ok(0)
    }

    fn result(&self, _id: &JobId) -> Result<Option<JobResult>, QueueError> {
        Ok(None)
    }

    fn beat(&self, _worker: &WorkerRow) -> Result<(), QueueError> {
        Ok(())
    }

    fn leave(&self, _name: &str) -> Result<(), QueueError> {
        Ok(())
    }

    fn workers(&self) -> Result<Vec<WorkerRow>, QueueError> {
        Ok(Vec::new())
    }

    fn fire(&self, _: &str, _: Timestamp, _: NewJob) -> Result<bool, QueueError> {
        Ok(true)
    }

    fn cursors(&self) -> Result<Vec<Cursor>, QueueError> {
        Ok(Vec::new())
    }
}

/// An event to be stored.
#[derive(Clone)]
pub struct Stored {
    pub project_id: i64,
    /// Events with the same text share an issue.
    pub message: String,
    pub environment: &'static str,
    pub release: Option<&'static str>,
    pub received_at: Timestamp,
    pub tags: Vec<(String, String)>,
    /// Members of the payload beyond the usual, such as `"extra":{}`.
    pub more: String,
    pub attachments: Vec<DigestAttachment>,
    pub not_kept: Vec<NotKept>,
}

impl Stored {
    pub fn new(project_id: i64, message: &str, received_at: Timestamp) -> Stored {
        Stored {
            project_id,
            message: message.to_owned(),
            environment: "prod",
            release: None,
            received_at,
            tags: vec![("browser".to_owned(), "Firefox".to_owned())],
            more: String::new(),
            attachments: Vec::new(),
            not_kept: Vec::new(),
        }
    }
}

impl World {
    /// A world with nothing in it.
    pub fn empty() -> World {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(NOON);
        let stores = Arc::new(Stores::open(&directory.path().join("data"), NOON).unwrap());
        let broker = Arc::new(QuietBroker::default());
        let ops = Arc::new(Ops::new(stores, broker.clone(), Arc::new(clock.clone()), "http://vigie.test:9000/"));
        World { shop: 1, site: 2, lair: 3, ops, clock, broker, events: Mutex::new(0), _directory: directory }
    }

    pub async fn new() -> World {
        let world = World::empty();
        for (org, projects) in [("acme", &["shop", "site"][..]), ("evil", &["lair"])] {
            let input = ops::organizations::CreateOrganization { slug: org.into(), name: org.to_uppercase() };
            ops::organizations::create(&world.ops, &Caller::of_task("test"), input).await.unwrap();
            for slug in projects {
                let input = ops::projects::CreateProject {
                    org: org.into(),
                    slug: (*slug).into(),
                    name: None,
                    platform: Some("python".into()),
                };
                ops::projects::create(&world.ops, &Caller::of_task("test"), input).await.unwrap();
            }
        }
        world
    }

    /// Makes somebody with a role in an organization, who can log in with `PASSWORD` if asked for.
    pub async fn person(&self, email: &str, org_id: i64, role: &'static str, with_password: bool) -> i64 {
        let input = ops::users::CreateUser {
            email: email.into(),
            name: None,
            password: with_password.then(|| Redacted::new(PASSWORD.to_owned())),
            is_superuser: None,
            org: None,
            force_update: false,
        };
        let user = ops::users::create(&self.ops, &Caller::of_task("test"), input).await.unwrap();
        let db = &self.ops.stores.db;
        db.write_blocking(|tx| store::users::set_membership(tx, org_id, user.id, role, NOON)).unwrap();
        user.id
    }

    pub async fn superuser(&self, email: &str) -> i64 {
        let input = ops::users::CreateUser {
            email: email.into(),
            name: Some("Root".into()),
            password: None,
            is_superuser: Some(true),
            org: None,
            force_update: false,
        };
        ops::users::create(&self.ops, &Caller::of_task("test"), input).await.unwrap().id
    }

    /// Makes a token and returns its text; no scopes = all.
    pub async fn token(&self, email: &str, scopes: &[&str]) -> String {
        let input =
            CreateToken { email: Some(email.into()), scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect() };
        let created = ops::tokens::create(&self.ops, &Caller::of_task("test"), input).await.unwrap();
        created.text.expose().clone()
    }

    /// Returns the caller that a new token makes.
    pub async fn caller(&self, email: &str, scopes: &[&str]) -> Caller {
        Caller::new(self.actor(email, scopes).await, Channel::Api)
    }

    /// Returns the actor that a new token makes.
    pub async fn actor(&self, email: &str, scopes: &[&str]) -> Actor {
        ops::tokens::authenticate(&self.ops, &self.token(email, scopes).await).await.unwrap()
    }

    /// Stores an event as the digest does and returns its id.
    pub fn store(&self, event: &Stored) -> String {
        let number = {
            let mut events = self.events.lock().unwrap();
            *events += 1;
            *events
        };
        let mut event_id = [0xab; 16];
        event_id[..4].copy_from_slice(&number.to_be_bytes());
        let group_key = event.message.bytes().fold(7_i64, |key, byte| key.wrapping_mul(31) + i64::from(byte));
        self.insert_row(event, event_id, group_key);
        self.count(event, event_id, group_key);
        stdx::hex::encode(&event_id)
    }

    fn insert_row(&self, event: &Stored, event_id: [u8; 16], group_key: i64) {
        let stores = &self.ops.stores;
        let body = format!(
            "{{\"client\":\"sentry.python/2.75.0\"}}\n{{\"event_id\":\"{}\",\"platform\":\"python\",\"level\":\"error\",\
             \"environment\":\"{}\",\"exception\":{{\"values\":[{{\"type\":\"ValueError\",\"value\":{},\"stacktrace\":\
             {{\"frames\":[{{\"function\":\"run\",\"module\":\"app.main\",\"lineno\":12,\"in_app\":true,\
             \"context_line\":\"x\"}}]}}}}]}}{}}}",
            stdx::hex::encode(&event_id),
            event.environment,
            serde_json::Value::from(event.message.as_str()),
            event.more,
        );
        let (dictionary_id, body) = stores.dictionaries.compress(event.project_id, body.as_bytes()).unwrap();
        let (day, now) = (event.received_at.day(), event.received_at);
        let day = stores.db.write_blocking(|tx| store::days::open_or_create(tx, day, now)).unwrap().unwrap();
        let row = EventRow {
            project_id: event.project_id,
            event_id,
            group_key,
            received_at: event.received_at,
            dictionary_id,
            body: &body,
        };
        stores.events.insert(&day, &[row]).unwrap();
    }

    fn count(&self, event: &Stored, event_id: [u8; 16], group_key: i64) {
        let facts = DigestEvent {
            org_id: if event.project_id == self.lair { 2 } else { 1 },
            project_id: event.project_id,
            event_id,
            received_at: event.received_at,
            timestamp: event.received_at,
            group_key,
            group_hash: format!("{group_key:032x}"),
            kind: "error",
            title: format!("ValueError: {}", event.message),
            culprit: "app.main in run".into(),
            metadata: "{\"type\":\"ValueError\"}".into(),
            platform: "python".into(),
            level: "error",
            environment: event.environment.into(),
            release: event.release.map(str::to_owned),
            tags: event.tags.clone(),
            attachments: event.attachments.clone(),
            not_kept: event.not_kept.clone(),
            ..DigestEvent::default()
        };
        let (day, now) = (event.received_at.day(), event.received_at);
        let db = &self.ops.stores.db;
        db.write_blocking(|tx| store::digest::apply(tx, day, &[facts], now).map(|_| ())).unwrap();
    }

    /// Sets what the broker says of an event's job.
    pub fn set_job(&self, project_id: i64, event_id: &str, state: JobState) {
        self.broker.states.lock().unwrap().insert(format!("{project_id}-{event_id}"), state);
    }
}
