//! The one table of the API's routes: method, path, scope, handler. A test sends an anonymous request to each.

use super::request::{Answer, ApiRequest};
use super::{accounts, events, issues, options, organizations, project_settings, projects, system};
use http::Method;
use ops::{ApiError, Scope};
use std::future::Future;
use std::pin::Pin;

type Run = fn(ApiRequest) -> Pin<Box<dyn Future<Output = Result<Answer, ApiError>> + Send>>;

/// A route of the API.
pub struct RouteInfo {
    pub method: Method,
    /// Behind `/api/0`, with the final slash.
    pub path: &'static str,
    /// What a token must allow; `None` = any token.
    pub scope: Option<Scope>,
    pub(super) run: Run,
}

/// Returns method, path and scope of every route, for documents and tests.
pub fn route_list() -> Vec<(Method, &'static str, Option<Scope>)> {
    ROUTES.iter().map(|route| (route.method.clone(), route.path, route.scope)).collect()
}

macro_rules! route {
    ($method:ident $path:literal $scope:expr, $handler:path) => {
        RouteInfo { method: Method::$method, path: $path, scope: $scope, run: |request| Box::pin($handler(request)) }
    };
}

const ANY: Option<Scope> = None;
const ORG: Option<Scope> = Some(Scope::OrgRead);
const ADMIN_EVENT: Option<Scope> = Some(Scope::EventAdmin);
const READ_PROJECT: Option<Scope> = Some(Scope::ProjectRead);
const WRITE_PROJECT: Option<Scope> = Some(Scope::ProjectWrite);
const ADMIN_PROJECT: Option<Scope> = Some(Scope::ProjectAdmin);
const READ_MEMBERS: Option<Scope> = Some(Scope::MemberRead);
const WRITE_MEMBERS: Option<Scope> = Some(Scope::MemberWrite);
const WRITE_ORG: Option<Scope> = Some(Scope::OrgWrite);
const ADMIN: Option<Scope> = Some(Scope::OrgAdmin);
const READ: Option<Scope> = Some(Scope::EventRead);
const WRITE: Option<Scope> = Some(Scope::EventWrite);

/// Every route of the API.
#[rustfmt::skip]
pub static ROUTES: &[RouteInfo] = &[
    route!(GET    "/" ANY, organizations::auth_info),
    route!(GET    "/organizations/" ANY, organizations::list),
    route!(GET    "/organizations/{org}/" ORG, organizations::get),
    route!(GET    "/organizations/{org}/projects/" READ_PROJECT, projects::list_of_organization),
    route!(POST   "/organizations/{org}/projects/" WRITE_PROJECT, projects::create),
    route!(GET    "/organizations/{org}/members/" READ_MEMBERS, accounts::members),
    route!(POST   "/organizations/{org}/members/" WRITE_MEMBERS, accounts::add_member),
    route!(GET    "/organizations/{org}/members/{member}/" READ_MEMBERS, accounts::member),
    route!(PUT    "/organizations/{org}/members/{member}/" WRITE_MEMBERS, accounts::update_member),
    route!(DELETE "/organizations/{org}/members/{member}/" READ_MEMBERS, accounts::remove_member),
    route!(GET    "/organizations/{org}/audit-logs/" WRITE_ORG, accounts::organization_log),
    route!(GET    "/users/" ADMIN, accounts::users),
    route!(POST   "/users/" ADMIN, accounts::create_user),
    route!(GET    "/users/{user}/" ANY, accounts::user),
    route!(PUT    "/users/{user}/" WRITE_MEMBERS, accounts::update_user),
    route!(DELETE "/users/{user}/" ADMIN, accounts::delete_user),
    route!(GET    "/users/{user}/permissions/" ADMIN, accounts::permissions),
    route!(GET    "/users/{user}/permissions/config/" ADMIN, accounts::available_permissions),
    route!(POST   "/users/{user}/permissions/{permission}/" ADMIN, accounts::add_permission),
    route!(DELETE "/users/{user}/permissions/{permission}/" ADMIN, accounts::remove_permission),
    route!(GET    "/projects/" READ_PROJECT, projects::list),
    route!(GET    "/projects/{org}/{project}/" READ_PROJECT, project_settings::get),
    route!(PUT    "/projects/{org}/{project}/" WRITE_PROJECT, project_settings::update),
    route!(DELETE "/projects/{org}/{project}/" ADMIN_PROJECT, projects::delete),
    route!(GET    "/projects/{org}/{project}/filters/" READ_PROJECT, project_settings::filters),
    route!(PUT    "/projects/{org}/{project}/filters/{filter}/" WRITE_PROJECT, project_settings::update_filter),
    route!(GET    "/projects/{org}/{project}/keys/" READ_PROJECT, projects::keys),
    route!(POST   "/projects/{org}/{project}/keys/" WRITE_PROJECT, projects::create_key),
    route!(GET    "/projects/{org}/{project}/keys/{key}/" READ_PROJECT, projects::key),
    route!(PUT    "/projects/{org}/{project}/keys/{key}/" WRITE_PROJECT, projects::update_key),
    route!(DELETE "/projects/{org}/{project}/keys/{key}/" WRITE_PROJECT, projects::delete_key),
    route!(GET    "/projects/{org}/{project}/stats/" READ_PROJECT, projects::statistics),
    route!(GET    "/projects/{org}/{project}/environments/" READ_PROJECT, projects::environments),
    route!(GET    "/projects/{org}/{project}/issues/" READ, issues::list_of_project),
    route!(PUT    "/projects/{org}/{project}/issues/" WRITE, issues::update_many),
    route!(DELETE "/projects/{org}/{project}/issues/" ADMIN_EVENT, issues::delete_many),
    route!(GET    "/organizations/{org}/issues/" READ, issues::list_of_organization),
    route!(PUT    "/organizations/{org}/issues/" WRITE, issues::update_many),
    route!(DELETE "/organizations/{org}/issues/" ADMIN_EVENT, issues::delete_many),
    route!(GET    "/issues/{issue}/" READ, issues::get),
    route!(PUT    "/issues/{issue}/" WRITE, issues::update),
    route!(DELETE "/issues/{issue}/" ADMIN_EVENT, issues::delete),
    route!(GET    "/organizations/{org}/issues/{issue}/" READ, issues::get),
    route!(PUT    "/organizations/{org}/issues/{issue}/" WRITE, issues::update),
    route!(DELETE "/organizations/{org}/issues/{issue}/" ADMIN_EVENT, issues::delete),
    route!(GET    "/issues/{issue}/hashes/" READ, issues::hashes),
    route!(PUT    "/issues/{issue}/hashes/" WRITE, issues::unmerge),
    route!(DELETE "/issues/{issue}/hashes/" WRITE, issues::unmerge),
    route!(GET    "/organizations/{org}/issues/{issue}/hashes/" READ, issues::hashes),
    route!(PUT    "/organizations/{org}/issues/{issue}/hashes/" WRITE, issues::unmerge),
    route!(DELETE "/organizations/{org}/issues/{issue}/hashes/" WRITE, issues::unmerge),
    route!(GET    "/issues/{issue}/tags/" READ, issues::tags),
    route!(GET    "/organizations/{org}/issues/{issue}/tags/" READ, issues::tags),
    route!(GET    "/issues/{issue}/tags/{key}/" READ, issues::tag),
    route!(GET    "/organizations/{org}/issues/{issue}/tags/{key}/" READ, issues::tag),
    route!(GET    "/issues/{issue}/tags/{key}/values/" READ, issues::tag_values),
    route!(GET    "/organizations/{org}/issues/{issue}/tags/{key}/values/" READ, issues::tag_values),
    route!(GET    "/issues/{issue}/events/" READ, events::list_of_issue),
    route!(GET    "/organizations/{org}/issues/{issue}/events/" READ, events::list_of_issue),
    route!(GET    "/issues/{issue}/events/{event_id}/" READ, events::get_of_issue),
    route!(GET    "/organizations/{org}/issues/{issue}/events/{event_id}/" READ, events::get_of_issue),
    route!(GET    "/projects/{org}/{project}/events/" READ, events::list_of_project),
    route!(GET    "/projects/{org}/{project}/events/{event_id}/" READ, events::get),
    route!(GET    "/projects/{org}/{project}/events/{event_id}/json/" READ, events::raw_json),
    route!(GET    "/projects/{org}/{project}/events/{event_id}/receipt/" READ, events::receipt),
    route!(POST   "/projects/{org}/{project}/events/{event_id}/scrubbing-preview/" READ, project_settings::preview),
    route!(GET    "/projects/{org}/{project}/events/{event_id}/grouping-info/" READ, events::grouping_info),
    route!(GET    "/projects/{org}/{project}/events/{event_id}/attachments/" READ, events::attachments),
    route!(GET    "/projects/{org}/{project}/events/{event_id}/attachments/{attachment}/" READ, events::attachment),
    route!(GET    "/system/pipeline/" ADMIN, system::pipeline),
    route!(GET    "/system/ledger/" ADMIN, system::ledger),
    route!(POST   "/system/write-off/" ADMIN, system::write_off),
    route!(GET    "/system/spools/" ADMIN, system::spools),
    route!(DELETE "/system/spools/{id}/" ADMIN, system::forget_spool),
    route!(GET    "/system/parked/" ADMIN, system::parked),
    route!(GET    "/system/queues/" ADMIN, system::queues),
    route!(PUT    "/system/queues/{queue}/" ADMIN, system::update_queue),
    route!(POST   "/system/queues/{queue}/purge/" ADMIN, system::purge_queue),
    route!(GET    "/system/workers/" ADMIN, system::workers),
    route!(GET    "/system/dead-letters/" ADMIN, system::dead_letters),
    route!(GET    "/system/dead-letters/{id}/" ADMIN, system::dead_letter),
    route!(POST   "/system/dead-letters/{id}/retry/" ADMIN, system::retry_dead_letter),
    route!(DELETE "/system/dead-letters/{id}/" ADMIN, system::discard_dead_letter),
    route!(GET    "/system/audit/" ADMIN, accounts::log_of_everything),
    route!(GET    "/system/schedules/" ADMIN, system::schedules),
    route!(GET    "/system/options/" ADMIN, options::list),
    route!(PUT    "/system/options/{option}/" ADMIN, options::update),
    route!(DELETE "/system/options/{option}/" ADMIN, options::delete),
    route!(GET    "/system/storage/" ADMIN, system::storage),
    route!(GET    "/system/itself/" ADMIN, system::itself),
];
