//! Organizations: list, get, create.

use crate::{Actor, ApiError, Ops};
use stdx::Timestamp;

#[derive(Clone, Debug)]
pub struct Organization {
    pub id: i64,
    pub slug: String,
    pub name: String,
    pub created_at: Timestamp,
}

/// Returns the organizations the actor belongs to, by slug.
pub async fn list(_cx: &Ops, _actor: &Actor) -> Result<Vec<Organization>, ApiError> {
    Err(ApiError::NotFound)
}

/// Returns one organization by slug or id text.
pub async fn get(_cx: &Ops, _actor: &Actor, _org: &str) -> Result<Organization, ApiError> {
    Err(ApiError::NotFound)
}

#[derive(Clone, Debug)]
pub struct CreateOrganization {
    pub slug: String,
    pub name: String,
}

/// Creates an organization; for the system and superusers.
pub async fn create(_cx: &Ops, _actor: &Actor, _input: CreateOrganization) -> Result<Organization, ApiError> {
    Err(ApiError::NotFound)
}
