//! Who asks, and organizations.

use super::request::{Answer, ApiRequest};
use ops::{Actor, ApiError, Scopes, organizations, shapes};
use serde_json::{Value, json};

/// `GET /`: what sentry-cli calls to log in. Scopes are null for a session, as Sentry's are.
pub(super) async fn auth_info(request: ApiRequest) -> Result<Answer, ApiError> {
    let (user, scopes) = match request.caller.actor() {
        Actor::User(user) => (
            json!({"id": user.id.to_string(), "email": user.email, "name": user.name, "username": user.email}),
            user.scopes.map(Scopes::names),
        ),
        Actor::Anonymous | Actor::System => (Value::Null, None),
    };
    let auth = scopes.map_or(Value::Null, |scopes| json!({ "scopes": scopes }));
    Ok(Answer::ok(json!({"version": "0", "user": user, "auth": auth})))
}

pub(super) async fn list(request: ApiRequest) -> Result<Answer, ApiError> {
    let organizations = organizations::list(&request.ops, &request.caller).await?;
    Ok(Answer::list(&organizations, shapes::organization))
}

pub(super) async fn get(request: ApiRequest) -> Result<Answer, ApiError> {
    let organization = organizations::get(&request.ops, &request.caller, request.param("org")).await?;
    Ok(Answer::ok(shapes::organization(&organization)))
}
