//! Members of an organization and their roles. Nobody gives, changes or ends a role above their own, and an organization
//! keeps an owner.

use crate::audit::{self, Note};
use crate::context::Failure;
use crate::organizations::Organization;
use crate::users::keep_an_owner;
use crate::{Actor, ApiError, Caller, Ops, Permission, Role, Scope, lookup};
use db::Tx;
use stdx::Timestamp;
use store::members::MemberRow;

#[derive(Clone, Debug)]
pub struct Member {
    /// The person's id names the member too: nobody is a member twice.
    pub user_id: i64,
    pub email: String,
    pub name: String,
    pub role: Role,
    pub is_active: bool,
    pub is_superuser: bool,
    pub created_at: Timestamp,
}

/// Which member of which organization: an id text, or `me`.
#[derive(Clone, Debug)]
pub struct MemberRef {
    pub org: String,
    pub member: String,
}

/// Returns an organization's members by email.
///
/// # Errors
/// `NotFound` if the organization is not there or not the actor's.
pub async fn list(cx: &Ops, actor: &Actor, org: &str) -> Result<Vec<Member>, ApiError> {
    let (actor, org) = (actor.clone(), org.to_owned());
    cx.read("list members", move |tx| {
        let organization = lookup::organization(tx, &actor, &org, Scope::MemberRead)?;
        Ok(store::members::list(tx, organization.id)?.into_iter().filter_map(member).collect())
    })
    .await
}

/// Returns one member.
///
/// # Errors
/// `NotFound` as for `list`, and for somebody who is no member.
pub async fn get(cx: &Ops, actor: &Actor, input: &MemberRef) -> Result<Member, ApiError> {
    let (actor, input) = (actor.clone(), input.clone());
    cx.read("read a member", move |tx| {
        let organization = lookup::organization(tx, &actor, &input.org, Scope::MemberRead)?;
        find(tx, &actor, organization.id, &input.member)
    })
    .await
}

/// Makes somebody who has an account a member.
///
/// # Errors
/// `NotFound` as for `list`, `Invalid` for an unknown email or role, `Conflict` for a member, `Refused` for a role above
/// the actor's own.
pub async fn add(cx: &Ops, caller: &Caller, org: &str, email: &str, role: &str) -> Result<Member, ApiError> {
    let role = named(role)?;
    let (caller, org, email, now) = (caller.clone(), org.to_owned(), email.trim().to_lowercase(), cx.clock.now());
    cx.write("add a member", move |tx| {
        let organization = lookup::organization(tx, &caller, &org, Scope::MemberWrite)?;
        require_rank(&caller, &organization, role)?;
        let nobody = || ApiError::invalid(format!("There is no user {email}: make one first."));
        let user = store::users::by_email(tx, &email)?.filter(|user| user.is_active).ok_or_else(nobody)?;
        if store::members::find(tx, organization.id, user.id)?.is_some() {
            return Err(ApiError::Conflict { detail: format!("The user {email} is already a member.") }.into());
        }
        store::users::set_membership(tx, organization.id, user.id, role.as_str(), now)?;
        audit::note(tx, &caller, &entry(&organization, "member.add", &user.email, role.as_str()), now)?;
        find(tx, &caller, organization.id, &user.id.to_string())
    })
    .await
}

/// Changes a member's role.
///
/// # Errors
/// `NotFound` as for `get`, `Invalid` for an unknown role, `Refused` for a role above the actor's own, before or after,
/// and for the only owner.
pub async fn update(cx: &Ops, caller: &Caller, input: &MemberRef, role: &str) -> Result<Member, ApiError> {
    let role = named(role)?;
    let (caller, input, now) = (caller.clone(), input.clone(), cx.clock.now());
    cx.write("change a member", move |tx| {
        let organization = lookup::organization(tx, &caller, &input.org, Scope::MemberWrite)?;
        let before = find(tx, &caller, organization.id, &input.member)?;
        require_rank(&caller, &organization, before.role.max(role))?;
        if role != Role::Owner {
            keep_an_owner(tx, organization.id, Some(before.role), before.is_active)?;
        }
        store::users::set_membership(tx, organization.id, before.user_id, role.as_str(), now)?;
        let change = format!("{} to {}", before.role.as_str(), role.as_str());
        audit::note(tx, &caller, &entry(&organization, "member.update", &before.email, &change), now)?;
        Ok(Member { role, ..before })
    })
    .await
}

/// Ends a membership: one's own, or with `member:admin` somebody else's.
///
/// # Errors
/// `NotFound` as for `get`, `Refused` for a role above the actor's own and for the only owner.
pub async fn remove(cx: &Ops, caller: &Caller, input: &MemberRef) -> Result<(), ApiError> {
    let (caller, input, now) = (caller.clone(), input.clone(), cx.clock.now());
    cx.write("remove a member", move |tx| {
        let organization = lookup::organization(tx, &caller, &input.org, Scope::MemberRead)?;
        let member = find(tx, &caller, organization.id, &input.member)?;
        if caller.user_id() != Some(member.user_id) {
            caller.require_in(organization.id, Scope::MemberAdmin)?;
            require_rank(&caller, &organization, member.role)?;
        }
        keep_an_owner(tx, organization.id, Some(member.role), member.is_active)?;
        store::members::remove(tx, organization.id, member.user_id)?;
        audit::note(tx, &caller, &entry(&organization, "member.remove", &member.email, member.role.as_str()), now)
    })
    .await
}

fn find(tx: &mut Tx<'_>, actor: &Actor, org_id: i64, text: &str) -> Result<Member, Failure> {
    let id = if text == "me" { actor.user_id() } else { text.parse().ok() };
    let row = store::members::find(tx, org_id, id.ok_or(ApiError::NotFound)?)?;
    row.and_then(member).ok_or_else(|| ApiError::NotFound.into())
}

/// A row with a role of a later release has no rights here and is not shown.
fn member(row: MemberRow) -> Option<Member> {
    Some(Member {
        role: Role::parse(&row.role)?,
        user_id: row.user_id,
        email: row.email,
        name: row.name,
        is_active: row.is_active,
        is_superuser: row.is_superuser,
        created_at: row.created_at,
    })
}

fn named(role: &str) -> Result<Role, ApiError> {
    Role::parse(role).ok_or_else(|| ApiError::invalid("role: member, admin, manager or owner is expected."))
}

/// Refuses a role above the actor's own in the organization. The system and superusers with `projects.admin` are above
/// all roles.
fn require_rank(actor: &Actor, organization: &Organization, role: Role) -> Result<(), ApiError> {
    let Actor::User(user) = actor else { return Ok(()) };
    let is_above_roles = user.is_superuser && user.permissions.has(Permission::ProjectsAdmin);
    if is_above_roles || user.role_in(organization.id).is_some_and(|own| own >= role) {
        return Ok(());
    }
    Err(ApiError::refused(format!("You do not have permission to assign or change the role {}.", role.as_str())))
}

fn entry(organization: &Organization, action: &'static str, email: &str, detail: &str) -> Note {
    let target = format!("{email} in {}", organization.slug);
    Note::new(action, &target).detail(detail).of_organization(organization.id)
}
