//! Who gets to see what.

use super::browser::Browser;
use axum::http::StatusCode;
use testkit::world::{NOON, Stored, World};

const PRIVATE: [&str; 11] = [
    "/",
    "/issues/1/",
    "/issues/1/events/",
    "/issues/1/events/latest/",
    "/issues/1/merged/",
    "/projects/",
    "/projects/new/",
    "/projects/acme/shop/",
    "/projects/acme/shop/grouping/",
    "/settings/account/",
    "/system/",
];

#[tokio::test]
async fn strangers_are_sent_to_the_login_page_and_back() {
    let world = World::new().await;
    world.store(&Stored::new(world.shop, "private", NOON));
    let browser = Browser::of(&world);
    for path in PRIVATE {
        let answer = browser.get(&format!("{path}?a=b")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        let next = format!("{path}?a=b").replace('/', "%2F").replace('?', "%3F").replace('=', "%3D");
        assert_eq!(answer.location(), format!("/auth/login/?next={next}"));
    }
    let answer = browser.post("/issues/update/", &[("id", "1"), ("status", "resolved")]).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/auth/login/"));
}

#[tokio::test]
async fn members_see_their_organization_and_nothing_of_others() {
    let world = World::new().await;
    world.store(&Stored::new(world.shop, "of the shop", NOON));
    let theirs = world.store(&Stored::new(world.lair, "of the lair", NOON));
    let browser = Browser::of_member(&world).await;
    let list = browser.read("/?query=").await;
    assert!(list.contains("of the shop") && !list.contains("of the lair"));
    for path in [
        "/issues/2/",
        "/issues/2/events/",
        "/issues/2/merged/",
        &format!("/issues/2/events/{theirs}/json/"),
        "/projects/evil/lair/",
    ] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.text().contains("There is nothing at this address"), "{path}");
    }
    // An event of another project is not to be had through an issue of ours either.
    let borrowed = browser.get(&format!("/issues/1/events/{theirs}/")).await;
    assert_eq!(borrowed.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_system_page_is_for_superusers() {
    let world = World::new().await;
    let id = world.store(&Stored::new(world.shop, "boom", NOON));
    let member = Browser::of_member(&world).await;
    let root = Browser::of_superuser(&world).await;
    let tabs =
        ["", "queues/", "workers/", "dead-letters/", "dead-letters/export/", "schedules/", "storage/", "events/"];
    for tab in tabs {
        let path = format!("/system/{tab}");
        assert_eq!(member.get(&path).await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(root.get(&path).await.status, StatusCode::OK, "{path}");
    }
    let page = root.read("/system/").await;
    assert!(page.contains("Event lookup") && page.contains("<td>error</td>"), "outcomes are counted");
    let found = root.read(&format!("/system/events/?event={id}")).await;
    assert!(found.contains("acme/shop") && found.contains("stored"));
    assert!(root.read("/system/events/?event=00000000000000000000000000000001").await.contains("No project knows"));
}

#[tokio::test]
async fn only_superusers_act_on_queues_and_a_purge_must_be_meant() {
    let world = World::new().await;
    let member = Browser::of_member(&world).await;
    let root = Browser::of_superuser(&world).await;
    let pause: &[(&str, &str)] = &[("queue", "events"), ("act", "pause")];
    let purge: &[(&str, &str)] = &[("queue", "events"), ("sure", "yes")];
    let letters: &[(&str, &str)] = &[("act", "retry"), ("id", "1-abc")];
    for (path, form) in [("queues/pause", pause), ("queues/purge", purge), ("dead-letters/act", letters)] {
        let path = format!("/system/{path}/");
        assert_eq!(member.post(&path, form).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(root.post("/system/queues/pause/", pause).await.location(), "/system/queues/");
    assert_eq!(root.post("/system/queues/purge/", purge).await.location(), "/system/queues/?purged=0");
    assert_eq!(root.post("/system/queues/purge/", &pause[..1]).await.status, StatusCode::BAD_REQUEST);
    let unknown: &[(&str, &str)] = &[("queue", "none"), ("act", "pause")];
    assert_eq!(root.post("/system/queues/pause/", unknown).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(root.post("/system/dead-letters/act/", letters).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_session_ends_when_it_is_ended() {
    let world = World::new().await;
    let browser = Browser::of_member(&world).await;
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
    assert_eq!(browser.post("/auth/logout/", &[]).await.location(), "/auth/login/");
    assert_eq!(browser.get("/").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn unknown_addresses_and_methods_get_a_page_too() {
    let world = World::new().await;
    let browser = Browser::of_member(&world).await;
    for (path, status) in [
        ("/nothing/here/", StatusCode::NOT_FOUND),
        ("/issues/abc/", StatusCode::NOT_FOUND),
        ("/issues/update/", StatusCode::METHOD_NOT_ALLOWED),
        ("/?cursor=x", StatusCode::OK),
        ("/static/0/none.css", StatusCode::NOT_FOUND),
    ] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.header("content-type").starts_with("text/html"), "{path}");
        assert!(answer.text().contains("Pipeline behind"), "{path}");
    }
}
