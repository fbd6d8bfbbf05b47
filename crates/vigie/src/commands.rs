//! What each command does, one file each. A command opens the stores beside a running process, calls `ops`, and prints
//! people's text or JSON; it holds no rules of its own.

mod api;
mod ask;
mod backup;
mod check;
mod cleanup;
mod config;
mod createuser;
mod event;
mod init;
mod keys;
mod members;
mod metrics;
pub mod output;
mod permissions;
mod projects;
mod queues;
mod restore;
mod schedules;
mod status;
mod tokens;
mod upgrade;
mod users;
mod workers;

use crate::cli::{self, Cleanup, Cli, Command, Global, LogFormatArg, Pool, Run};
use crate::config::{Config, Flags};
use crate::roles::{self, Role, WorkerOptions};
use std::ffi::OsString;
use std::process::ExitCode;

/// A command line that clap could not see is wrong; exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Runs the command line.
///
/// # Errors
/// What was attempted and why it failed; `main` chooses the exit code by its kind.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let flags = flags(&cli.global);
    let global_arguments = global_arguments(&cli.global);
    let child_arguments = [&global_arguments[..], &["run", "worker", "--child"].map(OsString::from)].concat();
    let options = WorkerOptions { child_arguments, ..WorkerOptions::default() };
    let command = match cli.command {
        None => {
            let config = Config::load(&Flags { listen: cli.listen, ..flags })?;
            return roles::run(&config, Role::All, options);
        }
        Some(_) if cli.listen.is_some() => {
            return Err(Usage("--listen goes with run, or with no command".to_owned()).into());
        }
        Some(command) => command,
    };
    match command {
        Command::Run(Run { child: Some(worker), .. }) => roles::run_child(&Config::load(&flags)?, worker),
        Command::Run(run) => run_role(run, flags, options),
        Command::Event(command) => event::run(&command, &flags),
        Command::Init { folder, no_clobber } => init::run(folder, no_clobber),
        Command::Config(command) => config::run(&flags, command),
        Command::Unknown(words) => Err(unknown("", &words)),
        Command::Createuser(input) => createuser::run(&Config::load(&flags)?, input),
        Command::Permissions(command) => permissions::run(&Config::load(&flags)?, command),
        Command::Users(command) => users::run(&Config::load(&flags)?, command),
        Command::Members(command) => members::run(&Config::load(&flags)?, command),
        Command::Api(call) => api::run(&Config::load(&flags)?, call),
        Command::Projects(command) => projects::run(&Config::load(&flags)?, command),
        Command::Keys(command) => keys::run(&Config::load(&flags)?, command),
        Command::Tokens(command) => tokens::run(&Config::load(&flags)?, command),
        Command::Queues(command) => queues::run(&Config::load(&flags)?, command),
        Command::Workers(command) => workers::run(&Config::load(&flags)?, &command),
        Command::Schedules(command) => schedules::run(&Config::load(&flags)?, &command),
        Command::Metrics(command) => metrics::run(&flags, &command),
        Command::Status(listing) => status::run(&Config::load(&flags)?, listing),
        Command::Upgrade { dry_run } => upgrade::run(&Config::load(&flags)?, dry_run),
        Command::Cleanup(Cleanup { worker: Some(parent), .. }) => cleanup::run_worker(&Config::load(&flags)?, parent),
        Command::Cleanup(input) => cleanup::run(&Config::load(&flags)?, &input, global_arguments),
        Command::Backup(input) => backup::run(&Config::load(&flags)?, &flags, &input),
        Command::Restore(input) => restore::run(&Config::load(&flags)?, &input),
        Command::Check(listing) => check::run(&Config::load(&flags)?, listing),
    }
}

/// What the flags that every command takes say about configuration.
pub fn flags(global: &Global) -> Flags {
    let Global { config, data_dir, loglevel, log_format } = global.clone();
    Flags { config, data_dir, log_level: loglevel, log_format: log_format.map(LogFormatArg::name), ..Flags::default() }
}

fn run_role(run: Run, flags: Flags, options: WorkerOptions) -> anyhow::Result<ExitCode> {
    let Some(role) = Role::parse(&run.role) else {
        return Err(Usage(format!("unknown role '{}': expected all, web, worker or cron", run.role)).into());
    };
    let is_worker = matches!(role, Role::Worker | Role::All);
    let has_pool = run.pool.is_some() || run.max_tasks_per_child.is_some();
    let has_queues = !run.queues.is_empty() || !run.exclude_queues.is_empty();
    if !is_worker && (run.concurrency.is_some() || has_queues || has_pool) {
        return Err(Usage(format!("-c, -Q, -X and --pool go with a worker, not with run {}", run.role)).into());
    }
    if run.listen.is_some() && !matches!(role, Role::Web | Role::All) {
        return Err(Usage(format!("--listen goes with the web, not with run {}", run.role)).into());
    }
    let pool = run.pool.map(Pool::name);
    let (concurrency, max_tasks_per_child) = (run.concurrency, run.max_tasks_per_child);
    let config = Config::load(&Flags { listen: run.listen, concurrency, pool, max_tasks_per_child, ..flags })?;
    let options = WorkerOptions {
        queues: run.queues,
        excluded: run.exclude_queues,
        ignore_unknown: run.ignore_unknown_queues,
        name: run.hostname,
        ..options
    };
    roles::run(&config, role, options)
}

/// How a process of ours is called so that it finds the same configuration, and logs as this one does.
fn global_arguments(global: &Global) -> Vec<OsString> {
    let Global { config, data_dir, loglevel, log_format } = global;
    let texts = [("-l", loglevel.as_deref()), ("--log-format", log_format.map(LogFormatArg::name))];
    let paths = [("--config", config), ("--data-dir", data_dir)];
    let texts = texts.into_iter().filter_map(|(flag, text)| Some([flag.into(), text?.into()]));
    let paths = paths.into_iter().filter_map(|(flag, path)| Some([flag.into(), path.clone()?.into_os_string()]));
    texts.chain(paths).flatten().collect()
}

/// Wrong usage, with the nearest name there is. `parent` is the command it stood under, empty for Vigie itself.
fn unknown(parent: &str, words: &[String]) -> anyhow::Error {
    let name = words.first().map(String::as_str).unwrap_or_default();
    let known = cli::command();
    let known = if parent.is_empty() { Some(&known) } else { known.find_subcommand(parent) };
    let names = known.into_iter().flat_map(clap::Command::get_subcommands).map(clap::Command::get_name);
    let line = format!("vigie {parent}").trim_end().to_owned();
    match stdx::nearest(name, names) {
        Some(meant) => Usage(format!("unknown command '{line} {name}'; did you mean '{line} {meant}'?")).into(),
        None => Usage(format!("unknown command '{line} {name}'; see {line} --help")).into(),
    }
}
