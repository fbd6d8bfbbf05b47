//! What guards every answer: headers, the origin check, redirects that stay here, the limit on attempts.

use super::browser::Browser;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use store::digest::DigestAttachment;
use testkit::world::{NOON, PASSWORD, Stored, World};

#[tokio::test]
async fn every_page_carries_the_guards() {
    let world = World::new().await;
    world.store(&Stored::new(world.shop, "boom", NOON));
    let browser = Browser::of_superuser(&world).await;
    for path in ["/", "/issues/1/", "/projects/", "/system/", "/settings/account/", "/nothing/"] {
        let answer = browser.get(path).await;
        let policy = answer.header("content-security-policy");
        for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert!(answer.header("cache-control").starts_with("private"), "{path}");
        assert!(!answer.text().contains("http://") || path != "/", "nothing is loaded from elsewhere");
    }
}

#[tokio::test]
async fn raw_json_and_attachments_are_no_documents_of_ours() {
    let world = World::new().await;
    let blob_key = world.ops.stores.blobs.put_bytes(b"<script>alert(1)</script>").expect("a blob");
    let mut event = Stored::new(world.shop, "boom", NOON);
    event.attachments.push(DigestAttachment {
        name: "evil\".html".to_owned(),
        content_type: "text/html".to_owned(),
        attachment_type: "event.attachment".to_owned(),
        size_bytes: 25,
        blob_key,
    });
    let id = world.store(&event);
    let browser = Browser::of_member(&world).await;
    let json = browser.get(&format!("/issues/1/events/{id}/json/")).await;
    assert_eq!(json.header("content-type"), "application/json");
    assert!(json.header("content-disposition").starts_with("inline"));
    let page = browser.read(&format!("/issues/1/events/{id}/")).await;
    assert!(page.contains("/attachments/1/\" download"), "{page}");
    let file = browser.get(&format!("/issues/1/events/{id}/attachments/1/")).await;
    assert_eq!(file.body, b"<script>alert(1)</script>");
    assert_eq!(file.header("content-type"), "application/octet-stream");
    assert!(file.header("content-disposition").starts_with("attachment; filename=\"evil_.html\""));
    for answer in [json, file] {
        assert!(answer.header("content-security-policy").contains("sandbox"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let world = World::new().await;
    world.store(&Stored::new(world.shop, "boom", NOON));
    let browser = Browser::of_member(&world).await;
    let form = [("id", "1"), ("status", "resolved")];
    for site in ["cross-site", "same-site"] {
        let answer = browser.post_from(site, "/issues/update/", &form).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{site}");
        assert!(answer.text().contains("came from another site"));
    }
    let old_browser = Request::post("/issues/update/")
        .header("origin", "https://evil.example")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("id=1&status=resolved"));
    assert_eq!(browser.send(old_browser.expect("a request")).await.status, StatusCode::FORBIDDEN);
    assert!(browser.read("/").await.contains("boom"), "the issue is still unresolved");
    let behind_proxy = Request::post("/issues/update/")
        .header("origin", "http://vigie.test:9000")
        .header("host", "inside:1")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("id=1&status=resolved"));
    assert_eq!(browser.send(behind_proxy.expect("a request")).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_login_leads_nowhere_else() {
    let world = World::new().await;
    world.person("ana@acme.test", 1, "member", true).await;
    for next in ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/\t//evil"] {
        let browser = Browser::of(&world);
        let form = [("email", "ana@acme.test"), ("password", PASSWORD), ("next", next)];
        let answer = browser.post("/auth/login/", &form).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/"), "{next}");
    }
    let browser = Browser::of(&world);
    let form = [("email", "ana@acme.test"), ("password", PASSWORD), ("next", "/issues/1/?a=b")];
    assert_eq!(browser.post("/auth/login/", &form).await.location(), "/issues/1/?a=b");
    assert_eq!(browser.get("/auth/login/?next=//evil.example").await.location(), "/");
}

#[tokio::test]
async fn the_session_cookie_is_hidden_from_scripts_and_secure_on_https() {
    let world = World::new().await;
    world.person("ana@acme.test", 1, "member", true).await;
    let form = [("email", "ana@acme.test"), ("password", PASSWORD)];
    let plain = Browser::of(&world).post("/auth/login/", &form).await.header("set-cookie").to_owned();
    assert!(plain.starts_with("vigie_session=") && plain.contains("HttpOnly") && plain.contains("SameSite=Lax"));
    assert!(!plain.contains("Secure"));
    world.ops.set_public_url("https://errors.example.com");
    let secure = Browser::of(&world).post("/auth/login/", &form).await.header("set-cookie").to_owned();
    assert!(secure.contains("Secure"), "{secure}");
}

#[tokio::test]
async fn wrong_passwords_are_told_and_then_stopped() {
    let world = World::new().await;
    world.person("ana@acme.test", 1, "member", true).await;
    let browser = Browser::of(&world);
    let form = [("email", "ana@acme.test"), ("password", "wrong"), ("next", "/x/")];
    let first = browser.post("/auth/login/", &form).await;
    assert_eq!(first.status, StatusCode::UNAUTHORIZED);
    assert!(first.text().contains("Email or password is wrong.") && first.text().contains("value=\"/x/\""));
    let mut last = first;
    for _ in 0..15 {
        last = browser.post("/auth/login/", &form).await;
    }
    assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(last.text().contains("Too many attempts. Try again in"));
}

#[tokio::test]
async fn assets_are_kept_for_ever_by_their_hash() {
    let world = World::new().await;
    let browser = Browser::of(&world);
    let page = browser.get("/auth/login/").await;
    let url = page.text().split("href=\"").find(|part| part.contains(".css\"")).expect("a style sheet");
    let url = url.split('"').next().expect("an address").to_owned();
    let plain = browser.get(&url).await;
    assert_eq!(plain.header("content-type"), "text/css; charset=utf-8");
    assert!(plain.header("cache-control").contains("immutable"));
    let request =
        |name: &str, value: &str| Request::get(&url).header(name, value).body(Body::empty()).expect("a request");
    let packed = browser.send(request("accept-encoding", "br, gzip")).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.body.len() * 2 < plain.body.len());
    let known = browser.send(request("if-none-match", plain.header("etag"))).await;
    assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
}

#[tokio::test]
async fn pages_are_compressed_for_who_takes_it() {
    let world = World::new().await;
    let browser = Browser::of_member(&world).await;
    let request = Request::get("/").header("accept-encoding", "gzip, deflate").body(Body::empty()).expect("a request");
    let packed = browser.send(request).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.header("vary").contains("accept-encoding"));
    assert_eq!(packed.body[..2], [0x1f, 0x8b]);
}
