//! Organizations: who owns projects and whom people belong to.

use crate::StoreError;
use db::{FromRow, Row, Tx, Val};
use stdx::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationRow {
    pub id: i64,
    pub slug: String,
    pub name: String,
    pub created_at: Timestamp,
}

impl FromRow for OrganizationRow {
    fn from_row(row: &Row<'_>) -> Result<Self, db::DbError> {
        Ok(OrganizationRow { id: row.get(0)?, slug: row.get(1)?, name: row.get(2)?, created_at: row.get(3)? })
    }
}

/// Returns all organizations by slug.
///
/// # Errors
/// If the database fails.
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<OrganizationRow>, StoreError> {
    Ok(tx.query("SELECT id, slug, name, created_at FROM organization ORDER BY slug", &[])?)
}

/// # Errors
/// If the database fails.
pub fn by_id(tx: &mut Tx<'_>, id: i64) -> Result<Option<OrganizationRow>, StoreError> {
    Ok(tx.query_opt("SELECT id, slug, name, created_at FROM organization WHERE id = $1", &[Val::Int(id)])?)
}

/// # Errors
/// If the database fails.
pub fn by_slug(tx: &mut Tx<'_>, slug: &str) -> Result<Option<OrganizationRow>, StoreError> {
    Ok(tx.query_opt("SELECT id, slug, name, created_at FROM organization WHERE slug = $1", &[Val::Text(slug)])?)
}

/// Creates an organization.
///
/// # Errors
/// `Taken` if the slug is used; else if the database fails.
pub fn create(tx: &mut Tx<'_>, slug: &str, name: &str, now: Timestamp) -> Result<OrganizationRow, StoreError> {
    tx.query_opt(
        "INSERT INTO organization (slug, name, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
         RETURNING id, slug, name, created_at",
        &[Val::Text(slug), Val::Text(name), Val::from(now)],
    )?
    .ok_or_else(|| StoreError::Taken { what: format!("organization {slug}") })
}
