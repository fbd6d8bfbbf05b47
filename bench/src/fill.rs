//! Events of days long past, put into the stores of a data directory by the store's own functions, as the digest does:
//! rows first, facts second. SDKs cannot send into the past, and retention is about nothing else.

use anyhow::Context;
use std::path::Path;
use std::time::Duration;
use stdx::{Day, Timestamp};
use store::digest::{DigestAttachment, DigestEvent};
use store::events::EventRow;
use store::{StoreError, Stores, days, digest, projects};

/// Events of one transaction.
const BATCH_EVENTS: usize = 2_000;
/// Different bodies; each is compressed once and stored many times.
const BODIES: usize = 64;

/// What is put in.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    /// Days back from today that get events, the last of them yesterday.
    pub days: i64,
    pub events_per_day: usize,
    pub groups: usize,
    /// About the bytes that an event's compressed body takes.
    pub body_bytes: usize,
    /// One event in so many has an attachment; 0 = none.
    pub attachment_every: usize,
    /// So that fillings of one store do not share ids.
    pub seed: u64,
}

/// Puts events of past days into a project. Other processes may have the stores open.
///
/// # Errors
/// If there is no such project (`org/project`), or a store fails.
pub fn fill(data_dir: &Path, project: &str, what: Fill, now: Timestamp) -> anyhow::Result<usize> {
    let stores = Stores::open(data_dir, now).context("open the stores")?;
    let all = stores.db.read_blocking(projects::retention).context("read the projects")?;
    let id = all.iter().find(|row| row.name == project).with_context(|| format!("no project {project}"))?.id;
    let row = stores.db.read_blocking(|tx| projects::by_id(tx, id)).context("read the project")?;
    let org_id = row.context("the project is deleted")?.org_id;
    let filler = Filler { bodies: bodies(&stores, id, what)?, stores, org_id, project_id: id, what };
    let mut filled = 0;
    for ago in 1..=what.days {
        filled += filler.fill_day(Day(now.day().0 - ago)).with_context(|| format!("fill the day {ago} days ago"))?;
    }
    // What the logs hold would come back with the first sweep, and be taken for its doing.
    filler.stores.checkpoint_truncate().context("fold the logs")?;
    Ok(filled)
}

struct Filler {
    stores: Stores,
    org_id: i64,
    project_id: i64,
    what: Fill,
    bodies: Vec<(i64, Vec<u8>)>,
}

impl Filler {
    fn fill_day(&self, day: Day) -> Result<usize, StoreError> {
        let open = self.stores.db.write_blocking(|tx| days::open_or_create(tx, day, day.start()))?;
        let Some(open) = open else { return Ok(0) };
        for first in (0..self.what.events_per_day).step_by(BATCH_EVENTS) {
            let last = (first + BATCH_EVENTS).min(self.what.events_per_day);
            let events: Result<Vec<DigestEvent>, _> = (first..last).map(|number| self.event(day, number)).collect();
            let events = events?;
            let rows: Vec<EventRow<'_>> = events.iter().enumerate().map(|(at, event)| self.row(event, at)).collect();
            self.stores.events.insert(&open, &rows)?;
            self.stores.db.write_blocking(|tx| digest::apply(tx, day, &events, day.start()).map(drop))?;
        }
        Ok(self.what.events_per_day)
    }

    fn row<'a>(&'a self, event: &DigestEvent, number: usize) -> EventRow<'a> {
        let (dictionary_id, body) = &self.bodies[number % self.bodies.len()];
        EventRow {
            project_id: self.project_id,
            event_id: event.event_id,
            group_key: event.group_key,
            received_at: event.received_at,
            dictionary_id: *dictionary_id,
            body,
        }
    }

    fn event(&self, day: Day, number: usize) -> Result<DigestEvent, StoreError> {
        // Ids of real events are random, and stored in their order.
        let mixed = (number as u64 + (self.what.seed << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ day.0 as u64;
        let mut event_id = [0; 16];
        event_id[..8].copy_from_slice(&mixed.to_be_bytes());
        event_id[8..].copy_from_slice(&(day.0 as u64 ^ (self.project_id as u64) << 32).to_be_bytes());
        let step = Duration::from_secs(86_400) / u32::try_from(self.what.events_per_day).unwrap_or(u32::MAX);
        let received_at = day.start().plus(step * number as u32);
        let group = number % self.what.groups.max(1);
        let group_key = (group as i64 + 1).wrapping_mul(0x5851_f42d_4c95_7f2d) ^ self.project_id;
        Ok(DigestEvent {
            org_id: self.org_id,
            project_id: self.project_id,
            event_id,
            received_at,
            timestamp: received_at,
            group_key,
            group_hash: format!("{group_key:016x}{group_key:016x}"),
            kind: "error",
            title: format!("Filled: number {group}"),
            culprit: "fill in bench".into(),
            metadata: "{\"type\":\"Filled\"}".into(),
            platform: "python".into(),
            level: "error",
            environment: "production".into(),
            release: Some(format!("shop@{}", day.0)),
            user_hash: Some((mixed % 5_000) as i64),
            tags: vec![("browser".into(), format!("Browser {}", mixed % 7))],
            attachments: self.attachments(day, number)?,
            ..DigestEvent::default()
        })
    }

    fn attachments(&self, day: Day, number: usize) -> Result<Vec<DigestAttachment>, StoreError> {
        if self.what.attachment_every == 0 || !number.is_multiple_of(self.what.attachment_every) {
            return Ok(Vec::new());
        }
        let content = format!("attachment {number} of day {} in project {}\n", day.0, self.project_id).repeat(500);
        Ok(vec![DigestAttachment {
            name: "log.txt".into(),
            content_type: "text/plain".into(),
            attachment_type: "event.attachment".into(),
            size_bytes: content.len() as u64,
            blob_key: self.stores.blobs.put_bytes(content.as_bytes())?,
        }])
    }
}

/// Bodies as the digest stores them: a header line and a payload that pages can show.
fn bodies(stores: &Stores, project_id: i64, what: Fill) -> anyhow::Result<Vec<(i64, Vec<u8>)>> {
    let mut random = crate::random::Random::new(what.seed);
    let mut made = Vec::with_capacity(BODIES);
    for number in 0..BODIES {
        // Hexadecimal digits compress to about a half.
        let mut noise = String::with_capacity(what.body_bytes * 2);
        while noise.len() < what.body_bytes * 2 {
            noise.push_str(&format!("{:016x}", random.next_u64()));
        }
        let body = format!(
            "{{\"client\":\"bench/1\"}}\n{{\"platform\":\"python\",\"level\":\"error\",\"message\":\"Filled {number}\",\
             \"extra\":{{\"noise\":\"{noise}\"}}}}"
        );
        made.push(stores.dictionaries.compress(project_id, body.as_bytes()).context("compress a body")?);
    }
    Ok(made)
}
