//! `vigie projects import-hashes ORG/SLUG FILE`: hashes with the issues they led to in another tracker, from CSV with a
//! header line or from JSON (an array of objects, or one a line).

use anyhow::{Context as _, bail};
use ops::grouping::{Import, ImportIssue};
use ops::projects::ProjectRef;
use std::collections::HashMap;
use std::path::Path;
use stdx::Timestamp;

use crate::local::Local;

/// A file with a hash for each of millions of issues is a few hundred megabytes.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// Hashes of one transaction: the digest waits for no more than that.
const ROWS_AT_ONCE: usize = 1_000;

/// Imports a file. What was imported before an error stays; the same file again goes on from there.
///
/// # Errors
/// If the file cannot be read, or a row is none; rows are counted from 1, the header line not.
pub fn run(local: &Local, project: &ProjectRef, file: &Path) -> anyhow::Result<Import> {
    let size = file.metadata().with_context(|| format!("read {}", file.display()))?.len();
    anyhow::ensure!(size <= FILE_BYTES_MAX, "{} has {size} bytes, at most {FILE_BYTES_MAX}", file.display());
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let records = if text.trim_start().starts_with(['[', '{']) { json(&text)? } else { csv(&text)? };
    let mut sum = Import::default();
    for (chunk, records) in records.chunks(ROWS_AT_ONCE).enumerate() {
        let first = chunk * ROWS_AT_ONCE;
        let rows: Vec<ImportIssue> = records.iter().map(issue).collect();
        let done = local.wait(ops::grouping::import(&local.ops, &local.caller(), project, rows));
        let done = done.with_context(|| format!("import the rows from {}", first + 1))?;
        sum.issues_created += done.issues_created;
        sum.hashes_linked += done.hashes_linked;
        sum.hashes_known += done.hashes_known;
    }
    Ok(sum)
}

type Record = HashMap<String, String>;

/// Names as this command has them, and as Sentry's tables have them.
fn issue(record: &Record) -> ImportIssue {
    let text =
        |names: &[&str]| names.iter().find_map(|name| record.get(*name)).filter(|text| !text.is_empty()).cloned();
    let time = |names: &[&str]| text(names).and_then(|text| time(&text));
    ImportIssue {
        hash: text(&["hash"]).unwrap_or_default(),
        source: text(&["issue", "group_id", "issue_id"]).unwrap_or_default(),
        short_id: text(&["short_id", "shortId"]),
        title: text(&["title", "message"]),
        culprit: text(&["culprit", "view"]),
        platform: text(&["platform"]),
        logger: text(&["logger"]),
        level: text(&["level"]),
        status: text(&["status"]),
        first_seen: time(&["first_seen", "firstSeen"]),
        last_seen: time(&["last_seen", "lastSeen"]),
        times_seen: text(&["times_seen", "count"]).and_then(|text| text.parse().ok()),
    }
}

/// RFC 3339, as `psql` prints it (`2026-11-21 12:00:00.5+00`), or seconds. A time that is none is not known.
fn time(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Timestamp::from_seconds_f64(seconds);
    }
    let mut text = text.trim().replacen(' ', "T", 1);
    if text.ends_with("+00") {
        text.push_str(":00");
    } else if !text.ends_with('Z') && !text.contains('+') {
        text.push('Z');
    }
    Timestamp::parse_rfc3339(&text)
}

fn json(text: &str) -> anyhow::Result<Vec<Record>> {
    let values: Vec<serde_json::Map<String, serde_json::Value>> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).context("read an array of objects")?
    } else {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let read = |(number, line)| serde_json::from_str(line).with_context(|| format!("read line {}", number + 1));
        lines.map(read).collect::<anyhow::Result<_>>()?
    };
    let plain = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    };
    Ok(values.into_iter().map(|map| map.into_iter().map(|(name, value)| (name, plain(value))).collect()).collect())
}

/// RFC 4180: quotes around a field double those within it.
fn csv(text: &str) -> anyhow::Result<Vec<Record>> {
    let mut rows = rows(text.strip_prefix('\u{feff}').unwrap_or(text))?.into_iter();
    let header = rows.next().unwrap_or_default();
    if !header.iter().any(|name| name == "hash") {
        bail!("the first line names no column 'hash': hash and issue are needed");
    }
    let mut records = Vec::new();
    for (number, row) in rows.enumerate() {
        if row.len() != header.len() {
            bail!("row {} has {} fields, the header {}", number + 1, row.len(), header.len());
        }
        records.push(header.iter().cloned().zip(row).collect());
    }
    Ok(records)
}

fn rows(text: &str) -> anyhow::Result<Vec<Vec<String>>> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut chars = text.chars().peekable();
    let mut is_quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => is_quoted = !is_quoted,
            c if is_quoted => field.push(c),
            ',' => row.push(std::mem::take(&mut field)),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' => {
                row.push(std::mem::take(&mut field));
                push(&mut rows, &mut row);
            }
            c => field.push(c),
        }
    }
    if is_quoted {
        bail!("a quote is never closed");
    }
    row.push(field);
    push(&mut rows, &mut row);
    Ok(rows)
}

/// A blank line is no row.
fn push(rows: &mut Vec<Vec<String>>, row: &mut Vec<String>) {
    let row = std::mem::take(row);
    if row.len() > 1 || row.first().is_some_and(|field| !field.is_empty()) {
        rows.push(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_they_are_written() {
        let read = |records: anyhow::Result<Vec<Record>>| -> Vec<(String, String)> {
            let issues = records.expect("records").iter().map(issue).collect::<Vec<_>>();
            issues.into_iter().map(|issue| (issue.hash, issue.title.unwrap_or_default())).collect()
        };
        let expected = vec![("ab".to_owned(), "a, \"b\"\nc".to_owned()), ("cd".to_owned(), String::new())];
        assert_eq!(read(csv("hash,group_id,message\r\nab,1,\"a, \"\"b\"\"\nc\"\r\ncd,2,\r\n\r\n")), expected);
        assert_eq!(
            read(json(r#"[{"hash":"ab","issue":1,"title":"a, \"b\"\nc"},{"hash":"cd","issue":"2"}]"#)),
            expected
        );
        assert_eq!(read(json("{\"hash\":\"ab\"}\n\n{\"hash\":\"cd\",\"title\":null}")).len(), 2);
        for (text, told) in [
            ("", "no column 'hash'"),
            ("a,b\n1,2", "no column 'hash'"),
            ("hash,issue\n1", "row 1 has 1 fields"),
            ("hash,issue\n\"1,2", "never closed"),
        ] {
            assert!(csv(text).expect_err(text).to_string().contains(told), "{text}");
        }
        assert!(json("[1]").is_err() && json("{\"hash\":").is_err());
    }

    #[test]
    fn times_are_read_in_the_forms_that_tools_print() {
        let expected = Timestamp::parse_rfc3339("2026-11-21T12:00:00Z");
        for text in ["2026-11-21T12:00:00Z", "2026-11-21 12:00:00+00", "2026-11-21 12:00:00", "1795262400"] {
            assert_eq!(time(text), expected, "{text}");
        }
        assert_eq!(time("yesterday"), None);
    }
}
