//! The API through its router: shapes that scripts rely on, who gets in, and what hostile requests get.

mod accounts;
mod deleting;
mod grouping;
mod merging;
mod project_settings;

use super::*;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use serde_json::{Value, json};
use testkit::world::{self, NOON, Stored, World};
use tower::ServiceExt;

struct Api {
    world: World,
    router: axum::Router,
    token: String,
}

struct Reply {
    status: u16,
    link: String,
    headers: http::HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

impl Api {
    /// A world in which `ann` owns `acme`, with a token of all scopes.
    async fn new() -> Api {
        let world = World::new().await;
        world.person("ann@example.com", 1, "owner", true).await;
        let token = world.token("ann@example.com", &[]).await;
        Api { router: router(world.ops.clone()), world, token }
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let response: Response = self.router.clone().oneshot(request).await.expect("the router answers");
        let (parts, body) = response.into_parts();
        let link = parts.headers.get("link").map_or("", |link| link.to_str().expect("ascii")).to_owned();
        let body = axum::body::to_bytes(body, 1 << 20).await.expect("a whole body").to_vec();
        Reply { status: parts.status.as_u16(), link, headers: parts.headers, body }
    }

    async fn call(&self, method: &str, path: &str, token: &str, body: &str) -> Reply {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/0{path}"))
            .header("authorization", format!("Bearer {token}"))
            .body(Body::from(body.to_owned()))
            .expect("a request");
        self.send(request).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, &self.token, "").await
    }
}

/// A path of the table with something in the place of its parameters.
fn filled(path: &str) -> String {
    let id = "0".repeat(32);
    let filled = path.replace("{org}", "acme").replace("{project}", "shop").replace("{issue}", "1");
    let filled = filled.replace("{event_id}", &id).replace("{key}", "1").replace("{attachment}", "1");
    let filled = filled.replace("{queue}", "events").replace("{id}", "1").replace("{filter}", "localhost");
    let filled = filled.replace("{option}", "log.level");
    let filled = filled.replace("{member}", "me").replace("{user}", "me").replace("{permission}", "queues.admin");
    assert!(!filled.contains('{'), "{path} has a parameter this test does not know");
    filled
}

#[tokio::test]
async fn every_route_refuses_the_anonymous_and_the_wrong_scope() {
    let api = Api::new().await;
    api.world.store(&Stored::new(api.world.shop, "m", NOON));
    let unfit = api.world.token("ann@example.com", &["team:read"]).await;
    for (method, path, scope) in route_list() {
        let request = Request::builder().method(&method).uri(format!("/api/0{}", filled(path)));
        let reply = api.send(request.body(Body::from("{}")).expect("a request")).await;
        assert_eq!((reply.status, reply.json()["detail"].is_string()), (401, true), "{method} {path}");
        let reply = api.call(method.as_str(), &filled(path), "vgu_bad", "{}").await;
        assert_eq!((reply.status, reply.json()), (401, json!({"detail": "Invalid token"})), "{method} {path}");
        if scope.is_some() {
            let reply = api.call(method.as_str(), &filled(path), &unfit, "{}").await;
            assert_eq!(reply.status, 403, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_answered_in_json() {
    let api = Api::new().await;
    for path in ["/nonsense/", "/organizations/acme/repos/", "/issues/999/", "/issues/x/", "/projects/acme/%ff/"] {
        let reply = api.get(path).await;
        assert_eq!((reply.status, reply.json()["detail"].is_string()), (404, true), "{path}");
    }
    let reply = api.call("PATCH", "/organizations/", &api.token, "").await;
    assert_eq!((reply.status, reply.json()["detail"].is_string()), (405, true));
    assert_eq!(api.get("/organizations").await.status, 200);
    assert_eq!(api.call("HEAD", "/organizations/", &api.token, "").await.status, 200);
}

#[tokio::test]
async fn the_main_job_reads_as_scripts_expect() {
    let api = Api::new().await;
    let id = api.world.store(&Stored::new(api.world.shop, "contract", NOON));
    let reply = api.get("/projects/acme/shop/issues/?query=is%3Aunresolved&limit=100").await;
    let issue = reply.json()[0].clone();
    assert_eq!(
        (issue["id"].as_str(), issue["count"].as_str(), issue["userCount"].as_i64()),
        (Some("1"), Some("1"), Some(0))
    );
    assert_eq!((issue["title"].as_str(), issue["shortId"].as_str()), (Some("ValueError: contract"), Some("SHOP-1")));
    assert_eq!(issue["stats"]["24h"].as_array().map(Vec::len), Some(24));
    assert_eq!(reply.link.matches("results=").count(), 2);
    assert!(reply.link.contains("rel=\"next\"; results=\"false\"; cursor=\""), "{}", reply.link);

    let event = api.get(&format!("/projects/acme/shop/events/{id}/")).await.json();
    assert_eq!(
        (event["id"].as_str(), event["eventID"].as_str(), event["groupID"].as_str()),
        (Some(id.as_str()), Some(id.as_str()), Some("1"))
    );
    assert_eq!(event["entries"][0]["type"], "exception");
    assert_eq!(api.get("/organizations/acme/issues/1/events/latest/").await.json()["id"], id.as_str());
    assert_eq!(api.get("/issues/SHOP-1/events/oldest/").await.json()["id"], id.as_str());
    let raw = api.get(&format!("/projects/acme/shop/events/{id}/json/")).await.json();
    assert_eq!((raw["event_id"].as_str(), raw["project"].as_i64()), (Some(id.as_str()), Some(1)));
    let receipt = api.get(&format!("/projects/acme/shop/events/{id}/receipt/")).await.json();
    assert_eq!((receipt["state"].as_str(), receipt["issue_id"].as_str()), (Some("stored"), Some("1")));
    let unknown = api.get(&format!("/projects/acme/shop/events/{}/receipt/", "0".repeat(32))).await;
    assert_eq!((unknown.status, unknown.json()["state"].as_str().map(str::to_owned)), (200, Some("unknown".into())));
    assert_eq!(unknown.json()["reason"], Value::Null);
    let spool = store::spools::SpoolRow {
        id: "b".to_owned(),
        holder: "web@inside (7)".to_owned(),
        folder: String::new(),
        jobs: 3,
        bytes: 0,
        oldest_at: None,
        heard_at: NOON,
    };
    api.world.ops.stores.db.write_blocking(|tx| store::spools::say(tx, &spool)).expect("it is said");
    let unseen = api.get(&format!("/projects/acme/shop/events/{}/receipt/", "0".repeat(32))).await.json();
    let said = "not known here; 3 events wait in spools of another web process, which cannot be looked into from here";
    assert_eq!((unseen["state"].as_str(), unseen["reason"].as_str()), (Some("unknown"), Some(said)), "no names inside");
    assert_eq!(api.get(&format!("/projects/acme/shop/events/{}/", "0".repeat(32))).await.status, 404);
    assert_eq!(api.get("/projects/acme/shop/events/?per_page=100").await.json().as_array().map(Vec::len), Some(1));

    let reply = api.call("PUT", "/organizations/acme/issues/1/", &api.token, r#"{"status":"resolved"}"#).await;
    assert_eq!((reply.status, reply.json()["status"].as_str().map(str::to_owned)), (200, Some("resolved".into())));
    assert_eq!(api.get("/projects/acme/shop/issues/").await.json(), json!([]));
    assert_eq!(api.get("/projects/acme/shop/issues/?query=").await.json().as_array().map(Vec::len), Some(1));
    let reply =
        api.call("PUT", "/projects/acme/shop/issues/?id=1&id=99", &api.token, r#"{"status":"unresolved"}"#).await;
    assert_eq!(reply.json(), json!({"status": "unresolved", "statusDetails": {}}));
    assert_eq!(
        api.get("/organizations/acme/issues/?project=1&statsPeriod=14d").await.json()[0]["stats"]["14d"]
            .as_array()
            .map(Vec::len),
        Some(14)
    );
}

#[tokio::test]
async fn sentry_cli_finds_the_fields_it_reads() {
    let api = Api::new().await;
    let info = api.get("/").await.json();
    assert_eq!((info["version"].as_str(), info["user"]["email"].as_str()), (Some("0"), Some("ann@example.com")));
    assert!(info["auth"]["scopes"].as_array().is_some_and(|scopes| scopes.contains(&json!("project:releases"))));
    let org = api.get("/organizations/").await.json()[0].clone();
    for name in
        ["id", "slug", "name", "dateCreated", "isEarlyAdopter", "require2FA", "requireEmailVerification", "features"]
    {
        assert!(!org[name].is_null(), "{name}");
    }
    assert_eq!(api.get("/organizations/acme/projects/").await.json().as_array().map(Vec::len), Some(2));
    let key = api.get("/projects/acme/shop/keys/").await.json()[0].clone();
    let public = key["public"].as_str().expect("a key").to_owned();
    assert_eq!(key["dsn"]["public"], format!("http://{public}@vigie.test:9000/1"));
    for name in ["secret", "csp", "security", "minidump", "cdn"] {
        assert!(key["dsn"][name].is_string(), "{name}");
    }
    let created = api.call("POST", "/projects/acme/shop/keys/", &api.token, r#"{"name":"ci"}"#).await;
    let path = format!("/projects/acme/shop/keys/{}/", created.json()["id"].as_str().expect("an id"));
    assert_eq!(created.status, 201);
    assert_eq!(api.call("PUT", &path, &api.token, r#"{"isActive":false}"#).await.json()["isActive"], false);
    assert_eq!(api.call("DELETE", &path, &api.token, "").await.status, 204);
    assert_eq!(api.get("/projects/acme/shop/stats/").await.json().as_array().map(Vec::len), Some(24));
}

#[tokio::test]
async fn hostile_input_is_a_named_refusal() {
    let api = Api::new().await;
    api.world.store(&Stored::new(api.world.shop, "m", NOON));
    for (path, named) in [
        ("/projects/acme/shop/issues/?query=is:nope", "is:nope"),
        ("/projects/acme/shop/issues/?query=%22open", "quote"),
        ("/projects/acme/shop/issues/?cursor=1:2:3:4", "cursor"),
        ("/projects/acme/shop/issues/?cursor=1;DROP:0:0", "cursor"),
        ("/projects/acme/shop/issues/?limit=lots", "limit"),
        ("/projects/acme/shop/issues/?sort=password", "sort"),
        ("/projects/acme/shop/issues/?statsPeriod=900d", "statsPeriod"),
        ("/projects/acme/shop/stats/?since=-1e99", "since"),
        ("/projects/acme/shop/stats/?since=0", "year"),
        ("/organizations/acme/issues/1/events/?cursor=x", "cursor"),
    ] {
        let reply = api.get(path).await;
        assert_eq!(reply.status, 400, "{path}");
        assert!(
            reply.json()["detail"].as_str().is_some_and(|detail| detail.contains(named)),
            "{path}: {}",
            reply.json()
        );
    }
    for body in ["", "[]", "{", "null", r#"{"status":1}"#, r#"{"status":"gone"}"#, "{}"] {
        assert_eq!(api.call("PUT", "/issues/1/", &api.token, body).await.status, 400, "{body}");
    }
    assert_eq!(
        api.call("PUT", "/projects/acme/shop/issues/", &api.token, r#"{"status":"resolved"}"#).await.status,
        400
    );
    let long = "x".repeat(300 << 10);
    assert_eq!(api.call("PUT", "/issues/1/", &api.token, &long).await.status, 400);
    let many: String = (0..500).map(|id| format!("id={id}&")).collect();
    let reply =
        api.call("PUT", &format!("/projects/acme/shop/issues/?{many}"), &api.token, r#"{"status":"resolved"}"#).await;
    assert_eq!(reply.status, 400);
    assert_eq!(api.get("/projects/acme/shop/issues/?limit=99999999").await.status, 200);
    assert_eq!(api.get("/projects/acme/shop/issues/?query=%27%3B--%00").await.status, 200);
}

#[tokio::test]
async fn a_cookie_reads_and_changes_nothing() {
    let api = Api::new().await;
    api.world.store(&Stored::new(api.world.shop, "m", NOON));
    let login = ops::sessions::LogIn {
        email: "ann@example.com".into(),
        password: stdx::Redacted::new(world::PASSWORD.into()),
        address: std::net::IpAddr::from([192, 0, 2, 1]),
        user_agent: String::new(),
    };
    let session = ops::sessions::log_in(&api.world.ops, login).await.expect("the password is right");
    let cookie = format!("theme=dark; {}={}", ops::sessions::SESSION_COOKIE, session.token.expose());
    let request = |method: &str| {
        let request = Request::builder().method(method).uri("/api/0/issues/1/").header("cookie", &cookie);
        request.body(Body::from(r#"{"status":"resolved"}"#)).expect("a request")
    };
    assert_eq!(api.send(request("GET")).await.status, 200);
    assert_eq!(api.send(request("PUT")).await.status, 401);
}

#[tokio::test]
async fn a_strangers_attachment_is_only_ever_downloaded() {
    let api = Api::new().await;
    let blob_key = api.world.ops.stores.blobs.put_bytes(b"<script>").expect("a blob is kept");
    let attachment = store::digest::DigestAttachment {
        name: "a\"\r\nSet-Cookie: x=1;é.html".into(),
        content_type: "text/html".into(),
        attachment_type: "event.attachment".into(),
        size_bytes: 8,
        blob_key,
    };
    let id = api.world.store(&Stored { attachments: vec![attachment], ..Stored::new(api.world.shop, "m", NOON) });
    let list = api.get(&format!("/projects/acme/shop/events/{id}/attachments/")).await.json();
    assert_eq!((list[0]["size"].as_i64(), list[0]["id"].as_str()), (Some(8), Some("1")));
    let reply = api.get(&format!("/projects/acme/shop/events/{id}/attachments/1/?download")).await;
    assert_eq!((reply.status, reply.body.as_slice()), (200, &b"<script>"[..]));
    let header = |name: &str| reply.headers.get(name).map(|value| value.to_str().expect("ascii").to_owned());
    assert_eq!(header("content-type").as_deref(), Some("application/octet-stream"));
    assert!(header("content-disposition").is_some_and(|text| text.starts_with("attachment") && text.is_ascii()));
    assert_eq!((header("set-cookie"), header("x-content-type-options").as_deref()), (None, Some("nosniff")));
}
