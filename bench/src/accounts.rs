//! Every accepted id is stored, each once, and nothing is stored that was not sent.

use crate::http::{self, Connection};
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Stored ids against accepted ones.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    pub accepted: usize,
    pub stored: usize,
    pub lost: Vec<String>,
    pub doubled: Vec<String>,
    /// Stored, though neither accepted nor left unanswered.
    pub unknown: Vec<String>,
}

impl Accounts {
    pub fn is_good(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.unknown.is_empty()
    }

    pub fn report(&self) -> Value {
        let some = |ids: &[String]| json!({ "count": ids.len(), "first": ids.iter().take(5).collect::<Vec<_>>() });
        json!({
            "accepted": self.accepted, "stored": self.stored, "lost": some(&self.lost),
            "doubled": some(&self.doubled), "unknown": some(&self.unknown),
        })
    }
}

/// Returns the id of every stored event, page by page, newest first.
///
/// # Errors
/// If a page cannot be read.
pub fn stored_ids(address: SocketAddr, token: &str, project: &str) -> anyhow::Result<Vec<String>> {
    let mut connection = Connection::new(address, Duration::from_secs(30));
    let authorization = format!("Bearer {token}");
    let first = format!("/api/0/projects/{project}/events/?per_page=100");
    let mut target = first.clone();
    let mut ids = Vec::new();
    loop {
        let request = http::request("GET", &target, &[("Authorization", &authorization)], b"");
        let response = connection.send(&request)?;
        if response.status != 200 {
            bail!("GET {target}: {} {}", response.status, response.text());
        }
        let page: Value = serde_json::from_slice(&response.body).context("read a page of events")?;
        for event in page.as_array().context("a page of events is an array")? {
            let id = event["eventID"].as_str().or(event["id"].as_str()).context("an event has an id")?;
            ids.push(id.to_owned());
        }
        match response.header("link").and_then(next_cursor) {
            Some(cursor) => target = format!("{first}&cursor={cursor}"),
            None => return Ok(ids),
        }
    }
}

/// Returns the cursor of the next page, if there are more results.
pub fn next_cursor(link: &str) -> Option<&str> {
    let next = link.split(", <").find(|part| part.contains("rel=\"next\"") && part.contains("results=\"true\""))?;
    next.split("cursor=\"").nth(1)?.split('"').next()
}

/// Compares ids.
pub fn account(accepted: &[String], unanswered: &[String], stored: &[String]) -> Accounts {
    let mut counts: HashMap<&str, usize> = HashMap::with_capacity(stored.len());
    for id in stored {
        *counts.entry(id).or_default() += 1;
    }
    let mut accounts = Accounts { accepted: accepted.len(), stored: counts.len(), ..Accounts::default() };
    accounts.doubled = counts.iter().filter(|(_, count)| **count > 1).map(|(id, _)| (*id).to_owned()).collect();
    for id in accepted {
        if counts.remove(id.as_str()).is_none() {
            accounts.lost.push(id.clone());
        }
    }
    for id in unanswered {
        counts.remove(id.as_str());
    }
    accounts.unknown = counts.into_keys().map(str::to_owned).collect();
    accounts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        text.chars().map(String::from).collect()
    }

    #[test]
    fn lost_doubled_and_unknown_ids_are_told_apart() {
        assert!(account(&ids("abc"), &ids("d"), &ids("abcd")).is_good());
        assert!(account(&ids("abc"), &ids("d"), &ids("abc")).is_good());
        let bad = account(&ids("abc"), &[], &ids("bbcx"));
        assert_eq!((bad.lost, bad.doubled, bad.unknown), (ids("a"), ids("b"), ids("x")));
    }

    #[test]
    fn the_next_cursor_is_read_off_the_link_header() {
        let link = "<http://a/?cursor=0:0:1>; rel=\"previous\"; results=\"false\"; cursor=\"0:0:1\", \
                    <http://a/?cursor=0:100:0>; rel=\"next\"; results=\"true\"; cursor=\"0:100:0\"";
        assert_eq!(next_cursor(link), Some("0:100:0"));
        assert_eq!(next_cursor(&link.replace("true", "false")), None);
    }
}
