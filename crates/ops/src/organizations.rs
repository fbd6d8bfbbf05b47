//! Organizations: list, get, create.

use crate::audit::{self, Note};
use crate::context::or_conflict;
use crate::{Actor, ApiError, Caller, Ops, Permission, Role, Scope, lookup};
use stdx::Timestamp;

#[derive(Clone, Debug)]
pub struct Organization {
    pub id: i64,
    pub slug: String,
    pub name: String,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct CreateOrganization {
    pub slug: String,
    pub name: String,
}

/// Returns the organizations the actor belongs to, by slug.
///
/// # Errors
/// `Unauthenticated` for nobody.
pub async fn list(cx: &Ops, actor: &Actor) -> Result<Vec<Organization>, ApiError> {
    actor.require_known()?;
    let actor = actor.clone();
    cx.read("list organizations", move |tx| lookup::organizations(tx, &actor)).await
}

/// Returns one organization by slug or id text.
///
/// # Errors
/// `NotFound` if it is not there or not the actor's.
pub async fn get(cx: &Ops, actor: &Actor, org: &str) -> Result<Organization, ApiError> {
    let (actor, org) = (actor.clone(), org.to_owned());
    cx.read("read an organization", move |tx| lookup::organization(tx, &actor, &org, Scope::OrgRead)).await
}

/// Creates an organization, its creator the owner; for the system and superusers with
/// `projects.admin`.
///
/// # Errors
/// `Conflict` if the slug is taken, `Invalid` if it is none.
pub async fn create(cx: &Ops, caller: &Caller, input: CreateOrganization) -> Result<Organization, ApiError> {
    caller.require_permission(Permission::ProjectsAdmin)?;
    lookup::check_slug(&input.slug)?;
    let (caller, now) = (caller.clone(), cx.clock.now());
    cx.write("create an organization", move |tx| {
        let row = store::organizations::create(tx, &input.slug, &input.name, now).map_err(or_conflict)?;
        if let Some(user_id) = caller.user_id() {
            store::users::set_membership(tx, row.id, user_id, Role::Owner.as_str(), now)?;
        }
        let note = Note::new("organization.create", &row.slug).of_organization(row.id);
        audit::note(tx, &caller, &note, now)?;
        Ok(lookup::organization_of(row))
    })
    .await
}
