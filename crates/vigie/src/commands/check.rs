//! `vigie check`: compares counters, rows and queue, also beside a running process.

use super::output;
use crate::cli::Listing;
use crate::config::Config;
use crate::local::Local;
use queue::JobId;
use serde_json::json;
use std::process::ExitCode;

pub fn run(config: &Config, listing: Listing) -> anyhow::Result<ExitCode> {
    let local = Local::open(config)?;
    let is_waiting = |project_id: i64, event_id: [u8; 16]| {
        let id = JobId::new(&format!("{project_id}-{}", stdx::hex::encode(&event_id)));
        local.ops.queue.locate(&id).is_ok_and(|state| state.is_some())
    };
    let findings = store::check::check(&local.stores, &is_waiting)?;
    let spools = local.wait(ops::spools::list(&local.ops, &local.caller()))?;
    let is_good = findings.iter().all(store::check::Finding::is_good);
    if listing.json {
        output::json(
            &json!({ "ok": is_good, "checks": findings, "spools": spools.iter().map(ops::shapes::spool).collect::<Vec<_>>() }),
        )?;
    } else {
        for finding in &findings {
            let mark = if finding.is_good() { "ok  " } else { "FAIL" };
            let counts = format!("{} compared, {} disagree", finding.compared, finding.disagreeing);
            output::line(&format!("{mark} {}: {counts} ({})", finding.name, finding.detail))?;
        }
        for spool in &spools {
            output::line(&format!("     {} events wait in the spool {}", spool.row.jobs, spool.whose()))?;
        }
        output::line(if is_good { "everything agrees" } else { "something disagrees" })?;
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
