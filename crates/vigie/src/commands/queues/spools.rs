//! `vigie queues spools …`: what the spools of web processes hold while the broker is away.

use super::super::output;
use crate::cli::{Listing, Spools};
use crate::local::Local;
use ops::spools::{self, HeldSpool};
use std::process::ExitCode;

pub fn run(local: &Local, command: Spools) -> anyhow::Result<ExitCode> {
    match command {
        Spools::List(listing) => list(local, listing),
        Spools::Forget { id } => {
            let row = local.wait(spools::forget(&local.ops, &local.caller(), &id))?;
            output::line(&spools::forgotten(&row.folder, row.jobs))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn list(local: &Local, listing: Listing) -> anyhow::Result<ExitCode> {
    let held = local.wait(spools::list(&local.ops, &local.caller()))?;
    if listing.json {
        output::json(&held.iter().map(ops::shapes::spool).collect())?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |spool: &HeldSpool| {
        let heard = format!("{} s ago", spool.silent.as_secs());
        vec![
            spool.row.id.clone(),
            spool.row.holder.clone(),
            spool.row.jobs.to_string(),
            spool.row.bytes.to_string(),
            spool.oldest_age.map(|age| format!("{} s", age.as_secs())).unwrap_or_default(),
            if spool.is_heard { heard } else { format!("{heard}, nobody has it") },
            spool.row.folder.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = held.iter().map(row).collect();
    output::table(&["ID", "PROCESS", "EVENTS", "BYTES", "OLDEST", "HEARD", "FOLDER"], &rows)?;
    Ok(ExitCode::SUCCESS)
}
