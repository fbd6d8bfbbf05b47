//! `vigie queues dead …`: jobs that stopped.

use super::super::output;
use crate::cli::{Dead, Listing, Which};
use crate::local::Local;
use ops::dead_letters::{self, DeadLetter, Selection};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Characters of an error in a table; `show` gives all.
const ERROR_CHARS: usize = 80;

pub fn run(local: &Local, command: Dead) -> anyhow::Result<ExitCode> {
    match command {
        Dead::List { queue, listing } => list(local, queue.as_deref(), listing),
        Dead::Show { id, listing } => show(local, &id, listing),
        Dead::Retry(which) => {
            let retried = local.wait(dead_letters::retry(&local.ops, &local.caller(), &selection(&which)))?;
            say(&json!(retried.gone_back), retried.gone_back.len() as u64, "retried", which.listing)?;
            if retried.stays.is_empty() {
                return Ok(ExitCode::SUCCESS);
            }
            let lines: Vec<String> = retried.stays.iter().map(|one| format!("  {}: {}", one.id, one.why)).collect();
            anyhow::bail!("{} dead letters stay:\n{}", lines.len(), lines.join("\n"))
        }
        Dead::Discard(which) => {
            let gone = local.wait(dead_letters::discard(&local.ops, &local.caller(), &selection(&which)))?;
            say(&json!(gone), gone, "discarded", which.listing)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn selection(which: &Which) -> Selection {
    match &which.queue {
        Some(queue) => Selection::Queue(queue.clone()),
        None if which.all => Selection::All,
        None => Selection::Ids(which.ids.clone()),
    }
}

fn list(local: &Local, queue: Option<&str>, listing: Listing) -> anyhow::Result<ExitCode> {
    let letters = local.wait(dead_letters::list(&local.ops, &local.caller(), queue))?;
    if listing.json {
        output::json(&letters.iter().map(shape).collect())?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |letter: &DeadLetter| {
        let error: String = letter.error.replace('\n', " ").chars().take(ERROR_CHARS).collect();
        vec![
            letter.at.to_string(),
            letter.id.clone(),
            letter.queue.clone(),
            letter.task.clone(),
            letter.reason.clone(),
            letter.attempts.to_string(),
            letter.deaths.to_string(),
            error,
        ]
    };
    let rows: Vec<Vec<String>> = letters.iter().map(row).collect();
    output::table(&["AT", "ID", "QUEUE", "TASK", "REASON", "ATTEMPTS", "DEATHS", "ERROR"], &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn show(local: &Local, id: &str, listing: Listing) -> anyhow::Result<ExitCode> {
    let letter = local.wait(dead_letters::get(&local.ops, &local.caller(), id))?;
    if listing.json {
        output::json(&shape(&letter))?;
    } else {
        output::line(&format!("{} of queue {} stopped at {}", letter.id, letter.queue, letter.at))?;
        output::line(&format!("  task      {}", letter.task))?;
        output::line(&format!("  reason    {}", letter.reason))?;
        output::line(&format!("  attempts  {}, deaths of its worker {}", letter.attempts, letter.deaths))?;
        output::line(&format!("  error     {}", letter.error))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn shape(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id, "queue": letter.queue, "task": letter.task, "reason": letter.reason,
        "attempts": letter.attempts, "deaths": letter.deaths, "error": letter.error, "at": letter.at.to_string(),
    })
}

fn say(as_json: &Value, count: u64, done: &str, listing: Listing) -> anyhow::Result<()> {
    if listing.json {
        output::json(&json!({ done: as_json }))?;
    } else {
        output::line(&format!("{count} dead letters {done}"))?;
    }
    Ok(())
}
