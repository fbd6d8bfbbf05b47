//! Spools on the first page of the console: what each holds while the broker is away, whose it is, and the form that
//! forgets one that went with its machine.

use super::Tab;
use crate::error::PageError;
use crate::format::{bytes, grouped, query_string, span};
use crate::state::WebState;
use crate::viewer::Viewer;
use axum::extract::{Form, State};
use axum::response::{IntoResponse, Redirect, Response};
use ops::ApiError;
use ops::spools::{self, HeldSpool};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct ForgetForm {
    id: String,
    #[serde(default)]
    sure: String,
}

/// `POST /system/spools/forget/` with `id` and `sure`.
pub async fn forget(
    State(state): State<WebState>,
    viewer: Viewer,
    Form(form): Form<ForgetForm>,
) -> Result<Response, PageError> {
    if form.sure != "yes" {
        let text =
            "The events of a spool that is forgotten are missed by the ledger: tick the box to say that it is meant.";
        return Err(ApiError::invalid(text).into());
    }
    let row = spools::forget(&state.ops, &viewer.caller, &form.id).await?;
    let query = query_string(&[("forgotten", &row.jobs.to_string())]);
    Ok(Redirect::to(&format!("{}{query}", Tab::Pipeline.path())).into_response())
}

/// A folder of a spool that holds something.
pub struct SpoolView {
    pub id: String,
    pub holder: String,
    pub folder: String,
    pub jobs: String,
    pub size: String,
    pub oldest: String,
    pub heard: String,
    pub is_heard: bool,
}

impl SpoolView {
    pub fn of(spool: &HeldSpool) -> SpoolView {
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        SpoolView {
            id: spool.row.id.clone(),
            holder: spool.row.holder.clone(),
            folder: spool.row.folder.clone(),
            jobs: grouped(spool.row.jobs),
            size: bytes(number(spool.row.bytes)),
            oldest: spool.oldest_age.map_or_else(|| "–".to_owned(), span),
            heard: span(spool.silent),
            is_heard: spool.is_heard,
        }
    }
}
