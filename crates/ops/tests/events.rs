//! Events, receipts and attachments.

use ops::events::{EventRef, IssueEvent, ListIssueEvents, ListProjectEvents};
use ops::issues::IssueRef;
use ops::projects::ProjectRef;
use ops::receipts::ReceiptState;
use ops::{Actor, PageRequest, attachments, events, receipts};
use queue::JobState;
use std::time::Duration;
use stdx::Timestamp;
use store::days::{self, Afterwards};
use store::digest::{DigestAttachment, NotKept};
use testkit::world::{NOON, Stored, World};

fn days_ago(days: u64) -> Timestamp {
    NOON.minus(Duration::from_secs(days * 24 * 3_600))
}

fn shop(event_id: &str) -> EventRef {
    let project = ProjectRef { org: "acme".into(), project: "shop".into() };
    EventRef { project, event_id: event_id.into() }
}

fn issue(id: &str) -> IssueRef {
    IssueRef { org: Some("acme".into()), issue: id.into() }
}

#[tokio::test]
async fn an_issues_events_are_paged_over_days_both_ways() {
    let world = World::new().await;
    let mut ids: Vec<String> =
        (0..6).map(|day| world.store(&Stored::new(world.shop, "m", days_ago(5 - day)))).collect();
    world.store(&Stored::new(world.shop, "another issue", NOON));
    ids.reverse();
    let page = |cursor: Option<String>| {
        let page = PageRequest { cursor, limit: Some(4) };
        let input = ListIssueEvents { issue: issue("1"), environments: vec![], page };
        async { events::list_of_issue(&world.ops, &Actor::System, input).await.unwrap() }
    };
    let names = |page: &ops::Page<events::EventSummary>| -> Vec<String> {
        page.items.iter().map(|event| event.event_id.clone()).collect()
    };
    let first = page(None).await;
    assert_eq!((names(&first), first.next.has_results), (ids[..4].to_vec(), true));
    assert_eq!(first.items[0].title, "ValueError: m");
    let second = page(Some(first.next.cursor.clone())).await;
    assert_eq!((names(&second), second.next.has_results), (ids[4..].to_vec(), false));
    let back = page(Some(second.previous.cursor.clone())).await;
    assert_eq!((names(&back), back.previous.has_results), (ids[..4].to_vec(), false));

    for (which, expected) in [(IssueEvent::Latest, &ids[0]), (IssueEvent::Oldest, &ids[5])] {
        let event = events::get_of_issue(&world.ops, &Actor::System, &issue("1"), &which).await.unwrap();
        assert_eq!(&event.summary.event_id, expected);
    }
    let middle = IssueEvent::Id(ids[2].clone());
    let event = events::get_of_issue(&world.ops, &Actor::System, &issue("1"), &middle).await.unwrap();
    assert_eq!((event.previous_event_id.as_ref(), event.next_event_id.as_ref()), (Some(&ids[3]), Some(&ids[1])));
    let other_issue = events::get_of_issue(&world.ops, &Actor::System, &issue("2"), &middle).await;
    assert_eq!(other_issue.expect_err("another issue's event").status(), 404);
}

#[tokio::test]
async fn a_projects_events_are_paged_over_days_that_hold_many() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for day in (0..3).rev() {
        // Each day begins its numbers of arrival anew, and the older ones go higher than those of the page's last event.
        for second in 0..5 + day {
            ids.push(world.store(&Stored::new(world.shop, "m", days_ago(day).plus(Duration::from_secs(second)))));
        }
    }
    ids.reverse();
    let (mut cursor, mut seen) = (None, Vec::new());
    loop {
        let project = ProjectRef { org: "acme".into(), project: "shop".into() };
        let input = ListProjectEvents { project, page: PageRequest { cursor: cursor.clone(), limit: Some(2) } };
        let page = events::list_of_project(&world.ops, &Actor::System, input).await.unwrap();
        seen.extend(page.items.iter().map(|event| event.event_id.clone()));
        if !page.next.has_results {
            break;
        }
        cursor = Some(page.next.cursor.clone());
    }
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn an_issue_with_one_event_a_day_opens_few_days_and_says_there_is_more() {
    let world = World::new().await;
    for day in 0..12 {
        world.store(&Stored::new(world.shop, "m", days_ago(day)));
    }
    let mut cursor = None;
    let (mut seen, mut pages) = (0, 0);
    loop {
        let page = PageRequest { cursor: cursor.clone(), limit: Some(100) };
        let input = ListIssueEvents { issue: issue("1"), environments: vec![], page };
        let page = events::list_of_issue(&world.ops, &Actor::System, input).await.unwrap();
        seen += page.items.len();
        pages += 1;
        if !page.next.has_results {
            break;
        }
        cursor = Some(page.next.cursor);
    }
    assert_eq!((seen, pages), (12, 2));
    let oldest = events::get_of_issue(&world.ops, &Actor::System, &issue("1"), &IssueEvent::Oldest).await.unwrap();
    assert_eq!(oldest.summary.received_at, days_ago(11));
}

#[tokio::test]
async fn a_projects_events_are_its_own_and_an_environment_filters() {
    let world = World::new().await;
    let first = world.store(&Stored::new(world.shop, "a", days_ago(1)));
    let second = world.store(&Stored { environment: "dev", ..Stored::new(world.shop, "a", NOON) });
    world.store(&Stored::new(world.site, "b", NOON));
    let input = ListProjectEvents { project: shop("").project, page: PageRequest::default() };
    let page = events::list_of_project(&world.ops, &Actor::System, input).await.unwrap();
    let listed: Vec<(&str, Option<i64>)> =
        page.items.iter().map(|event| (event.event_id.as_str(), event.issue_id)).collect();
    assert_eq!(listed, [(second.as_str(), Some(1)), (first.as_str(), Some(1))]);
    let input = ListIssueEvents { issue: issue("1"), environments: vec!["dev".into()], page: PageRequest::default() };
    let page = events::list_of_issue(&world.ops, &Actor::System, input).await.unwrap();
    assert_eq!(page.items.iter().map(|event| &event.event_id).collect::<Vec<_>>(), [&second]);
}

#[tokio::test]
async fn an_event_is_read_whole_and_its_raw_json_is_what_was_sent() {
    let world = World::new().await;
    let more = ",\"extra\":{\"n\":12345678901234567890.5},\"contexts\":{\"os\":{\"name\":\"Linux\"}},\"unknown\":[1]";
    let id = world.store(&Stored { more: more.into(), ..Stored::new(world.shop, "a \"quoted\" <b>", NOON) });
    let event = events::get(&world.ops, &Actor::System, &shop(&id)).await.unwrap();
    assert_eq!((event.summary.issue_id, event.summary.title.as_str()), (Some(1), "ValueError: a \"quoted\" <b>"));
    let frame = &event.entries[0].data["values"][0]["stacktrace"]["frames"][0];
    assert_eq!((frame["lineNo"].as_i64(), frame["inApp"].as_bool()), (Some(12), Some(true)));
    assert_eq!(
        (event.contexts["os"]["name"].as_str(), event.sdk["name"].as_str()),
        (Some("Linux"), Some("sentry.python"))
    );
    assert_eq!((event.environment.as_deref(), event.previous_event_id), (Some("prod"), None));

    let hyphenated = format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]);
    let raw = events::raw_json(&world.ops, &Actor::System, &shop(&hyphenated)).await.unwrap();
    let raw = String::from_utf8(raw).unwrap();
    assert!(raw.contains("\"extra\":{\"n\":12345678901234567890.5}") && raw.contains("\"unknown\":[1]"), "{raw}");
    assert!(raw.contains(&format!("\"event_id\":\"{id}\"")) && raw.contains("\"project\":1"), "{raw}");
    for unknown in ["0".repeat(32), "latest".into(), String::new(), "%00".into()] {
        assert_eq!(events::get(&world.ops, &Actor::System, &shop(&unknown)).await.expect_err("none").status(), 404);
    }
}

#[tokio::test]
async fn receipts_tell_where_an_event_is() {
    let world = World::new().await;
    let not_kept = vec![NotKept { category: "session", reason: "session".into(), quantity: 2 }];
    let stored = world.store(&Stored { not_kept, ..Stored::new(world.shop, "m", NOON) });
    // The queue may still know a job whose effect is there.
    world.set_job(world.shop, &stored, JobState::Leased);
    let receipt = receipts::get(&world.ops, &Actor::System, &shop(&stored)).await.unwrap();
    assert_eq!((receipt.state, receipt.issue_id, receipt.remarks[0].quantity), (ReceiptState::Stored, Some(1), 2));
    assert_eq!(receipt.steps[0].step, "received");
    for (digit, job, expected) in [
        ("1", Some(JobState::Ready), ReceiptState::Queued),
        ("2", Some(JobState::Leased), ReceiptState::Processing),
        ("3", Some(JobState::Dead), ReceiptState::Dead),
        ("4", None, ReceiptState::Unknown),
    ] {
        let id = digit.repeat(32);
        if let Some(job) = job {
            world.set_job(world.shop, &id, job);
        }
        let receipt = receipts::get(&world.ops, &Actor::System, &shop(&id)).await.unwrap();
        assert_eq!((receipt.state, receipt.issue_id), (expected, None));
    }
}

#[tokio::test]
async fn a_receipt_outlives_its_events_day() {
    let world = World::new().await;
    let stored = world.store(&Stored::new(world.shop, "m", NOON));
    let end = |tx: &mut db::Tx<'_>| {
        let day = days::find_open(tx, NOON.day())?.expect("it received");
        days::end(tx, &day, Afterwards::Closed, NOON)
    };
    assert!(world.ops.stores.db.write_blocking(end).unwrap());
    let receipt = receipts::get(&world.ops, &Actor::System, &shop(&stored)).await.unwrap();
    let steps: Vec<&str> = receipt.steps.iter().map(|step| step.step).collect();
    assert_eq!((receipt.state, steps), (ReceiptState::Stored, vec!["received", "stored", "removed"]));
}

#[tokio::test]
async fn attachments_are_listed_and_read_through_their_event() {
    let world = World::new().await;
    let blob_key = world.ops.stores.blobs.put_bytes(b"hello").unwrap();
    let attachment = DigestAttachment {
        name: "a\r\nb.txt".into(),
        content_type: "text/html".into(),
        attachment_type: "event.attachment".into(),
        size_bytes: 5,
        blob_key,
    };
    let id = world.store(&Stored { attachments: vec![attachment], ..Stored::new(world.shop, "m", NOON) });
    let other = world.store(&Stored::new(world.shop, "m", NOON));
    let list = attachments::list(&world.ops, &Actor::System, &shop(&id)).await.unwrap();
    assert_eq!((list.len(), list[0].size_bytes), (1, 5));
    let content = attachments::download(&world.ops, &Actor::System, &shop(&id), list[0].id).await.unwrap();
    assert_eq!(content.bytes, b"hello");
    let wrong_event = attachments::download(&world.ops, &Actor::System, &shop(&other), list[0].id).await;
    assert_eq!(wrong_event.err().expect("another event's attachment").status(), 404);
}
