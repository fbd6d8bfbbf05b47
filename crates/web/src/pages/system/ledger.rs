//! The ledger on the first page of the console: every accepted event by project and hour, and the form that writes off
//! what it misses.

use super::Tab;
use crate::error::PageError;
use crate::format::{absolute, grouped, query_string};
use crate::state::WebState;
use crate::viewer::Viewer;
use axum::extract::{Form, State};
use axum::response::{IntoResponse, Redirect, Response};
use ops::ApiError;
use ops::conservation::{self, Balance, BalanceRow};
use serde::Deserialize;
use stdx::Timestamp;

/// Rows of the ledger on the page; the API has all.
const LEDGER_ROWS_MAX: usize = 24;

pub struct Ledger {
    pub is_bad: bool,
    /// Whether the queue says what it holds.
    pub is_known: bool,
    pub word: &'static str,
    pub sentence: String,
    pub rows: Vec<LedgerRow>,
    pub is_cut: bool,
}

pub struct LedgerRow {
    pub hour: String,
    pub project: String,
    pub accepted: String,
    pub is_unwitnessed: bool,
    pub stored: String,
    pub filtered: String,
    pub duplicate: String,
    pub expired: String,
    pub dead: String,
    pub has_dead: bool,
    pub in_flight: String,
}

#[derive(Deserialize)]
pub struct WriteOffForm {
    #[serde(default)]
    sure: String,
}

/// `POST /system/write-off/` with `sure`.
pub async fn write_off(
    State(state): State<WebState>,
    viewer: Viewer,
    Form(form): Form<WriteOffForm>,
) -> Result<Response, PageError> {
    if form.sure != "yes" {
        let text = "What is written off is counted as lost, for good: tick the box to say that it is meant.";
        return Err(ApiError::invalid(text).into());
    }
    let written = conservation::write_off(&state.ops, &viewer.caller).await?;
    let emptied = if written.was_emptied { "yes" } else { "" };
    let query = query_string(&[("lost", &written.events.to_string()), ("emptied", emptied)]);
    Ok(Redirect::to(&format!("{}{query}#ledger", Tab::Pipeline.path())).into_response())
}

impl Ledger {
    pub fn of(balance: &Balance) -> Ledger {
        let missing = balance.missing().unwrap_or(0);
        let is_known = balance.queued.is_some();
        let accepted: i64 = balance.rows.iter().map(|row| row.accepted.max(row.settled())).sum();
        let settled: i64 = balance.rows.iter().map(BalanceRow::settled).sum();
        let mut sentence = format!(
            "{} events were accepted in the last 48 hours: {} are settled, {} are in flight.",
            grouped(accepted),
            grouped(settled),
            grouped(balance.in_flight() - balance.withdrawn.min(balance.in_flight()))
        );
        if balance.withdrawn > 0 {
            sentence.push_str(&format!(
                " {} more that could not be read were taken out by an operator.",
                grouped(balance.withdrawn)
            ));
        }
        if missing > 0 {
            sentence.push_str(&format!(" {} are nowhere.", grouped(missing)));
        }
        Ledger {
            is_bad: missing > 0,
            word: match missing {
                _ if !is_known => "not known now",
                0 => "balances",
                _ => "does not balance",
            },
            is_known,
            sentence,
            rows: balance.rows.iter().take(LEDGER_ROWS_MAX).map(LedgerRow::of).collect(),
            is_cut: balance.rows.len() > LEDGER_ROWS_MAX,
        }
    }
}

impl LedgerRow {
    fn of(row: &BalanceRow) -> LedgerRow {
        let start = Timestamp::from_seconds(row.hour.0 * 3_600);
        LedgerRow {
            hour: absolute(start).chars().take(16).collect(),
            project: if row.project.is_empty() { "(deleted)".to_owned() } else { row.project.clone() },
            accepted: grouped(row.accepted.max(row.settled())),
            is_unwitnessed: row.unwitnessed() > 0,
            stored: grouped(row.stored),
            filtered: grouped(row.filtered),
            duplicate: grouped(row.duplicate),
            expired: grouped(row.expired),
            dead: grouped(row.dead),
            has_dead: row.dead > 0,
            in_flight: grouped(row.in_flight()),
        }
    }
}
