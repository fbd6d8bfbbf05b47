//! One listener for everything: SDK endpoints go straight to ingest, the rest to the router of pages, web API, health
//! and metrics.

use crate::config::Live;
use crate::health::{Check, Doctor};
use crate::metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use http_body_util::BodyExt;
use ingest::Ingest;
use ingest::endpoints::is_ingest_path;
use ingest::server::{Answer, Body, Handler};
use queue::Queue;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use stdx::{Clock, Proxies};
use telemetry::metrics::Registry;
use tower::ServiceExt;
use web::{ClientAddress, HealthCheck, PipelineHealth, PipelineLight, WebState};

/// Waiting longer than this is worth an amber dot.
const AMBER_AGE_SECONDS: u64 = 10;

/// What the health routes look at.
#[derive(Clone)]
pub struct Vitals {
    pub doctor: Doctor,
    pub queue: Arc<dyn Queue>,
    pub clock: Arc<dyn Clock>,
    pub registry: Registry,
}

/// Routes of this file, for `docs/reference/routes.md`.
#[expect(dead_code, reason = "read from the source by xtask")]
pub const ROUTES: &[(&str, &str)] = &[
    ("GET", "/health/live"),
    ("GET", "/health/accept"),
    ("GET", "/health/ready"),
    ("GET", "/_health/"),
    ("GET", "/metrics"),
];

/// Returns the router of everything but ingest.
pub fn router(state: WebState, vitals: Vitals) -> Router {
    let health = Router::new()
        .route("/health/live", get(async || "ok"))
        .route("/health/accept", get(accept))
        .route("/health/ready", get(ready))
        .route("/_health/", get(ready))
        .route("/metrics", get(render_metrics))
        .with_state(vitals);
    web::router(state).merge(health)
}

async fn accept(State(vitals): State<Vitals>) -> Response {
    let check = vitals.doctor.check_accepting().await;
    let status = if check.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(check)).into_response()
}

async fn ready(State(vitals): State<Vitals>) -> Response {
    let health = vitals.doctor.look().await;
    let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health.to_json())).into_response()
}

async fn render_metrics(State(vitals): State<Vitals>) -> Response {
    let (queue, now) = (vitals.queue.clone(), vitals.clock.now());
    if tokio::task::spawn_blocking(move || metrics::look(&*queue, now)).await.is_err() {
        tracing::error!("looking at the queue for its metrics panicked");
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, vitals.registry.render()).into_response()
}

/// Returns the handler of every request. From here on the peer is the client, also behind proxies of ours.
pub fn handler(ingest: Arc<Ingest>, router: Router, live: Arc<Live>) -> Handler {
    Arc::new(move |request, peer| -> Answer {
        let peer = SocketAddr::new(client_of(&request, peer.ip(), &live.current().trusted_proxies), peer.port());
        if is_ingest_path(request.uri().path()) {
            return Box::pin(ingest.clone().answer(request, peer));
        }
        let router = router.clone();
        Box::pin(async move {
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(ClientAddress(peer.ip()));
            let answered = router.oneshot(request).await;
            answered.unwrap_or_else(|never| match never {}).map(boxed)
        })
    })
}

/// Proxies may write several headers of the name; they are one list.
fn client_of<B>(request: &http::Request<B>, peer: IpAddr, proxies: &Proxies) -> IpAddr {
    let lists = request.headers().get_all("x-forwarded-for").iter().filter_map(|list| list.to_str().ok());
    proxies.client(peer, &lists.collect::<Vec<_>>().join(","))
}

fn boxed(body: axum::body::Body) -> Body {
    body.map_err(Into::into).boxed_unsync()
}

/// What the dot on every page shows, from the last look.
pub fn pipeline_health(doctor: &Doctor) -> PipelineHealth {
    let Some(health) = doctor.last() else {
        let (light, summary) = (PipelineLight::Green, "starting".to_owned());
        return PipelineHealth { light, summary, waiting: 0, checks: Vec::new() };
    };
    let age = health.oldest_age.unwrap_or_default().as_secs();
    let failing = health.checks.iter().find(|check| !check.ok);
    let (light, summary) = match failing {
        Some(check) => (PipelineLight::Red, format!("{}: {}", check.name, check.detail)),
        None if age >= AMBER_AGE_SECONDS => {
            (PipelineLight::Amber, format!("{} events waiting, oldest {age} s", health.waiting))
        }
        None => (PipelineLight::Green, "events are stored as they come".to_owned()),
    };
    let check = |check: Check| HealthCheck { name: check.name.to_owned(), ok: check.ok, detail: check.detail };
    PipelineHealth { light, summary, waiting: health.waiting, checks: health.checks.into_iter().map(check).collect() }
}
