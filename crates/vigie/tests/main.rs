//! The built binary, as a person and a supervisor meet it: output, exit codes, files.

mod accounts;
mod backup;
mod boot;
mod configuration;
mod eyes;
mod metrics;
mod reporting;
mod running;
mod runtime_options;
mod services;

use std::path::Path;
use std::process::{Command, Output};

/// Runs a command in `folder` with no other variables than these.
fn vigie(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
    command.current_dir(folder).env_clear().envs(variables.iter().copied()).args(arguments);
    command.output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
