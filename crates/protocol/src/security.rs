//! Security reports: what browsers send by themselves when a page breaks a policy. Each becomes the event that the rest
//! understands, with the words by which Sentry names it. Reports of content security come in two forms, the classic one and
//! the Reporting API's; those of key pinning and of certificate transparency and staples are obsolete, and taken still.
//!
//! Source: W3C's CSP 3 and Reporting API, RFC 7469, and Sentry's documentation of its security endpoint.

mod csp;
mod host;

use serde_json::{Map, Value, json};

/// Reports one request may bring; browsers gather a page's.
pub const REPORTS_MAX: usize = 100;
/// What the Reporting API calls a report of content security; it brings others too, which nobody asked for.
const CSP_VIOLATION: &str = "csp-violation";
/// Types of content under which reports come.
const CONTENT_TYPES: &[&str] = &[
    "application/csp-report",
    "application/json",
    "application/reports+json",
    "application/expect-ct-report",
    "application/expect-ct-report+json",
    "application/expect-staple-report",
    "application/expect-staple-report+json",
];

/// What the request says beside the reports.
#[derive(Clone, Copy, Debug, Default)]
pub struct Submission<'a> {
    pub release: Option<&'a str>,
    pub environment: Option<&'a str>,
}

/// Why a body brings no event.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    #[error("read the reports as JSON")]
    Json(#[from] serde_json::Error),
    #[error("the body holds no security report")]
    NoReport,
    #[error("the report names no directive that is known")]
    UnknownDirective,
    #[error("the report names no host")]
    NoHost,
    #[error("the body holds more reports than {REPORTS_MAX}")]
    TooMany,
}

/// Tells whether reports come under this type of content.
pub fn is_content_type(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    CONTENT_TYPES.iter().any(|known| kind.eq_ignore_ascii_case(known))
}

/// An event as JSON, or why a report is none.
pub type Read = Result<Vec<u8>, SecurityError>;

/// Returns what each report of a body is; at least one. Reports of other kinds in a list of the Reporting API are passed
/// over.
///
/// # Errors
/// If the body is no JSON, or holds no report or too many.
pub fn events(body: &[u8], submission: Submission<'_>) -> Result<Vec<Read>, SecurityError> {
    let reports: Vec<Value> = match serde_json::from_slice(body)? {
        Value::Array(reports) => reports.into_iter().filter(is_violation).collect(),
        report => vec![report],
    };
    match reports.len() {
        0 => Err(SecurityError::NoReport),
        1..=REPORTS_MAX => Ok(reports.into_iter().map(|report| Ok(of_report(report)?.with(submission))).collect()),
        _ => Err(SecurityError::TooMany),
    }
}

fn is_violation(report: &Value) -> bool {
    report["type"] == CSP_VIOLATION
}

fn of_report(report: Value) -> Result<Composed, SecurityError> {
    let Value::Object(mut report) = report else { return Err(SecurityError::NoReport) };
    if report.get("type").is_some_and(|kind| kind == CSP_VIOLATION) {
        return csp::of_reporting_api(report);
    }
    if let Some(Value::Object(inner)) = report.remove("csp-report") {
        return csp::of_classic(inner);
    }
    host::of(report)
}

/// A report in an event's words.
struct Composed {
    /// The interface it is shown and grouped by.
    interface: &'static str,
    report: Map<String, Value>,
    message: String,
    culprit: Option<String>,
    tags: Vec<(&'static str, String)>,
    url: Option<String>,
    /// Names and values.
    headers: Vec<(&'static str, String)>,
}

impl Composed {
    fn with(self, submission: Submission<'_>) -> Vec<u8> {
        let event = json!({
            self.interface: self.report,
            "logentry": { "formatted": self.message },
            "culprit": self.culprit,
            "tags": self.tags,
            "request": { "url": self.url, "headers": self.headers },
            "release": submission.release,
            "environment": submission.environment,
        });
        event.to_string().into_bytes()
    }
}

/// Takes a text out of a report; empty is absent.
fn take_text(report: &mut Map<String, Value>, key: &str) -> Option<String> {
    match report.remove(key)? {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// Takes a number out of a report; some browsers write it as text.
fn take_number(report: &mut Map<String, Value>, key: &str) -> Option<u64> {
    match report.remove(key)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
