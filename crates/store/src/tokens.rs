//! API tokens, by the hash of their text.

use crate::StoreError;
use db::{FromRow, Row, Tx, Val};
use stdx::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    pub id: i64,
    pub user_id: i64,
    pub user_email: String,
    pub hint: String,
    /// Separated by spaces.
    pub scopes: String,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl FromRow for TokenRow {
    fn from_row(row: &Row<'_>) -> Result<Self, db::DbError> {
        Ok(TokenRow {
            id: row.get(0)?,
            user_id: row.get(1)?,
            user_email: row.get(2)?,
            hint: row.get(3)?,
            scopes: row.get(4)?,
            created_at: row.get(5)?,
            last_used_at: row.get(6)?,
            revoked_at: row.get(7)?,
        })
    }
}

/// A token to be kept.
#[derive(Clone, Copy, Debug)]
pub struct NewToken<'a> {
    pub user_id: i64,
    pub token_hash: &'a [u8; 32],
    pub hint: &'a str,
    pub scopes: &'a str,
}

/// # Errors
/// If the database fails.
pub fn create(tx: &mut Tx<'_>, new: &NewToken<'_>, now: Timestamp) -> Result<i64, StoreError> {
    let (id,): (i64,) = tx.query_one(
        "INSERT INTO api_token (user_id, token_hash, hint, scopes, created_at) VALUES ($1, $2, $3, $4, $5)
         RETURNING id",
        &[Val::Int(new.user_id), Val::Blob(new.token_hash), Val::Text(new.hint), Val::Text(new.scopes), Val::from(now)],
    )?;
    Ok(id)
}

/// Returns the token with the hash, revoked or not.
///
/// # Errors
/// If the database fails.
pub fn by_hash(tx: &mut Tx<'_>, token_hash: &[u8; 32]) -> Result<Option<TokenRow>, StoreError> {
    Ok(tx.query_opt(
        "SELECT t.id, t.user_id, u.email, t.hint, t.scopes, t.created_at, t.last_used_at, t.revoked_at
         FROM api_token t JOIN user_account u ON u.id = t.user_id WHERE t.token_hash = $1",
        &[Val::Blob(token_hash)],
    )?)
}

/// Returns the tokens of one person, or of all, newest first.
///
/// # Errors
/// If the database fails.
pub fn list(tx: &mut Tx<'_>, user_id: Option<i64>) -> Result<Vec<TokenRow>, StoreError> {
    Ok(tx.query(
        "SELECT t.id, t.user_id, u.email, t.hint, t.scopes, t.created_at, t.last_used_at, t.revoked_at
         FROM api_token t JOIN user_account u ON u.id = t.user_id
         WHERE $1 IS NULL OR t.user_id = $1 ORDER BY t.id DESC",
        &[Val::from(user_id)],
    )?)
}

/// # Errors
/// If the database fails.
pub fn set_last_used(tx: &mut Tx<'_>, id: i64, now: Timestamp) -> Result<(), StoreError> {
    tx.execute("UPDATE api_token SET last_used_at = $2 WHERE id = $1", &[Val::Int(id), Val::from(now)])?;
    Ok(())
}

/// Revokes a token. Returns whether there was one that was not revoked yet.
///
/// # Errors
/// If the database fails.
pub fn revoke(tx: &mut Tx<'_>, id: i64, now: Timestamp) -> Result<bool, StoreError> {
    let revoked = tx.execute(
        "UPDATE api_token SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
        &[Val::Int(id), Val::from(now)],
    )?;
    Ok(revoked == 1)
}

/// Revokes every token of a person.
///
/// # Errors
/// If the database fails.
pub fn revoke_of_user(tx: &mut Tx<'_>, user_id: i64, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE api_token SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL",
        &[Val::Int(user_id), Val::from(now)],
    )?;
    Ok(())
}

/// Forgets every token of a person.
///
/// # Errors
/// If the database fails.
pub fn delete_of_user(tx: &mut Tx<'_>, user_id: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM api_token WHERE user_id = $1", &[Val::Int(user_id)])?;
    Ok(())
}
