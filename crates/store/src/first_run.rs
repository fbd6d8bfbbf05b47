//! What a data directory holds after its first start: an organization, a project with a key, and somebody who may log
//! in. In one transaction, so that roles that start at the same moment make it once.

use crate::users::NewUser;
use crate::{StoreError, keys, organizations, projects, users};
use db::Tx;
use stdx::Timestamp;

pub const ORGANIZATION: &str = "default";
pub const PROJECT: &str = "default";
pub const EMAIL: &str = "admin@localhost";

/// Creates the first objects, unless there is an organization already. Returns whether it did.
///
/// # Errors
/// If the database fails; nothing is created then.
pub fn create(tx: &mut Tx<'_>, password_hash: &str, now: Timestamp) -> Result<bool, StoreError> {
    if !is_needed(tx)? {
        return Ok(false);
    }
    let org = organizations::create(tx, ORGANIZATION, "Default", now)?;
    let new = projects::NewProject { org_id: org.id, slug: PROJECT, name: "Default", platform: None };
    let project = projects::create(tx, &new, now)?;
    keys::create(tx, org.id, project.id, "Default", now)?;
    let admin = NewUser { email: EMAIL, name: "Administrator", password_hash: Some(password_hash), is_superuser: true };
    let user = users::create(tx, &admin, now)?;
    users::set_membership(tx, org.id, user.id, "owner", now)?;
    Ok(true)
}

/// Tells whether there is no organization yet.
///
/// # Errors
/// If the database fails.
pub fn is_needed(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    Ok(organizations::list(tx)?.is_empty())
}
