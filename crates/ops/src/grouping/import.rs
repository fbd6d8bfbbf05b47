//! Hashes with the issues they lead to, from another tracker: a project that moved finds its issues again.

use crate::audit::{self, Note};
use crate::projects::ProjectRef;
use crate::{ApiError, Caller, Ops, Scope, lookup};
use processing::group::key_of;
use stdx::Timestamp;
use store::issues::import::{self as rows, ImportRow, Imported};

pub use store::issues::import::Imported as Import;

/// Rows of one call, which is one transaction.
pub const ROWS_MAX: usize = 1_000;
const TEXT_CHARS_MAX: usize = 255;

/// A hash, and the issue it led to.
#[derive(Clone, Debug, Default)]
pub struct ImportIssue {
    /// 32 hexadecimal digits.
    pub hash: String,
    /// The issue's name there; rows of one issue have the same.
    pub source: String,
    /// Such as `SHOP-1A`, or the number alone; the number is kept where it is free.
    pub short_id: Option<String>,
    pub title: Option<String>,
    pub culprit: Option<String>,
    pub platform: Option<String>,
    pub logger: Option<String>,
    /// A name, or Sentry's number for it.
    pub level: Option<String>,
    /// A name, or Sentry's number for it.
    pub status: Option<String>,
    pub first_seen: Option<Timestamp>,
    pub last_seen: Option<Timestamp>,
    pub times_seen: Option<i64>,
}

/// Links hashes to issues of the project, making those that are new. The same rows again change nothing.
///
/// # Errors
/// `NotFound` if the project is not there or not the actor's, `Invalid` for a row that is none, naming it by its place.
pub async fn import(
    cx: &Ops,
    caller: &Caller,
    input: &ProjectRef,
    issues: Vec<ImportIssue>,
) -> Result<Imported, ApiError> {
    if issues.len() > ROWS_MAX {
        return Err(ApiError::invalid(format!("At most {ROWS_MAX} hashes can be imported at once.")));
    }
    let read = |(place, issue)| row(issue).map_err(|why| ApiError::invalid(format!("Row {}: {why}.", place + 1)));
    let rows = issues.iter().enumerate().map(read).collect::<Result<Vec<ImportRow>, ApiError>>()?;
    let (now, caller, input) = (cx.clock.now(), caller.clone(), input.clone());
    cx.write("import hashes", move |tx| {
        let project = lookup::project(tx, &caller, &input.org, &input.project, Scope::ProjectWrite)?;
        let done = rows::link(tx, (project.organization.id, project.id), &rows, now)?;
        let note = Note::new("project.import-hashes", &format!("{}/{}", project.organization.slug, project.slug));
        let note = note.detail(&format!("{} hashes, {} new issues", done.hashes_linked, done.issues_created));
        audit::note(tx, &caller, &note.of_organization(project.organization.id), now)?;
        Ok(done)
    })
    .await
}

fn row(issue: &ImportIssue) -> Result<ImportRow, String> {
    let hash: [u8; 16] = stdx::hex::decode(&issue.hash)
        .ok_or_else(|| format!("the hash \"{}\" is not 32 hexadecimal digits", cut(&issue.hash)))?;
    if issue.source.is_empty() {
        return Err("the issue has no name".to_owned());
    }
    let title = issue.title.as_deref().filter(|title| !title.is_empty()).unwrap_or("<imported issue>");
    let text = |text: &Option<String>| cut(text.as_deref().unwrap_or_default());
    Ok(ImportRow {
        group_key: key_of(&hash),
        hash: stdx::hex::encode(&hash),
        source: cut(&issue.source),
        short_no: issue.short_id.as_deref().and_then(short_no),
        title: cut(title),
        culprit: text(&issue.culprit),
        platform: issue.platform.as_deref().map_or_else(|| "other".to_owned(), cut),
        logger: text(&issue.logger),
        level: level(issue.level.as_deref()).ok_or("the level is not known")?,
        status: status(issue.status.as_deref()).ok_or("the status is not known")?,
        first_seen: issue.first_seen,
        last_seen: issue.last_seen,
        times_seen: issue.times_seen.unwrap_or(0).max(0),
    })
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect()
}

/// Numbers stay below 2^31: they are given out one by one, and the next ones begin after the greatest.
fn short_no(text: &str) -> Option<i64> {
    let number = match text.parse::<i64>() {
        Ok(number) => number,
        Err(_) => store::short_id::parse(text)?.1,
    };
    (1..1 << 31).contains(&number).then_some(number)
}

fn level(text: Option<&str>) -> Option<&'static str> {
    Some(match text.unwrap_or_default() {
        "" | "error" | "40" | "0" | "sample" => "error",
        "debug" | "10" => "debug",
        "info" | "20" => "info",
        "warning" | "30" => "warning",
        "fatal" | "50" => "fatal",
        _ => return None,
    })
}

fn status(text: Option<&str>) -> Option<&'static str> {
    Some(match text.unwrap_or_default() {
        "" | "unresolved" | "0" => "unresolved",
        "resolved" | "1" => "resolved",
        "ignored" | "2" => "ignored",
        _ => return None,
    })
}
