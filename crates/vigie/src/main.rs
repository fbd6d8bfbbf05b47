//! The `vigie` binary: command line, configuration, wiring, exit codes. Only this crate reads environment, files and
//! arguments; product rules live below it.

mod backup;
mod boot;
mod broker;
mod cli;
mod commands;
mod config;
mod control;
mod health;
mod history;
mod host;
mod local;
mod metrics;
mod options;
mod public_address;
mod reporting;
mod roles;
mod services;
mod site;
mod start_lock;
mod supervisor;

use std::process::ExitCode;
use telemetry::logging::LogFormat;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// 0 done; 1 failed or refused; 2 wrong usage (clap's own); 78 configuration.
const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_CONFIG: u8 = 78;

fn main() -> ExitCode {
    host::give_freed_memory_back_soon();
    host::allow_many_files();
    let cli = cli::parse();
    let flags = commands::flags(&cli.global);
    if let Some(Err(error)) = flags.log_level.as_deref().map(telemetry::logging::check) {
        return fail(&error.to_string(), EXIT_USAGE);
    }
    let logging = config::Logging::load(&flags);
    let format = if logging.is_json { LogFormat::Json } else { LogFormat::Human };
    telemetry::logging::init(&logging.level, format).expect("the level was checked");
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => match error.downcast_ref::<config::ConfigError>() {
            Some(config) => fail(&config.to_string(), EXIT_CONFIG),
            None => fail(&format!("{error:#}"), exit_code_of(&error)),
        },
    }
}

fn exit_code_of(error: &anyhow::Error) -> u8 {
    match error {
        _ if error.is::<commands::Usage>() => EXIT_USAGE,
        _ if error.is::<services::Disagreement>() => EXIT_CONFIG,
        _ => EXIT_FAILED,
    }
}

#[allow(clippy::print_stderr, reason = "the process's last words to the person who ran it")]
fn fail(text: &str, code: u8) -> ExitCode {
    for line in text.lines() {
        eprintln!("vigie: {line}");
    }
    ExitCode::from(code)
}
