//! What the pages say of what is stored.

use super::browser::Browser;
use std::time::Duration;
use testkit::world::{NOON, Stored, World};

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

#[tokio::test]
async fn the_list_filters_and_says_why_it_is_empty() {
    let world = World::new().await;
    let browser = Browser::of_member(&world).await;
    assert!(browser.read("/").await.contains("Listening for the first event"));
    world.store(&Stored::new(world.shop, "first words", NOON));
    world.store(&Stored { environment: "staging", ..Stored::new(world.site, "other words", NOON) });
    world.clock.advance(minutes(3));
    let all = browser.read("/").await;
    assert!(all.contains("first words") && all.contains("other words") && all.contains("3 min ago"));
    let shop = browser.read("/?project=acme%2Fshop").await;
    assert!(shop.contains("first words") && !shop.contains("other words"));
    let staging = browser.read("/?environment=staging").await;
    assert!(!staging.contains("first words") && staging.contains("other words"));
    let none = browser.read("/?query=is%3Aunresolved+level%3Afatal").await;
    assert!(none.contains("No issue matches") && none.contains("level:fatal") && none.contains("there are issues"));
    let form = [("id", "1"), ("id", "2"), ("status", "ignored")];
    browser.post("/issues/update/", &form).await;
    let clear = browser.read("/").await;
    assert!(clear.contains("Clear") && clear.contains("Last event"), "{clear}");
    assert!(browser.read("/?query=is%3Aignored").await.contains("first words"));
    assert!(browser.read("/?query=").await.contains("first words"));
}

#[tokio::test]
async fn an_issue_shows_its_latest_event_and_the_ways_to_the_others() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for minute in 0..3 {
        let at = NOON.plus(minutes(minute));
        ids.push(world.store(&Stored { release: Some("shop@1.2"), ..Stored::new(world.shop, "thrice", at) }));
    }
    world.clock.advance(minutes(5));
    let browser = Browser::of_member(&world).await;
    let page = browser.read("/issues/1/").await;
    for part in ["ValueError", "thrice", "SHOP-1", "3</dd>", "shop@1.2", "Firefox", "app.main", &ids[2], "100%"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(page.contains(&format!("/issues/1/events/{}/#event\" data-key=\"p\"", ids[1])), "{page}");
    let first = browser.read("/issues/1/events/oldest/").await;
    assert!(first.contains(&ids[0]) && first.contains(&format!("{}/#event\" data-key=\"n\"", ids[1])));
    let middle = browser.read(&format!("/issues/1/events/{}/", ids[1])).await;
    assert!(middle.contains(&ids[0]) && middle.contains(&ids[2]));
    let list = browser.read("/issues/1/events/").await;
    assert!(ids.iter().all(|id| list.contains(id.as_str())));
    assert!(browser.read("/issues/1/?period=14d&frames=all").await.contains("As a table"));
    let raw = browser.read(&format!("/issues/1/events/{}/json/", ids[1])).await;
    assert!(raw.contains("\"thrice\""));
    // A short id in the address works as well.
    assert!(browser.read("/issues/SHOP-1/").await.contains("thrice"));
}

#[tokio::test]
async fn long_lists_have_pages() {
    let world = World::new().await;
    for number in 0..60u64 {
        world.store(&Stored::new(world.shop, &format!("number {number};"), NOON.plus(Duration::from_secs(number))));
    }
    let browser = Browser::of_member(&world).await;
    let first = browser.read("/?sort=new").await;
    assert!(first.contains("number 59;") && !first.contains("number 9;"));
    let next = first.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a next page");
    let second = browser.read(&next.replace("&#38;", "&")).await;
    assert!(second.contains("number 9;") && !second.contains("number 59;"));
    assert!(second.contains("rel=\"prev\""));
}

#[tokio::test]
async fn projects_are_listed_with_their_last_event() {
    let world = World::new().await;
    world.store(&Stored::new(world.shop, "boom", NOON));
    let browser = Browser::of_member(&world).await;
    let list = browser.read("/projects/").await;
    assert!(list.contains("acme/shop") && list.contains("none yet") && !list.contains("evil/lair"));
    let page = browser.read("/projects/acme/shop/").await;
    assert!(page.contains("sentry_sdk.init(") && page.contains("Receiving events"));
}
