//! API tokens: create, list, revoke, authenticate. The text is shown once; the store keeps its hash.

use crate::{Actor, ApiError, Ops};
use stdx::{Redacted, Timestamp};

/// What every token begins with, so that scanners recognise a leaked one.
pub const TOKEN_PREFIX: &str = "vgu_";

#[derive(Clone, Debug)]
pub struct Token {
    pub id: i64,
    pub user_id: i64,
    pub user_email: String,
    /// The last four characters.
    pub hint: String,
    pub scopes: Vec<&'static str>,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct CreateToken {
    /// Whose token; `None` = the actor's own.
    pub email: Option<String>,
    /// Scope names; empty = all the actor may give.
    pub scopes: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct CreatedToken {
    pub token: Token,
    /// The whole text, shown this once.
    pub text: Redacted<String>,
}

/// Creates a token. A token cannot make one that allows more than itself.
pub async fn create(_cx: &Ops, _actor: &Actor, _input: CreateToken) -> Result<CreatedToken, ApiError> {
    Err(ApiError::NotFound)
}

/// Returns the actor's tokens; the system sees all.
pub async fn list(_cx: &Ops, _actor: &Actor) -> Result<Vec<Token>, ApiError> {
    Err(ApiError::NotFound)
}

/// Revokes one of the actor's tokens, at once.
pub async fn revoke(_cx: &Ops, _actor: &Actor, _id: i64) -> Result<(), ApiError> {
    Err(ApiError::NotFound)
}

/// Returns who holds the token.
///
/// # Errors
/// `InvalidToken` if it is not known, revoked, or its user inactive.
pub async fn authenticate(_cx: &Ops, _text: &str) -> Result<Actor, ApiError> {
    Err(ApiError::NotFound)
}
