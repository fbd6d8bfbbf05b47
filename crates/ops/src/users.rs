//! People: create, change the password, prove who they are.

use crate::{Actor, ApiError, Ops};
use stdx::{Redacted, Timestamp};

#[derive(Clone, Debug)]
pub struct User {
    pub id: i64,
    pub email: String,
    pub name: String,
    pub is_superuser: bool,
    pub is_active: bool,
    pub created_at: Timestamp,
    pub last_login_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct CreateUser {
    pub email: String,
    pub name: Option<String>,
    /// `None` = cannot log in with a password.
    pub password: Option<Redacted<String>>,
    pub is_superuser: bool,
    /// Changes the user instead of refusing when the email is known.
    pub force_update: bool,
}

/// Creates a user who owns every organization there is; for the system and superusers.
pub async fn create(_cx: &Ops, _actor: &Actor, _input: CreateUser) -> Result<User, ApiError> {
    Err(ApiError::NotFound)
}

pub async fn list(_cx: &Ops, _actor: &Actor) -> Result<Vec<User>, ApiError> {
    Err(ApiError::NotFound)
}

/// Attempts at logging in, by address and by email.
#[derive(Default)]
pub struct LoginLimits {}
