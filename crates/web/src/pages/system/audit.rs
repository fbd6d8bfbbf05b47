//! `/system/audit/`: who changed what, when and by which way, the newest first.

use super::Tab;
use crate::components::pager::Pager;
use crate::error::PageError;
use crate::format::absolute;
use crate::pages::html;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use ops::audit::{self, Entry};
use ops::{Page, PageRequest};
use serde::Deserialize;

/// Entries of one page.
const ROWS: usize = 50;

#[derive(Template)]
#[template(path = "system/audit.html")]
pub struct AuditPage {
    pub shell: Shell,
    pub rows: Vec<RowView>,
    pub pager: Pager,
}

pub struct RowView {
    pub at: String,
    pub actor: String,
    pub channel: String,
    pub action: String,
    pub target: String,
    pub detail: String,
    pub request_id: String,
}

#[derive(Default, Deserialize)]
pub struct AuditQuery {
    cursor: Option<String>,
}

/// `GET /system/audit/`
pub async fn show(
    State(state): State<WebState>,
    viewer: Viewer,
    Query(query): Query<AuditQuery>,
) -> Result<Response, PageError> {
    let wanted = PageRequest { cursor: query.cursor, limit: Some(ROWS) };
    let page = audit::list(&state.ops, &viewer.caller, None, &wanted).await?;
    html(&AuditPage::of(Shell::of(&state, &viewer, Nav::System, "Audit log"), page))
}

impl AuditPage {
    pub fn of(shell: Shell, page: Page<Entry>) -> AuditPage {
        let pager = Pager::of(Tab::Audit.path(), &page.previous, &page.next);
        AuditPage { shell, rows: page.items.into_iter().map(RowView::of).collect(), pager }
    }

    fn tab(&self) -> Tab {
        Tab::Audit
    }
}

impl RowView {
    fn of(entry: Entry) -> RowView {
        RowView {
            at: absolute(entry.at),
            actor: entry.actor,
            channel: entry.channel,
            action: entry.action,
            target: entry.target,
            detail: entry.detail,
            request_id: entry.request_id,
        }
    }
}
