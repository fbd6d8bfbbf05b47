//! `vigie status`: how the running Vigie is; exit 1 if none runs or it is not ready.

use super::output;
use crate::cli::Listing;
use crate::config::Config;
use crate::control::{self, Question};
use std::process::ExitCode;

pub fn run(config: &Config, listing: Listing) -> anyhow::Result<ExitCode> {
    let Some(status) = control::ask(&config.data_dir, &Question::Status)? else {
        anyhow::bail!("no Vigie runs on the data directory {}", config.data_dir.display());
    };
    let is_ready = status["ready"].as_bool().unwrap_or(false);
    if listing.json {
        output::json(&status)?;
    } else {
        let state = if is_ready { "ready" } else { "NOT READY" };
        output::line(&format!("vigie {} at {}: {state}", text(&status["version"]), text(&status["url"])))?;
        for check in status["checks"].as_array().into_iter().flatten() {
            let mark = if check["ok"].as_bool().unwrap_or(false) { "ok  " } else { "FAIL" };
            output::line(&format!("  {mark} {}: {}", text(&check["name"]), text(&check["detail"])))?;
        }
        for step in status["boot"].as_array().into_iter().flatten() {
            output::line(&format!("  boot {}: {} ms, {}", text(&step["name"]), step["ms"], text(&step["outcome"])))?;
        }
        reporting(&status["self_reporting"])?;
    }
    Ok(if is_ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What became of reports on Vigie's own errors.
fn reporting(state: &serde_json::Value) -> anyhow::Result<()> {
    output::line(&format!("  self-reporting {}", text(&state["said"])))?;
    for destination in state["destinations"].as_array().into_iter().flatten() {
        let reports = &destination["reports"];
        let number = |name: &str| reports[name].as_u64().unwrap_or_default();
        output::line(&format!(
            "    {}: {} captured = {} sent ({} refused) + {} dropped + {} waiting; kept back: {} about reports, {} over the rate",
            text(&destination["destination"]),
            number("captured"),
            number("sent"),
            number("refused"),
            number("dropped"),
            number("waiting"),
            number("uncaptured_self"),
            number("uncaptured_rate"),
        ))?;
    }
    Ok(())
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or("?")
}
