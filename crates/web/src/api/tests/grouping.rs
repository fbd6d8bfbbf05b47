//! Why an event is of its issue, over the API.

use super::*;

#[tokio::test]
async fn an_events_grouping_is_told_in_sentrys_shape() {
    let api = Api::new().await;
    let id = api.world.store(&Stored::new(api.world.shop, "boom", NOON));
    let path = format!("/projects/acme/shop/events/{id}/grouping-info/");
    let info = api.get(&path).await.json();
    assert_eq!(info["grouping_config"], "newstyle:2026-01-20");
    let app = &info["variants"]["app"];
    assert_eq!(
        (&app["type"], &app["contributes"], &app["hashMismatch"]),
        (&json!("component"), &json!(true), &json!(false))
    );
    assert_eq!(app["hash"], info["hashes"][0]);
    assert_eq!(app["component"]["id"], "app");
    let rules = json!({"fingerprintingRules": "type:ValueError -> <script>alert(1)</script>"}).to_string();
    assert_eq!(api.call("PUT", "/projects/acme/shop/", &api.token, &rules).await.status, 200);
    let info = api.get(&path).await.json();
    assert_eq!(info["variants"]["custom_server_fingerprint"]["type"], "custom_server_fingerprint");
    assert_eq!(info["fingerprint"]["entries"], json!(["<script>alert(1)</script>"]));
    let theirs = api.world.store(&Stored::new(api.world.lair, "boom", NOON));
    for path in [
        format!("/projects/evil/lair/events/{theirs}/grouping-info/"),
        format!("/projects/acme/shop/events/{theirs}/grouping-info/"),
        "/projects/acme/shop/events/x/grouping-info/".to_owned(),
    ] {
        assert_eq!(api.get(&path).await.status, 404, "{path}");
    }
}
