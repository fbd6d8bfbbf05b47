//! People, their permissions, members of organizations, and the audit log.

use super::request::{Answer, ApiRequest};
use http::StatusCode;
use ops::members::{self, MemberRef};
use ops::permissions::{self, Permission};
use ops::users::{self, CreateUser, UpdateUser};
use ops::{ApiError, audit, shapes};
use serde_json::{Value, json};
use stdx::Redacted;

pub(super) async fn users(request: ApiRequest) -> Result<Answer, ApiError> {
    let users = users::list(&request.ops, &request.caller).await?;
    Ok(Answer::list(&users, shapes::user))
}

/// `{"email", "name", "password", "isSuperuser", "organization"}`; a path of ours, Sentry makes people by invitation.
pub(super) async fn create_user(request: ApiRequest) -> Result<Answer, ApiError> {
    let body = request.json()?;
    let input = CreateUser {
        email: text(&body, "email")?.unwrap_or_default(),
        name: text(&body, "name")?,
        password: text(&body, "password")?.map(Redacted::new),
        is_superuser: flag(&body, "isSuperuser")?,
        org: text(&body, "organization")?,
        force_update: false,
    };
    let user = users::create(&request.ops, &request.caller, input).await?;
    Ok(Answer::Json(StatusCode::CREATED, shapes::user(&user)))
}

pub(super) async fn user(request: ApiRequest) -> Result<Answer, ApiError> {
    let user = users::get(&request.ops, &request.caller, request.param("user")).await?;
    Ok(Answer::ok(shapes::user(&user)))
}

/// `{"name", "isActive", "isSuperuser"}`, each of which may be missing.
pub(super) async fn update_user(request: ApiRequest) -> Result<Answer, ApiError> {
    let body = request.json()?;
    let input = UpdateUser {
        id: request.param("user").to_owned(),
        name: text(&body, "name")?,
        is_superuser: flag(&body, "isSuperuser")?,
        is_active: flag(&body, "isActive")?,
    };
    let user = users::update(&request.ops, &request.caller, input).await?;
    Ok(Answer::ok(shapes::user(&user)))
}

/// With `{"hardDelete": true}` the account is forgotten as well.
pub(super) async fn delete_user(request: ApiRequest) -> Result<Answer, ApiError> {
    let body = if request.body.is_empty() { json!({}) } else { request.json()? };
    let is_for_good = flag(&body, "hardDelete")?.unwrap_or_default();
    users::delete(&request.ops, &request.caller, request.param("user"), is_for_good).await?;
    Ok(Answer::Nothing)
}

pub(super) async fn permissions(request: ApiRequest) -> Result<Answer, ApiError> {
    let held = permissions::list(&request.ops, &request.caller, &user_id(&request).await?).await?;
    Ok(Answer::ok(json!(held.permissions.names())))
}

/// Every permission there is.
pub(super) async fn available_permissions(request: ApiRequest) -> Result<Answer, ApiError> {
    request.caller.require_superuser()?;
    Ok(Answer::ok(Permission::all().map(shapes::permission).collect()))
}

/// 201 if it was given, 204 if it was held already, as Sentry answers.
pub(super) async fn add_permission(request: ApiRequest) -> Result<Answer, ApiError> {
    let (user, name) = (user_id(&request).await?, request.param("permission"));
    let changed = permissions::add(&request.ops, &request.caller, &user, name).await?;
    match changed.is_changed {
        true => Ok(Answer::Json(StatusCode::CREATED, json!({"permission": name}))),
        false => Ok(Answer::Nothing),
    }
}

pub(super) async fn remove_permission(request: ApiRequest) -> Result<Answer, ApiError> {
    let (user, name) = (user_id(&request).await?, request.param("permission"));
    let changed = permissions::remove(&request.ops, &request.caller, &user, name).await?;
    if changed.is_changed { Ok(Answer::Nothing) } else { Err(ApiError::NotFound) }
}

/// The path names a person by id, never by a name that somebody chose.
async fn user_id(request: &ApiRequest) -> Result<String, ApiError> {
    let user = users::get(&request.ops, &request.caller, request.param("user")).await?;
    Ok(user.id.to_string())
}

pub(super) async fn members(request: ApiRequest) -> Result<Answer, ApiError> {
    let members = members::list(&request.ops, &request.caller, request.param("org")).await?;
    Ok(Answer::list(&members, shapes::member))
}

/// `{"email", "orgRole"}`; the person has an account already.
pub(super) async fn add_member(request: ApiRequest) -> Result<Answer, ApiError> {
    let body = request.json()?;
    let email = text(&body, "email")?.ok_or_else(|| ApiError::invalid("email: This field is required."))?;
    let role = role(&body)?.unwrap_or_else(|| "member".to_owned());
    let member = members::add(&request.ops, &request.caller, request.param("org"), &email, &role).await?;
    Ok(Answer::Json(StatusCode::CREATED, shapes::member(&member)))
}

pub(super) async fn member(request: ApiRequest) -> Result<Answer, ApiError> {
    let member = members::get(&request.ops, &request.caller, &member_ref(&request)).await?;
    Ok(Answer::ok(shapes::member(&member)))
}

/// `{"orgRole"}`
pub(super) async fn update_member(request: ApiRequest) -> Result<Answer, ApiError> {
    let body = request.json()?;
    let role = role(&body)?.ok_or_else(|| ApiError::invalid("orgRole: This field is required."))?;
    let member = members::update(&request.ops, &request.caller, &member_ref(&request), &role).await?;
    Ok(Answer::ok(shapes::member(&member)))
}

pub(super) async fn remove_member(request: ApiRequest) -> Result<Answer, ApiError> {
    members::remove(&request.ops, &request.caller, &member_ref(&request)).await?;
    Ok(Answer::Nothing)
}

fn member_ref(request: &ApiRequest) -> MemberRef {
    MemberRef { org: request.param("org").to_owned(), member: request.param("member").to_owned() }
}

/// The log of an organization, as Sentry has it: the entries stand under `rows`.
pub(super) async fn organization_log(request: ApiRequest) -> Result<Answer, ApiError> {
    log(&request, Some(request.param("org"))).await
}

/// Everything that was noted.
pub(super) async fn log_of_everything(request: ApiRequest) -> Result<Answer, ApiError> {
    log(&request, None).await
}

async fn log(request: &ApiRequest, org: Option<&str>) -> Result<Answer, ApiError> {
    let page = audit::list(&request.ops, &request.caller, org, &request.page()?).await?;
    match request.answer_page(&page, shapes::audit_entry) {
        Answer::Page { rows, link } => Ok(Answer::Page { rows: json!({"rows": rows, "options": []}), link }),
        other => Ok(other),
    }
}

/// `role` is its older name.
fn role(body: &Value) -> Result<Option<String>, ApiError> {
    Ok(text(body, "orgRole")?.or(text(body, "role")?))
}

fn text(body: &Value, name: &str) -> Result<Option<String>, ApiError> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ApiError::invalid(format!("{name}: a text is expected."))),
    }
}

fn flag(body: &Value, name: &str) -> Result<Option<bool>, ApiError> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(ApiError::invalid(format!("{name}: a boolean is expected."))),
    }
}
