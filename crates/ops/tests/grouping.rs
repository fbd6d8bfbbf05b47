//! The lab and the import: what they tell, what they set, and what they refuse.

use ops::grouping::{self, Destination, ImportIssue, Trial};
use ops::issues::{self, IssueRef};
use ops::projects::ProjectRef;
use ops::{Actor, ApiError, Caller, project_settings};
use std::time::Duration;
use testkit::world::{NOON, Stored, World};

fn shop() -> ProjectRef {
    ProjectRef { org: "acme".into(), project: "shop".into() }
}

fn rules(stack_rules: &str, fingerprint_rules: &str) -> Trial {
    Trial {
        config: "newstyle:2026-01-20".into(),
        stack_rules: stack_rules.into(),
        fingerprint_rules: fingerprint_rules.into(),
        revision: 0,
        events: 100,
    }
}

/// Two issues of two events each. Their stored groups are the test world's, so that every trial gives them new hashes.
async fn world() -> World {
    let world = World::new().await;
    for (minute, message) in ["a", "a", "b", "b"].iter().enumerate() {
        let at = NOON.minus(Duration::from_secs(60 * minute as u64));
        world.store(&Stored::new(world.shop, message, at));
    }
    world.store(&Stored::new(world.lair, "a", NOON));
    world
}

fn assert_consistent(world: &World) {
    let findings = store::check::check(&world.ops.stores, &|_, _| false).unwrap();
    assert!(findings.iter().all(store::check::Finding::is_good), "{findings:?}");
}

#[tokio::test]
async fn a_trial_tells_which_issues_would_meet_and_changes_nothing() {
    let world = world().await;
    // All have one stack: by it they are one.
    let report = grouping::trial(&world.ops, &Actor::System, &shop(), rules("", "")).await.unwrap();
    assert_eq!((report.examined, report.unchanged, report.outcomes.len()), (4, 0, 2));
    for outcome in &report.outcomes {
        assert!(matches!(outcome.destinations[..], [(Destination::New { issues: 2, .. }, 2)]), "{outcome:?}");
    }
    let apart = rules("", "value:a -> one\nvalue:b -> two, {{ release }}");
    let report = grouping::trial(&world.ops, &Actor::System, &shop(), apart).await.unwrap();
    for outcome in &report.outcomes {
        assert!(matches!(outcome.destinations[..], [(Destination::New { issues: 1, .. }, 2)]), "{outcome:?}");
    }
    let settings = project_settings::get(&world.ops, &Actor::System, &shop()).await.unwrap();
    assert_eq!(settings.grouping, Default::default());
    assert_consistent(&world);
}

#[tokio::test]
async fn what_is_set_leads_new_hashes_to_the_issues_they_came_from() {
    let world = world().await;
    let apart = rules("", "value:a -> one\nvalue:b -> two");
    grouping::apply(&world.ops, &Caller::of_task("test"), &shop(), apart.clone()).await.unwrap();
    let report = grouping::trial(&world.ops, &Actor::System, &shop(), apart).await.unwrap();
    assert_eq!((report.examined, report.unchanged), (4, 4), "events to come find their issues");
    let settings = project_settings::get(&world.ops, &Actor::System, &shop()).await.unwrap();
    assert_eq!(
        (settings.grouping.revision, &*settings.grouping.fingerprint_rules),
        (1, "value:a -> one\nvalue:b -> two")
    );
    assert_consistent(&world);
}

#[tokio::test]
async fn rules_that_somebody_else_changed_meanwhile_are_not_overwritten() {
    let world = world().await;
    let caller = Caller::of_task("test");
    let (first, second) = (rules("", "value:a -> one"), rules("", "value:b -> two"));
    grouping::apply(&world.ops, &caller, &shop(), first.clone()).await.unwrap();
    let refused = grouping::apply(&world.ops, &caller, &shop(), second.clone()).await.unwrap_err();
    assert!(matches!(refused, ApiError::Conflict { .. }), "{refused}");
    let settings = project_settings::get(&world.ops, &Actor::System, &shop()).await.unwrap();
    assert_eq!(settings.grouping.fingerprint_rules, "value:a -> one");
    let report = grouping::trial(&world.ops, &Actor::System, &shop(), second.clone()).await.unwrap();
    let to_new = |outcome: &&grouping::Outcome| matches!(outcome.destinations[..], [(Destination::New { .. }, _)]);
    assert_eq!(report.outcomes.iter().filter(to_new).count(), 1, "no hash of what was refused leads anywhere");
    grouping::apply(&world.ops, &caller, &shop(), Trial { revision: 1, ..second }).await.unwrap();
    assert_consistent(&world);
}

#[tokio::test]
async fn rules_that_are_none_or_cost_too_much_are_refused() {
    let world = world().await;
    let reader = {
        world.person("bob@example.com", 1, "member", false).await;
        world.caller("bob@example.com", &["event:read", "project:read"]).await
    };
    for (trial, told) in [
        (rules("nonsense", ""), "line 1"),
        (rules("", "type:a -> b\n-> c"), "line 2"),
        (rules(&"function:a*{b,c}*{d,e}*f -group\n".repeat(1_900), ""), "16 KiB"),
        (rules("", &format!("message:*{}*b -> x\n", "a".repeat(3_000)).repeat(9)), "16 KiB"),
        (rules(&"#".repeat(300_000), ""), "256 KiB"),
        (Trial { config: "x".into(), ..rules("", "") }, "no configuration"),
    ] {
        let refused = grouping::trial(&world.ops, &Actor::System, &shop(), trial.clone()).await.unwrap_err();
        assert!(refused.detail().contains(told), "{}", refused.detail());
        assert!(grouping::apply(&world.ops, &Caller::of_task("test"), &shop(), trial).await.is_err());
    }
    let refused = grouping::apply(&world.ops, &reader, &shop(), rules("", "")).await.unwrap_err();
    assert_eq!(refused.status(), 403);
    let lair = ProjectRef { org: "evil".into(), project: "lair".into() };
    for refused in [
        grouping::trial(&world.ops, &reader, &lair, rules("", "")).await.map(|_| ()).unwrap_err(),
        grouping::import(&world.ops, &reader, &lair, Vec::new()).await.map(|_| ()).unwrap_err(),
    ] {
        assert!(matches!(refused.status(), 403 | 404), "{refused}");
    }
}

#[tokio::test]
async fn imported_hashes_lead_new_events_to_their_old_issues() {
    let world = World::new().await;
    // The group that the test world gives to events with this text.
    let key = "old".bytes().fold(7_i64, |key, byte| key.wrapping_mul(31) + i64::from(byte));
    let rows = |hash: &str| ImportIssue {
        hash: hash.to_owned(),
        source: "4711".into(),
        short_id: Some("SHOP-1A".into()),
        title: Some("<b>Old \"one\"\u{0}".into()),
        level: Some("50".into()),
        status: Some("1".into()),
        times_seen: Some(90_000),
        ..ImportIssue::default()
    };
    let first = format!("{key:016x}{:016x}", 0);
    let caller = Caller::of_task("test");
    let import = |issues| grouping::import(&world.ops, &caller, shop_ref(), issues);
    let done = import(vec![rows(&first), rows(&"ab".repeat(16))]).await.unwrap();
    assert_eq!((done.issues_created, done.hashes_linked, done.hashes_known), (1, 2, 0));
    let again = import(vec![rows(&first), rows(&"cd".repeat(16))]).await.unwrap();
    assert_eq!((again.issues_created, again.hashes_linked, again.hashes_known), (0, 1, 1), "the next part finds it");
    assert_consistent(&world);
    world.store(&Stored::new(world.shop, "old", NOON.plus(Duration::from_secs(5))));
    world.store(&Stored::new(world.shop, "new", NOON));
    let issue = |name: &str| IssueRef { org: Some("acme".into()), issue: name.to_owned() };
    let old = issues::get(&world.ops, &Actor::System, &issue("SHOP-1A")).await.unwrap();
    assert_eq!((old.event_count, &*old.level, old.status.as_str()), (1, "error", "unresolved"), "it came back");
    assert!(issues::get(&world.ops, &Actor::System, &issue("SHOP-1B")).await.is_ok(), "numbers go on after it");
    assert_consistent(&world);
    for (row, told) in [
        (ImportIssue { hash: "xyz".into(), ..rows("") }, "Row 1: the hash \"xyz\""),
        (ImportIssue { source: String::new(), ..rows(&first) }, "no name"),
        (ImportIssue { level: Some("loud".into()), ..rows(&first) }, "the level"),
        (ImportIssue { status: Some("7".into()), ..rows(&first) }, "the status"),
    ] {
        let Err(ApiError::Invalid { detail }) = import(vec![row]).await else { panic!("{told} was taken") };
        assert!(detail.contains(told), "{detail}");
    }
}

fn shop_ref() -> &'static ProjectRef {
    static SHOP: std::sync::OnceLock<ProjectRef> = std::sync::OnceLock::new();
    SHOP.get_or_init(shop)
}
