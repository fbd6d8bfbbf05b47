//! Who may post, and where: wrong, foreign, disabled, missing and doubled keys, and paths that are none.

use super::{Failures, new_id, small_event};
use crate::e2e::{Place, eventually};
use anyhow::{Context, ensure};
use bench::http;
use bench::server::Dsn;
use std::time::Duration;

/// A disabled key is refused by every cache within this time.
const DISABLED_WITHIN: Duration = Duration::from_secs(5);

pub fn check(place: &mut Place, dsn: &Dsn, failures: &mut Failures) -> anyhow::Result<()> {
    place.json(&["projects", "create", "default/other"])?;
    let other = place.dsn("default/other")?;
    let body = small_event(&new_id());
    let post = |dsn: &Dsn, headers: &[(&str, &str)]| super::post(place, dsn, headers, &body);
    let with_key = |key: &str| Dsn { key: key.to_owned(), ..dsn.clone() };
    failures.expect("unknown key", &[403], post(&with_key(&"0".repeat(32)), &[]));
    failures.expect("key that is too short", &[400, 403], post(&with_key("abc"), &[]));
    failures.expect("key of another project", &[403], post(&with_key(&other.key), &[]));
    failures.expect("unknown project", &[403], post(&Dsn { project: "987654".to_owned(), ..dsn.clone() }, &[]));
    failures.expect("project that is no number", &[400], post(&Dsn { project: "one".to_owned(), ..dsn.clone() }, &[]));

    let target = |query: &str| format!("/api/{}/envelope/{query}", dsn.project);
    let send = |target: &str, headers: &[(&str, &str)]| place.http(&http::request("POST", target, headers, &body));
    failures.expect("no key at all", &[401, 403], send(&target(""), &[]));
    let query = format!("?sentry_key={}&sentry_version=7", dsn.key);
    failures.expect("key in the query", &[200], send(&target(&query), &[]));
    let header = format!("Sentry sentry_key={}", other.key);
    failures.expect("two different keys", &[401], send(&target(&query), &[("X-Sentry-Auth", &header)]));
    let too_new = format!("?sentry_key={}&sentry_version=99", dsn.key);
    failures.expect("protocol of the future", &[400], send(&target(&too_new), &[]));
    failures.expect("header without a key", &[401], send(&target(""), &[("X-Sentry-Auth", "Sentry sentry_version=7")]));
    let unknown = format!("/api/{}/nonsense/", dsn.project);
    failures.note("unknown path is 404 with JSON", || {
        let response = place.http(&http::request("POST", &unknown, &[], b"{}"))?;
        let is_json = serde_json::from_slice::<serde_json::Value>(&response.body).is_ok();
        ensure!(response.status == 404 && is_json, "{} {}", response.status, response.text());
        Ok(())
    });
    let result = disabled_key(place, &other, &body);
    failures.note("disabled key", || result);
    Ok(())
}

/// Disables a key over the API and waits until it is refused.
fn disabled_key(place: &mut Place, dsn: &Dsn, body: &[u8]) -> anyhow::Result<()> {
    let accepted = super::post(place, dsn, &[], body)?;
    ensure!(accepted.status == 200, "before: {} {}", accepted.status, accepted.text());
    let keys = place.json(&["keys", "list", "default/other"])?;
    let id = keys[0]["id"].as_str().context("a key has an id")?;
    let authorization = format!("Bearer {}", place.token()?);
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    let path = format!("/api/0/projects/default/other/keys/{id}/");
    let response = place.http(&http::request("PUT", &path, &headers, b"{\"isActive\":false}"))?;
    ensure!(response.status == 200, "PUT {path}: {} {}", response.status, response.text());
    eventually("403 for the disabled key", DISABLED_WITHIN, || {
        let status = super::post(place, dsn, &[], body)?.status;
        Ok((status == 403).then_some(()))
    })
}
