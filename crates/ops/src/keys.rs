//! Client keys (DSNs) of a project: list, create, enable and disable, delete.

use crate::projects::ProjectRef;
use crate::{Actor, ApiError, Ops};
use stdx::Timestamp;

#[derive(Clone, Debug)]
pub struct Key {
    pub id: i64,
    pub project_id: i64,
    pub public_key: String,
    pub secret_key: String,
    pub label: String,
    pub is_active: bool,
    pub created_at: Timestamp,
    /// The DSN for SDKs, made with the public address of this moment.
    pub dsn_public: String,
}

pub async fn list(_cx: &Ops, _actor: &Actor, _input: &ProjectRef) -> Result<Vec<Key>, ApiError> {
    Err(ApiError::NotFound)
}

#[derive(Clone, Debug)]
pub struct CreateKey {
    pub project: ProjectRef,
    pub label: Option<String>,
}

pub async fn create(_cx: &Ops, _actor: &Actor, _input: CreateKey) -> Result<Key, ApiError> {
    Err(ApiError::NotFound)
}

/// Which key of which project, by public key or id text.
#[derive(Clone, Debug)]
pub struct KeyRef {
    pub project: ProjectRef,
    pub key: String,
}

pub async fn get(_cx: &Ops, _actor: &Actor, _input: &KeyRef) -> Result<Key, ApiError> {
    Err(ApiError::NotFound)
}

#[derive(Clone, Debug)]
pub struct UpdateKey {
    pub key: KeyRef,
    pub label: Option<String>,
    pub is_active: Option<bool>,
}

pub async fn update(_cx: &Ops, _actor: &Actor, _input: UpdateKey) -> Result<Key, ApiError> {
    Err(ApiError::NotFound)
}

pub async fn delete(_cx: &Ops, _actor: &Actor, _input: &KeyRef) -> Result<(), ApiError> {
    Err(ApiError::NotFound)
}
