//! Issue lists, tags, series and changes of status.

use ops::issues::{IssueRef, IssueSort, IssueStatus, ListIssues, SeriesPeriod, UpdateIssues};
use ops::{Actor, Page, PageRequest, issues};
use std::time::Duration;
use stdx::Timestamp;
use testkit::world::{NOON, Stored, World};

fn minutes_ago(minutes: u64) -> Timestamp {
    NOON.minus(Duration::from_secs(minutes * 60))
}

fn list(query: &str) -> ListIssues {
    ListIssues { org: Some("acme".into()), query: Some(query.into()), ..ListIssues::default() }
}

async fn titles(world: &World, input: ListIssues) -> Vec<String> {
    let page = issues::list(&world.ops, &Actor::System, input).await.unwrap();
    page.items.into_iter().map(|issue| issue.title.replace("ValueError: ", "")).collect()
}

#[tokio::test]
async fn pages_lead_forward_and_back_by_their_cursors() {
    let world = World::new().await;
    for number in 0..7 {
        world.store(&Stored::new(world.shop, &format!("m{number}"), minutes_ago(number)));
    }
    let page = |cursor: Option<String>| {
        let input = ListIssues { page: PageRequest { cursor, limit: Some(3) }, ..list("") };
        async { issues::list(&world.ops, &Actor::System, input).await.unwrap() }
    };
    let names = |page: &Page<issues::Issue>| -> Vec<String> {
        page.items.iter().map(|issue| issue.title.replace("ValueError: ", "")).collect()
    };
    let first = page(None).await;
    assert_eq!(
        (names(&first), first.previous.has_results, first.next.has_results),
        (vec!["m0".into(), "m1".into(), "m2".into()], false, true)
    );
    // A new issue moves nothing of what comes next.
    world.store(&Stored::new(world.shop, "new", NOON));
    let second = page(Some(first.next.cursor.clone())).await;
    assert_eq!((names(&second), second.previous.has_results), (vec!["m3".into(), "m4".into(), "m5".into()], true));
    let third = page(Some(second.next.cursor.clone())).await;
    assert_eq!((names(&third), third.next.has_results), (vec!["m6".to_owned()], false));
    let back = page(Some(third.previous.cursor.clone())).await;
    assert_eq!((names(&back), back.next.has_results, back.previous.has_results), (names(&second), true, true));
    let empty = page(Some(third.next.cursor.clone())).await;
    assert_eq!((empty.items.len(), empty.next.has_results, empty.previous.has_results), (0, false, true));
    assert_eq!(names(&page(Some(empty.previous.cursor.clone())).await), ["m4", "m5", "m6"]);
}

#[tokio::test]
async fn no_query_means_unresolved_and_an_empty_one_all() {
    let world = World::new().await;
    for (number, message) in ["open", "done", "muted"].into_iter().enumerate() {
        world.store(&Stored::new(world.shop, message, minutes_ago(number as u64)));
    }
    let update = |id: &str, status| UpdateIssues { org: None, projects: vec![], issues: vec![id.into()], status };
    issues::update(&world.ops, &Actor::System, update("2", IssueStatus::Resolved)).await.unwrap();
    issues::update(&world.ops, &Actor::System, update("SHOP-3", IssueStatus::Ignored)).await.unwrap();
    assert_eq!(titles(&world, ListIssues { query: None, ..list("") }).await, ["open"]);
    assert_eq!(titles(&world, list("")).await, ["open", "done", "muted"]);
    assert_eq!(titles(&world, list("is:resolved")).await, ["done"]);
    assert_eq!(titles(&world, list("issue:SHOP-3")).await, ["muted"]);
    assert_eq!(titles(&world, list("is:resolved issue:SHOP-3")).await, Vec::<String>::new());

    // A newer event reopens; one that was received before the change does not.
    world.store(&Stored::new(world.shop, "done", minutes_ago(1)));
    assert_eq!(titles(&world, list("is:unresolved")).await, ["open"]);
    world.store(&Stored::new(world.shop, "done", NOON.plus(Duration::from_secs(1))));
    assert_eq!(titles(&world, list("is:unresolved")).await, ["done", "open"]);
    let history = issues::activity(&world.ops, &Actor::System, &reference("2")).await.unwrap();
    let kinds: Vec<&str> = history.iter().map(|line| line.kind.as_str()).collect();
    assert_eq!(kinds, ["set_regression", "set_resolved", "first_seen"]);
}

fn reference(issue: &str) -> IssueRef {
    IssueRef { org: None, issue: issue.into() }
}

#[tokio::test]
async fn filters_and_sorts_answer_what_they_say() {
    let world = World::new().await;
    world.store(&Stored { environment: "dev", release: Some("1.0"), ..Stored::new(world.shop, "one", minutes_ago(9)) });
    world.store(&Stored { release: Some("1.1"), ..Stored::new(world.shop, "two", minutes_ago(8)) });
    world.store(&Stored { release: Some("2.0"), ..Stored::new(world.site, "two", minutes_ago(7)) });
    for minute in 0..3 {
        world.store(&Stored {
            tags: vec![("os".into(), "Linux".into())],
            ..Stored::new(world.site, "three", minutes_ago(20 + minute))
        });
    }
    assert_eq!(titles(&world, list("")).await, ["two", "two", "one", "three"]);
    assert_eq!(titles(&world, ListIssues { projects: vec!["shop".into()], ..list("") }).await, ["two", "one"]);
    assert_eq!(titles(&world, ListIssues { sort: IssueSort::Freq, ..list("") }).await[0], "three");
    assert_eq!(titles(&world, ListIssues { sort: IssueSort::New, ..list("") }).await, ["two", "two", "one", "three"]);
    assert_eq!(titles(&world, ListIssues { environments: vec!["dev".into()], ..list("") }).await, ["one"]);
    assert_eq!(titles(&world, list("environment:dev")).await, ["one"]);
    assert_eq!(titles(&world, list("release:1.*")).await, ["two", "one"]);
    assert_eq!(titles(&world, list("first-release:2.0")).await, ["two"]);
    assert_eq!(titles(&world, list("!has:browser")).await, ["three"]);
    assert_eq!(titles(&world, list("os:Linux level:error")).await, ["three"]);
    assert_eq!(titles(&world, list("TWO")).await, ["two", "two"]);
    assert_eq!(titles(&world, list("%")).await, Vec::<String>::new());
    assert_eq!(titles(&world, list("'; DELETE FROM issue; --")).await, Vec::<String>::new());
    assert_eq!(titles(&world, list("")).await.len(), 4);
}

#[tokio::test]
async fn bad_input_is_refused_by_name() {
    let world = World::new().await;
    let refused =
        |input: ListIssues| async { issues::list(&world.ops, &Actor::System, input).await.expect_err("refused") };
    assert!(refused(list("is:nonsense")).await.detail().contains("is:nonsense"));
    let forged = PageRequest { cursor: Some("0:0:7; DROP TABLE issue".into()), limit: None };
    assert_eq!(refused(ListIssues { page: forged, ..list("") }).await.status(), 400);
    assert_eq!(refused(ListIssues { projects: vec!["lair".into()], ..list("") }).await.status(), 404);
    let extreme = PageRequest { cursor: Some(format!("{}:{}:1", i64::MIN, i64::MAX)), limit: Some(usize::MAX) };
    assert!(titles(&world, ListIssues { page: extreme, ..list("") }).await.is_empty());
}

#[tokio::test]
async fn series_tags_and_counts_belong_to_the_issue() {
    let world = World::new().await;
    for minute in [1, 2, 90] {
        world.store(&Stored::new(world.shop, "m", minutes_ago(minute)));
    }
    let input = ListIssues { series: Some(SeriesPeriod::Day), ..list("") };
    let page = issues::list(&world.ops, &Actor::System, input).await.unwrap();
    let issue = &page.items[0];
    let (_, series) = issue.series.as_ref().expect("a series was asked for");
    let counts: Vec<i64> = series.iter().map(|(_, count)| *count).collect();
    assert_eq!((counts.len(), &counts[21..], issue.event_count), (24, &[1, 2, 0][..], 3));
    assert_eq!((issue.short_id.as_str(), issue.permalink.as_str()), ("SHOP-1", "http://vigie.test:9000/issues/1/"));

    let tags = issues::tags(&world.ops, &Actor::System, &reference("1")).await.unwrap();
    assert_eq!(
        (tags[0].key.as_str(), tags[0].event_count, tags[0].values[0].value.as_str()),
        ("browser", 3, "Firefox")
    );
    assert_eq!(issues::tag(&world.ops, &Actor::System, &reference("1"), "nope").await.expect_err("none").status(), 404);
}
