//! What forms do: states of issues, projects, tokens, theme.

use super::browser::Browser;
use axum::http::StatusCode;
use std::time::Duration;
use testkit::world::{NOON, Stored, World};

#[tokio::test]
async fn issues_are_resolved_in_bulk_and_brought_back() {
    let world = World::new().await;
    for message in ["one", "two", "three"] {
        world.store(&Stored::new(world.shop, message, NOON));
    }
    let browser = Browser::of_member(&world).await;
    let form = [("id", "1"), ("id", "2"), ("status", "resolved"), ("next", "/?project=acme%2Fshop")];
    let answer = browser.post("/issues/update/", &form).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/?project=acme%2Fshop"));
    let list = browser.read("/").await;
    assert!(list.contains("2 issues resolved.") && list.contains("Undo"));
    assert!(list.contains("three") && !list.contains("/issues/1/"));
    assert!(!browser.read("/").await.contains("Undo"), "a notice is shown once");
    assert!(browser.read("/?query=is%3Aresolved").await.contains("/issues/1/"));
    browser.post("/issues/update/", &[("id", "1"), ("status", "unresolved"), ("next", "/issues/1/")]).await;
    assert!(browser.read("/").await.contains("/issues/1/"));
    let nothing = browser.post("/issues/update/", &[("status", "resolved")]).await;
    assert_eq!(nothing.location(), "/", "nothing chosen changes nothing");
    let strange = browser.post("/issues/update/", &[("id", "1"), ("status", "burnt")]).await;
    assert_eq!(strange.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_project_is_created_and_listens_until_an_event_comes() {
    let world = World::new().await;
    let browser = Browser::of_member(&world).await;
    assert!(browser.read("/projects/new/").await.contains("ACME"));
    let form = [("org", "acme"), ("slug", "bakery"), ("name", "The bakery"), ("platform", "node")];
    let answer = browser.post("/projects/new/", &form).await;
    assert_eq!(
        (answer.status, answer.location()),
        (StatusCode::SEE_OTHER, "/projects/acme/bakery/"),
        "{}",
        answer.text()
    );
    let page = browser.read("/projects/acme/bakery/").await;
    assert!(page.contains("The bakery") && page.contains("Listening for the first event"));
    assert!(page.contains("http-equiv=\"refresh\"") && page.contains("@vigie.test:9000/4"));
    assert!(page.contains("http://vigie.test:9000/api/4/envelope/?sentry_key="));
    let seen = browser.get("/projects/acme/bakery/first-event/").await;
    assert_eq!(seen.text(), "{\"seen\":false}");
    world.store(&Stored::new(4, "at last", NOON));
    assert_eq!(browser.get("/projects/acme/bakery/first-event/").await.text(), "{\"seen\":true}");
    let page = browser.read("/projects/acme/bakery/").await;
    assert!(page.contains("Receiving events") && !page.contains("http-equiv"));
    let twice = browser.post("/projects/new/", &form).await;
    assert_eq!(twice.status, StatusCode::BAD_REQUEST);
    assert!(twice.text().contains("value=\"bakery\""), "what was typed is kept");
}

#[tokio::test]
async fn a_token_is_shown_once_and_revoked() {
    let world = World::new().await;
    let browser = Browser::of_member(&world).await;
    let page = browser.post("/settings/account/tokens/", &[("scope", "event:read")]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.header("cache-control"), "no-store");
    let text = page.text().split("data-copy=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token");
    assert!(text.starts_with("vgu_") && ops::tokens::authenticate(&world.ops, text).await.is_ok());
    assert!(!browser.read("/settings/account/").await.contains(text));
    let answer = browser.post("/settings/account/tokens/1/revoke/", &[]).await;
    assert_eq!(answer.location(), "/settings/account/");
    assert!(ops::tokens::authenticate(&world.ops, text).await.is_err());
}

#[tokio::test]
async fn a_theme_is_remembered() {
    let world = World::new().await;
    let browser = Browser::of(&world);
    let answer = browser.post("/settings/theme/", &[("theme", "dark"), ("next", "/auth/login/?next=/x/")]).await;
    assert_eq!(answer.location(), "/auth/login/?next=/x/");
    assert!(browser.read("/auth/login/").await.contains("data-theme=\"dark\""));
    browser.post("/settings/theme/", &[("theme", "\"><script>"), ("next", "//evil")]).await;
    assert!(browser.read("/auth/login/").await.contains("data-theme=\"auto\""));
}

#[tokio::test]
async fn a_resolved_issue_that_comes_back_says_so() {
    let world = World::new().await;
    world.store(&Stored::new(world.shop, "again", NOON));
    let browser = Browser::of_member(&world).await;
    browser.post("/issues/update/", &[("id", "1"), ("status", "resolved")]).await;
    assert!(browser.read("/issues/1/").await.contains("Resolved"));
    world.clock.advance(Duration::from_secs(600));
    world.store(&Stored {
        release: Some("shop@2.0"),
        ..Stored::new(world.shop, "again", NOON.plus(Duration::from_secs(600)))
    });
    let page = browser.read("/issues/1/").await;
    assert!(page.contains("Came back") && page.contains("regressed"), "{page}");
}

#[tokio::test]
async fn a_session_left_open_elsewhere_can_be_ended() {
    let world = World::new().await;
    let browser = Browser::of_member(&world).await;
    let elsewhere = Browser::of(&world);
    elsewhere.log_in("ana@acme.test").await;
    let page = browser.read("/settings/account/").await;
    assert!(page.contains("this one"));
    let url = page.split("action=\"").find(|part| part.contains("/end/\"")).and_then(|part| part.split('"').next());
    browser.post(url.expect("the other session can be ended"), &[]).await;
    assert_eq!(elsewhere.get("/").await.status, StatusCode::SEE_OTHER);
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn issues_are_merged_and_taken_out_again_by_plain_forms() {
    let world = World::new().await;
    for message in ["one", "two", "two", "<b>three"] {
        world.store(&Stored::new(world.shop, message, NOON));
    }
    world.store(&Stored::new(world.lair, "of the lair", NOON));
    let browser = Browser::of_member(&world).await;
    assert!(browser.read("/").await.contains("formaction=\"/issues/merge/\""));
    let answer = browser.post("/issues/merge/", &[("id", "1"), ("id", "2"), ("id", "3"), ("next", "/")]).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/issues/2/merged/"));
    let page = browser.read("/issues/2/merged/").await;
    assert!(page.contains("SHOP-1") && page.contains("SHOP-3") && page.contains("Take out"), "{page}");
    assert!(!page.contains("<b>three"), "titles are text");
    assert!(browser.read("/issues/2/").await.contains("Merged in"));
    let moved = browser.get("/issues/1/").await;
    assert_eq!((moved.status, moved.location()), (StatusCode::SEE_OTHER, "/issues/2/"));
    let answer = browser.post("/issues/2/unmerge/", &[("strand", "3")]).await;
    assert_eq!(answer.location(), "/issues/3/");
    assert!(browser.read("/issues/3/").await.contains("Taken out of another issue"));
    for (path, form) in [
        ("/issues/merge/", vec![("id", "2"), ("id", "4")]),
        ("/issues/4/unmerge/", vec![("strand", "1")]),
        ("/issues/2/unmerge/", vec![("strand", "2")]),
        ("/issues/2/unmerge/", vec![("strand", "x")]),
    ] {
        assert_eq!(browser.post(path, &form).await.status, StatusCode::NOT_FOUND, "{path} {form:?}");
    }
    assert_eq!(browser.post("/issues/merge/", &[("id", "2")]).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_grouping_lab_keeps_what_is_typed_tells_and_sets() {
    let world = World::new().await;
    for message in ["one", "two"] {
        world.store(&Stored::new(world.shop, message, NOON));
    }
    let browser = Browser::of_member(&world).await;
    const LAB: &str = "/projects/acme/shop/grouping/";
    assert!(browser.read("/projects/acme/shop/").await.contains(LAB));
    assert!(browser.read(LAB).await.contains("newstyle:2026-01-20"));
    let form = |stack: &'static str, act: &'static str| {
        [
            ("config", "newstyle:2026-01-20"),
            ("stack_rules", stack),
            ("fingerprint_rules", "value:one -> <script>alert(1)</script>"),
            ("events", "100"),
            ("act", act),
        ]
    };
    let tried = browser.post(LAB, &form("module:app.* -app\r\n", "try")).await;
    assert_eq!(tried.status, StatusCode::OK, "{}", tried.text());
    let text = tried.text();
    assert!(text.contains("2 events looked at") && text.contains("gets new hashes"), "{text}");
    assert!(text.contains("module:app.* -app") && !text.contains("<script>alert"), "{text}");
    let wrong = browser.post(LAB, &form("\r\nfunction:a </textarea><b>", "set")).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(wrong.text().contains("line 2") && !wrong.text().contains("</textarea><b>"), "{}", wrong.text());
    let set = browser.post(LAB, &form("module:app.* -app\r\n", "set")).await;
    assert_eq!((set.status, set.location()), (StatusCode::SEE_OTHER, "/projects/acme/shop/grouping/?set=yes"));
    assert!(browser.read(LAB).await.contains("module:app.* -app"));
    let stale = browser.post(LAB, &form("module:app.* +app\r\n", "set")).await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    assert!(stale.text().contains("name=\"revision\" value=\"1\""), "{}", stale.text());
    let event = browser.read("/issues/1/").await;
    assert!(event.contains("id=\"grouping\"") && event.contains("counts"), "{event}");
    assert!(!event.contains("<script>alert"));
    assert_eq!(browser.post("/projects/evil/lair/grouping/", &form("", "set")).await.status, StatusCode::NOT_FOUND);
}
