//! `cargo xtask check`: everything that can be said without running the product.

use crate::command::{self, say};
use crate::tidy;
use std::process::{Command, ExitCode};

/// Runs every check, goes on after a failure, and names what failed at the end.
///
/// # Errors
/// None of its own; a check that cannot start has failed.
pub fn run() -> anyhow::Result<ExitCode> {
    let mut failed = Vec::new();
    let mut note = |name: &'static str, result: anyhow::Result<()>| {
        if let Err(error) = result {
            println!("FAILED {name}: {error:#}");
            failed.push(name);
        }
    };
    note("fmt", command::run("cargo", &["fmt", "--all", "--check"]));
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    note("clippy", command::run("cargo", &clippy));
    say("tidy");
    note("tidy", tidy::check());
    note("doc", doc());
    note("deny", optional("cargo-deny", &["deny", "check", "--hide-inclusion-graph"]));
    note("machete", optional("cargo-machete", &["machete"]));
    if failed.is_empty() {
        say("all checks passed");
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("failed: {}", failed.join(", ")));
    Ok(ExitCode::FAILURE)
}

/// Builds the documentation of our crates; a warning (a broken link, say) fails.
fn doc() -> anyhow::Result<()> {
    let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items", "--locked", "--quiet"];
    say(&format!("cargo {} with -D warnings", arguments.join(" ")));
    let status = Command::new("cargo")
        .args(arguments)
        .env("RUSTDOCFLAGS", "-D warnings")
        .current_dir(crate::root::root())
        .status()?;
    anyhow::ensure!(status.success(), "cargo doc: {status}");
    Ok(())
}

/// Runs a cargo extension if this machine has it; says so if not.
fn optional(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    if !command::works(program, &["--version"]) {
        say(&format!("{program} is not installed: skipped"));
        return Ok(());
    }
    command::run("cargo", arguments)
}
