//! Changes of people: by themselves, and by superusers with `users.admin`.

use super::{User, checked_name, user, visible};
use crate::audit::{self, Note};
use crate::context::Failure;
use crate::{ApiError, Caller, Ops, Permission, Role, permissions};
use db::Tx;
use stdx::Timestamp;
use store::users::UserRow;

/// What is to be changed of a person; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct UpdateUser {
    /// An id text, or `me`.
    pub id: String,
    pub name: Option<String>,
    pub is_superuser: Option<bool>,
    pub is_active: Option<bool>,
}

/// Changes a person. Everybody changes their own name; the rest needs `users.admin`.
///
/// # Errors
/// `NotFound` for somebody the actor may not see, `PermissionMissing` as said, `Invalid` for a name that will not do,
/// `Refused` where nobody would be left who may administer.
pub async fn update(cx: &Ops, caller: &Caller, input: UpdateUser) -> Result<User, ApiError> {
    let name = input.name.as_deref().map(checked_name).transpose()?;
    let (caller, now) = (caller.clone(), cx.clock.now());
    cx.write("change a user", move |tx| {
        let before = visible(tx, &caller, &input.id)?;
        let is_own_name_only =
            caller.user_id() == Some(before.id) && input.is_superuser.is_none() && input.is_active.is_none();
        if !is_own_name_only {
            caller.require_permission(Permission::UsersAdmin)?;
        }
        let is_superuser = input.is_superuser.unwrap_or(before.is_superuser);
        let is_active = input.is_active.unwrap_or(before.is_active);
        if !(is_superuser && is_active) {
            keep_a_superuser(tx, &before)?;
        }
        let name = name.unwrap_or_else(|| before.name.clone());
        let row = store::users::change(tx, before.id, &name, is_superuser, is_active)?;
        permissions::follow_status(tx, &row, before.is_superuser, now)?;
        if !is_active {
            shut_out(tx, row.id, now)?;
        }
        let changes = described(&before, &row);
        if !changes.is_empty() {
            audit::note(tx, &caller, &Note::new("user.update", &row.email).detail(&changes), now)?;
        }
        user(tx, row)
    })
    .await
}

/// Deletes a person: out at once, of every organization, with all tokens. `is_for_good` forgets the account as well, so
/// that the email is free again; else it stays, inactive, for what it did.
///
/// # Errors
/// As `update`; `Refused` also for the only owner of an organization.
pub async fn delete(cx: &Ops, caller: &Caller, id: &str, is_for_good: bool) -> Result<(), ApiError> {
    let (caller, id, now) = (caller.clone(), id.to_owned(), cx.clock.now());
    cx.write("delete a user", move |tx| {
        let row = visible(tx, &caller, &id)?;
        caller.require_permission(Permission::UsersAdmin)?;
        keep_a_superuser(tx, &row)?;
        for (org_id, role) in store::users::memberships(tx, row.id)? {
            keep_an_owner(tx, org_id, Role::parse(&role), row.is_active)?;
        }
        shut_out(tx, row.id, now)?;
        store::members::remove_of_user(tx, row.id)?;
        store::permissions::remove_all(tx, row.id)?;
        store::users::change(tx, row.id, &row.name, false, false)?;
        if is_for_good {
            store::tokens::delete_of_user(tx, row.id)?;
            store::users::delete(tx, row.id)?;
        }
        let detail = if is_for_good { "for good" } else { "" };
        audit::note(tx, &caller, &Note::new("user.delete", &row.email).detail(detail), now)
    })
    .await
}

/// An installation without a superuser could only be administered beside its data directory.
pub(super) fn keep_a_superuser(tx: &mut Tx<'_>, row: &UserRow) -> Result<(), Failure> {
    if row.is_superuser && row.is_active && store::users::count_superusers(tx)? <= 1 {
        return Err(ApiError::refused("This is the only superuser: make another one first.").into());
    }
    Ok(())
}

/// An organization without an owner could not be administered by its own people.
pub(crate) fn keep_an_owner(tx: &mut Tx<'_>, org_id: i64, role: Option<Role>, is_active: bool) -> Result<(), Failure> {
    if role == Some(Role::Owner) && is_active && store::members::count(tx, org_id, Role::Owner.as_str())? <= 1 {
        // Sentry's words.
        return Err(ApiError::refused("You cannot remove the only remaining owner of the organization.").into());
    }
    Ok(())
}

fn shut_out(tx: &mut Tx<'_>, user_id: i64, now: Timestamp) -> Result<(), Failure> {
    store::sessions::delete_of_user(tx, user_id, now)?;
    store::tokens::revoke_of_user(tx, user_id, now)?;
    Ok(())
}

fn described(before: &UserRow, after: &UserRow) -> String {
    let mut changes = Vec::new();
    if before.name != after.name {
        changes.push(format!("name: {}", after.name));
    }
    if before.is_superuser != after.is_superuser {
        changes.push(format!("superuser: {}", after.is_superuser));
    }
    if before.is_active != after.is_active {
        changes.push(format!("active: {}", after.is_active));
    }
    changes.join(", ")
}
