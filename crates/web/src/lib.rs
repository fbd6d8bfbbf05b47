//! The pages people read and the web API scripts call: an axum router over the operations of `ops`.
//!
//! A handler extracts, finds out who asks, calls one operation and renders. `web` holds no SQL, runs no job and knows
//! nothing of ingest; everything it shows of an event was sent by a stranger and is escaped.

pub mod api;
pub mod client;
mod pages;

mod components;
mod shell;
mod viewer;

mod assets;
mod cookies;
mod error;
mod event_json;
mod format;
mod headers;
mod level;
mod local_path;
mod search_text;
mod state;

pub use client::ApiClient;
pub use state::{ClientAddress, HealthCheck, HealthSource, PipelineHealth, PipelineLight, WebState};

/// Returns the router of `/api/0/…` and of all pages, with its fallback. Health and metrics routes are the binary's.
pub fn router(state: WebState) -> axum::Router {
    api::router(state.ops.clone()).merge(pages::router(state))
}
