//! Grouping of a project under Sentry's names: fields of the project and `sentry:…` of its options.

use ops::ApiError;
use ops::project_settings::ProjectSettings;
use serde_json::{Map, Value, json};

/// A setting by its two names.
struct Field {
    name: &'static str,
    option: &'static str,
    set: fn(&mut ProjectSettings, &str, &Value) -> Result<(), ApiError>,
    get: fn(&ProjectSettings) -> Value,
}

const FIELDS: &[Field] = &[
    Field {
        name: "groupingConfig",
        option: "sentry:grouping_config",
        set: |settings, name, value| {
            settings.grouping.config = value.as_str().ok_or_else(|| expected(name, "a text"))?.to_owned();
            Ok(())
        },
        get: |settings| json!(settings.grouping.config),
    },
    Field {
        name: "groupingEnhancements",
        option: "sentry:grouping_enhancements",
        set: |settings, name, value| {
            settings.grouping.stack_rules = rules(name, value)?;
            Ok(())
        },
        get: |settings| json!(settings.grouping.stack_rules),
    },
    Field {
        name: "fingerprintingRules",
        option: "sentry:fingerprinting_rules",
        set: |settings, name, value| {
            settings.grouping.fingerprint_rules = rules(name, value)?;
            Ok(())
        },
        get: |settings| json!(settings.grouping.fingerprint_rules),
    },
    Field {
        name: "secondaryGroupingConfig",
        option: "sentry:secondary_grouping_config",
        set: |settings, name, value| {
            settings.grouping.former_config = Some(rules(name, value)?).filter(|config| !config.is_empty());
            Ok(())
        },
        get: |settings| json!(settings.grouping.former_config),
    },
    Field {
        name: "secondaryGroupingExpiry",
        option: "sentry:secondary_grouping_expiry",
        set: |settings, name, value| {
            let seconds = value.as_i64().filter(|seconds| *seconds > 0);
            let seconds = if value.is_null() { Some(0) } else { seconds };
            settings.grouping.former_until = seconds.ok_or_else(|| expected(name, "a time in seconds"))?;
            Ok(())
        },
        get: |settings| json!(settings.grouping.former_until),
    },
];

/// Sets a field of the project. Returns whether it is one of these.
pub(super) fn set_field(settings: &mut ProjectSettings, name: &str, value: &Value) -> Result<bool, ApiError> {
    let field = FIELDS.iter().find(|field| field.name == name);
    field.map_or(Ok(false), |field| (field.set)(settings, name, value).map(|()| true))
}

/// Sets an option of the project. Returns whether it is one of these.
pub(super) fn set_option(settings: &mut ProjectSettings, name: &str, value: &Value) -> Result<bool, ApiError> {
    let field = FIELDS.iter().find(|field| field.option == name);
    field.map_or(Ok(false), |field| (field.set)(settings, name, value).map(|()| true))
}

/// Adds the fields to the project, and their other names to its options.
pub(super) fn show(settings: &ProjectSettings, shape: &mut Value, options: &mut Map<String, Value>) {
    for field in FIELDS {
        shape[field.name] = (field.get)(settings);
        options.insert(field.option.to_owned(), (field.get)(settings));
    }
}

fn rules(name: &str, value: &Value) -> Result<String, ApiError> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(rules) => Ok(rules.clone()),
        _ => Err(expected(name, "a text")),
    }
}

fn expected(name: &str, what: &str) -> ApiError {
    ApiError::invalid(format!("{name}: {what} is expected."))
}
