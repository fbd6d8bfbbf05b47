//! `vigie queues dead …`: jobs that stopped.

use super::super::output;
use crate::cli::{Dead, Listing, Which};
use crate::local::Local;
use ops::dead_letters::{self, DeadLetter, Selection};
use queue::LETTERS_PAGE_MAX;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Characters of an error in a table; `show` gives all.
const ERROR_CHARS: usize = 80;

pub fn run(local: &Local, command: Dead) -> anyhow::Result<ExitCode> {
    match command {
        Dead::List { queue, limit, cursor, listing } => {
            let (letters, next) = read(local, queue.as_deref(), limit, cursor)?;
            list(&letters, listing)?;
            if let Some(next) = next {
                // Not on standard output, where a listing as JSON stands alone.
                eprintln!("more: --cursor {next}");
            }
            Ok(ExitCode::SUCCESS)
        }
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

/// Reads page by page until the limit, and says where the list goes on.
fn read(
    local: &Local,
    queue: Option<&str>,
    limit: Option<usize>,
    mut cursor: Option<String>,
) -> anyhow::Result<(Vec<DeadLetter>, Option<String>)> {
    let mut letters = Vec::new();
    loop {
        let most = limit.map_or(LETTERS_PAGE_MAX, |limit| limit.saturating_sub(letters.len()).min(LETTERS_PAGE_MAX));
        if most == 0 {
            return Ok((letters, cursor));
        }
        let page = local.wait(dead_letters::page(&local.ops, &local.caller(), queue, cursor.as_deref(), most))?;
        letters.extend(page.letters);
        cursor = page.next.map(|next| next.to_string());
        if cursor.is_none() {
            return Ok((letters, None));
        }
    }
}

fn list(letters: &[DeadLetter], listing: Listing) -> anyhow::Result<()> {
    if listing.json {
        return output::json(&letters.iter().map(shape).collect());
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
    output::table(&["AT", "ID", "QUEUE", "TASK", "REASON", "ATTEMPTS", "DEATHS", "ERROR"], &rows)
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
