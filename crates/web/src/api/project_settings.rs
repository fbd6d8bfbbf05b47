//! Scrubbing, inbound filters, grouping and retention of a project, under Sentry's names: fields of the project, its `options`, and `filters/`.

use super::grouping_settings;
use super::request::{Answer, ApiRequest};
use http::StatusCode;
use ops::project_settings::{self, Change, LegacyBrowser, ProjectSettings};
use ops::projects::{self, UpdateProject};
use ops::{ApiError, shapes};
use serde_json::{Map, Value, json};

/// Filters that are on or off: id, what it is called, and what it does.
const SWITCHES: &[(&str, &str, &str)] = &[
    ("browser-extensions", "Browser extensions", "Errors that extensions make in other people's pages"),
    ("localhost", "Localhost", "Events of people's own machines, by address, host or file"),
    ("web-crawlers", "Web crawlers", "Events made by programs that read the web"),
    ("filtered-transaction", "Health checks", "Transactions that only ask whether the program is there"),
    ("react-hydration-errors", "React hydration errors", "Differences between server and browser that React reports"),
    ("chunk-load-error", "Chunk load errors", "Scripts that were not there any more"),
];
const LEGACY_BROWSERS: &str = "legacy-browsers";

/// `GET /projects/{org}/{project}/`: the project with its settings.
pub(super) async fn get(request: ApiRequest) -> Result<Answer, ApiError> {
    let settings = project_settings::get(&request.ops, &request.caller, &request.project()).await?;
    answer(&request, &settings).await
}

/// `PUT /projects/{org}/{project}/`: changes what is named, and refuses names that cannot be changed here.
pub(super) async fn update(request: ApiRequest) -> Result<Answer, ApiError> {
    let mut body = object(&request)?;
    let mut text = |name: &str| match body.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ApiError::invalid(format!("{name}: a text is expected."))),
    };
    let project = request.project();
    let input = UpdateProject { project, name: text("name")?, slug: text("slug")?, platform: text("platform")? };
    let change = move |settings: &mut ProjectSettings| apply(settings, &body);
    let settings = project_settings::update(&request.ops, &request.caller, input, change).await?;
    answer(&request, &settings).await
}

/// `POST …/events/{event_id}/scrubbing-preview/`: what the settings, changed as the body says, would make of the event.
pub(super) async fn preview(request: ApiRequest) -> Result<Answer, ApiError> {
    let body = if request.body.is_empty() { Map::new() } else { object(&request)? };
    let change = move |settings: &mut ProjectSettings| apply(settings, &body);
    let found = project_settings::preview(&request.ops, &request.caller, &request.event(), change).await?;
    let event: Value = serde_json::from_slice(&found.event).map_err(ApiError::store("read a scrubbed event"))?;
    let changes: Vec<Value> = found.changes.iter().map(shape_of_change).collect();
    Ok(Answer::Json(StatusCode::OK, json!({ "changes": changes, "event": event })))
}

/// `GET …/filters/`.
pub(super) async fn filters(request: ApiRequest) -> Result<Answer, ApiError> {
    let mut settings = project_settings::get(&request.ops, &request.caller, &request.project()).await?;
    let mut list: Vec<Value> = Vec::new();
    for (id, name, description) in SWITCHES {
        let active = switch(&mut settings, id).is_some_and(|active| *active);
        list.push(json!({ "id": id, "active": active, "name": name, "description": description }));
    }
    let legacy = &settings.filters.legacy_browsers;
    let active = if legacy.is_empty() { json!(false) } else { json!(legacy) };
    let description = "Events of browsers too old to care about";
    list.push(
        json!({ "id": LEGACY_BROWSERS, "active": active, "name": "Legacy browsers", "description": description }),
    );
    Ok(Answer::ok(Value::Array(list)))
}

/// `PUT …/filters/{filter}/` with `{"active": true}`, or `{"subfilters": ["ie9", …]}` for old browsers.
pub(super) async fn update_filter(request: ApiRequest) -> Result<Answer, ApiError> {
    let body = object(&request)?;
    let filter = request.param("filter").to_owned();
    let change = move |settings: &mut ProjectSettings| {
        if filter == LEGACY_BROWSERS {
            let wanted = body.get("subfilters").or(body.get("active")).unwrap_or(&Value::Null);
            settings.filters.legacy_browsers = legacy_browsers(wanted)?;
            return Ok(());
        }
        let switch = switch(settings, &filter).ok_or(ApiError::NotFound)?;
        *switch = flag("active", body.get("active").unwrap_or(&Value::Null))?;
        Ok(())
    };
    project_settings::update(&request.ops, &request.caller, UpdateProject::of(request.project()), change).await?;
    Ok(Answer::Nothing)
}

async fn answer(request: &ApiRequest, settings: &ProjectSettings) -> Result<Answer, ApiError> {
    let project = projects::get(&request.ops, &request.caller, &request.project()).await?;
    let mut shape = shapes::project(&project);
    let (scrubbing, filters) = (&settings.scrubbing, &settings.filters);
    shape["dataScrubber"] = json!(scrubbing.scrubs_data);
    shape["dataScrubberDefaults"] = json!(scrubbing.with_defaults);
    shape["scrubIPAddresses"] = json!(scrubbing.scrubs_ip);
    shape["sensitiveFields"] = json!(scrubbing.sensitive_fields);
    shape["safeFields"] = json!(scrubbing.safe_fields);
    shape["relayPiiConfig"] = json!(Some(&scrubbing.rules).filter(|rules| !rules.is_empty()));
    shape["retentionDays"] = json!(settings.retention_days);
    let mut options = Map::new();
    let mut shown = settings.clone();
    for (id, _, _) in SWITCHES {
        let active = switch(&mut shown, id).is_some_and(|active| *active);
        options.insert(format!("filters:{id}"), json!(active));
    }
    options.insert("filters:legacy-browsers".to_owned(), json!(filters.legacy_browsers));
    options.insert("filters:blacklisted_ips".to_owned(), json!(filters.ip_addresses.join("\n")));
    options.insert("filters:releases".to_owned(), json!(filters.releases.join("\n")));
    options.insert("filters:error_messages".to_owned(), json!(filters.error_messages.join("\n")));
    grouping_settings::show(settings, &mut shape, &mut options);
    shape["options"] = Value::Object(options);
    Ok(Answer::ok(shape))
}

fn shape_of_change(change: &Change) -> Value {
    json!({
        "path": change.path.join("."),
        "rule": change.rule,
        "method": change.method.letter(),
        "range": change.range.map(|(start, end)| [start, end]),
        "length": change.chars_before,
    })
}

fn object(request: &ApiRequest) -> Result<Map<String, Value>, ApiError> {
    match request.json()? {
        Value::Object(object) => Ok(object),
        _ => Err(ApiError::invalid("An object is expected.")),
    }
}

/// Applies the fields of a project to its settings.
fn apply(settings: &mut ProjectSettings, body: &Map<String, Value>) -> Result<(), ApiError> {
    for (name, value) in body {
        let scrubbing = &mut settings.scrubbing;
        match name.as_str() {
            "dataScrubber" => scrubbing.scrubs_data = flag(name, value)?,
            "dataScrubberDefaults" => scrubbing.with_defaults = flag(name, value)?,
            "scrubIPAddresses" => scrubbing.scrubs_ip = flag(name, value)?,
            "sensitiveFields" => scrubbing.sensitive_fields = lines(name, value)?,
            "safeFields" => scrubbing.safe_fields = lines(name, value)?,
            "relayPiiConfig" => {
                scrubbing.rules = match value {
                    Value::Null => String::new(),
                    Value::String(rules) => rules.clone(),
                    Value::Object(_) => value.to_string(),
                    _ => return Err(expected(name, "JSON text")),
                }
            }
            "retentionDays" => {
                settings.retention_days = match value {
                    Value::Null => None,
                    _ => Some(value.as_i64().ok_or_else(|| expected(name, "a number of days, or null"))?),
                }
            }
            "options" => {
                let options = value.as_object().ok_or_else(|| expected(name, "an object"))?;
                for (name, value) in options {
                    apply_option(settings, name, value)?;
                }
            }
            _ if grouping_settings::set_field(settings, name, value)? => {}
            _ => return Err(ApiError::invalid(format!("{name}: cannot be changed here."))),
        }
    }
    Ok(())
}

fn apply_option(settings: &mut ProjectSettings, name: &str, value: &Value) -> Result<(), ApiError> {
    match name {
        "filters:blacklisted_ips" => settings.filters.ip_addresses = lines(name, value)?,
        "filters:releases" => settings.filters.releases = lines(name, value)?,
        "filters:error_messages" => settings.filters.error_messages = lines(name, value)?,
        "filters:legacy-browsers" => settings.filters.legacy_browsers = legacy_browsers(value)?,
        _ if grouping_settings::set_option(settings, name, value)? => {}
        _ => {
            let switch = name.strip_prefix("filters:").and_then(|id| switch(settings, id));
            let switch = switch.ok_or_else(|| ApiError::invalid(format!("options: {name} is not known.")))?;
            *switch = flag(name, value)?;
        }
    }
    Ok(())
}

/// Returns the setting behind a filter's id.
fn switch<'s>(settings: &'s mut ProjectSettings, id: &str) -> Option<&'s mut bool> {
    let filters = &mut settings.filters;
    Some(match id {
        "browser-extensions" => &mut filters.browser_extensions,
        "localhost" => &mut filters.localhost,
        "web-crawlers" => &mut filters.web_crawlers,
        "filtered-transaction" => &mut filters.health_checks,
        "react-hydration-errors" => &mut filters.react_hydration_errors,
        "chunk-load-error" => &mut filters.chunk_load_errors,
        _ => return None,
    })
}

/// Sentry keeps flags as `1` and `"0"` too.
fn flag(name: &str, value: &Value) -> Result<bool, ApiError> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::Number(number) if number.as_u64() == Some(1) => Ok(true),
        Value::Number(number) if number.as_u64() == Some(0) => Ok(false),
        Value::String(text) if text == "1" => Ok(true),
        Value::String(text) if text == "0" => Ok(false),
        _ => Err(expected(name, "a boolean")),
    }
}

/// A list of texts, or a text of lines; blank ones are left out.
fn lines(name: &str, value: &Value) -> Result<Vec<String>, ApiError> {
    let texts: Vec<&str> = match value {
        Value::Null => Vec::new(),
        Value::String(text) => text.lines().collect(),
        Value::Array(values) => {
            let texts = values.iter().map(|value| value.as_str().ok_or_else(|| expected(name, "a list of texts")));
            texts.collect::<Result<_, _>>()?
        }
        _ => return Err(expected(name, "a list of texts")),
    };
    let trimmed = texts.into_iter().map(|text| text.trim().to_owned());
    Ok(trimmed.filter(|text| !text.is_empty()).collect())
}

fn legacy_browsers(value: &Value) -> Result<Vec<LegacyBrowser>, ApiError> {
    match value {
        Value::Bool(true) => return Ok(vec![LegacyBrowser::Default]),
        Value::Bool(false) | Value::Null => return Ok(Vec::new()),
        _ => {}
    }
    let unknown = |name: &String| ApiError::invalid(format!("subfilters: the browser \"{name}\" is not known."));
    let names = lines("subfilters", value)?;
    names.iter().map(|name| LegacyBrowser::from_name(name).ok_or_else(|| unknown(name))).collect()
}

fn expected(name: &str, what: &str) -> ApiError {
    ApiError::invalid(format!("{name}: {what} is expected."))
}
