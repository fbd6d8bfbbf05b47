//! `check`: accepted ids in files against what a running server stored.

use anyhow::Context;
use bench::accounts;
use clap::Args;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Ids in files, compared with a running server's.
#[derive(Args)]
pub struct Check {
    /// Accepted ids, one a line
    #[arg(long)]
    accepted: PathBuf,
    /// Ids that were sent and not answered, one a line
    #[arg(long)]
    unanswered: Option<PathBuf>,
    /// The server, such as 127.0.0.1:9000
    #[arg(long)]
    server: SocketAddr,
    #[arg(long)]
    token: String,
    #[arg(long, default_value = "default/default")]
    project: String,
}

/// `bench check`.
///
/// # Errors
/// If a file cannot be read or the server does not answer.
pub fn run(check: &Check) -> anyhow::Result<Value> {
    let accepted = lines(&check.accepted)?;
    let unanswered = check.unanswered.as_deref().map(lines).transpose()?.unwrap_or_default();
    let stored = accounts::stored_ids(check.server, &check.token, &check.project)?;
    let compared = accounts::account(&accepted, &unanswered, &stored);
    Ok(json!({ "ids": compared.report(), "good": compared.is_good() }))
}

fn lines(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}
