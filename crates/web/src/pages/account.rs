//! One's own account: API tokens and login sessions.

use super::html;
use crate::error::PageError;
use crate::format::Ago;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::header;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use ops::Scopes;
use ops::sessions::{self, Session};
use ops::tokens::{self, CreateToken, Token};
use stdx::Timestamp;

#[derive(Template)]
#[template(path = "account.html")]
pub(super) struct AccountPage {
    pub shell: Shell,
    pub email: String,
    pub name: String,
    pub tokens: Vec<TokenRow>,
    pub scopes: Vec<&'static str>,
    /// The whole text of a token just made; it is never shown again.
    pub created: Option<String>,
    pub sessions: Vec<SessionView>,
}

pub(super) struct SessionView {
    pub id: String,
    pub user_agent: String,
    pub created: Ago,
    pub last_seen: Ago,
    /// The one this page is read with.
    pub is_this: bool,
}

pub(super) struct TokenRow {
    pub id: i64,
    pub text: String,
    pub scopes: String,
    pub created: Ago,
    pub last_used: Option<Ago>,
}

/// `GET /settings/account/`
pub async fn show(State(state): State<WebState>, viewer: Viewer) -> Result<Response, PageError> {
    page(&state, &viewer, None).await
}

/// `POST /settings/account/tokens/` with `scope` any number of times; the answer shows the token, this once.
pub async fn create_token(
    State(state): State<WebState>,
    viewer: Viewer,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let scopes = fields.into_iter().filter(|(key, _)| key == "scope").map(|(_, scope)| scope).collect();
    let created = tokens::create(&state.ops, &viewer.caller, CreateToken { email: None, scopes }).await?;
    let page = page(&state, &viewer, Some(created.text.expose().clone())).await?;
    Ok((AppendHeaders([(header::CACHE_CONTROL, "no-store")]), page).into_response())
}

/// `POST /settings/account/tokens/{id}/revoke/`
pub async fn revoke_token(
    State(state): State<WebState>,
    viewer: Viewer,
    Path(id): Path<i64>,
) -> Result<Response, PageError> {
    tokens::revoke(&state.ops, &viewer.caller, id).await?;
    Ok(Redirect::to("/settings/account/").into_response())
}

/// `POST /settings/account/sessions/{id}/end/`
pub async fn end_session(
    State(state): State<WebState>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    sessions::end(&state.ops, &viewer.caller, &id).await?;
    Ok(Redirect::to("/settings/account/").into_response())
}

async fn page(state: &WebState, viewer: &Viewer, created: Option<String>) -> Result<Response, PageError> {
    let tokens = tokens::list(&state.ops, &viewer.caller).await?;
    let sessions = sessions::list(&state.ops, &viewer.caller).await?;
    let this = &viewer.session_id;
    let shell = Shell::of(state, viewer, Nav::Account, "Account");
    let user = &viewer.user;
    html(&AccountPage {
        shell,
        email: user.email.clone(),
        name: user.name.clone(),
        tokens: tokens
            .iter()
            .filter(|token| token.revoked_at.is_none())
            .map(|token| TokenRow::of(token, viewer.now))
            .collect(),
        scopes: Scopes::all().names(),
        created,
        sessions: sessions.into_iter().map(|session| SessionView::of(session, this, viewer.now)).collect(),
    })
}

impl SessionView {
    pub fn of(session: Session, this: &str, now: Timestamp) -> SessionView {
        SessionView {
            is_this: session.id == this,
            user_agent: crate::event_json::cut_to(&session.user_agent, 120).into_owned(),
            created: Ago { time: session.created_at, now },
            last_seen: Ago { time: session.last_seen_at, now },
            id: session.id,
        }
    }
}

impl TokenRow {
    pub fn of(token: &Token, now: Timestamp) -> TokenRow {
        TokenRow {
            id: token.id,
            text: format!("{}…{}", tokens::TOKEN_PREFIX, token.hint),
            scopes: if token.scopes.len() == Scopes::all().names().len() {
                "everything".to_owned()
            } else {
                token.scopes.join(" ")
            },
            created: Ago { time: token.created_at, now },
            last_used: token.last_used_at.map(|time| Ago { time, now }),
        }
    }
}
