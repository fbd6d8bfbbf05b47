//! One operation by three ways (HTTP, the client within the process, the operation itself): the same result, the same
//! refusal in the same body, and no way that raises rights. Check 18 of the seeds.

use super::Api;
use crate::client::{ApiClient, ApiFailure};
use http::Method;
use ops::{Actor, Caller, Channel, PageRequest, audit, tokens};
use serde_json::{Value, json};
use testkit::world::{NOON, Stored};

impl Api {
    async fn caller(&self, token: &str) -> Caller {
        Caller::new(tokens::authenticate(&self.world.ops, token).await.expect("the token is known"), Channel::Api)
    }

    fn client(&self, caller: Caller) -> ApiClient {
        ApiClient::new(self.world.ops.clone(), caller)
    }
}

/// Status and body, whichever way they came.
async fn by_client(client: &ApiClient, method: &str, path: &str, body: &str) -> (u16, Value) {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let data = (!body.is_empty()).then(|| serde_json::from_str(body).expect("JSON"));
    match client.send(method, path, data).await {
        Ok(reply) => (reply.status, reply.json()),
        Err(ApiFailure { status, body }) => (status, body),
    }
}

const CHANGES: &[(&str, &str, &str)] = &[
    ("PUT", "/projects/acme/shop/", r#"{"name":"Shop <b>","platform":"rust"}"#),
    ("PUT", "/projects/acme/shop/", r#"{"slug":"No Slug"}"#),
    ("PUT", "/projects/acme/shop/", r#"{"slug":"site"}"#),
    ("PUT", "/projects/evil/lair/", r#"{"name":"Mine"}"#),
    ("DELETE", "/projects/evil/lair/", ""),
    ("PUT", "/projects/acme/shop/keys/1/", r#"{"isActive":false}"#),
    ("PUT", "/projects/acme/shop/keys/3/", r#"{"isActive":false}"#),
    ("DELETE", "/projects/acme/shop/keys/99/", ""),
    ("PUT", "/organizations/acme/members/me/", r#"{"orgRole":"owner"}"#),
    ("PUT", "/organizations/acme/members/2/", r#"{"orgRole":"owner"}"#),
    ("PUT", "/organizations/acme/members/2/", "{}"),
    ("PUT", "/organizations/evil/members/2/", r#"{"orgRole":"owner"}"#),
    ("DELETE", "/organizations/evil/members/1/", ""),
    ("PUT", "/users/me/", r#"{"name":"New <script>"}"#),
    ("PUT", "/users/me/", r#"{"isSuperuser":true}"#),
    ("PUT", "/users/1/", r#"{"isActive":false}"#),
    ("DELETE", "/users/1/", ""),
    ("POST", "/users/me/permissions/users.admin/", ""),
    ("POST", "/users/", r#"{"email":"x@example.com","isSuperuser":true}"#),
    ("PUT", "/system/queues/events/", r#"{"paused":true}"#),
    ("POST", "/system/queues/events/purge/", ""),
    ("DELETE", "/system/dead-letters/x/", ""),
    ("POST", "/system/write-off/", ""),
    ("DELETE", "/system/spools/x/", ""),
    ("GET", "/system/spools/", ""),
    ("GET", "/system/parked/", ""),
    ("PUT", "/issues/999/", r#"{"status":"resolved"}"#),
    ("PUT", "/issues/1/", r#"{"status":"resolved"}"#),
    ("PUT", "/issues/1/", r#"{"status":"finished"}"#),
    ("DELETE", "/issues/999/", ""),
    ("DELETE", "/issues/1/", ""),
    ("GET", "/issues/1/", ""),
    ("DELETE", "/projects/acme/shop/issues/?id=2", ""),
    ("DELETE", "/projects/acme/site/issues/?id=2", ""),
    ("DELETE", "/organizations/acme/issues/", ""),
    ("GET", "/issues/2/", ""),
    ("DELETE", "/nonsense/", ""),
    ("GET", "/organizations/acme/audit-logs/?cursor=x", ""),
];

#[tokio::test]
async fn check_18_http_and_the_client_answer_alike_for_everybody() {
    for (role, scopes) in [("member", &[][..]), ("admin", &[]), ("manager", &[]), ("owner", &["project:read"])] {
        let (http, within) = (Api::new().await, Api::new().await);
        let mut tokens = Vec::new();
        for api in [&http, &within] {
            for message in ["first", "second"] {
                api.world.store(&Stored::new(api.world.shop, message, NOON));
            }
            api.world.person("bob@example.com", 1, role, false).await;
            tokens.push(api.world.token("bob@example.com", scopes).await);
        }
        let client = within.client(within.caller(&tokens[1]).await);
        for (method, path, body) in CHANGES {
            let reply = http.call(method, path, &tokens[0], body).await;
            let by_http = (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default());
            let mut by_client = by_client(&client, method, path, body).await;
            forget_keys(&mut by_client.1);
            let (status, mut body): (u16, Value) = by_http;
            forget_keys(&mut body);
            assert_eq!(by_client, (status, body), "{role} {method} {path}");
        }
    }
}

/// Random texts differ between two worlds.
fn forget_keys(body: &mut Value) {
    for name in ["id", "public", "secret", "dsn"] {
        if let Some(value) = body.get_mut(name) {
            *value = Value::Null;
        }
    }
}

#[tokio::test]
async fn check_18_no_way_raises_rights() {
    let api = Api::new().await;
    let id = api.world.person("bob@example.com", 1, "member", false).await;
    let client = api.client(api.caller(&api.world.token("bob@example.com", &[]).await).await);
    for (method, path, body) in CHANGES {
        by_client(&client, method, path, body).await;
    }
    let bob = api.client(Caller::of_task("test")).get(&format!("/users/{id}/")).await.expect("bob").json();
    assert_eq!((bob["isSuperuser"].as_bool(), bob["permissions"].as_array().map(Vec::len)), (Some(false), Some(0)));
    let member = api.client(Caller::of_task("test")).get("/organizations/acme/members/2/").await.expect("bob").json();
    assert_eq!(member["orgRole"], "member");
    // Nobody is somebody by saying so: neither without a caller, nor over HTTP in the name of the process.
    let nobody = api.client(Caller::new(Actor::Anonymous, Channel::Api));
    assert_eq!(nobody.get("/users/").await.expect_err("nobody").status, 401);
    let request = axum::http::Request::builder().uri("/api/0/users/").header("x-request-id", "system:cli");
    assert_eq!(api.send(request.body(axum::body::Body::empty()).expect("a request")).await.status, 401);
}

#[tokio::test]
async fn the_client_acts_as_the_task_it_says_and_the_log_has_it() {
    let api = Api::new().await;
    api.world.superuser("root@example.com").await;
    let client = api.client(Caller::of_task("retention"));
    let reply = client.put("/api/0/projects/acme/shop/", &json!({"name": "Shop"})).await.expect("changed");
    assert_eq!((reply.status, reply.json()["name"].clone()), (200, json!("Shop")));
    assert_eq!(client.post("/organizations/acme/projects/", &json!({"slug": "new"})).await.expect("made").status, 201);
    assert_eq!(client.delete("projects/acme/new/").await.expect("deleted").status, 204);
    let refused = client.get("/projects/acme/new/").await.expect_err("gone");
    assert_eq!(refused.to_string(), r#"status=404 body={"detail":"The requested resource does not exist"}"#);
    assert_eq!(client.get("/\u{0}").await.expect_err("no path").status, 404);
    let log =
        audit::list(&api.world.ops, &Actor::System, Some("acme"), &PageRequest::default()).await.expect("the log");
    let acts: Vec<(&str, &str, &str)> =
        log.items.iter().take(3).map(|e| (e.action.as_str(), e.actor.as_str(), e.channel.as_str())).collect();
    let by = |action| (action, "system:retention", "task");
    assert_eq!(acts, [by("project.delete"), by("project.create"), by("project.update")]);
    let shown = api.get("/organizations/acme/audit-logs/?per_page=1").await;
    assert_eq!(
        (shown.json()["rows"][0]["event"].clone(), shown.link.matches("results=").count()),
        (json!("project.delete"), 2)
    );
}

#[tokio::test]
async fn check_16_permissions_by_http_are_idempotent_and_count_at_once() {
    let api = Api::new().await;
    let id = api.world.superuser("root@example.com").await;
    let root = api.world.token("root@example.com", &[]).await;
    let path = format!("/users/{id}/permissions/queues.admin/");
    let pause = async || api.call("PUT", "/system/queues/events/", &root, r#"{"paused":true}"#).await;
    assert_eq!(pause().await.status, 200);
    assert_eq!(api.call("DELETE", &path, &root, "").await.status, 204);
    assert_eq!(api.call("DELETE", &path, &root, "").await.status, 404);
    let refused = pause().await;
    assert_eq!(refused.status, 403);
    let detail = "You do not have permission to perform this action. It needs the permission queues.admin: \
                  vigie permissions add -u USER -p queues.admin.";
    assert_eq!(refused.json(), json!({"detail": detail}));
    assert_eq!(api.call("POST", &path, &root, "").await.status, 201);
    assert_eq!(api.call("POST", &path, &root, "").await.status, 204);
    assert_eq!(pause().await.status, 200);
    let typo = api.call("POST", &format!("/users/{id}/permissions/queue.admin/"), &root, "").await;
    assert!(typo.json()["detail"].as_str().is_some_and(|detail| detail.contains("Did you mean queues.admin?")));
    let held = api.call("GET", &format!("/users/{id}/permissions/"), &root, "").await.json();
    assert_eq!(held.as_array().map(Vec::len), Some(5));
    let answered = api.call("GET", "/users/me/", &root, "").await;
    assert!(answered.headers.contains_key("x-request-id"));
}

#[tokio::test]
async fn what_operators_see_and_do_needs_a_superuser_a_scope_and_for_acts_the_permission() {
    let api = Api::new().await;
    let id = api.world.superuser("root@example.com").await;
    let root = api.world.token("root@example.com", &[]).await;
    let narrow = api.world.token("root@example.com", &["project:read"]).await;
    let looks = [("GET", "/system/spools/", 200), ("GET", "/system/parked/", 200)];
    let acts = [("POST", "/system/write-off/", 200), ("DELETE", "/system/spools/x/", 404)];
    for (method, path, answered) in looks.into_iter().chain(acts) {
        let status = async |token: &str| api.call(method, path, token, "").await.status;
        assert_eq!(status("nobody").await, 401, "{path}");
        assert_eq!(status(&narrow).await, 403, "{path}");
        assert_eq!(status(&api.token).await, 403, "{path}: an owner is no superuser");
        assert_eq!(status(&root).await, answered, "{path}");
    }
    let taken = format!("/users/{id}/permissions/queues.admin/");
    assert_eq!(api.call("DELETE", &taken, &root, "").await.status, 204);
    for (method, path, _) in acts {
        assert_eq!(api.call(method, path, &root, "").await.status, 403, "{path} without queues.admin");
    }
    for (method, path, answered) in looks {
        assert_eq!(api.call(method, path, &root, "").await.status, answered, "{path}: whoever may look looks");
    }
}
