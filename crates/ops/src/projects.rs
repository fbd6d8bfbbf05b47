//! Projects: list, get, create, change, delete.

use crate::audit::{self, Note};
use crate::context::{Failure, or_conflict};
use crate::organizations::Organization;
use crate::{Actor, ApiError, Caller, Ops, Scope, lookup};
use db::Tx;
use stdx::Timestamp;

#[derive(Clone, Debug)]
pub struct Project {
    pub id: i64,
    pub slug: String,
    pub name: String,
    pub platform: Option<String>,
    pub is_active: bool,
    pub created_at: Timestamp,
    pub first_event_at: Option<Timestamp>,
    pub last_event_at: Option<Timestamp>,
    pub short_prefix: String,
    pub organization: Organization,
}

/// Which project: organization and project, each by slug or id text.
#[derive(Clone, Debug)]
pub struct ProjectRef {
    pub org: String,
    pub project: String,
}

#[derive(Clone, Debug)]
pub struct CreateProject {
    pub org: String,
    pub slug: String,
    pub name: Option<String>,
    pub platform: Option<String>,
}

/// Names seen in a project, for filters, at most 100 of each: environments by name, releases last seen first.
#[derive(Clone, Debug, Default)]
pub struct ProjectNames {
    pub environments: Vec<String>,
    pub releases: Vec<String>,
}

/// Names of each kind that are read.
const NAMES_MAX: usize = 100;

/// The label of a project's first key, as Sentry has it.
const FIRST_KEY_LABEL: &str = "Default";

/// Returns the projects of one organization (`Some`) or of all the actor belongs to, by slug.
///
/// # Errors
/// `NotFound` if the organization is not there or not the actor's.
pub async fn list(cx: &Ops, actor: &Actor, org: Option<&str>) -> Result<Vec<Project>, ApiError> {
    let (actor, org) = (actor.clone(), org.map(str::to_owned));
    let work = move |tx: &mut db::Tx<'_>| lookup::projects(tx, &actor, org.as_deref(), &[], Scope::ProjectRead);
    cx.read("list projects", work).await
}

/// Returns one project.
///
/// # Errors
/// `NotFound` if it is not there or not the actor's.
pub async fn get(cx: &Ops, actor: &Actor, input: &ProjectRef) -> Result<Project, ApiError> {
    let (actor, input) = (actor.clone(), input.clone());
    let work = move |tx: &mut db::Tx<'_>| lookup::project(tx, &actor, &input.org, &input.project, Scope::ProjectRead);
    cx.read("read a project", work).await
}

/// Creates a project and its first key.
///
/// # Errors
/// `Conflict` if the slug is taken, `Invalid` if it is none, `NotFound` for an organization that is not the actor's.
pub async fn create(cx: &Ops, caller: &Caller, input: CreateProject) -> Result<Project, ApiError> {
    lookup::check_slug(&input.slug)?;
    let (now, caller) = (cx.clock.now(), caller.clone());
    cx.write("create a project", move |tx| {
        let organization = lookup::organization(tx, &caller, &input.org, Scope::ProjectWrite)?;
        let new = store::projects::NewProject {
            org_id: organization.id,
            slug: &input.slug,
            name: input.name.as_deref().unwrap_or(&input.slug),
            platform: input.platform.as_deref(),
        };
        let row = store::projects::create(tx, &new, now).map_err(or_conflict)?;
        store::keys::create(tx, organization.id, row.id, FIRST_KEY_LABEL, now)?;
        let project = lookup::project_of(row, &organization);
        audit::note(tx, &caller, &entry("project.create", &project), now)?;
        Ok(project)
    })
    .await
}

/// What is to be changed of a project; `None` leaves it.
#[derive(Clone, Debug)]
pub struct UpdateProject {
    pub project: ProjectRef,
    pub name: Option<String>,
    pub slug: Option<String>,
    pub platform: Option<String>,
}

impl UpdateProject {
    /// Changes nothing yet.
    pub fn of(project: ProjectRef) -> UpdateProject {
        UpdateProject { project, name: None, slug: None, platform: None }
    }
}

/// Longest name, as Sentry has it; and longest platform.
const NAME_CHARS_MAX: usize = 200;
const PLATFORM_CHARS_MAX: usize = 64;

/// Changes a project's name, slug and platform. The old slug goes on leading to it until another project takes it.
///
/// # Errors
/// `NotFound` if it is not there or not the actor's, `Conflict` if the slug is taken, `Invalid` for texts that will not do.
pub async fn update(cx: &Ops, caller: &Caller, input: UpdateProject) -> Result<Project, ApiError> {
    let (now, caller) = (cx.clock.now(), caller.clone());
    cx.write("change a project", move |tx| {
        let ProjectRef { org, project } = &input.project;
        let before = lookup::project(tx, &caller, org, project, Scope::ProjectWrite)?;
        change(tx, &caller, &before, &input, now)
    })
    .await
}

/// Changes a project that the caller may change, within a transaction.
pub(crate) fn change(
    tx: &mut Tx<'_>,
    caller: &Caller,
    before: &Project,
    input: &UpdateProject,
    now: Timestamp,
) -> Result<Project, Failure> {
    let UpdateProject { project: _, name, slug, platform } = input;
    if name.is_none() && slug.is_none() && platform.is_none() {
        return Ok(before.clone());
    }
    slug.as_deref().map(lookup::check_slug).transpose()?;
    check_text("name", name.as_deref(), 1, NAME_CHARS_MAX)?;
    check_text("platform", platform.as_deref(), 0, PLATFORM_CHARS_MAX)?;
    let platform = platform.as_deref().or(before.platform.as_deref());
    let new = store::projects::NewProject {
        org_id: before.organization.id,
        slug: slug.as_deref().unwrap_or(&before.slug),
        name: name.as_deref().map_or(before.name.as_str(), str::trim),
        platform: platform.filter(|platform| !platform.is_empty()),
    };
    let row = store::projects::by_id(tx, before.id)?.ok_or(ApiError::NotFound)?;
    store::projects::change(tx, &row, &new, now).map_err(or_conflict)?;
    let project = lookup::project_by_id(tx, before.id)?;
    let detail = format!("{} ({})", project.slug, project.name);
    audit::note(tx, caller, &entry("project.update", before).detail(&detail), now)?;
    Ok(project)
}

/// Deletes a project: it is not found any more and its DSNs are refused within seconds. What was stored of it goes with
/// its days.
///
/// # Errors
/// `NotFound` if it is not there or not the actor's, `Forbidden` without `project:admin`.
pub async fn delete(cx: &Ops, caller: &Caller, input: &ProjectRef) -> Result<(), ApiError> {
    let (now, caller, input) = (cx.clock.now(), caller.clone(), input.clone());
    cx.write("delete a project", move |tx| {
        let project = lookup::project(tx, &caller, &input.org, &input.project, Scope::ProjectAdmin)?;
        store::projects::delete(tx, project.id)?;
        audit::note(tx, &caller, &entry("project.delete", &project).detail(&format!("id {}", project.id)), now)
    })
    .await
}

fn check_text(field: &str, text: Option<&str>, chars_min: usize, chars_max: usize) -> Result<(), ApiError> {
    let is_fine = |text: &str| {
        (chars_min..=chars_max).contains(&text.trim().chars().count()) && !text.chars().any(char::is_control)
    };
    match text.is_none_or(is_fine) {
        true => Ok(()),
        false => Err(ApiError::invalid(format!("{field}: {chars_min} to {chars_max} characters are expected."))),
    }
}

fn entry(action: &'static str, project: &Project) -> Note {
    let target = format!("{}/{}", project.organization.slug, project.slug);
    Note::new(action, &target).of_organization(project.organization.id)
}

/// Returns the environments and releases seen in a project.
///
/// # Errors
/// `NotFound` if the project is not there or not the actor's.
pub async fn names(cx: &Ops, actor: &Actor, input: &ProjectRef) -> Result<ProjectNames, ApiError> {
    let (actor, input) = (actor.clone(), input.clone());
    cx.read("read a project's environments and releases", move |tx| {
        let project = lookup::project(tx, &actor, &input.org, &input.project, Scope::ProjectRead)?;
        Ok(ProjectNames {
            environments: store::projects::environments(tx, project.id, NAMES_MAX)?,
            releases: store::projects::releases(tx, project.id, NAMES_MAX)?,
        })
    })
    .await
}
