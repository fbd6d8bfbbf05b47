//! Merging and taking apart over the API, as Sentry's scripts do it.

use super::*;

const ISSUES: &str = "/projects/acme/shop/issues/";

async fn with_issues(messages: &[&str]) -> Api {
    let api = Api::new().await;
    for message in messages {
        api.world.store(&Stored::new(api.world.shop, message, NOON));
    }
    api
}

async fn merge(api: &Api, path: &str) -> Reply {
    api.call("PUT", path, &api.token, r#"{"merge": 1}"#).await
}

#[tokio::test]
async fn issues_merge_into_the_one_with_most_events_and_come_apart_again() {
    let api = with_issues(&["a", "b", "b", "c"]).await;
    let merged = merge(&api, &format!("{ISSUES}?id=1&id=2&id=3")).await;
    assert_eq!((merged.status, merged.json()), (200, json!({"merge": {"parent": "2", "children": ["1", "3"]}})));
    let issue = api.get("/issues/2/").await.json();
    assert_eq!((&issue["count"], issue["shortId"].as_str()), (&json!("4"), Some("SHOP-2")));
    assert_eq!(api.get("/issues/1/").await.json()["id"], "2", "an old id leads on");
    assert_eq!(api.get("/organizations/acme/issues/SHOP-3/").await.json()["id"], "2");
    assert_eq!(api.get("/issues/3/events/").await.json().as_array().map(Vec::len), Some(4));
    let hashes = api.get("/issues/2/hashes/").await.json();
    assert_eq!(hashes.as_array().map(Vec::len), Some(3));
    assert!(hashes[0]["latestEvent"]["id"].is_string(), "{hashes}");
    let list = hashes.as_array().unwrap();
    let hash =
        list.iter().find(|hash| hash["latestEvent"]["title"] == "ValueError: c").unwrap()["id"].as_str().unwrap();
    let apart = api.call("PUT", &format!("/issues/2/hashes/?id={hash}"), &api.token, "").await;
    assert_eq!((apart.status, apart.json()), (202, json!({"id": "3"})));
    assert_eq!(api.get("/issues/3/").await.json()["count"], "1");
    let again = api.call("DELETE", &format!("/issues/2/hashes/?id={hash}"), &api.token, "").await;
    assert_eq!(again.status, 404, "it is another issue's now");
    let findings = store::check::check(&api.world.ops.stores, &|_, _| false).unwrap();
    assert!(findings.iter().all(store::check::Finding::is_good), "{findings:?}");
}

#[tokio::test]
async fn what_cannot_be_merged_is_refused_and_changes_nothing() {
    let api = with_issues(&["a", "b"]).await;
    api.world.store(&Stored::new(api.world.site, "of the site", NOON));
    api.world.store(&Stored::new(api.world.lair, "of the lair", NOON));
    for (path, status, told) in [
        (format!("{ISSUES}?id=1"), 400, "two different issues"),
        (format!("{ISSUES}?id=1&id=1"), 400, "two different issues"),
        (format!("{ISSUES}?id=1&id=3"), 404, "does not exist"),
        ("/organizations/acme/issues/?id=1&id=3".to_owned(), 400, "one project"),
        ("/organizations/acme/issues/?id=1&id=4".to_owned(), 404, "does not exist"),
        (format!("{ISSUES}?id=1&id=2%27%20OR%201=1"), 404, "does not exist"),
        (ISSUES.to_owned(), 400, "id parameter"),
    ] {
        let reply = merge(&api, &path).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.json());
        assert!(reply.json()["detail"].as_str().unwrap().contains(told), "{path}: {}", reply.json());
    }
    let many: String = (0..101).map(|number| format!("id={number}&")).collect();
    assert_eq!(merge(&api, &format!("{ISSUES}?{many}")).await.status, 400);
    for body in [r#"{"merge": 2}"#, r#"{"merge": 1, "status": "resolved"}"#, r#"{"merge": "<script>"}"#] {
        assert_eq!(api.call("PUT", &format!("{ISSUES}?id=1&id=2"), &api.token, body).await.status, 400, "{body}");
    }
    let hash = api.get("/issues/1/hashes/").await.json()[0]["id"].as_str().unwrap().to_owned();
    let apart = api.call("PUT", &format!("/issues/1/hashes/?id={hash}"), &api.token, "").await;
    assert_eq!(apart.status, 409, "{}", apart.json());
    assert_eq!(api.call("PUT", "/issues/4/hashes/?id=x", &api.token, "").await.status, 404);
    assert_eq!(api.get("/issues/4/hashes/").await.status, 404);
    let reader = api.world.token("ann@example.com", &["event:read"]).await;
    let refused = api.call("PUT", &format!("{ISSUES}?id=1&id=2"), &reader, r#"{"merge": 1}"#).await;
    assert_eq!(refused.status, 403);
    for id in 1..3 {
        assert_eq!(api.get(&format!("/issues/{id}/")).await.json()["id"], id.to_string());
    }
}
