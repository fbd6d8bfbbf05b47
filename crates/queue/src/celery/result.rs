//! Documents of Celery's Redis result backend: `celery-task-meta-<id>` and the parts of a chord.

use super::iso;
use crate::JobResult;
use crate::job::RESULT_BYTES_MAX;
use serde_json::{Value, json};
use stdx::Timestamp;

/// An error as Python's client wants it: it makes an exception of the class.
pub(crate) struct Failure {
    pub class: String,
    pub message: String,
    module: &'static str,
}

impl Failure {
    /// Reads `Type: message`; a text without a class that could be Python's is a `TaskError`.
    pub fn of(error: &str) -> Failure {
        let class = error.split_once(": ").filter(|(class, _)| is_class(class));
        let (class, message) = class.unwrap_or(("TaskError", error));
        let module = if is_builtin(class) { "builtins" } else { "celery.exceptions" };
        Failure { class: class.to_owned(), message: message.to_owned(), module }
    }

    pub fn to_value(&self) -> Value {
        json!({"exc_type": self.class, "exc_message": [self.message], "exc_module": self.module})
    }
}

fn is_class(text: &str) -> bool {
    text.len() <= 80
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

fn is_builtin(class: &str) -> bool {
    const BUILTIN: [&str; 16] = [
        "Exception",
        "ValueError",
        "TypeError",
        "KeyError",
        "IndexError",
        "AttributeError",
        "RuntimeError",
        "OSError",
        "ArithmeticError",
        "ZeroDivisionError",
        "NotImplementedError",
        "AssertionError",
        "LookupError",
        "MemoryError",
        "TimeoutError",
        "PermissionError",
    ];
    BUILTIN.contains(&class)
}

/// What became of a task, as the result backend keeps it.
pub(crate) enum Meta<'a> {
    Success(&'a Value),
    Failure(&'a str),
    Retry(&'a str),
    Revoked(&'a str),
}

impl Meta<'_> {
    pub fn state(&self) -> &'static str {
        match self {
            Meta::Success(_) => "SUCCESS",
            Meta::Failure(_) => "FAILURE",
            Meta::Retry(_) => "RETRY",
            Meta::Revoked(_) => "REVOKED",
        }
    }

    /// Returns the value that goes into the document; one beyond the bound becomes a failure that says so.
    fn result(&self) -> Value {
        match self {
            Meta::Success(value) => (*value).clone(),
            Meta::Failure(error) | Meta::Retry(error) => Failure::of(error).to_value(),
            Meta::Revoked(why) => {
                json!({"exc_type": "TaskRevokedError", "exc_message": [why], "exc_module": "celery.exceptions"})
            }
        }
    }

    pub fn to_text(&self, id: &str, group: Option<&str>, now: Timestamp) -> Vec<u8> {
        let has_ended = !matches!(self, Meta::Retry(_));
        let has_failed = matches!(self, Meta::Failure(_));
        let mut document = json!({
            "status": self.state(),
            "result": self.result(),
            "traceback": if let Meta::Failure(error) = self { Value::from(*error) } else { Value::Null },
            "children": [],
            "date_done": has_ended.then(|| iso(now)),
            "task_id": id,
        });
        if let Some(group) = group {
            document["group_id"] = Value::from(group);
        }
        let text = serde_json::to_vec(&document).expect("JSON values can be written");
        if text.len() <= RESULT_BYTES_MAX || has_failed {
            return text;
        }
        let why = format!("ResultTooLarge: {} bytes, at most {RESULT_BYTES_MAX} are kept", text.len());
        Meta::Failure(&why).to_text(id, group, now)
    }
}

/// Returns the result in a document, `None` if the job has not ended yet or it is no document.
pub(crate) fn read_result(text: &[u8]) -> Option<JobResult> {
    let mut document: serde_json::Map<String, Value> = serde_json::from_slice(text).ok()?;
    let result = document.remove("result").unwrap_or(Value::Null);
    match document.get("status")?.as_str()? {
        "SUCCESS" => Some(JobResult::Success { value: result }),
        "FAILURE" | "REVOKED" | "REJECTED" => Some(JobResult::Failure { error: error_text(&result) }),
        "RETRY" => Some(JobResult::Retry { error: error_text(&result) }),
        _ => None,
    }
}

fn error_text(result: &Value) -> String {
    let class = result["exc_type"].as_str().unwrap_or("Exception");
    let message = match &result["exc_message"] {
        Value::Array(parts) => {
            let text = |part: &Value| part.as_str().map_or_else(|| part.to_string(), str::to_owned);
            parts.iter().map(text).collect::<Vec<_>>().join(", ")
        }
        Value::String(text) => text.clone(),
        Value::Null => return format!("{class}: {result}"),
        other => other.to_string(),
    };
    if class == "TaskError" { message } else { format!("{class}: {message}") }
}

/// Returns a member of a chord's sorted set, as Python's parts write it.
pub(crate) fn chord_part(id: &str, meta: &Meta<'_>) -> String {
    json!([1, id, meta.state(), meta.result()]).to_string()
}

/// Returns a part's value.
///
/// # Errors
/// Why the chord's body cannot run.
pub(crate) fn read_chord_part(text: &[u8]) -> Result<Value, String> {
    let (_, id, state, value): (Value, String, String, Value) =
        serde_json::from_slice(text).map_err(|error| format!("ChordError: a part cannot be read: {error}"))?;
    if state == "SUCCESS" {
        Ok(value)
    } else {
        Err(format!("ChordError: Dependency {id} raised {}", error_text(&value)))
    }
}
