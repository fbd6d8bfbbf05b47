//! What a superuser may do beyond seeing everything: a closed list of permissions, given one by one. Somebody who stops
//! being a superuser loses them all.

use crate::context::Failure;
use crate::{Actor, ApiError, Caller, Ops, audit, users};
use db::Tx;
use stdx::Timestamp;
use store::users::UserRow;

/// One permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Permission {
    UsersAdmin,
    OptionsAdmin,
    ProjectsAdmin,
    QueuesAdmin,
    BroadcastsAdmin,
}

/// Every permission with its name and what it allows.
const TABLE: &[(Permission, &str, &str)] = &[
    (
        Permission::UsersAdmin,
        "users.admin",
        "Create, change and delete people, make tokens for them, give and take permissions",
    ),
    (Permission::OptionsAdmin, "options.admin", "Change runtime options of the installation"),
    (
        Permission::ProjectsAdmin,
        "projects.admin",
        "Create organizations; change and delete projects, members and keys of any organization",
    ),
    (Permission::QueuesAdmin, "queues.admin", "Pause, resume, purge and feed queues; retry and discard dead letters"),
    (Permission::BroadcastsAdmin, "broadcasts.admin", "Post announcements to everybody (nothing asks for it yet)"),
];

impl Permission {
    pub fn all() -> impl Iterator<Item = Permission> {
        TABLE.iter().map(|(permission, _, _)| *permission)
    }

    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// Returns what it allows, in a sentence without a full stop.
    pub fn description(self) -> &'static str {
        self.row().2
    }

    /// Returns the permission named `text`, or `None` if there is none (a stored one of a later release allows nothing).
    pub fn parse(text: &str) -> Option<Permission> {
        TABLE.iter().find(|(_, name, _)| *name == text).map(|(permission, _, _)| *permission)
    }

    /// # Errors
    /// `Invalid` for a name that is not in the list, with the nearest that is.
    pub fn named(text: &str) -> Result<Permission, ApiError> {
        Permission::parse(text).ok_or_else(|| {
            let hint = match stdx::nearest(text, TABLE.iter().map(|(_, name, _)| *name)) {
                Some(name) => format!("Did you mean {name}?"),
                None => {
                    format!("There are: {}.", TABLE.iter().map(|(_, name, _)| *name).collect::<Vec<_>>().join(", "))
                }
            };
            ApiError::invalid(format!("There is no permission `{text}`. {hint}"))
        })
    }

    fn row(self) -> &'static (Permission, &'static str, &'static str) {
        TABLE.iter().find(|(permission, _, _)| *permission == self).expect("every permission has a row in the table")
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions(u8);

impl Permissions {
    pub fn has(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Returns the names, sorted.
    pub fn names(self) -> Vec<&'static str> {
        let mut names: Vec<_> = Permission::all().filter(|one| self.has(*one)).map(Permission::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Reads stored names. Unknown ones are skipped: they allow nothing.
    pub(crate) fn of_names(names: &[String]) -> Permissions {
        names.iter().filter_map(|name| Permission::parse(name)).collect()
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Permissions(permissions.into_iter().map(Permission::bit).fold(0, |bits, bit| bits | bit))
    }
}

/// What a person holds.
#[derive(Clone, Debug)]
pub struct Held {
    pub email: String,
    pub permissions: Permissions,
}

/// What giving or taking came to.
#[derive(Clone, Debug)]
pub struct Changed {
    pub email: String,
    pub permission: Permission,
    /// `false` = it was so already.
    pub is_changed: bool,
}

/// Returns what a person holds; `user` is an email or an id text.
///
/// # Errors
/// `Invalid` if nobody matches; `SuperuserNeeded` for those who are none.
pub async fn list(cx: &Ops, actor: &Actor, user: &str) -> Result<Held, ApiError> {
    actor.require_superuser()?;
    let user = user.to_owned();
    cx.read("list permissions", move |tx| {
        let row = users::find(tx, &user)?;
        let names = store::permissions::list(tx, row.id)?;
        Ok(Held { email: row.email, permissions: Permissions::of_names(&names) })
    })
    .await
}

/// Gives a superuser a permission. Giving it again changes nothing, and is no entry in the audit log.
///
/// # Errors
/// `PermissionMissing` without `users.admin`; `Invalid` for an unknown permission, for somebody nobody matches, and for
/// somebody who is no superuser.
pub async fn add(cx: &Ops, caller: &Caller, user: &str, permission: &str) -> Result<Changed, ApiError> {
    caller.require_permission(Permission::UsersAdmin)?;
    let permission = Permission::named(permission)?;
    let (caller, user, now) = (caller.clone(), user.to_owned(), cx.clock.now());
    cx.write("give a permission", move |tx| {
        let row = users::find(tx, &user)?;
        if !row.is_superuser {
            return Err(ApiError::invalid(format!("User `{}` does not have superuser status", row.email)).into());
        }
        let is_changed = store::permissions::add(tx, row.id, permission.as_str(), now)?;
        if is_changed {
            audit::note(tx, &caller, &audit::Note::new("permission.add", &row.email).detail(permission.as_str()), now)?;
        }
        Ok(Changed { email: row.email, permission, is_changed })
    })
    .await
}

/// Takes a permission away. Taking what is not held changes nothing.
///
/// # Errors
/// As `add`, but of anybody: nobody who is no superuser holds one.
pub async fn remove(cx: &Ops, caller: &Caller, user: &str, permission: &str) -> Result<Changed, ApiError> {
    caller.require_permission(Permission::UsersAdmin)?;
    let permission = Permission::named(permission)?;
    let (caller, user, now) = (caller.clone(), user.to_owned(), cx.clock.now());
    cx.write("take a permission", move |tx| {
        let row = users::find(tx, &user)?;
        let is_changed = store::permissions::remove(tx, row.id, permission.as_str())?;
        if is_changed {
            let note = audit::Note::new("permission.remove", &row.email).detail(permission.as_str());
            audit::note(tx, &caller, &note, now)?;
        }
        Ok(Changed { email: row.email, permission, is_changed })
    })
    .await
}

/// Brings what is held in line with a change of superuser status: whoever becomes one gets every permission, as Sentry's
/// "Super Admin" has them (a superuser without `users.admin` made pages pretend to save), and whoever is none any more
/// loses them. A superuser who stays one keeps what was left.
pub(crate) fn follow_status(
    tx: &mut Tx<'_>,
    row: &UserRow,
    was_superuser: bool,
    now: Timestamp,
) -> Result<(), Failure> {
    match (was_superuser, row.is_superuser) {
        (false, true) => {
            for permission in Permission::all() {
                store::permissions::add(tx, row.id, permission.as_str(), now)?;
            }
        }
        (true, false) => store::permissions::remove_all(tx, row.id)?,
        (true, true) | (false, false) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways_and_fit_the_store() {
        for permission in Permission::all() {
            assert_eq!(Permission::parse(permission.as_str()), Some(permission));
            assert!(permission.as_str().len() <= 32 && !permission.description().is_empty());
        }
        assert_eq!(Permissions::of_names(&["root.everything".to_owned()]), Permissions::default());
    }

    #[test]
    fn a_slip_is_refused_with_the_name_that_was_meant() {
        let refusal = |text: &str| Permission::named(text).expect_err("refused").detail();
        assert!(refusal("user.admin").ends_with("Did you mean users.admin?"));
        assert!(refusal("user.superuser").contains("There are: users.admin, options.admin"));
    }
}
