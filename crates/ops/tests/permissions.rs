//! Permissions of superusers: given, taken, asked for, and noted.

use ops::queues::SendCall;
use ops::tokens::CreateToken;
use ops::users::{CreateUser, UpdateUser};
use ops::{Actor, ApiError, Caller, Channel, PageRequest, Permission, audit, permissions, users};
use testkit::world::World;

fn cli() -> Caller {
    Caller::of_command("cli")
}

fn text<T: std::fmt::Debug>(result: Result<T, ApiError>) -> (u16, String) {
    let error = result.expect_err("refused");
    (error.status(), error.detail())
}

async fn held(world: &World, user: &str) -> Vec<&'static str> {
    permissions::list(&world.ops, &Actor::System, user).await.unwrap().permissions.names()
}

/// (action, target, detail, actor, channel), the newest first.
async fn log(world: &World) -> Vec<(String, String, String, String, String)> {
    let page = audit::list(&world.ops, &Actor::System, None, &PageRequest::default()).await.unwrap();
    let row = |entry: audit::Entry| (entry.action, entry.target, entry.detail, entry.actor, entry.channel);
    page.items.into_iter().map(row).collect()
}

#[tokio::test]
async fn giving_and_taking_is_idempotent_sorted_and_noted_once() {
    let world = World::new().await;
    world.superuser("root@example.com").await;
    let everything = ["broadcasts.admin", "options.admin", "projects.admin", "queues.admin", "users.admin"];
    assert_eq!(held(&world, "root@example.com").await, everything);
    let before = log(&world).await.len();
    for expected in [true, false] {
        let changed = permissions::remove(&world.ops, &cli(), "Root@Example.com", "queues.admin").await.unwrap();
        assert_eq!((changed.is_changed, changed.email.as_str()), (expected, "root@example.com"));
    }
    for expected in [true, false] {
        let changed = permissions::add(&world.ops, &cli(), "Root", "queues.admin").await.unwrap();
        assert_eq!(changed.is_changed, expected);
    }
    assert_eq!(held(&world, "root@example.com").await, everything);
    let log = log(&world).await;
    let entry = |action: &str| [action, "root@example.com", "queues.admin", "system:cli", "cli"].map(str::to_owned);
    let noted: Vec<[String; 5]> =
        log[..log.len() - before].iter().cloned().map(|(a, b, c, d, e)| [a, b, c, d, e]).collect();
    assert_eq!(noted, [entry("permission.add"), entry("permission.remove")]);
}

#[tokio::test]
async fn each_wrong_use_has_its_own_words() {
    let world = World::new().await;
    world.superuser("root@example.com").await;
    world.superuser("root@example.org").await;
    world.person("ann@example.com", 1, "owner", false).await;
    let add = |user: &'static str, permission: &'static str| {
        let ops = world.ops.clone();
        async move { text(permissions::add(&ops, &cli(), user, permission).await).1 }
    };
    assert_eq!(add("nobody@example.com", "users.admin").await, "No user matching `nobody@example.com`");
    assert_eq!(add("Root", "users.admin").await, "Found more than one user matching `Root`");
    assert_eq!(add("ann@example.com", "users.admin").await, "User `ann@example.com` does not have superuser status");
    assert!(add("root@example.com", "user.admin").await.contains("Did you mean users.admin?"));
    assert_eq!(held(&world, "ann@example.com").await, [""; 0]);
}

#[tokio::test]
async fn nobody_is_taken_for_another_by_the_name_they_gave_themselves() {
    let world = World::new().await;
    let id = world.superuser("mallory@example.com").await;
    let mallory = world.caller("mallory@example.com", &[]).await;
    let posing = UpdateUser { id: "me".into(), name: Some("boss@example.com".into()), ..UpdateUser::default() };
    assert_eq!(users::update(&world.ops, &mallory, posing).await.unwrap().id, id);
    let found = permissions::add(&world.ops, &cli(), "boss@example.com", "users.admin").await;
    assert_eq!(text(found).1, "No user matching `boss@example.com`");
}

#[tokio::test]
async fn every_act_asks_for_its_permission_and_says_so() {
    let world = World::new().await;
    world.superuser("root@example.com").await;
    world.superuser("other@example.com").await;
    for permission in Permission::all() {
        permissions::remove(&world.ops, &cli(), "root@example.com", permission.as_str()).await.unwrap();
    }
    let (ops, root) = (&world.ops, world.caller("root@example.com", &[]).await);
    let letters = ops::dead_letters::Selection::All;
    let send = SendCall {
        task: "debug.echo".into(),
        queue: "debug".into(),
        call: queue::call::Call::default(),
        delay: std::time::Duration::ZERO,
        priority: 5,
    };
    let person = CreateUser {
        email: "new@example.com".into(),
        name: None,
        password: None,
        is_superuser: Some(true),
        org: None,
        force_update: false,
    };
    let token = CreateToken { email: Some("other@example.com".into()), scopes: Vec::new() };
    let org = ops::organizations::CreateOrganization { slug: "new".into(), name: "New".into() };
    let raised = UpdateUser { id: "me".into(), is_superuser: Some(true), ..UpdateUser::default() };
    let refusals = [
        ("queues.admin", text(ops::queues::pause(ops, &root, "events").await)),
        ("queues.admin", text(ops::queues::resume(ops, &root, "events").await)),
        ("queues.admin", text(ops::queues::purge(ops, &root, "events").await)),
        ("queues.admin", text(ops::queues::send(ops, &root, send).await)),
        ("queues.admin", text(ops::dead_letters::retry(ops, &root, &letters).await)),
        ("queues.admin", text(ops::dead_letters::discard(ops, &root, &letters).await)),
        ("users.admin", text(users::create(ops, &root, person).await)),
        ("users.admin", text(users::update(ops, &root, raised).await)),
        ("users.admin", text(users::delete(ops, &root, "2", false).await)),
        ("users.admin", text(permissions::add(ops, &root, "root@example.com", "users.admin").await)),
        ("users.admin", text(permissions::remove(ops, &root, "other@example.com", "users.admin").await)),
        ("users.admin", text(ops::tokens::create(ops, &root, token).await)),
        ("projects.admin", text(ops::organizations::create(ops, &root, org).await)),
    ];
    for (permission, (status, detail)) in refusals {
        assert_eq!(status, 403, "{detail}");
        assert!(detail.contains(&format!("It needs the permission {permission}:")), "{detail}");
    }
    // Looking needs no permission, and what is given counts at once.
    ops::queues::list(ops, &root).await.unwrap();
    permissions::add(ops, &cli(), "root@example.com", "queues.admin").await.unwrap();
    let root = world.caller("root@example.com", &[]).await;
    ops::queues::pause(ops, &root, "events").await.unwrap();
    let newest = log(&world).await.remove(0);
    assert_eq!(
        (newest.0.as_str(), newest.1.as_str(), newest.3.as_str()),
        ("queue.pause", "events", "root@example.com")
    );
}

#[tokio::test]
async fn a_superuser_without_projects_admin_reads_other_organizations_and_changes_nothing_there() {
    let world = World::new().await;
    let id = world.superuser("root@example.com").await;
    let db = &world.ops.stores.db;
    db.write_blocking(|tx| store::members::remove(tx, 2, id).map(|_| ())).unwrap();
    let project = ops::projects::ProjectRef { org: "evil".into(), project: "lair".into() };
    let root = world.caller("root@example.com", &[]).await;
    ops::projects::delete(&world.ops, &root, &project).await.unwrap();

    permissions::remove(&world.ops, &cli(), "root@example.com", "projects.admin").await.unwrap();
    let root = world.caller("root@example.com", &[]).await;
    ops::members::list(&world.ops, &root, "evil").await.unwrap();
    let (status, detail) = text(ops::members::add(&world.ops, &root, "evil", "root@example.com", "owner").await);
    assert!(status == 403 && detail.contains("projects.admin"), "{detail}");
    // In an organization of one's own the role is enough.
    let own = ops::projects::ProjectRef { org: "acme".into(), project: "site".into() };
    ops::projects::delete(&world.ops, &root, &own).await.unwrap();
}

#[tokio::test]
async fn who_stops_being_a_superuser_loses_all_and_the_last_one_stays() {
    let world = World::new().await;
    let first = world.superuser("root@example.com").await.to_string();
    let change = |id: &str, superuser: Option<bool>, active: Option<bool>| UpdateUser {
        id: id.into(),
        name: None,
        is_superuser: superuser,
        is_active: active,
    };
    for attempt in [change(&first, Some(false), None), change(&first, None, Some(false))] {
        assert_eq!(text(users::update(&world.ops, &cli(), attempt).await).0, 403);
    }
    assert_eq!(text(users::delete(&world.ops, &cli(), &first, true).await).0, 403);
    let again = CreateUser {
        email: "root@example.com".into(),
        name: None,
        password: None,
        is_superuser: Some(false),
        org: None,
        force_update: true,
    };
    assert_eq!(text(users::create(&world.ops, &cli(), again).await).0, 403);
    world.superuser("other@example.com").await;
    users::update(&world.ops, &cli(), change(&first, Some(false), None)).await.unwrap();
    assert_eq!(held(&world, "root@example.com").await, [""; 0]);
    users::update(&world.ops, &cli(), change(&first, Some(true), None)).await.unwrap();
    assert_eq!(held(&world, "root@example.com").await.len(), 5);
}

#[tokio::test]
async fn a_deactivated_person_is_out_at_once() {
    let world = World::new().await;
    world.superuser("root@example.com").await;
    let id = world.person("ann@example.com", 1, "member", false).await.to_string();
    let token = world.token("ann@example.com", &[]).await;
    let off = UpdateUser { id, is_active: Some(false), ..UpdateUser::default() };
    users::update(&world.ops, &cli(), off).await.unwrap();
    assert_eq!(text(ops::tokens::authenticate(&world.ops, &token).await).0, 401);
}

#[tokio::test]
async fn people_change_their_own_name_and_nothing_else() {
    let world = World::new().await;
    let ann_id = world.person("ann@example.com", 1, "owner", false).await;
    let bob_id = world.person("bob@example.com", 1, "member", false).await.to_string();
    let ann = world.caller("ann@example.com", &[]).await;
    let rename = |id: &str| UpdateUser { id: id.into(), name: Some(" Ann ".into()), ..UpdateUser::default() };
    let user = users::update(&world.ops, &ann, rename("me")).await.unwrap();
    assert_eq!((user.id, user.name.as_str()), (ann_id, "Ann"));
    assert_eq!(text(users::update(&world.ops, &ann, rename(&bob_id)).await).0, 404);
    assert_eq!(text(users::update(&world.ops, &ann, rename("999")).await).0, 404);
    let raised = UpdateUser { id: "me".into(), is_superuser: Some(true), ..UpdateUser::default() };
    assert_eq!(text(users::update(&world.ops, &ann, raised).await).0, 403);
    assert_eq!(text(users::delete(&world.ops, &ann, "me", false).await).0, 403);
    let hostile = UpdateUser { id: "me".into(), name: Some("a\u{1b}[2J".into()), ..UpdateUser::default() };
    assert_eq!(text(users::update(&world.ops, &ann, hostile).await).0, 400);
    let nobody = Caller::new(Actor::Anonymous, Channel::Api);
    assert_eq!(text(users::update(&world.ops, &nobody, rename("me")).await).0, 401);
}
