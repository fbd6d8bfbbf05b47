//! Chains, groups, chords, callbacks and errbacks whose steps run on both sides.

use super::Both;
use crate::e2e::{Case, Verdict};
use serde_json::json;

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let mut both = Both::start(case)?;
    let mut saw = both.client.scenarios(&["chains", "groups", "chords", "failed_chord"])?;
    let file = both.house.folder.join("notes");
    both.client.call("links", json!({ "file": file }))?;
    saw.push("link, link_error".to_owned());
    both.end()?;
    Ok(Verdict::Passed(saw.join("; ")))
}
