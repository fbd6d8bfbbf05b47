//! People: create, change, delete; and who they are as actors.

use crate::audit::{self, Note};
use crate::context::{Failure, or_conflict};
use crate::{Actor, ApiError, Caller, Ops, Permission, Permissions, Role, Scopes, UserActor, passwords, permissions};
use db::Tx;
use std::sync::Arc;
use stdx::{Redacted, Timestamp};
use store::users::{NewUser, UserRow};

mod change;

pub(crate) use change::keep_an_owner;
pub use change::{UpdateUser, delete, update};

#[derive(Clone, Debug)]
pub struct User {
    pub id: i64,
    pub email: String,
    pub name: String,
    pub is_superuser: bool,
    pub is_active: bool,
    pub has_password: bool,
    pub created_at: Timestamp,
    pub last_login_at: Option<Timestamp>,
    pub permissions: Permissions,
}

#[derive(Clone, Debug)]
pub struct CreateUser {
    pub email: String,
    pub name: Option<String>,
    /// `None` = cannot log in with a password.
    pub password: Option<Redacted<String>>,
    /// `None` = as it is; a new person is none.
    pub is_superuser: Option<bool>,
    /// Organization to join, by slug or id text; `None` = the only one there is.
    pub org: Option<String>,
    /// Changes the user instead of refusing when the email is known.
    pub force_update: bool,
}

/// Longest email: what the protocol allows (RFC 5321).
const EMAIL_CHARS_MAX: usize = 254;
const NAME_CHARS_MAX: usize = 200;

/// Creates (or with `force_update` changes) a user; for the system and superusers with `users.admin`. A superuser owns
/// every organization there is and gets every permission, anybody else becomes a member of the organization named, or
/// of the only one.
///
/// # Errors
/// `Conflict` if the email is known, `Invalid` for an email, password or organization that will not do, `Refused` where
/// nobody would be left who may administer.
pub async fn create(cx: &Ops, caller: &Caller, input: CreateUser) -> Result<User, ApiError> {
    caller.require_permission(Permission::UsersAdmin)?;
    let email = checked_email(&input.email)?;
    let password_hash = match &input.password {
        Some(password) => Some(passwords::hash(password).await?),
        None => None,
    };
    let (caller, now) = (caller.clone(), cx.clock.now());
    cx.write("create a user", move |tx| {
        let known = store::users::by_email(tx, &email)?;
        let was_superuser = known.as_ref().is_some_and(|row| row.is_superuser);
        let known_name = known.as_ref().map(|row| row.name.clone());
        let name = input.name.clone().or(known_name).unwrap_or_else(|| email.clone());
        let new = NewUser {
            email: &email,
            name: &name,
            password_hash: password_hash.as_deref(),
            is_superuser: input.is_superuser.unwrap_or(was_superuser),
        };
        if let Some(before) = known.as_ref().filter(|_| input.force_update && !new.is_superuser) {
            change::keep_a_superuser(tx, before)?;
        }
        let is_known = known.is_some();
        let row = match is_known && input.force_update {
            true => store::users::update(tx, &new)?,
            false => store::users::create(tx, &new, now).map_err(or_conflict)?,
        };
        if password_hash.is_some() {
            // Whoever knew the old password is out.
            store::sessions::delete_of_user(tx, row.id, now)?;
        }
        permissions::follow_status(tx, &row, was_superuser, now)?;
        join_organizations(tx, &row, input.org.as_deref(), now)?;
        let detail = if row.is_superuser { "superuser" } else { "" };
        let action = if is_known { "user.update" } else { "user.create" };
        audit::note(tx, &caller, &Note::new(action, &row.email).detail(detail), now)?;
        user(tx, row)
    })
    .await
}

fn join_organizations(tx: &mut Tx<'_>, row: &UserRow, chosen: Option<&str>, now: Timestamp) -> Result<(), Failure> {
    let organizations = store::organizations::list(tx)?;
    let is_chosen = |slug: &str, id: i64| chosen.is_some_and(|text| text == slug || text == id.to_string());
    if chosen.is_some() && !organizations.iter().any(|org| is_chosen(&org.slug, org.id)) {
        return Err(ApiError::invalid(format!("There is no organization {}.", chosen.unwrap_or_default())).into());
    }
    let known = store::users::memberships(tx, row.id)?;
    for organization in &organizations {
        let is_member = known.iter().any(|(org_id, _)| *org_id == organization.id);
        let is_meant = is_chosen(&organization.slug, organization.id) || chosen.is_none() && organizations.len() == 1;
        let role = match (row.is_superuser, is_member) {
            (true, _) => Role::Owner,
            (false, false) if is_meant => Role::Member,
            (false, _) => continue,
        };
        store::users::set_membership(tx, organization.id, row.id, role.as_str(), now)?;
    }
    Ok(())
}

/// Returns all users by email; for the system and superusers.
///
/// # Errors
/// `SuperuserNeeded` for anybody else.
pub async fn list(cx: &Ops, actor: &Actor) -> Result<Vec<User>, ApiError> {
    actor.require_superuser()?;
    cx.read("list users", |tx| {
        let rows = store::users::list(tx)?;
        rows.into_iter().map(|row| user(tx, row)).collect()
    })
    .await
}

/// Returns one user by id text, or the actor by `me`. People see themselves, superusers everybody.
///
/// # Errors
/// `NotFound` for somebody else's id, whether there is somebody or not.
pub async fn get(cx: &Ops, actor: &Actor, id: &str) -> Result<User, ApiError> {
    let (actor, id) = (actor.clone(), id.to_owned());
    cx.read("read a user", move |tx| {
        let row = visible(tx, &actor, &id)?;
        user(tx, row)
    })
    .await
}

/// Returns the one user whom an operator means by an email, an id or a name; for the system and superusers.
///
/// # Errors
/// `Invalid` if nobody matches, or several people have the name.
pub async fn resolve(cx: &Ops, actor: &Actor, text: &str) -> Result<User, ApiError> {
    actor.require_superuser()?;
    let text = text.to_owned();
    cx.read("find a user", move |tx| {
        let row = find(tx, &text)?;
        user(tx, row)
    })
    .await
}

/// Returns a person as the actor that their session would be; for the system, which may do more than anybody.
///
/// # Errors
/// `SuperuserNeeded` for anybody else, `Invalid` if nobody matches or the account is inactive.
pub async fn act_as(cx: &Ops, actor: &Actor, text: &str) -> Result<Actor, ApiError> {
    if !matches!(actor, Actor::System) {
        return Err(ApiError::SuperuserNeeded);
    }
    let text = text.to_owned();
    cx.read("find a user", move |tx| {
        let row = find(tx, &text)?;
        let inactive = || ApiError::invalid(format!("User `{}` is not active", row.email));
        Ok(Actor::User(Arc::new(actor_of(tx, row.id, None)?.ok_or_else(inactive)?)))
    })
    .await
}

/// Returns the person with the id (or `me`), if the actor may see them: oneself, or anybody for superusers.
fn visible(tx: &mut Tx<'_>, actor: &Actor, id: &str) -> Result<UserRow, Failure> {
    actor.require_known()?;
    let own = actor.user_id();
    let wanted = if id == "me" { own } else { id.parse().ok() };
    let wanted = wanted.ok_or(ApiError::NotFound)?;
    if own != Some(wanted) && actor.require_superuser().is_err() {
        return Err(ApiError::NotFound.into());
    }
    Ok(store::users::by_id(tx, wanted)?.ok_or(ApiError::NotFound)?)
}

/// Returns the one person whom an operator means by an email, an id or a name.
///
/// # Errors
/// `Invalid` if nobody matches, or several people have the name.
pub(crate) fn find(tx: &mut Tx<'_>, text: &str) -> Result<UserRow, Failure> {
    let text = text.trim();
    let nobody = || ApiError::invalid(format!("No user matching `{text}`"));
    // What looks like an email is one: nobody becomes somebody else by the name they gave themselves.
    if text.contains('@') {
        return Ok(store::users::by_email(tx, &text.to_lowercase())?.ok_or_else(nobody)?);
    }
    if let Ok(id) = text.parse() {
        return Ok(store::users::by_id(tx, id)?.ok_or_else(nobody)?);
    }
    let mut named = store::users::list(tx)?.into_iter().filter(|row| row.name == text);
    let row = named.next().ok_or_else(nobody)?;
    match named.next() {
        None => Ok(row),
        Some(_) => Err(ApiError::invalid(format!("Found more than one user matching `{text}`")).into()),
    }
}

/// Returns the email as it is stored: trimmed, lower case.
pub(crate) fn checked_email(text: &str) -> Result<String, ApiError> {
    let email = text.trim().to_lowercase();
    let is_fine = email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
        && email.chars().count() <= EMAIL_CHARS_MAX
        && !email.chars().any(|c| c.is_whitespace() || c.is_control());
    if is_fine { Ok(email) } else { Err(ApiError::invalid("Invalid or missing email address.")) }
}

fn checked_name(text: &str) -> Result<String, ApiError> {
    let name = text.trim();
    let is_fine = (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    let refused = || ApiError::invalid(format!("name: 1 to {NAME_CHARS_MAX} characters are expected."));
    if is_fine { Ok(name.to_owned()) } else { Err(refused()) }
}

/// Returns the user as an actor, with the memberships and permissions of this moment; `None` if the account is inactive.
pub(crate) fn actor_of(tx: &mut Tx<'_>, user_id: i64, scopes: Option<Scopes>) -> Result<Option<UserActor>, Failure> {
    let Some(row) = store::users::by_id(tx, user_id)?.filter(|row| row.is_active) else { return Ok(None) };
    let memberships = store::users::memberships(tx, user_id)?;
    let roles = memberships.into_iter().filter_map(|(org_id, role)| Some((org_id, Role::parse(&role)?))).collect();
    Ok(Some(UserActor {
        permissions: permissions_of(tx, &row)?,
        id: row.id,
        email: row.email,
        name: row.name,
        is_superuser: row.is_superuser,
        roles,
        scopes,
    }))
}

fn permissions_of(tx: &mut Tx<'_>, row: &UserRow) -> Result<Permissions, Failure> {
    if !row.is_superuser {
        return Ok(Permissions::default());
    }
    Ok(Permissions::of_names(&store::permissions::list(tx, row.id)?))
}

fn user(tx: &mut Tx<'_>, row: UserRow) -> Result<User, Failure> {
    Ok(User {
        permissions: permissions_of(tx, &row)?,
        id: row.id,
        email: row.email,
        name: row.name,
        is_superuser: row.is_superuser,
        is_active: row.is_active,
        has_password: row.password_hash.is_some(),
        created_at: row.created_at,
        last_login_at: row.last_login_at,
    })
}
