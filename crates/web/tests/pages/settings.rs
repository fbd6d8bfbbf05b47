//! A project's settings as forms: what is typed is what counts, what is wrong is said, and hostile text stays text.

use super::browser::Browser;
use axum::http::StatusCode;
use testkit::world::{NOON, Stored, World};

const SCRUBBING: &str = "/settings/projects/acme/shop/scrubbing/";
const FILTERS: &str = "/settings/projects/acme/shop/filters/";
const HOSTILE: &str = "</textarea><script>alert(1)</script>";

#[tokio::test]
async fn scrubbing_is_previewed_before_it_is_saved() {
    let world = World::new().await;
    let id = world.store(&Stored::new(world.shop, "mail to ann@example.com", NOON));
    let browser = Browser::of_member(&world).await;
    let page = browser.read(SCRUBBING).await;
    assert!(page.contains("name=\"scrubs_data\" checked") && !page.contains("name=\"scrubs_ip\" checked"));
    let rules = r#"{"applications":{"**":["@email:mask"]}}"#;
    let typed = [("scrubs_data", "on"), ("with_defaults", "on"), ("scrubs_ip", "on"), ("rules", rules), ("event", &id)];
    let preview = browser.post(SCRUBBING, &[&typed[..], &[("act", "preview")]].concat()).await;
    assert_eq!(preview.status, StatusCode::OK);
    assert!(
        preview.text().contains("The event as it would be stored")
            && preview.text().contains("name=\"scrubs_ip\" checked")
    );
    assert!(!browser.read(SCRUBBING).await.contains("name=\"scrubs_ip\" checked"), "a preview saves nothing");
    let answer = browser
        .post(SCRUBBING, &[&typed[..], &[("act", "save"), ("sensitive_fields", "pin\r\n\r\n iban ")]].concat())
        .await;
    assert_eq!(
        (answer.status, answer.location()),
        (StatusCode::SEE_OTHER, "/settings/projects/acme/shop/scrubbing/?saved")
    );
    let page = browser.read(answer.location()).await;
    assert!(
        page.contains("Saved.") && page.contains(">pin\niban</textarea>") && page.contains("@email:mask"),
        "{page}"
    );
    let none = browser.post(SCRUBBING, &[("event", "0"), ("act", "preview")]).await;
    assert!(none.text().contains("role=\"alert\""), "{}", none.text());
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_and_kept_as_it_was_typed() {
    let world = World::new().await;
    let browser = Browser::of_member(&world).await;
    let answer = browser.post(SCRUBBING, &[("rules", HOSTILE), ("act", "save")]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(
        answer.text().contains("role=\"alert\"") && answer.text().contains("&lt;/textarea&gt;")
            || answer.text().contains("&#60;/textarea&#62;")
    );
    assert!(!answer.text().contains("<script>alert"), "hostile text is text");
    let answer = browser.post(FILTERS, &[("ip_addresses", HOSTILE), ("localhost", "on")]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(!answer.text().contains("<script>alert") && answer.text().contains("name=\"localhost\" checked"));
    assert!(!browser.read(FILTERS).await.contains("name=\"localhost\" checked"), "nothing was saved");
}

#[tokio::test]
async fn filters_are_saved_and_unticked_again() {
    let world = World::new().await;
    let browser = Browser::of_member(&world).await;
    assert!(browser.read(FILTERS).await.contains("name=\"health_checks\" checked"));
    let typed = [("web_crawlers", "on"), ("browser", "ie"), ("browser", "opera_mini"), ("releases", "shop@1.*\n")];
    let answer = browser.post(FILTERS, &typed).await;
    let page = browser.read(answer.location()).await;
    assert!(page.contains("Saved.") && page.contains("name=\"web_crawlers\" checked"), "{page}");
    assert!(!page.contains("name=\"health_checks\" checked"), "a box that is not ticked is off");
    assert!(page.contains("value=\"opera_mini\" checked") && page.contains(">shop@1.*</textarea>"), "{page}");
}

#[tokio::test]
async fn settings_of_others_are_not_there() {
    let world = World::new().await;
    let browser = Browser::of_member(&world).await;
    for path in ["/settings/projects/evil/lair/scrubbing/", "/settings/projects/evil/lair/filters/"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(browser.post(path, &[("act", "save")]).await.status, StatusCode::NOT_FOUND, "{path}");
        let foreign = browser.post_from("cross-site", path, &[("act", "save")]).await;
        assert_eq!(foreign.status, StatusCode::FORBIDDEN, "{path}");
    }
}
