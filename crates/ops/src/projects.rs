//! Projects: list, get, create.

use crate::context::or_conflict;
use crate::organizations::Organization;
use crate::{Actor, ApiError, Ops, Scope, lookup};
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
pub async fn create(cx: &Ops, actor: &Actor, input: CreateProject) -> Result<Project, ApiError> {
    lookup::check_slug(&input.slug)?;
    let (now, actor) = (cx.clock.now(), actor.clone());
    cx.write("create a project", move |tx| {
        let organization = lookup::organization(tx, &actor, &input.org, Scope::ProjectWrite)?;
        let new = store::projects::NewProject {
            org_id: organization.id,
            slug: &input.slug,
            name: input.name.as_deref().unwrap_or(&input.slug),
            platform: input.platform.as_deref(),
        };
        let row = store::projects::create(tx, &new, now).map_err(or_conflict)?;
        store::keys::create(tx, organization.id, row.id, FIRST_KEY_LABEL, now)?;
        Ok(lookup::project_of(row, &organization))
    })
    .await
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
