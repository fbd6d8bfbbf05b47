//! The project's own tool: `cargo xtask check | tidy | docs | test | sim | e2e`. It knows the sources and the public face of
//! the binary, never its insides.

mod check;
mod command;
mod docs;
mod e2e;
mod root;
mod sim;
mod test;
mod tidy;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Vigie's developer tool.
#[derive(Parser)]
#[command(name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Format, lints, tidy, documentation: what CI runs before the tests
    Check,
    /// Our own rules: layers, sizes, words, lists, links
    Tidy,
    /// Write docs/reference anew from the tables in the sources
    Docs,
    /// Every test: the crates' own, then the whole program against real clients and faults
    Test {
        /// The crates' own tests only
        #[arg(long)]
        quick: bool,
        #[command(flatten)]
        options: e2e::Options,
    },
    /// Seeds of the queue's simulator
    Sim {
        #[command(flatten)]
        options: sim::Options,
    },
    /// The end-to-end tests only; builds the release binary first
    E2e {
        #[command(flatten)]
        options: e2e::Options,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Check => check::run(),
        Task::Tidy => tidy::run(),
        Task::Docs => docs::write(),
        Task::Test { quick, options } => test::run(quick, &options),
        Task::Sim { options } => sim::run(&options),
        Task::E2e { options } => test::run_e2e_only(&options),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
