//! A stranger's event, stored by the real path, in every field that takes text: on no page does any of it act.

use super::browser::Browser;
use serde_json::json;
use testkit::world::{NOON, Stored, World};

const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'javascript:alert(3)";

fn hostile_event(project_id: i64) -> Stored {
    let frame = json!({"function": HOSTILE, "module": HOSTILE, "filename": HOSTILE, "abs_path": HOSTILE, "lineno": 3,
        "colno": 2, "in_app": true, "context_line": HOSTILE, "pre_context": [HOSTILE], "post_context": [HOSTILE],
        "vars": {HOSTILE: HOSTILE}, "package": HOSTILE});
    let stack = json!({"frames": [frame]});
    let members = json!({
        "transaction": HOSTILE, "server_name": HOSTILE, "logger": HOSTILE, "release": HOSTILE, "dist": HOSTILE,
        "tags": {HOSTILE: HOSTILE, "url": HOSTILE},
        "extra": {HOSTILE: {HOSTILE: [HOSTILE]}},
        "modules": {HOSTILE: HOSTILE},
        "user": {"id": HOSTILE, "email": HOSTILE, "username": HOSTILE, "ip_address": "127.0.0.1", HOSTILE: HOSTILE},
        "contexts": {HOSTILE: {HOSTILE: HOSTILE}, "runtime": {"name": HOSTILE, "version": HOSTILE}},
        "request": {"url": format!("https://x/{HOSTILE}"), "method": HOSTILE, "query_string": HOSTILE,
            "headers": {HOSTILE: HOSTILE, "User-Agent": HOSTILE}, "data": HOSTILE, "cookies": HOSTILE,
            "env": {HOSTILE: HOSTILE}},
        "breadcrumbs": {"values": [{"message": HOSTILE, "category": HOSTILE, "type": HOSTILE, "level": HOSTILE,
            "timestamp": HOSTILE, "data": {HOSTILE: HOSTILE}}]},
        "threads": {"values": [{"id": 1, "name": HOSTILE, "state": HOSTILE, "crashed": true, "stacktrace": stack.clone()}]},
        "logentry": {"formatted": format!("{HOSTILE} there"), "message": HOSTILE, "params": [HOSTILE]},
        "fingerprint": [HOSTILE], "sdk": {"name": HOSTILE, "version": HOSTILE}, "csp": {"blocked_uri": HOSTILE},
    });
    let mut event = Stored::new(project_id, HOSTILE, NOON);
    let text = members.to_string();
    event.more = format!(",{}", &text[1..text.len() - 1]);
    event.tags = vec![(HOSTILE.to_owned(), HOSTILE.to_owned()), ("release".to_owned(), HOSTILE.to_owned())];
    event
}

#[tokio::test]
async fn a_strangers_event_acts_on_no_page() {
    let world = World::new().await;
    let id = world.store(&hostile_event(world.shop));
    let browser = Browser::of_superuser(&world).await;
    let query = "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    let pages = [
        "/?query=".to_owned(),
        format!("/?query={query}&project={query}&environment={query}&sort={query}"),
        "/issues/1/".to_owned(),
        "/issues/1/events/".to_owned(),
        format!("/issues/1/events/{id}/"),
        format!("/issues/1/events/{id}/?frames=all&period={query}"),
        format!("/system/?event={query}"),
        format!("/system/?event={id}"),
        format!("/auth/login/?next={query}"),
        format!("/nothing/{query}/"),
        format!("/projects/{query}/{query}/"),
    ];
    for path in &pages {
        let answer = browser.get(path).await;
        let page = answer.text();
        assert!(!page.contains("<script>") && !page.contains("<img"), "{path}");
        assert!(!page.contains("href=\"javascript:") && !page.contains("src=\"x"), "{path}");
        for tag in page.split('<').skip(1).filter_map(|tag| tag.split('>').next()) {
            assert!(!tag.split('"').step_by(2).any(|outside| outside.contains("onerror")), "{path}: {tag}");
        }
    }
    let event = browser.read(&pages[4]).await;
    assert!(event.contains("alert(1)"), "it is shown, as text");
    let raw = browser.read(&format!("/issues/1/events/{id}/json/")).await;
    assert!(serde_json::from_str::<serde_json::Value>(&raw).is_ok());
}
