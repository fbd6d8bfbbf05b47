//! What a worker's or scheduler's own process shows of itself: metrics, and that it lives. The web role has them on its
//! listener; these processes have none, so they listen where they are told to, or nowhere. There is no health but life here:
//! progress is judged from outside, by the web role.

use super::{Base, Role, web};
use crate::metrics;
use anyhow::Context;
use http::{Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use ingest::server::{self, Answer, Body, Handler};
use std::sync::Arc;
use stdx::{Component, Components};
use telemetry::metrics::Registry;

/// Adds the listener and what it shows, where one is configured.
pub(super) fn add(base: &Base, components: &mut Components) -> anyhow::Result<()> {
    let is_alone = matches!(base.role, Role::Worker | Role::Cron);
    let Some(address) = base.config.metrics_listen.filter(|_| is_alone) else { return Ok(()) };
    let listener = web::bind(address).with_context(|| format!("listen on {address} (worker.metrics-listen)"))?;
    let bound = listener.local_addr().context("read the listener's address")?;
    tracing::info!(address = %bound, "metrics are shown");
    let served = server::serve(listener, handler(base.registry.clone()), base.shutdown.clone());
    components.push(Component::new("metrics-http", served));
    Ok(())
}

fn handler(registry: Registry) -> Handler {
    Arc::new(move |request, _peer| -> Answer {
        let response = answer(&registry, request.method(), request.uri().path());
        Box::pin(async move { response })
    })
}

fn answer(registry: &Registry, method: &Method, path: &str) -> Response<Body> {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let (status, text) = match path {
        "/metrics" | "/health/live" if !is_read => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
        "/metrics" => {
            metrics::look_at_process();
            (StatusCode::OK, registry.render())
        }
        "/health/live" => (StatusCode::OK, "ok".to_owned()),
        _ => (StatusCode::NOT_FOUND, "only /metrics and /health/live are here\n".to_owned()),
    };
    let body = Full::from(text).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("text/plain; version=0.0.4");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
