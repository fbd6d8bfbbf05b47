//! Projects, their keys, statistics and environments.

use super::request::{Answer, ApiRequest};
use http::StatusCode;
use ops::keys::{self, CreateKey, Key, KeyRef, UpdateKey};
use ops::projects::{self, CreateProject};
use ops::statistics::{self, ProjectStatistics, Resolution};
use ops::{ApiError, shapes};
use serde_json::{Value, json};
use stdx::Timestamp;

pub(super) async fn list(request: ApiRequest) -> Result<Answer, ApiError> {
    let projects = projects::list(&request.ops, &request.caller, None).await?;
    Ok(Answer::list(&projects, shapes::project))
}

pub(super) async fn list_of_organization(request: ApiRequest) -> Result<Answer, ApiError> {
    let projects = projects::list(&request.ops, &request.caller, Some(request.param("org"))).await?;
    Ok(Answer::list(&projects, shapes::project))
}

/// `{"name", "slug", "platform"}`
pub(super) async fn create(request: ApiRequest) -> Result<Answer, ApiError> {
    let body = request.json()?;
    let slug = text_field(&body, &["slug"])?.ok_or_else(|| ApiError::invalid("slug: This field is required."))?;
    let input = CreateProject {
        org: request.param("org").to_owned(),
        slug,
        name: text_field(&body, &["name"])?,
        platform: text_field(&body, &["platform"])?,
    };
    let project = projects::create(&request.ops, &request.caller, input).await?;
    Ok(Answer::Json(StatusCode::CREATED, shapes::project(&project)))
}

pub(super) async fn delete(request: ApiRequest) -> Result<Answer, ApiError> {
    projects::delete(&request.ops, &request.caller, &request.project()).await?;
    Ok(Answer::Nothing)
}

pub(super) async fn keys(request: ApiRequest) -> Result<Answer, ApiError> {
    let keys = keys::list(&request.ops, &request.caller, &request.project()).await?;
    Ok(Answer::list(&keys, |key| shape(&request, key)))
}

pub(super) async fn create_key(request: ApiRequest) -> Result<Answer, ApiError> {
    let body = if request.body.is_empty() { json!({}) } else { request.json()? };
    let input = CreateKey { project: request.project(), label: text_field(&body, &["name", "label"])? };
    let key = keys::create(&request.ops, &request.caller, input).await?;
    Ok(Answer::Json(StatusCode::CREATED, shape(&request, &key)))
}

pub(super) async fn key(request: ApiRequest) -> Result<Answer, ApiError> {
    let key = keys::get(&request.ops, &request.caller, &key_ref(&request)).await?;
    Ok(Answer::ok(shape(&request, &key)))
}

pub(super) async fn update_key(request: ApiRequest) -> Result<Answer, ApiError> {
    let body = request.json()?;
    let is_active = match body.get("isActive") {
        None => None,
        Some(Value::Bool(is_active)) => Some(*is_active),
        Some(_) => return Err(ApiError::invalid("isActive: a boolean is expected.")),
    };
    let input = UpdateKey { key: key_ref(&request), label: text_field(&body, &["name", "label"])?, is_active };
    let key = keys::update(&request.ops, &request.caller, input).await?;
    Ok(Answer::ok(shape(&request, &key)))
}

pub(super) async fn delete_key(request: ApiRequest) -> Result<Answer, ApiError> {
    keys::delete(&request.ops, &request.caller, &key_ref(&request)).await?;
    Ok(Answer::Nothing)
}

fn key_ref(request: &ApiRequest) -> KeyRef {
    KeyRef { project: request.project(), key: request.param("key").to_owned() }
}

fn shape(request: &ApiRequest, key: &Key) -> Value {
    shapes::key(&request.ops.public_url(), key)
}

fn text_field(body: &Value, names: &[&str]) -> Result<Option<String>, ApiError> {
    match names.iter().find_map(|name| body.get(name)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ApiError::invalid(format!("{}: a text is expected.", names[0]))),
    }
}

/// `GET …/stats/?stat=received&since=&until=&resolution=1h`: `[[seconds, events], …]`.
pub(super) async fn statistics(request: ApiRequest) -> Result<Answer, ApiError> {
    let resolution = match request.first("resolution") {
        None | Some("" | "1h") => Resolution::Hour,
        Some("1d") => Resolution::Day,
        Some(_) => return Err(ApiError::invalid("Invalid resolution: 1h or 1d is expected.")),
    };
    let input = ProjectStatistics {
        project: request.project(),
        since: seconds(&request, "since")?,
        until: seconds(&request, "until")?,
        resolution,
    };
    let points = statistics::project(&request.ops, &request.caller, &input).await?;
    Ok(Answer::list(&points, |(at, count)| json!([at.micros() / 1_000_000, count])))
}

fn seconds(request: &ApiRequest, name: &str) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = request.first(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    let time = text.parse().ok().and_then(Timestamp::from_seconds_f64);
    time.map(Some).ok_or_else(|| ApiError::invalid(format!("Invalid {name}: seconds since the epoch are expected.")))
}

pub(super) async fn environments(request: ApiRequest) -> Result<Answer, ApiError> {
    let names = projects::names(&request.ops, &request.caller, &request.project()).await?;
    Ok(Answer::list(&names.environments, |name| json!({"id": name, "name": name, "isHidden": false})))
}
