//! What belongs to others cannot be read, changed or told from what does not exist.

use ops::events::{EventRef, IssueEvent, ListIssueEvents, ListProjectEvents};
use ops::issues::{IssueRef, IssueStatus, ListIssues, UpdateIssues};
use ops::keys::{CreateKey, KeyRef};
use ops::members::MemberRef;
use ops::projects::{CreateProject, ProjectRef, UpdateProject};
use ops::statistics::ProjectStatistics;
use ops::{Actor, ApiError, Caller, Channel, PageRequest};
use testkit::world::{NOON, Stored, World};

fn status<T>(result: Result<T, ApiError>) -> u16 {
    result.err().map_or(200, |error| error.status())
}

/// Sends every operation about `evil/lair` and returns (name, status).
async fn try_everything(world: &World, actor: &Caller, event_id: &str) -> Vec<(&'static str, u16)> {
    let ops = &world.ops;
    let project = ProjectRef { org: "evil".into(), project: "lair".into() };
    let event = EventRef { project: project.clone(), event_id: event_id.into() };
    let issue = |org: Option<&str>| IssueRef { org: org.map(str::to_owned), issue: "1".into() };
    let page = PageRequest::default;
    let list = ListIssues { org: Some("evil".into()), ..ListIssues::default() };
    let update = |org: Option<&str>| UpdateIssues {
        org: org.map(str::to_owned),
        projects: vec![],
        issues: vec!["1".into()],
        status: IssueStatus::Resolved,
    };
    let key = KeyRef { project: project.clone(), key: "3".into() };
    let statistics =
        ProjectStatistics { project: project.clone(), since: None, until: None, resolution: Default::default() };
    let of_issue = |org| ListIssueEvents { issue: issue(org), environments: vec![], page: page() };
    let of_project = ListProjectEvents { project: project.clone(), page: page() };
    let changed = || UpdateProject::of(project.clone());
    let renamed = UpdateProject { name: Some("Mine".into()), ..changed() };
    let member = MemberRef { org: "evil".into(), member: "1".into() };
    let new_key = CreateKey { project: project.clone(), label: None };
    vec![
        ("organization", status(ops::organizations::get(ops, actor, "evil").await)),
        ("organization by id", status(ops::organizations::get(ops, actor, "2").await)),
        ("projects", status(ops::projects::list(ops, actor, Some("evil")).await)),
        ("project", status(ops::projects::get(ops, actor, &project).await)),
        ("names", status(ops::projects::names(ops, actor, &project).await)),
        ("settings", status(ops::project_settings::get(ops, actor, &project).await)),
        ("change settings", status(ops::project_settings::update(ops, actor, changed(), |_| Ok(())).await)),
        ("rename", status(ops::projects::update(ops, actor, renamed).await)),
        ("delete project", status(ops::projects::delete(ops, actor, &project).await)),
        ("members", status(ops::members::list(ops, actor, "evil").await)),
        ("member", status(ops::members::get(ops, actor, &member).await)),
        ("add member", status(ops::members::add(ops, actor, "evil", "ann@example.com", "member").await)),
        ("change member", status(ops::members::update(ops, actor, &member, "member").await)),
        ("remove member", status(ops::members::remove(ops, actor, &member).await)),
        ("audit log", status(ops::audit::list(ops, actor, Some("evil"), &page()).await)),
        ("preview", status(ops::project_settings::preview(ops, actor, &event, |_| Ok(())).await)),
        ("keys", status(ops::keys::list(ops, actor, &project).await)),
        ("key", status(ops::keys::get(ops, actor, &key).await)),
        ("create key", status(ops::keys::create(ops, actor, new_key).await)),
        ("delete key", status(ops::keys::delete(ops, actor, &key).await)),
        ("statistics", status(ops::statistics::project(ops, actor, &statistics).await)),
        ("issues", status(ops::issues::list(ops, actor, list).await)),
        ("issue", status(ops::issues::get(ops, actor, &issue(None)).await)),
        ("issue of org", status(ops::issues::get(ops, actor, &issue(Some("evil"))).await)),
        ("issue of own org", status(ops::issues::get(ops, actor, &issue(Some("acme"))).await)),
        ("tags", status(ops::issues::tags(ops, actor, &issue(None)).await)),
        ("activity", status(ops::issues::activity(ops, actor, &issue(None)).await)),
        ("resolve", status(ops::issues::update(ops, actor, update(None)).await)),
        ("resolve in own org", status(ops::issues::update(ops, actor, update(Some("acme"))).await)),
        ("issue events", status(ops::events::list_of_issue(ops, actor, of_issue(None)).await)),
        ("latest", status(ops::events::get_of_issue(ops, actor, &issue(None), &IssueEvent::Latest).await)),
        ("project events", status(ops::events::list_of_project(ops, actor, of_project).await)),
        ("event", status(ops::events::get(ops, actor, &event).await)),
        ("raw", status(ops::events::raw_json(ops, actor, &event).await)),
        ("receipt", status(ops::receipts::get(ops, actor, &event).await)),
        ("attachments", status(ops::attachments::list(ops, actor, &event).await)),
        ("download", status(ops::attachments::download(ops, actor, &event, 1).await)),
    ]
}

#[tokio::test]
async fn another_organization_is_not_there() {
    let world = World::new().await;
    let event_id = world.store(&Stored::new(world.lair, "secret", NOON));
    world.person("ann@example.com", 1, "owner", false).await;
    let ann = world.caller("ann@example.com", &[]).await;
    for (name, status) in try_everything(&world, &ann, &event_id).await {
        assert_eq!(status, 404, "{name}");
    }
    for (name, status) in try_everything(&world, &Caller::new(Actor::Anonymous, Channel::Api), &event_id).await {
        assert_eq!(status, 401, "{name}");
    }
    let all = ops::issues::list(&world.ops, &ann, ListIssues::default()).await.unwrap();
    assert_eq!(all.items.len(), 0);
    assert_eq!(ops::organizations::list(&world.ops, &ann).await.unwrap().len(), 1);
    assert_eq!(ops::projects::list(&world.ops, &ann, None).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_event_is_reached_through_its_own_project_only() {
    let world = World::new().await;
    let event_id = world.store(&Stored::new(world.lair, "secret", NOON));
    world.store(&Stored::new(world.site, "m", NOON));
    for project in ["shop", "site", "3", "lair"] {
        let project = ProjectRef { org: "acme".into(), project: project.into() };
        let event = EventRef { project, event_id: event_id.clone() };
        assert_eq!(status(ops::events::get(&world.ops, &Actor::System, &event).await), 404);
    }
    let update = UpdateIssues {
        org: Some("acme".into()),
        projects: vec!["shop".into()],
        issues: vec!["1".into(), "2".into()],
        status: IssueStatus::Resolved,
    };
    assert!(ops::issues::update(&world.ops, &Actor::System, update).await.unwrap().is_empty());
}

#[tokio::test]
async fn scopes_and_roles_both_bound_what_a_token_may() {
    let world = World::new().await;
    let event_id = world.store(&Stored::new(world.lair, "m", NOON));
    world.person("ann@example.com", 2, "owner", false).await;
    world.person("bob@example.com", 2, "member", false).await;
    let reader = world.caller("ann@example.com", &["event:read"]).await;
    for (name, status) in try_everything(&world, &reader, &event_id).await {
        let expected = match name {
            "issues" | "issue" | "issue of org" | "tags" | "activity" | "issue events" | "latest"
            | "project events" | "event" | "raw" | "receipt" | "attachments" => 200,
            "issue of own org" | "download" => 404,
            _ => 403,
        };
        assert_eq!(status, expected, "{name}");
    }
    // A member's token may name every scope; the role still decides.
    let member = world.caller("bob@example.com", &[]).await;
    let key = CreateKey { project: ProjectRef { org: "evil".into(), project: "lair".into() }, label: None };
    assert_eq!(status(ops::keys::create(&world.ops, &member, key).await), 403);
    let project = CreateProject { org: "evil".into(), slug: "new".into(), name: None, platform: None };
    assert_eq!(status(ops::projects::create(&world.ops, &member, project).await), 403);
    assert_eq!(status(ops::queues::list(&world.ops, &member).await), 403);
    assert_eq!(status(ops::status::get(&world.ops, &member).await), 403);
    assert_eq!(status(ops::users::list(&world.ops, &member).await), 403);
}

#[tokio::test]
async fn a_superuser_reaches_everything_within_the_tokens_scopes() {
    let world = World::new().await;
    let event_id = world.store(&Stored::new(world.lair, "m", NOON));
    world.superuser("root@example.com").await;
    let root = world.caller("root@example.com", &[]).await;
    let event = EventRef { project: ProjectRef { org: "2".into(), project: "3".into() }, event_id };
    assert_eq!(status(ops::events::get(&world.ops, &root, &event).await), 200);
    assert_eq!(status(ops::status::get(&world.ops, &root).await), 200);
    let narrow = world.caller("root@example.com", &["project:read"]).await;
    assert_eq!(status(ops::events::get(&world.ops, &narrow, &event).await), 403);
    assert_eq!(status(ops::queues::list(&world.ops, &narrow).await), 403);
}
