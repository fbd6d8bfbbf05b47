//! The web API under `/api/0/`: one table of routes, one way in.
//!
//! Every request goes the same way: find out who asks, check the route's scope, read a bounded body, call the handler,
//! render. Handlers call one operation each; who may see what is decided there, the scope check here only makes sure
//! that no route can be forgotten.

mod accounts;
mod authenticate;
mod edge;
mod events;
pub(crate) mod file_body;
mod grouping_settings;
mod issues;
mod options;
mod organizations;
mod pagination;
mod project_settings;
mod projects;
mod request;
mod routes;
mod shapes;
mod system;

pub use routes::{ROUTES, RouteInfo, route_list};

pub(crate) use authenticate::InProcess;

use axum::routing::{MethodFilter, MethodRouter};
use http::Method;
use ops::Ops;
use std::sync::Arc;

/// Where the web API lives.
pub(crate) const PREFIX: &str = "/api/0";

/// Returns the routes under `/api/0/`, with their own answers for unknown paths and methods.
pub fn router(ops: Arc<Ops>) -> axum::Router {
    let mut paths: Vec<(&str, MethodRouter)> = Vec::new();
    for route in ROUTES {
        let known = paths.iter().position(|(path, _)| *path == route.path);
        let methods = known.map_or_else(MethodRouter::new, |at| paths.swap_remove(at).1);
        paths.push((route.path, edge::add(methods, method_filter(&route.method), ops.clone(), route)));
    }
    let mut router = axum::Router::new();
    for (path, methods) in paths {
        let methods = methods.fallback(edge::method_not_allowed);
        let path = format!("{PREFIX}{path}");
        // Sentry's paths end with a slash; people forget it.
        router = router.route(path.trim_end_matches('/'), methods.clone()).route(&path, methods);
    }
    router.route(&format!("{PREFIX}/{{*rest}}"), axum::routing::any(edge::unknown_path))
}

fn method_filter(method: &Method) -> MethodFilter {
    match *method {
        Method::POST => MethodFilter::POST,
        Method::PUT => MethodFilter::PUT,
        Method::DELETE => MethodFilter::DELETE,
        // The table holds no other method; a test compares it with what is answered.
        _ => MethodFilter::GET,
    }
}

#[cfg(test)]
mod tests;
