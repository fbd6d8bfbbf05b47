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
mod schedules;
mod status;
mod tokens;
mod upgrade;
mod workers;

use crate::cli::{Cli, Command, Pool, Run};
use crate::config::{Config, Flags};
use crate::roles::{self, Role, WorkerOptions};
use std::process::ExitCode;

/// A command line that clap could not see is wrong; exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Commands of the design that this release does not have.
const NOT_YET: &[&str] = &["init", "cleanup", "permissions", "metrics", "backup", "restore"];

/// Runs the command line.
///
/// # Errors
/// What was attempted and why it failed; `main` chooses the exit code by its kind.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let flags = Flags { config: cli.global.config.clone(), data_dir: cli.global.data_dir.clone(), ..Flags::default() };
    let command = match cli.command {
        None => {
            let config = Config::load(&Flags { listen: cli.listen, ..flags })?;
            return roles::run(&config, Role::All, WorkerOptions::default());
        }
        Some(_) if cli.listen.is_some() => {
            return Err(Usage("--listen goes with run, or with no command".to_owned()).into());
        }
        Some(command) => command,
    };
    match command {
        Command::Run(run) => run_role(run, flags),
        Command::Event(command) => event::run(&command, &flags),
        Command::Config(command) => config::run(&flags, command),
        Command::Unknown(words) => Err(unknown("command", &words)),
        Command::Createuser(input) => createuser::run(&Config::load(&flags)?, input),
        Command::Projects(command) => projects::run(&Config::load(&flags)?, command),
        Command::Keys(command) => keys::run(&Config::load(&flags)?, command),
        Command::Tokens(command) => tokens::run(&Config::load(&flags)?, command),
        Command::Queues(command) => queues::run(&Config::load(&flags)?, command),
        Command::Workers(command) => workers::run(&Config::load(&flags)?, &command),
        Command::Schedules(command) => schedules::run(&Config::load(&flags)?, &command),
        Command::Status(listing) => status::run(&Config::load(&flags)?, listing),
        Command::Upgrade { dry_run } => upgrade::run(&Config::load(&flags)?, dry_run),
        Command::Check(listing) => check::run(&Config::load(&flags)?, listing),
    }
}

fn run_role(run: Run, flags: Flags) -> anyhow::Result<ExitCode> {
    let Some(role) = Role::parse(&run.role) else {
        return Err(Usage(format!("unknown role '{}': expected all, web, worker or cron", run.role)).into());
    };
    if run.pool == Pool::Processes || run.max_tasks_per_child.is_some() {
        anyhow::bail!("--pool processes and --max-tasks-per-child are not built yet (README, \"Not yet\")");
    }
    let is_worker = matches!(role, Role::Worker | Role::All);
    if !is_worker && (run.concurrency.is_some() || !run.queues.is_empty() || !run.exclude_queues.is_empty()) {
        return Err(Usage(format!("-c, -Q and -X go with a worker, not with run {}", run.role)).into());
    }
    if run.listen.is_some() && !matches!(role, Role::Web | Role::All) {
        return Err(Usage(format!("--listen goes with the web, not with run {}", run.role)).into());
    }
    let config = Config::load(&Flags { listen: run.listen, concurrency: run.concurrency, ..flags })?;
    let options = WorkerOptions {
        queues: run.queues,
        excluded: run.exclude_queues,
        ignore_unknown: run.ignore_unknown_queues,
        name: run.hostname,
    };
    roles::run(&config, role, options)
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
