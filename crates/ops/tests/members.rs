//! Members and projects change by those who may, never above their own role, and an organization keeps an owner.

use ops::members::{self, MemberRef};
use ops::projects::{self, ProjectRef, UpdateProject};
use ops::{Actor, ApiError, Caller, PageRequest, Role, audit};
use testkit::world::World;

fn status<T>(result: Result<T, ApiError>) -> u16 {
    result.err().map_or(200, |error| error.status())
}

fn member(id: impl ToString) -> MemberRef {
    MemberRef { org: "acme".into(), member: id.to_string() }
}

#[tokio::test]
async fn nobody_gives_or_ends_a_role_above_their_own() {
    let world = World::new().await;
    let owner = world.person("ann@example.com", 1, "owner", false).await;
    world.person("max@example.com", 1, "manager", false).await;
    let bob = world.person("bob@example.com", 1, "member", false).await;
    world.person("eve@example.com", 2, "member", false).await;
    let (ops, max) = (&world.ops, world.caller("max@example.com", &[]).await);
    assert_eq!(status(members::update(ops, &max, &member("me"), "owner").await), 403);
    assert_eq!(status(members::update(ops, &max, &member(bob), "owner").await), 403);
    assert_eq!(status(members::update(ops, &max, &member(owner), "member").await), 403);
    assert_eq!(status(members::remove(ops, &max, &member(owner)).await), 403);
    assert_eq!(status(members::add(ops, &max, "acme", "eve@example.com", "owner").await), 403);
    assert_eq!(status(members::update(ops, &max, &member(bob), "king").await), 400);
    let changed = members::update(ops, &max, &member(bob), "admin").await.unwrap();
    assert_eq!(changed.role, Role::Admin);
    let added = members::add(ops, &max, "acme", "Eve@example.com ", "manager").await.unwrap();
    assert_eq!((added.email.as_str(), added.role), ("eve@example.com", Role::Manager));
    assert_eq!(status(members::add(ops, &max, "acme", "eve@example.com", "member").await), 409);
    assert_eq!(status(members::add(ops, &max, "acme", "no@example.com", "member").await), 400);
    // An admin reads the members, and may only leave.
    let bobs = world.caller("bob@example.com", &[]).await;
    assert_eq!(members::list(ops, &bobs, "acme").await.unwrap().len(), 4);
    assert_eq!(status(members::remove(ops, &bobs, &member(added.user_id)).await), 403);
    members::remove(ops, &bobs, &member("me")).await.unwrap();
    assert_eq!(status(members::list(ops, &world.actor("bob@example.com", &[]).await, "acme").await), 404);
}

#[tokio::test]
async fn the_only_owner_stays() {
    let world = World::new().await;
    let ann = world.person("ann@example.com", 1, "owner", false).await;
    let (ops, caller) = (&world.ops, world.caller("ann@example.com", &[]).await);
    for (name, refused) in [
        ("step down", status(members::update(ops, &caller, &member("me"), "admin").await)),
        ("leave", status(members::remove(ops, &caller, &member("me")).await)),
        ("be deleted", status(ops::users::delete(ops, &Caller::of_command("cli"), &ann.to_string(), false).await)),
    ] {
        assert_eq!(refused, 403, "{name}");
    }
    world.person("bob@example.com", 1, "owner", false).await;
    members::remove(ops, &caller, &member("me")).await.unwrap();
}

#[tokio::test]
async fn a_project_is_renamed_found_by_its_old_slug_and_deleted() {
    let world = World::new().await;
    world.person("ann@example.com", 1, "owner", false).await;
    world.person("bob@example.com", 1, "admin", false).await;
    let (ops, ann) = (&world.ops, world.caller("ann@example.com", &[]).await);
    let shop = |slug: &str| ProjectRef { org: "acme".into(), project: slug.into() };
    let change = |slug: Option<&str>, name: Option<&str>| UpdateProject {
        project: shop("shop"),
        slug: slug.map(str::to_owned),
        name: name.map(str::to_owned),
        platform: None,
    };
    for (input, expected) in [
        (change(Some("site"), None), 409),
        (change(Some("No Slug"), None), 400),
        (change(Some("123"), None), 400),
        (change(None, Some("")), 400),
        (change(None, Some(&"x".repeat(201))), 400),
    ] {
        assert_eq!(status(projects::update(ops, &ann, input.clone()).await), expected, "{input:?}");
    }
    let renamed = projects::update(ops, &ann, change(Some("store"), Some("<b>Store</b>"))).await.unwrap();
    assert_eq!((renamed.slug.as_str(), renamed.name.as_str()), ("store", "<b>Store</b>"));
    assert_eq!(projects::get(ops, &ann, &shop("shop")).await.unwrap().id, world.shop);

    let bob = world.caller("bob@example.com", &[]).await;
    assert_eq!(status(projects::delete(ops, &bob, &shop("store")).await), 403);
    let key = ops::keys::list(ops, &ann, &shop("store")).await.unwrap().remove(0);
    projects::delete(ops, &ann, &shop("store")).await.unwrap();
    for gone in ["store", "shop", "1"] {
        assert_eq!(status(projects::get(ops, &ann, &shop(gone)).await), 404, "{gone}");
    }
    let found = ops.stores.db.read_blocking(|tx| store::keys::find(tx, &key.public_key)).unwrap();
    assert!(found.is_none(), "the DSN is refused");
    // The slug is free again.
    let again = projects::CreateProject { org: "acme".into(), slug: "store".into(), name: None, platform: None };
    assert_ne!(projects::create(ops, &ann, again).await.unwrap().id, world.shop);
}

#[tokio::test]
async fn an_organization_reads_its_own_log_page_by_page() {
    let world = World::new().await;
    world.person("ann@example.com", 1, "owner", false).await;
    world.person("bob@example.com", 1, "member", false).await;
    let (ops, ann) = (&world.ops, world.caller("ann@example.com", &[]).await);
    for role in ["admin", "member", "manager"] {
        let bob = members::list(ops, &ann, "acme").await.unwrap()[1].user_id;
        members::update(ops, &ann, &member(bob), role).await.unwrap();
    }
    let request = |cursor: Option<String>| PageRequest { cursor, limit: Some(2) };
    let first = audit::list(ops, &ann, Some("acme"), &request(None)).await.unwrap();
    let details = |page: &ops::Page<audit::Entry>| -> Vec<String> {
        page.items.iter().map(|entry| entry.detail.clone()).collect()
    };
    assert_eq!(details(&first), ["member to manager", "admin to member"]);
    let second = audit::list(ops, &ann, Some("acme"), &request(Some(first.next.cursor.clone()))).await.unwrap();
    assert_eq!(second.items[0].detail, "member to admin");
    assert!(second.items.iter().all(|entry| entry.org_id == Some(1)));
    let back = audit::list(ops, &ann, Some("acme"), &request(Some(second.previous.cursor.clone()))).await.unwrap();
    assert_eq!(details(&back), details(&first));
    // What is not of an organization is for superusers, and another organization's log is not there.
    assert_eq!(status(audit::list(ops, &ann, None, &request(None)).await), 403);
    assert_eq!(status(audit::list(ops, &ann, Some("evil"), &request(None)).await), 404);
    let bob = world.caller("bob@example.com", &["org:read"]).await;
    assert_eq!(status(audit::list(ops, &bob, Some("acme"), &request(None)).await), 403);
    assert_eq!(status(audit::list(ops, &Actor::Anonymous, None, &request(None)).await), 401);
}
