//! People and the organizations they belong to.

use crate::StoreError;
use db::{FromRow, Row, Tx, Val};
use stdx::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    pub id: i64,
    pub email: String,
    pub name: String,
    pub password_hash: Option<String>,
    pub is_superuser: bool,
    pub is_active: bool,
    pub created_at: Timestamp,
    pub last_login_at: Option<Timestamp>,
}

impl FromRow for UserRow {
    fn from_row(row: &Row<'_>) -> Result<Self, db::DbError> {
        Ok(UserRow {
            id: row.get(0)?,
            email: row.get(1)?,
            name: row.get(2)?,
            password_hash: row.get(3)?,
            is_superuser: row.get(4)?,
            is_active: row.get(5)?,
            created_at: row.get(6)?,
            last_login_at: row.get(7)?,
        })
    }
}

/// A person to be made or changed. The email is lowercase.
#[derive(Clone, Copy, Debug)]
pub struct NewUser<'a> {
    pub email: &'a str,
    pub name: &'a str,
    pub password_hash: Option<&'a str>,
    pub is_superuser: bool,
}

/// # Errors
/// If the database fails.
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<UserRow>, StoreError> {
    Ok(tx.query(
        "SELECT id, email, name, password_hash, is_superuser, is_active, created_at, last_login_at
         FROM user_account ORDER BY email",
        &[],
    )?)
}

/// # Errors
/// If the database fails.
pub fn by_id(tx: &mut Tx<'_>, id: i64) -> Result<Option<UserRow>, StoreError> {
    Ok(tx.query_opt(
        "SELECT id, email, name, password_hash, is_superuser, is_active, created_at, last_login_at
         FROM user_account WHERE id = $1",
        &[Val::Int(id)],
    )?)
}

/// # Errors
/// If the database fails.
pub fn by_email(tx: &mut Tx<'_>, email: &str) -> Result<Option<UserRow>, StoreError> {
    Ok(tx.query_opt(
        "SELECT id, email, name, password_hash, is_superuser, is_active, created_at, last_login_at
         FROM user_account WHERE email = $1",
        &[Val::Text(email)],
    )?)
}

/// Creates a person.
///
/// # Errors
/// `Taken` if the email is used; else if the database fails.
pub fn create(tx: &mut Tx<'_>, new: &NewUser<'_>, now: Timestamp) -> Result<UserRow, StoreError> {
    tx.query_opt(
        "INSERT INTO user_account (email, name, password_hash, is_superuser, created_at)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
         RETURNING id, email, name, password_hash, is_superuser, is_active, created_at, last_login_at",
        &[
            Val::Text(new.email),
            Val::Text(new.name),
            Val::from(new.password_hash),
            Val::from(new.is_superuser),
            Val::from(now),
        ],
    )?
    .ok_or_else(|| StoreError::Taken { what: format!("user {}", new.email) })
}

/// Changes name, password (`None` leaves it) and rights of the person with the email.
///
/// # Errors
/// `Missing` if there is nobody with the email; else if the database fails.
pub fn update(tx: &mut Tx<'_>, new: &NewUser<'_>) -> Result<UserRow, StoreError> {
    tx.query_opt(
        "UPDATE user_account
         SET name = $2, password_hash = COALESCE($3, password_hash), is_superuser = $4, is_active = 1
         WHERE email = $1
         RETURNING id, email, name, password_hash, is_superuser, is_active, created_at, last_login_at",
        &[Val::Text(new.email), Val::Text(new.name), Val::from(new.password_hash), Val::from(new.is_superuser)],
    )?
    .ok_or_else(|| StoreError::Missing { what: format!("user {}", new.email) })
}

/// Changes a person's name, rights and whether the account may be used.
///
/// # Errors
/// `Missing` if there is nobody with the id; else if the database fails.
pub fn change(
    tx: &mut Tx<'_>,
    id: i64,
    name: &str,
    is_superuser: bool,
    is_active: bool,
) -> Result<UserRow, StoreError> {
    tx.query_opt(
        "UPDATE user_account SET name = $2, is_superuser = $3, is_active = $4 WHERE id = $1
         RETURNING id, email, name, password_hash, is_superuser, is_active, created_at, last_login_at",
        &[Val::Int(id), Val::Text(name), Val::from(is_superuser), Val::from(is_active)],
    )?
    .ok_or_else(|| StoreError::Missing { what: format!("user {id}") })
}

/// Deletes a person whose sessions, tokens, memberships and permissions are gone.
///
/// # Errors
/// If the database fails, or something still belongs to the person.
pub fn delete(tx: &mut Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM user_account WHERE id = $1", &[Val::Int(id)])?;
    Ok(())
}

/// Returns how many superusers may log in.
///
/// # Errors
/// If the database fails.
pub fn count_superusers(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    let (count,): (i64,) =
        tx.query_one("SELECT COUNT(*) FROM user_account WHERE is_superuser = 1 AND is_active = 1", &[])?;
    Ok(count)
}

/// # Errors
/// If the database fails.
pub fn set_last_login(tx: &mut Tx<'_>, id: i64, now: Timestamp) -> Result<(), StoreError> {
    tx.execute("UPDATE user_account SET last_login_at = $2 WHERE id = $1", &[Val::Int(id), Val::from(now)])?;
    Ok(())
}

/// Returns the organizations a person belongs to, and the role in each.
///
/// # Errors
/// If the database fails.
pub fn memberships(tx: &mut Tx<'_>, user_id: i64) -> Result<Vec<(i64, String)>, StoreError> {
    Ok(tx.query("SELECT org_id, role FROM membership WHERE user_id = $1 ORDER BY org_id", &[Val::Int(user_id)])?)
}

/// Makes a person a member, or changes the role.
///
/// # Errors
/// If the database fails.
pub fn set_membership(
    tx: &mut Tx<'_>,
    org_id: i64,
    user_id: i64,
    role: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO membership (org_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (org_id, user_id) DO UPDATE SET role = excluded.role",
        &[Val::Int(org_id), Val::Int(user_id), Val::Text(role), Val::from(now)],
    )?;
    Ok(())
}
