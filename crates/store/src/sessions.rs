//! Login sessions, by the hash of their cookie's token.

use crate::StoreError;
use db::{FromRow, Row, Tx, Val};
use stdx::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    pub token_hash: [u8; 32],
    pub user_id: i64,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub expires_at: Timestamp,
    pub user_agent: String,
}

impl FromRow for SessionRow {
    fn from_row(row: &Row<'_>) -> Result<Self, db::DbError> {
        Ok(SessionRow {
            token_hash: row.get(0)?,
            user_id: row.get(1)?,
            created_at: row.get(2)?,
            last_seen_at: row.get(3)?,
            expires_at: row.get(4)?,
            user_agent: row.get(5)?,
        })
    }
}

/// # Errors
/// If the database fails.
pub fn create(tx: &mut Tx<'_>, session: &SessionRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO login_session (token_hash, user_id, created_at, last_seen_at, expires_at, user_agent)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            Val::Blob(&session.token_hash),
            Val::Int(session.user_id),
            Val::from(session.created_at),
            Val::from(session.last_seen_at),
            Val::from(session.expires_at),
            Val::Text(&session.user_agent),
        ],
    )?;
    Ok(())
}

/// Returns the session if it has not expired at `now`.
///
/// # Errors
/// If the database fails.
pub fn find(tx: &mut Tx<'_>, token_hash: &[u8; 32], now: Timestamp) -> Result<Option<SessionRow>, StoreError> {
    Ok(tx.query_opt(
        "SELECT token_hash, user_id, created_at, last_seen_at, expires_at, user_agent
         FROM login_session WHERE token_hash = $1 AND expires_at > $2",
        &[Val::Blob(token_hash), Val::from(now)],
    )?)
}

/// Moves a session's expiry on.
///
/// # Errors
/// If the database fails.
pub fn touch(tx: &mut Tx<'_>, token_hash: &[u8; 32], now: Timestamp, expires_at: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE login_session SET last_seen_at = $2, expires_at = $3 WHERE token_hash = $1",
        &[Val::Blob(token_hash), Val::from(now), Val::from(expires_at)],
    )?;
    Ok(())
}

/// Returns a person's sessions, the last seen first.
///
/// # Errors
/// If the database fails.
pub fn list(tx: &mut Tx<'_>, user_id: i64, now: Timestamp) -> Result<Vec<SessionRow>, StoreError> {
    Ok(tx.query(
        "SELECT token_hash, user_id, created_at, last_seen_at, expires_at, user_agent
         FROM login_session WHERE user_id = $1 AND expires_at > $2 ORDER BY last_seen_at DESC",
        &[Val::Int(user_id), Val::from(now)],
    )?)
}

/// # Errors
/// If the database fails.
pub fn delete(tx: &mut Tx<'_>, token_hash: &[u8; 32]) -> Result<bool, StoreError> {
    let deleted = tx.execute("DELETE FROM login_session WHERE token_hash = $1", &[Val::Blob(token_hash)])?;
    Ok(deleted == 1)
}

/// Deletes a person's sessions, and everybody's that have expired.
///
/// # Errors
/// If the database fails.
pub fn delete_of_user(tx: &mut Tx<'_>, user_id: i64, now: Timestamp) -> Result<usize, StoreError> {
    Ok(tx.execute(
        "DELETE FROM login_session WHERE user_id = $1 OR expires_at <= $2",
        &[Val::Int(user_id), Val::from(now)],
    )?)
}

/// Deletes everybody's sessions that have expired.
///
/// # Errors
/// If the database fails.
pub fn delete_expired(tx: &mut Tx<'_>, now: Timestamp) -> Result<usize, StoreError> {
    Ok(tx.execute("DELETE FROM login_session WHERE expires_at <= $1", &[Val::from(now)])?)
}
