//! The keys of the configuration with their sources, and changing those that may stand in the store. Paths of ours, not
//! Sentry's; for superusers.

use super::request::{Answer, ApiRequest};
use ops::ApiError;
use ops::options::{self, OptionView};
use serde_json::{Value, json};

pub(super) async fn list(request: ApiRequest) -> Result<Answer, ApiError> {
    let views = options::list(&request.ops, &request.caller).await?;
    Ok(Answer::list(&views, shape))
}

/// `{"value": "debug"}`; numbers and booleans are taken as their text.
pub(super) async fn update(request: ApiRequest) -> Result<Answer, ApiError> {
    let name = request.param("option");
    let value = match request.json()?.get("value") {
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => {
            return Err(ApiError::invalid("value: a text, a number or a boolean is expected."));
        }
    };
    let view = options::set(&request.ops, &request.caller, name, &value).await?;
    Ok(Answer::ok(shape(&view)))
}

pub(super) async fn delete(request: ApiRequest) -> Result<Answer, ApiError> {
    options::delete(&request.ops, &request.caller, request.param("option")).await?;
    Ok(Answer::Nothing)
}

fn shape(view: &OptionView) -> Value {
    let known = &view.known;
    let changed = view
        .stored
        .as_ref()
        .map(|row| json!({ "at": row.changed_at.to_rfc3339(), "by": row.changed_by, "channel": row.channel }));
    json!({
        "key": known.name, "value": view.value, "source": view.source, "default": known.default, "type": known.takes,
        "help": known.help, "runtime": known.is_runtime, "restart": !known.is_live, "secret": known.is_secret,
        "settable": view.can_be_set(), "changed": changed,
    })
}
