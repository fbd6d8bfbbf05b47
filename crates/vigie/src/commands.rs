//! What each command does, one file each. A command opens the stores beside a running process, calls `ops`, and prints
//! people's text or JSON; it holds no rules of its own.

mod check;
mod config;
mod createuser;
mod event;
mod keys;
pub mod output;
mod projects;
mod queues;
mod status;
mod tokens;
mod upgrade;

use crate::cli::{Cli, Command};
use crate::config::{Config, Flags};
use crate::roles;
use std::process::ExitCode;

/// A command line that clap could not see is wrong; exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Commands of the design that this release does not have.
const NOT_YET: &[&str] = &["init", "cleanup", "permissions", "workers", "schedules", "metrics", "backup", "restore"];

/// Runs the command line.
///
/// # Errors
/// What was attempted and why it failed; `main` chooses the exit code by its kind.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let flags = Flags { config: cli.global.config.clone(), data_dir: cli.global.data_dir.clone(), ..Flags::default() };
    let command = match cli.command {
        None => return roles::all::run(&Config::load(&Flags { listen: cli.listen, ..flags })?),
        Some(_) if cli.listen.is_some() => {
            return Err(Usage("--listen goes with run, or with no command".to_owned()).into());
        }
        Some(command) => command,
    };
    match command {
        Command::Run(run) => {
            let config = Config::load(&Flags { listen: run.listen, concurrency: run.concurrency, ..flags })?;
            run_role(&run.role, &config)
        }
        Command::Event(command) => event::run(&command, &flags),
        Command::Config(command) => config::run(&flags, command),
        Command::Unknown(words) => Err(unknown("command", &words)),
        Command::Createuser(input) => createuser::run(&Config::load(&flags)?, input),
        Command::Projects(command) => projects::run(&Config::load(&flags)?, command),
        Command::Keys(command) => keys::run(&Config::load(&flags)?, command),
        Command::Tokens(command) => tokens::run(&Config::load(&flags)?, command),
        Command::Queues(command) => queues::run(&Config::load(&flags)?, command),
        Command::Status(listing) => status::run(&Config::load(&flags)?, listing),
        Command::Upgrade { dry_run } => upgrade::run(&Config::load(&flags)?, dry_run),
        Command::Check(listing) => check::run(&Config::load(&flags)?, listing),
    }
}

fn run_role(role: &str, config: &Config) -> anyhow::Result<ExitCode> {
    match role {
        "all" => roles::all::run(config),
        "web" | "worker" | "cron" => {
            anyhow::bail!("run {role}: separate roles are not built yet (README, \"Not yet\"); use run all")
        }
        other => Err(Usage(format!("unknown role '{other}': expected all, web, worker or cron")).into()),
    }
}

/// A name of the design that is not built says so; any other is wrong usage.
fn unknown(kind: &str, words: &[String]) -> anyhow::Error {
    let name = words.first().map(String::as_str).unwrap_or_default();
    if NOT_YET.contains(&name) {
        anyhow::anyhow!("'{name}' is not built yet (README, \"Not yet\")")
    } else {
        Usage(format!("unknown {kind} '{name}'; see vigie --help")).into()
    }
}
