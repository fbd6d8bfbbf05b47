//! A browser in miniature: sends requests to the router, keeps cookies, reads answers.

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use testkit::world::{PASSWORD, World};
use tower::ServiceExt;
use web::{PipelineHealth, PipelineLight, WebState};

pub struct Browser {
    router: axum::Router,
    cookies: Mutex<BTreeMap<String, String>>,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("pages are text")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("headers are text")).unwrap_or_default()
    }

    pub fn location(&self) -> &str {
        self.header("location")
    }
}

impl Browser {
    /// A browser nobody is logged in with.
    pub fn of(world: &World) -> Browser {
        let (light, summary) = (PipelineLight::Amber, "7 events wait".to_owned());
        let health = PipelineHealth { light, summary, waiting: 7, checks: Vec::new() };
        let state = WebState { ops: world.ops.clone(), health: Arc::new(move || health.clone()) };
        Browser { router: web::router(state), cookies: Mutex::default() }
    }

    /// A browser of a new member of `acme`, logged in.
    pub async fn of_member(world: &World) -> Browser {
        world.person("ana@acme.test", 1, "admin", true).await;
        let browser = Browser::of(world);
        browser.log_in("ana@acme.test").await;
        browser
    }

    /// A browser of a new superuser, logged in.
    pub async fn of_superuser(world: &World) -> Browser {
        let input = ops::users::CreateUser {
            email: "root@acme.test".into(),
            name: None,
            password: Some(stdx::Redacted::new(PASSWORD.to_owned())),
            is_superuser: Some(true),
            org: None,
            force_update: false,
        };
        ops::users::create(&world.ops, &ops::Caller::of_task("test"), input).await.expect("a superuser");
        let browser = Browser::of(world);
        browser.log_in("root@acme.test").await;
        browser
    }

    pub async fn log_in(&self, email: &str) {
        let answer = self.post("/auth/login/", &[("email", email), ("password", PASSWORD), ("next", "/")]).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/"), "{}", answer.text());
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    /// Sends a form from our own page.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_from("same-origin", path, fields).await
    }

    /// Sends a form from a page whose relation to us is `site`.
    pub async fn post_from(&self, site: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let form: Vec<String> = fields.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
        let request = Request::post(path)
            .header("sec-fetch-site", site)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.join("&")));
        self.send(request.expect("a request")).await
    }

    pub async fn send(&self, mut request: Request<Body>) -> Answer {
        let cookies: Vec<String> =
            self.cookies.lock().expect("no panic").iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request.headers_mut().insert(header::COOKIE, cookies.join("; ").parse().expect("cookies are text"));
        }
        request.headers_mut().entry(header::HOST).or_insert("vigie.test:9000".parse().expect("a host"));
        let response = self.router.clone().oneshot(request).await.expect("the router answers");
        let (parts, body) = response.into_parts();
        for line in parts.headers.get_all(header::SET_COOKIE) {
            self.keep(line.to_str().expect("cookies are text"));
        }
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body").to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    fn keep(&self, line: &str) {
        let (name, rest) = line.split_once('=').expect("a cookie has a name");
        let value = rest.split(';').next().unwrap_or_default();
        let mut cookies = self.cookies.lock().expect("no panic");
        if line.contains("Max-Age=0;") {
            cookies.remove(name);
        } else {
            cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    /// Returns what the page says, which must be shown.
    pub async fn read(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        answer.text().to_owned()
    }
}
