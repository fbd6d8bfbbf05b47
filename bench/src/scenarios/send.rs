//! `send`: load on a server that runs already, its accepted ids into a file.

use anyhow::Context;
use bench::event::Shape;
use bench::load;
use bench::server::Dsn;
use bench::usage;
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// Load on a running server of this machine.
#[derive(Args)]
pub struct Send {
    #[arg(long)]
    dsn: String,
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    #[arg(short, long, default_value_t = 64)]
    connections: usize,
    /// Requests built before the clock starts, and the most that are sent
    #[arg(long, default_value_t = 450_000)]
    prebuild: usize,
    #[command(flatten)]
    body: crate::Body,
    /// File for accepted ids, one a line
    #[arg(long)]
    ids: Option<PathBuf>,
    /// File for ids that were sent and not answered
    #[arg(long)]
    unanswered: Option<PathBuf>,
    /// The server's process, for its memory and processor time
    #[arg(long)]
    pid: Option<u32>,
}

/// Sends.
///
/// # Errors
/// If the DSN is none of this machine, or a file cannot be written.
pub fn run(send: &Send) -> anyhow::Result<Value> {
    let dsn = Dsn::parse(&send.dsn).context("the DSN must look like http://KEY@127.0.0.1:PORT/PROJECT")?;
    let address = dsn.address.replace("localhost", "127.0.0.1").parse().context("read the DSN's address")?;
    let shape = Shape { groups: send.body.groups, bytes: send.body.bytes };
    let requests = load::prepare(shape, send.prebuild, send.body.seed, &dsn.project, &dsn.key);
    let outcome = load::send(address, &requests, send.connections, Duration::from_secs(send.seconds));
    let files = [(&send.ids, &outcome.accepted), (&send.unanswered, &outcome.unanswered)];
    for (path, ids) in files {
        if let Some(path) = path {
            std::fs::write(path, ids.join("\n") + "\n").with_context(|| format!("write {}", path.display()))?;
        }
    }
    let usage = send.pid.map(usage::of_process).unwrap_or_default();
    Ok(json!({
        "send": outcome.report(),
        "server": { "rss_mib": usage.rss_mib, "rss_peak_mib": usage.rss_peak_mib, "cpu_seconds": usage.cpu_seconds },
    }))
}
