//! Projects: list, get, create.

use crate::organizations::Organization;
use crate::{Actor, ApiError, Ops};
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

/// Returns the projects of one organization (`Some`) or of all the actor belongs to, by slug.
pub async fn list(_cx: &Ops, _actor: &Actor, _org: Option<&str>) -> Result<Vec<Project>, ApiError> {
    Err(ApiError::NotFound)
}

pub async fn get(_cx: &Ops, _actor: &Actor, _input: &ProjectRef) -> Result<Project, ApiError> {
    Err(ApiError::NotFound)
}

#[derive(Clone, Debug)]
pub struct CreateProject {
    pub org: String,
    pub slug: String,
    pub name: Option<String>,
    pub platform: Option<String>,
}

/// Creates a project and its first key.
pub async fn create(_cx: &Ops, _actor: &Actor, _input: CreateProject) -> Result<Project, ApiError> {
    Err(ApiError::NotFound)
}

/// Names seen in a project, for filters: environments and releases, newest first, at most 100 of each.
#[derive(Clone, Debug, Default)]
pub struct ProjectNames {
    pub environments: Vec<String>,
    pub releases: Vec<String>,
}

pub async fn names(_cx: &Ops, _actor: &Actor, _input: &ProjectRef) -> Result<ProjectNames, ApiError> {
    Err(ApiError::NotFound)
}
