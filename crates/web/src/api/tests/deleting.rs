//! Deleting issues by Sentry's paths: who may, what is answered, what is left.

use super::*;

fn stored(api: &Api, messages: &[&str]) {
    for message in messages {
        api.world.store(&Stored::new(api.world.shop, message, NOON));
    }
}

async fn titles(api: &Api) -> Vec<String> {
    let list = api.call("GET", "/organizations/acme/issues/?query=", &api.token, "").await.json();
    let title = |issue: &Value| issue["title"].as_str().expect("a title").replace("ValueError: ", "");
    let mut titles: Vec<String> = list.as_array().expect("a list").iter().map(title).collect();
    titles.sort();
    titles
}

#[tokio::test]
async fn one_issue_or_many_are_gone_at_once_and_the_log_says_who() {
    let api = Api::new().await;
    stored(&api, &["a", "b", "c", "d", "e"]);
    for (path, status) in [
        ("/issues/1/", 202),
        ("/issues/1/", 404),
        ("/organizations/acme/issues/SHOP-2/", 202),
        ("/organizations/acme/issues/?project=site&id=3", 404),
        ("/organizations/acme/issues/?project=nowhere&id=3", 404),
        ("/organizations/acme/issues/?project=shop&project=-1&id=3&id=3&id=99", 204),
        ("/projects/acme/shop/issues/?id=4", 204),
        ("/projects/acme/shop/issues/?id=4", 404),
        ("/organizations/acme/issues/", 400),
        ("/organizations/other/issues/?id=5", 404),
        ("/issues/what/", 404),
    ] {
        let reply = api.call("DELETE", path, &api.token, "").await;
        assert_eq!(reply.status, status, "{path}: {}", String::from_utf8_lossy(&reply.body));
    }
    assert_eq!(titles(&api).await, ["e"]);
    let log = api.call("GET", "/organizations/acme/audit-logs/", &api.token, "").await.json().to_string();
    assert_eq!(log.matches("issue.delete").count(), 4, "{log}");
    stored(&api, &["a"]);
    assert_eq!(titles(&api).await, ["a", "e"], "a new event makes a new issue");
}

#[tokio::test]
async fn whoever_may_only_write_may_not_delete() {
    let api = Api::new().await;
    stored(&api, &["a"]);
    let token = api.world.token("ann@example.com", &["event:write"]).await;
    for path in ["/issues/1/", "/projects/acme/shop/issues/?id=1", "/organizations/acme/issues/?id=1"] {
        assert_eq!(api.call("DELETE", path, &token, "").await.status, 403, "{path}");
    }
    assert_eq!(titles(&api).await, ["a"]);
}
