//! People of an organization with their roles there.

use crate::StoreError;
use db::{FromRow, Row, Tx, Val};
use stdx::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow {
    pub org_id: i64,
    pub user_id: i64,
    pub role: String,
    pub created_at: Timestamp,
    pub email: String,
    pub name: String,
    pub is_active: bool,
    pub is_superuser: bool,
}

impl FromRow for MemberRow {
    fn from_row(row: &Row<'_>) -> Result<Self, db::DbError> {
        Ok(MemberRow {
            org_id: row.get(0)?,
            user_id: row.get(1)?,
            role: row.get(2)?,
            created_at: row.get(3)?,
            email: row.get(4)?,
            name: row.get(5)?,
            is_active: row.get(6)?,
            is_superuser: row.get(7)?,
        })
    }
}

/// Returns the members of an organization by email.
///
/// # Errors
/// If the database fails.
pub fn list(tx: &mut Tx<'_>, org_id: i64) -> Result<Vec<MemberRow>, StoreError> {
    Ok(tx.query(
        "SELECT m.org_id, m.user_id, m.role, m.created_at, u.email, u.name, u.is_active, u.is_superuser
         FROM membership m JOIN user_account u ON u.id = m.user_id WHERE m.org_id = $1 ORDER BY u.email",
        &[Val::Int(org_id)],
    )?)
}

/// # Errors
/// If the database fails.
pub fn find(tx: &mut Tx<'_>, org_id: i64, user_id: i64) -> Result<Option<MemberRow>, StoreError> {
    Ok(tx.query_opt(
        "SELECT m.org_id, m.user_id, m.role, m.created_at, u.email, u.name, u.is_active, u.is_superuser
         FROM membership m JOIN user_account u ON u.id = m.user_id WHERE m.org_id = $1 AND m.user_id = $2",
        &[Val::Int(org_id), Val::Int(user_id)],
    )?)
}

/// Returns how many active people have a role in an organization.
///
/// # Errors
/// If the database fails.
pub fn count(tx: &mut Tx<'_>, org_id: i64, role: &str) -> Result<i64, StoreError> {
    let (count,): (i64,) = tx.query_one(
        "SELECT COUNT(*) FROM membership m JOIN user_account u ON u.id = m.user_id
         WHERE m.org_id = $1 AND m.role = $2 AND u.is_active = 1",
        &[Val::Int(org_id), Val::Text(role)],
    )?;
    Ok(count)
}

/// Ends a membership. Returns whether there was one.
///
/// # Errors
/// If the database fails.
pub fn remove(tx: &mut Tx<'_>, org_id: i64, user_id: i64) -> Result<bool, StoreError> {
    let removed = tx
        .execute("DELETE FROM membership WHERE org_id = $1 AND user_id = $2", &[Val::Int(org_id), Val::Int(user_id)])?;
    Ok(removed == 1)
}

/// Ends every membership of a person.
///
/// # Errors
/// If the database fails.
pub fn remove_of_user(tx: &mut Tx<'_>, user_id: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM membership WHERE user_id = $1", &[Val::Int(user_id)])?;
    Ok(())
}
