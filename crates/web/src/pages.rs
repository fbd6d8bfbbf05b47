//! The pages: one file each. A handler extracts, calls operations as the viewer, and renders one template.

mod account;
mod errors;
mod event_files;
mod event_list;
mod grouping_lab;
mod issue;
mod issue_delete;
mod issue_list;
mod issue_status;
mod login;
mod merged;
mod project;
mod project_filters;
mod project_list;
mod project_scrubbing;
mod system;
mod theme;

#[cfg(test)]
mod tests;

use crate::error::PageError;
use crate::state::WebState;
use crate::{assets, headers};
use askama::Template;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::CsrfLayer;

/// The largest form we have is scrubbing: 64 KiB of rules, three times as long when every character is escaped.
const FORM_BYTES_MAX: usize = 256 << 10;

/// Returns the routes of all pages and of their assets, with the guards around them and the fallback for unknown paths.
pub fn router(state: WebState) -> Router {
    Router::new()
        .route("/", get(issue_list::show))
        .route("/issues/update/", post(issue_status::update))
        .route("/issues/{id}/delete/", post(issue_delete::delete))
        .route("/issues/merge/", post(merged::merge))
        .route("/issues/{id}/", get(issue::show_latest))
        .route("/issues/{id}/merged/", get(merged::show))
        .route("/issues/{id}/unmerge/", post(merged::unmerge))
        .route("/issues/{id}/events/", get(event_list::show))
        .route("/issues/{id}/events/{event_id}/", get(issue::show_event))
        .route("/issues/{id}/events/{event_id}/json/", get(event_files::raw_json))
        .route("/issues/{id}/events/{event_id}/attachments/{attachment_id}/", get(event_files::attachment))
        .route("/projects/", get(project_list::show))
        .route("/projects/new/", get(project_list::show_form).post(project_list::create))
        .route("/projects/{org}/{project}/", get(project::show))
        .route(
            "/projects/{org}/{project}/grouping/",
            get(grouping_lab::show)
                .post(grouping_lab::submit)
                .layer(DefaultBodyLimit::max(grouping_lab::FORM_BYTES_MAX)),
        )
        .route("/projects/{org}/{project}/first-event/", get(project::first_event))
        .route(
            "/settings/projects/{org}/{project}/scrubbing/",
            get(project_scrubbing::show).post(project_scrubbing::act),
        )
        .route("/settings/projects/{org}/{project}/filters/", get(project_filters::show).post(project_filters::save))
        .route("/settings/account/", get(account::show))
        .route("/settings/account/tokens/", post(account::create_token))
        .route("/settings/account/tokens/{id}/revoke/", post(account::revoke_token))
        .route("/settings/account/sessions/{id}/end/", post(account::end_session))
        .route("/settings/theme/", post(theme::set))
        .route("/system/", get(system::pipeline::show))
        .route("/system/spools/forget/", post(system::spools::forget))
        .route("/system/write-off/", post(system::ledger::write_off))
        .route("/system/queues/", get(system::queues::show))
        .route("/system/queues/pause/", post(system::queues::pause))
        .route("/system/queues/purge/", post(system::queues::purge))
        .route("/system/workers/", get(system::workers::show))
        .route("/system/dead-letters/", get(system::dead_letters::show))
        .route("/system/dead-letters/act/", post(system::dead_letters::act))
        .route("/system/dead-letters/export/", get(system::dead_letters::export))
        .route("/system/dead-letters/{id}/", get(system::dead_letters::show_one))
        .route("/system/schedules/", get(system::schedules::show))
        .route("/system/storage/", get(system::storage::show))
        .route("/system/itself/", get(system::itself::show))
        .route("/system/events/", get(system::events::show))
        .route("/system/audit/", get(system::audit::show))
        .route("/system/config/", get(system::config::show).post(system::config::change))
        .route("/auth/login/", get(login::show).post(login::log_in))
        .route("/auth/logout/", post(login::log_out))
        .route("/static/{hash}/{name}", get(assets::serve))
        .fallback(errors::unknown_path)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(origin_check(&state).with_rejection_response(|_| errors::foreign_origin()))
        .layer(CatchPanicLayer::custom(errors::panicked))
        .layer(from_fn_with_state(state.clone(), errors::draw))
        .layer(from_fn(headers::guard))
        .with_state(state)
}

/// Forms are taken from our own pages only. The public address is named as well, for proxies that rewrite `Host`.
fn origin_check(state: &WebState) -> CsrfLayer {
    let url = state.ops.public_url();
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let origin = url[after_scheme..].find('/').map_or(url.as_str(), |path| &url[..after_scheme + path]);
    CsrfLayer::new().add_trusted_origin(origin).unwrap_or_else(|error| {
        tracing::warn!(error = %error, "public address is no origin; forms are checked against the host alone");
        CsrfLayer::new()
    })
}

/// Renders a page.
fn html(page: &impl Template) -> Result<Response, PageError> {
    Ok(Html(page.render().map_err(PageError::Render)?).into_response())
}

/// Whether the public address is https, so that cookies may insist on it.
fn is_secure(state: &WebState) -> bool {
    state.ops.public_url().starts_with("https://")
}
