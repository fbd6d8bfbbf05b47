//! The digest's effect: once for each event, whatever is run again, with sums that agree (promises G2 and G8).

use super::{NOW, event_id, open, shop};
use std::time::Duration;
use stdx::{Day, Timestamp};
use store::days::{self, OpenDay};
use store::digest::{self, Applied, DigestAttachment, DigestEvent, DigestLoose, Fate, NotKept};
use store::events::EventRow;
use store::{StoreError, Stores, check, outcomes, projects};

pub(super) struct House {
    pub stores: Stores,
    org_id: i64,
    project_id: i64,
    pub today: OpenDay,
    _folder: tempfile::TempDir,
}

impl House {
    pub(super) fn new() -> House {
        let folder = tempfile::tempdir().expect("a folder");
        let stores = open(folder.path());
        let (org, project, today) = stores
            .db
            .write_blocking(|tx| {
                let (org, project) = shop(tx)?;
                let today = days::open_or_create(tx, NOW.day(), NOW)?.expect("a new day is open");
                Ok::<_, StoreError>((org, project, today))
            })
            .expect("a project and a day");
        House { stores, org_id: org.id, project_id: project.id, today, _folder: folder }
    }

    pub(super) fn event(&self, number: u128, group_key: i64) -> DigestEvent {
        let at = NOW.plus(Duration::from_secs(number as u64));
        DigestEvent {
            org_id: self.org_id,
            project_id: self.project_id,
            key_id: 1,
            event_id: event_id(number),
            received_at: at,
            timestamp: at,
            group_key,
            group_hash: format!("{group_key:032x}"),
            kind: "error",
            title: format!("Error {number}"),
            metadata: "{}".to_owned(),
            platform: "python".to_owned(),
            level: "error",
            environment: "production".to_owned(),
            release: Some("shop@1".to_owned()),
            user_hash: Some((number % 3) as i64),
            tags: vec![("browser".to_owned(), format!("Firefox {}", number % 2))],
            ..DigestEvent::default()
        }
    }

    /// Rows first, facts second, as the pipeline does.
    pub(super) fn digest(&self, events: &[DigestEvent]) -> Applied {
        self.insert_rows(events);
        self.apply(self.today.day, events)
    }

    pub(super) fn insert_rows(&self, events: &[DigestEvent]) {
        let row = |event: &DigestEvent| EventRow {
            project_id: event.project_id,
            event_id: event.event_id,
            group_key: event.group_key,
            received_at: event.received_at,
            dictionary_id: 0,
            body: b"body",
        };
        let rows: Vec<EventRow<'_>> = events.iter().map(row).collect();
        self.stores.events.insert(&self.today, &rows).expect("rows are stored");
    }

    pub(super) fn apply(&self, day: Day, events: &[DigestEvent]) -> Applied {
        self.stores.db.write_blocking(|tx| digest::apply(tx, day, events, NOW)).expect("applied")
    }

    pub(super) fn number(&self, sql: &str) -> i64 {
        self.stores.db.read_blocking(|tx| tx.query_one::<(i64,)>(sql, &[])).expect("a number").0
    }

    pub(super) fn assert_consistent(&self) {
        let findings = check::check(&self.stores, &|_, _| false).expect("checked");
        let bad: Vec<_> = findings.iter().filter(|finding| !finding.is_good()).collect();
        assert!(bad.is_empty(), "{bad:?}");
    }
}

#[test]
fn a_batch_counts_once_however_often_it_runs() {
    let house = House::new();
    let batch: Vec<DigestEvent> = (0..20).map(|number| house.event(number, (number % 2) as i64)).collect();
    let applied = house.digest(&batch);
    assert_eq!(applied.fates, [Fate::Stored; 20]);
    assert_eq!((applied.issues_created, applied.stored_by_project), (2, vec![(house.project_id, 20)]));
    for _ in 0..2 {
        let again = house.digest(&batch);
        assert_eq!(again.fates, [Fate::AlreadyStored; 20]);
        assert_eq!(again.issues_created, 0);
    }
    assert_eq!(house.number("SELECT SUM(event_count) FROM issue"), 20);
    assert_eq!(house.number("SELECT SUM(user_count) FROM issue"), 6);
    assert_eq!(house.number("SELECT SUM(event_count) FROM issue_tag"), 20);
    assert_eq!(house.number("SELECT MAX(short_no) FROM issue"), 2);
    house.assert_consistent();
}

#[test]
fn an_id_counts_once_within_its_day_and_the_day_before() {
    let house = House::new();
    house.digest(&[house.event(1, 5)]);
    let later = |event: DigestEvent, days: u64| DigestEvent {
        received_at: event.received_at.plus(Duration::from_secs(days * 86_400 + 1)),
        ..event
    };
    let same_day = DigestEvent { received_at: NOW.plus(Duration::from_secs(9)), ..house.event(1, 5) };
    assert_eq!(house.apply(NOW.day(), std::slice::from_ref(&same_day)).fates, [Fate::Duplicate]);
    assert_eq!(house.apply(NOW.day(), &[same_day]).fates, [Fate::Duplicate]);
    let next_day = later(house.event(1, 5), 1);
    assert_eq!(house.apply(Day(NOW.day().0 + 1), &[next_day]).fates, [Fate::Duplicate]);
    let after_the_window = later(house.event(1, 5), 2);
    assert_eq!(house.apply(Day(NOW.day().0 + 2), &[after_the_window]).fates, [Fate::Stored]);
    assert_eq!(house.number("SELECT event_count FROM issue"), 2);
    let sums = house.stores.db.read_blocking(|tx| outcomes::sums(tx, None, NOW.hour())).expect("sums");
    let quantity = |outcome: &str| sums.iter().filter(|row| row.1 == outcome).map(|row| row.3).sum::<i64>();
    assert_eq!((quantity("accepted"), quantity("stored"), quantity("duplicate")), (4, 2, 2));
}

#[test]
fn one_id_twice_in_a_batch_counts_once() {
    let house = House::new();
    let first = house.event(1, 5);
    let second = DigestEvent { received_at: first.received_at.plus(Duration::from_secs(1)), ..first.clone() };
    assert_eq!(
        house.digest(&[first.clone(), second, first]).fates,
        [Fate::Stored, Fate::Duplicate, Fate::AlreadyStored]
    );
    house.assert_consistent();
}

#[test]
fn a_resolved_issue_regresses_with_an_event_received_later() {
    let house = House::new();
    house.digest(&[house.event(1, 5)]);
    let resolve = |at: Timestamp| {
        let sql = format!("UPDATE issue SET status = 'resolved', substatus = 'resolved', status_at = {}", at.micros());
        house.stores.db.write_blocking(|tx| tx.execute(&sql, &[])).expect("resolved");
    };
    resolve(NOW.plus(Duration::from_secs(100)));
    assert_eq!(house.digest(&[house.event(50, 5)]).issues_regressed, 0, "it was waiting when the issue was resolved");
    assert_eq!(house.digest(&[house.event(101, 5)]).issues_regressed, 1);
    assert_eq!(house.number("SELECT COUNT(*) FROM issue WHERE status = 'unresolved' AND substatus = 'regressed'"), 1);
    assert_eq!(house.digest(&[house.event(102, 5)]).issues_regressed, 0);
    house.assert_consistent();
}

#[test]
fn tag_values_beyond_the_bound_are_summed() {
    let house = House::new();
    let values_max = u128::try_from(digest::TAG_VALUES_MAX).expect("it is positive");
    let events: Vec<DigestEvent> = (0..values_max + 50)
        .map(|number| DigestEvent { tags: vec![("request".to_owned(), format!("{number}"))], ..house.event(number, 5) })
        .collect();
    house.digest(&events);
    assert_eq!(house.number("SELECT COUNT(*) FROM issue_tag WHERE key = 'request'"), digest::TAG_VALUES_MAX);
    assert_eq!(house.number("SELECT other_count FROM issue_tag_key WHERE key = 'request'"), 50);
    house.assert_consistent();
}

#[test]
fn companions_are_kept_or_named_once() {
    let house = House::new();
    let blob_key = house.stores.blobs.put_bytes(b"a log").expect("a blob");
    let attachment = DigestAttachment {
        name: "app.log".to_owned(),
        content_type: "text/plain".to_owned(),
        attachment_type: "event.attachment".to_owned(),
        size_bytes: 5,
        blob_key,
    };
    let not_kept = NotKept { category: "session", reason: "session".to_owned(), quantity: 2 };
    let event =
        DigestEvent { attachments: vec![attachment.clone()], not_kept: vec![not_kept.clone()], ..house.event(1, 5) };
    let loose = DigestLoose {
        project_id: house.project_id,
        key_id: 1,
        event_id: event_id(2),
        received_at: NOW,
        attachments: vec![attachment],
        not_kept: vec![not_kept],
        invalid: Some("invalid_json".to_owned()),
    };
    for _ in 0..2 {
        house.digest(std::slice::from_ref(&event));
        let applied =
            house.stores.db.write_blocking(|tx| digest::apply_loose(tx, NOW.day(), std::slice::from_ref(&loose)));
        applied.expect("applied");
    }
    assert_eq!(house.number("SELECT COUNT(*) FROM attachment"), 2);
    assert_eq!(house.number("SELECT SUM(quantity) FROM receipt WHERE state = 'not-kept'"), 4);
    assert_eq!(house.number("SELECT SUM(quantity) FROM outcome_hour WHERE outcome = 'filtered'"), 1);
    house.assert_consistent();
}

#[test]
fn a_check_finds_what_does_not_agree() {
    let house = House::new();
    house.digest(&[house.event(1, 5), house.event(2, 5)]);
    let row = EventRow {
        project_id: house.project_id,
        event_id: event_id(99),
        group_key: 5,
        received_at: NOW,
        dictionary_id: 0,
        body: b"written, never counted",
    };
    house.stores.events.insert(&house.today, &[row]).expect("stored");
    house.stores.db.write_blocking(|tx| tx.execute("UPDATE issue SET event_count = 3", &[])).expect("broken");
    let bad = |is_waiting: &dyn Fn(i64, [u8; 16]) -> bool| -> Vec<&'static str> {
        let findings = check::check(&house.stores, is_waiting).expect("checked");
        findings.iter().filter(|finding| !finding.is_good()).map(|finding| finding.name).collect()
    };
    let counters = ["issue events by day", "issue events by hour", "issue events by environment"];
    assert_eq!(bad(&|_, id| id == event_id(99)), counters);
    assert_eq!(bad(&|_, _| false).last(), Some(&"event rows"));
}

#[test]
fn a_projects_first_and_last_event_are_known() {
    let house = House::new();
    house.digest(&[house.event(3, 5), house.event(1, 5)]);
    house.digest(&[house.event(7, 6)]);
    let project = house.stores.db.read_blocking(|tx| projects::by_id(tx, house.project_id)).expect("read");
    let project = project.expect("it is there");
    let at = |seconds| Some(NOW.plus(Duration::from_secs(seconds)));
    assert_eq!((project.first_event_at, project.last_event_at), (at(1), at(7)));
}
