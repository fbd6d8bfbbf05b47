//! Issues: lists, one, tags, and changes of status.

use super::request::{Answer, ApiRequest};
use super::shapes;
use http::StatusCode;
use ops::issues::{
    self, DeleteIssues, IssueSort, IssueStatus, ListIssues, MergeIssues, Part, SeriesPeriod, UpdateIssues,
};
use ops::{ApiError, Page};
use serde_json::{Value, json};

pub(super) async fn list_of_project(request: ApiRequest) -> Result<Answer, ApiError> {
    let projects = vec![request.param("project").to_owned()];
    list(request, projects).await
}

pub(super) async fn list_of_organization(request: ApiRequest) -> Result<Answer, ApiError> {
    let projects = named_projects(&request);
    list(request, projects).await
}

/// The project of the path, or those of `project=`.
fn named_projects(request: &ApiRequest) -> Vec<String> {
    let of_path = request.param("project");
    if !of_path.is_empty() {
        return vec![of_path.to_owned()];
    }
    let mut projects = request.all("project");
    // Sentry's "all projects" is -1.
    if projects.iter().any(|project| project == "-1") {
        projects.clear();
    }
    projects
}

async fn list(request: ApiRequest, projects: Vec<String>) -> Result<Answer, ApiError> {
    let input = ListIssues {
        org: Some(request.param("org").to_owned()),
        projects,
        query: request.first("query").map(str::to_owned),
        sort: sort(&request)?,
        environments: request.all("environment"),
        series: series(&request)?,
        page: request.page()?,
    };
    let page: Page<issues::Issue> = issues::list(&request.ops, &request.caller, input).await?;
    Ok(request.answer_page(&page, shapes::issue))
}

fn sort(request: &ApiRequest) -> Result<IssueSort, ApiError> {
    match request.first("sort") {
        None | Some("") => Ok(IssueSort::Date),
        Some(text) => IssueSort::parse(text)
            .ok_or_else(|| ApiError::invalid("Invalid sort: date, new, freq or user is expected.")),
    }
}

/// An empty period means no series, as Sentry has it.
fn series(request: &ApiRequest) -> Result<Option<SeriesPeriod>, ApiError> {
    match request.first("groupStatsPeriod").or_else(|| request.first("statsPeriod")) {
        None => Ok(Some(SeriesPeriod::Day)),
        Some("") => Ok(None),
        Some(text) => {
            let period = SeriesPeriod::parse(text);
            period.map(Some).ok_or_else(|| ApiError::invalid("Invalid statsPeriod: \"\", 24h or 14d is expected."))
        }
    }
}

pub(super) async fn get(request: ApiRequest) -> Result<Answer, ApiError> {
    let issue = issues::get(&request.ops, &request.caller, &request.issue()).await?;
    Ok(Answer::ok(shapes::issue(&issue)))
}

pub(super) async fn update(request: ApiRequest) -> Result<Answer, ApiError> {
    let issue = request.issue();
    let input = UpdateIssues { org: issue.org, projects: vec![], issues: vec![issue.issue], status: status(&request)? };
    let issues = issues::update(&request.ops, &request.caller, input).await?;
    let issue = issues.first().ok_or(ApiError::NotFound)?;
    Ok(Answer::ok(shapes::issue(issue)))
}

pub(super) async fn delete(request: ApiRequest) -> Result<Answer, ApiError> {
    let issue = request.issue();
    let input = DeleteIssues { org: issue.org, projects: vec![], issues: vec![issue.issue] };
    issues::delete(&request.ops, &request.caller, input).await?;
    Ok(Answer::Json(StatusCode::ACCEPTED, json!({})))
}

/// `DELETE ?id=1&id=2`. Without ids Sentry deletes everything that matches; here that is refused, as in `update_many`.
pub(super) async fn delete_many(request: ApiRequest) -> Result<Answer, ApiError> {
    let issues = request.all("id");
    if issues.is_empty() {
        return Err(ApiError::invalid("At least one id parameter is expected."));
    }
    let projects = named_projects(&request);
    let input = DeleteIssues { org: Some(request.param("org").to_owned()), projects, issues };
    issues::delete(&request.ops, &request.caller, input).await?;
    Ok(Answer::Nothing)
}

/// `PUT ?id=1&id=2 {"status": …}`. Without ids Sentry changes everything that matches; here that is refused, because a
/// forgotten parameter should not resolve a project.
pub(super) async fn update_many(request: ApiRequest) -> Result<Answer, ApiError> {
    let ids = request.all("id");
    if ids.is_empty() {
        return Err(ApiError::invalid("At least one id parameter is expected."));
    }
    if is_merge(&request.json()?)? {
        return merge(request, ids).await;
    }
    let status = status(&request)?;
    let projects = named_projects(&request);
    let input = UpdateIssues { org: Some(request.param("org").to_owned()), projects, issues: ids, status };
    issues::update(&request.ops, &request.caller, input).await?;
    Ok(Answer::ok(json!({"status": status.as_str(), "statusDetails": {}})))
}

/// Sentry's own pages send `{"merge": 1}`.
fn is_merge(body: &Value) -> Result<bool, ApiError> {
    let wanted = match body.get("merge") {
        None | Some(Value::Null | Value::Bool(false)) => return Ok(false),
        Some(Value::Bool(true)) => true,
        Some(value) => value.as_i64() == Some(1) || value.as_str() == Some("1"),
    };
    match wanted && body.get("status").is_none() {
        true => Ok(true),
        false => Err(ApiError::invalid("merge: 1 is expected, and no status with it.")),
    }
}

async fn merge(request: ApiRequest, issues: Vec<String>) -> Result<Answer, ApiError> {
    let projects = named_projects(&request);
    let input = MergeIssues { org: Some(request.param("org").to_owned()), projects, issues };
    let merged = issues::merge(&request.ops, &request.caller, input).await?;
    let children: Vec<String> = merged.children.iter().map(ToString::to_string).collect();
    Ok(Answer::ok(json!({"merge": {"parent": merged.parent.id.to_string(), "children": children}})))
}

/// `GET …/hashes/`: what the issue is grouped by, each with its latest event.
pub(super) async fn hashes(request: ApiRequest) -> Result<Answer, ApiError> {
    let lineage = issues::lineage(&request.ops, &request.caller, &request.issue()).await?;
    let with_events: Vec<_> = lineage.hashes.iter().filter(|hash| hash.event_count > 0).collect();
    Ok(Answer::list(&with_events, |hash| {
        json!({
            "id": hash.hash,
            "latestEvent": hash.latest.as_ref().map(shapes::event_summary),
            "mergedBySeer": false,
            "seerMatchDistance": null,
        })
    }))
}

/// `PUT …/hashes/?id=…` (and `DELETE`, as it was): what these hashes are of becomes an issue of its own.
pub(super) async fn unmerge(request: ApiRequest) -> Result<Answer, ApiError> {
    let hashes = request.all("id");
    if hashes.is_empty() {
        return Ok(Answer::Nothing);
    }
    let made = issues::unmerge(&request.ops, &request.caller, &request.issue(), Part::Hashes(hashes)).await?;
    Ok(Answer::Json(StatusCode::ACCEPTED, json!({"id": made.id.to_string()})))
}

fn status(request: &ApiRequest) -> Result<IssueStatus, ApiError> {
    let body = request.json()?;
    match body.get("status").and_then(Value::as_str) {
        // "In the next release" becomes plain "resolved" until releases have an order.
        Some("resolvedInNextRelease") => Ok(IssueStatus::Resolved),
        Some(text) => IssueStatus::parse(text)
            .ok_or_else(|| ApiError::invalid("status: resolved, unresolved or ignored is expected.")),
        None => Err(ApiError::invalid("status: This field is required.")),
    }
}

pub(super) async fn tags(request: ApiRequest) -> Result<Answer, ApiError> {
    let tags = issues::tags(&request.ops, &request.caller, &request.issue()).await?;
    Ok(Answer::list(&tags, shapes::tag))
}

pub(super) async fn tag(request: ApiRequest) -> Result<Answer, ApiError> {
    let tag = issues::tag(&request.ops, &request.caller, &request.issue(), request.param("key")).await?;
    Ok(Answer::ok(shapes::tag(&tag)))
}

pub(super) async fn tag_values(request: ApiRequest) -> Result<Answer, ApiError> {
    let tag = issues::tag(&request.ops, &request.caller, &request.issue(), request.param("key")).await?;
    Ok(Answer::list(&tag.values, |value| shapes::tag_value(&tag.key, value)))
}
