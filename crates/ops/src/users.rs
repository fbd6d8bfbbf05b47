//! People: create, change the password, prove who they are.

use crate::context::{Failure, or_conflict};
use crate::{Actor, ApiError, Ops, Role, Scopes, UserActor, passwords};
use db::Tx;
use stdx::{Redacted, Timestamp};
use store::users::{NewUser, UserRow};

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

/// Longest email: what the protocol allows (RFC 5321).
const EMAIL_CHARS_MAX: usize = 254;

/// Creates (or with `force_update` changes) a user; for the system and superusers. A superuser owns every organization
/// there is, anybody else becomes a member where there is only one.
///
/// # Errors
/// `Conflict` if the email is known, `Invalid` for an email or password that will not do.
pub async fn create(cx: &Ops, actor: &Actor, input: CreateUser) -> Result<User, ApiError> {
    actor.require_superuser()?;
    let email = checked_email(&input.email)?;
    let password_hash = match &input.password {
        Some(password) => Some(passwords::hash(password).await?),
        None => None,
    };
    let now = cx.clock.now();
    cx.write("create a user", move |tx| {
        let known = store::users::by_email(tx, &email)?;
        let known_name = known.as_ref().map(|row| row.name.clone());
        let name = input.name.clone().or(known_name).unwrap_or_else(|| email.clone());
        let new = NewUser {
            email: &email,
            name: &name,
            password_hash: password_hash.as_deref(),
            is_superuser: input.is_superuser,
        };
        let row = match known {
            Some(_) if input.force_update => store::users::update(tx, &new)?,
            Some(_) | None => store::users::create(tx, &new, now).map_err(or_conflict)?,
        };
        if password_hash.is_some() {
            // Whoever knew the old password is out.
            store::sessions::delete_of_user(tx, row.id, now)?;
        }
        join_organizations(tx, &row, now)?;
        Ok(user(row))
    })
    .await
}

fn join_organizations(tx: &mut Tx<'_>, row: &UserRow, now: Timestamp) -> Result<(), Failure> {
    let organizations = store::organizations::list(tx)?;
    let known = store::users::memberships(tx, row.id)?;
    for organization in &organizations {
        let is_member = known.iter().any(|(org_id, _)| *org_id == organization.id);
        let role = match (row.is_superuser, is_member) {
            (true, _) => Role::Owner,
            (false, false) if organizations.len() == 1 => Role::Member,
            (false, _) => continue,
        };
        store::users::set_membership(tx, organization.id, row.id, role.as_str(), now)?;
    }
    Ok(())
}

/// Returns all users by email; for the system and superusers.
///
/// # Errors
/// `Forbidden` for anybody else.
pub async fn list(cx: &Ops, actor: &Actor) -> Result<Vec<User>, ApiError> {
    actor.require_superuser()?;
    cx.read("list users", |tx| Ok(store::users::list(tx)?.into_iter().map(user).collect())).await
}

/// Returns the email as it is stored: trimmed, lower case.
pub(crate) fn checked_email(text: &str) -> Result<String, ApiError> {
    let email = text.trim().to_lowercase();
    let is_fine = email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
        && email.chars().count() <= EMAIL_CHARS_MAX
        && !email.chars().any(|c| c.is_whitespace() || c.is_control());
    if is_fine { Ok(email) } else { Err(ApiError::invalid("The email address is not valid.")) }
}

/// Returns the user as an actor, with the memberships of this moment; `None` if the account is inactive.
pub(crate) fn actor_of(tx: &mut Tx<'_>, user_id: i64, scopes: Option<Scopes>) -> Result<Option<UserActor>, Failure> {
    let Some(row) = store::users::by_id(tx, user_id)?.filter(|row| row.is_active) else { return Ok(None) };
    let memberships = store::users::memberships(tx, user_id)?;
    let roles = memberships.into_iter().filter_map(|(org_id, role)| Some((org_id, Role::parse(&role)?))).collect();
    Ok(Some(UserActor { id: row.id, email: row.email, name: row.name, is_superuser: row.is_superuser, roles, scopes }))
}

fn user(row: UserRow) -> User {
    User {
        id: row.id,
        email: row.email,
        name: row.name,
        is_superuser: row.is_superuser,
        is_active: row.is_active,
        created_at: row.created_at,
        last_login_at: row.last_login_at,
    }
}
