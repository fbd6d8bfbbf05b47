//! `cargo xtask test`: the crates' own tests, then the end-to-end tests, and one closing line that counts all of them.

use crate::command::{self, say};
use crate::e2e::{self, Counts, Options, programs};
use crate::sim;
use std::process::ExitCode;

/// Runs everything; `quick` leaves the end-to-end tests out.
///
/// # Errors
/// If a program cannot be started, or the release binary cannot be built.
pub fn run(quick: bool, options: &Options) -> anyhow::Result<ExitCode> {
    let mut counts = Counts::default();
    let is_good = run_crates(options, &mut counts)?;
    if !quick {
        if options.filter.is_empty() {
            match sim::run_seeds(sim::SEEDS_OF_A_TEST, 0) {
                Ok(()) => counts.passed += 1,
                Err(error) => {
                    say(&format!("simulator: {error:#}"));
                    counts.failed += 1;
                }
            }
        }
        build(options)?;
        counts.add(e2e::run(options));
    }
    Ok(close(counts, is_good))
}

/// Runs the end-to-end tests alone.
///
/// # Errors
/// If the release binary cannot be built.
pub fn run_e2e_only(options: &Options) -> anyhow::Result<ExitCode> {
    build(options)?;
    Ok(close(e2e::run(options), true))
}

fn build(options: &Options) -> anyhow::Result<()> {
    if options.exe.is_some() {
        return Ok(());
    }
    command::run("cargo", &["build", "--release", "--locked", "--package", "vigie"])
}

/// Runs the crates' tests with nextest if it is there, else with cargo; returns whether the run succeeded.
fn run_crates(options: &Options, counts: &mut Counts) -> anyhow::Result<bool> {
    // Tests on real servers skip themselves where there are none; here they must not.
    let servers = match programs::redis().and_then(|()| programs::rabbitmq()) {
        Ok(()) => "VIGIE_TESTS_NEED_SERVERS=1",
        Err(error) => {
            say(&format!("tests on Redis and RabbitMQ may be skipped: {error:#}"));
            "VIGIE_TESTS_NEED_SERVERS=0"
        }
    };
    let filter: Vec<&str> = options.filter.iter().map(String::as_str).collect();
    if command::works("cargo", &["nextest", "--version"]) {
        let arguments =
            [servers, "cargo", "nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--no-tests=pass"];
        return command::watch("env", &[&arguments, filter.as_slice()].concat(), |line| counts.add_nextest_line(line));
    }
    say("cargo-nextest is not installed: using cargo test");
    let arguments = [servers, "cargo", "test", "--workspace", "--locked", "--all-targets", "--no-fail-fast", "--"];
    command::watch("env", &[&arguments, filter.as_slice()].concat(), |line| counts.add_cargo_line(line))
}

/// Prints the closing line. A failed run without a counted failure (a crate that does not compile) fails too.
fn close(mut counts: Counts, is_good: bool) -> ExitCode {
    if !is_good && counts.failed == 0 {
        counts.failed = 1;
    }
    println!("{} passed, {} failed, {} skipped", counts.passed, counts.failed, counts.skipped);
    if counts.failed == 0 && counts.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// Reads `Summary [ 1.2s] 300 tests run: 298 passed (1 slow), 1 failed, 1 timed out, 4 skipped`. Tests that a filter
    /// left out are not counted as skipped.
    fn add_nextest_line(&mut self, line: &str) {
        let Some((_, sums)) = line.trim_start().strip_prefix("Summary [").and_then(|rest| rest.split_once("run: "))
        else {
            return;
        };
        self.passed += number_before(sums, "passed");
        self.failed +=
            number_before(sums, "failed") + number_before(sums, "timed out") + number_before(sums, "exec failed");
    }

    /// Reads `test result: ok. 9 passed; 0 failed; 1 ignored; …`.
    fn add_cargo_line(&mut self, line: &str) {
        if let Some(sums) = line.strip_prefix("test result: ") {
            self.passed += number_before(sums, "passed");
            self.failed += number_before(sums, "failed");
            self.skipped += number_before(sums, "ignored");
        }
    }
}

/// Returns the number that stands before a word; 0 if the word is not there.
fn number_before(text: &str, word: &str) -> u64 {
    let words = format!(" {word}");
    let number = text.split([',', ';', '.', '(']).find_map(|part| part.trim_end().strip_suffix(&words));
    number.and_then(|number| number.trim().parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_both_runners_are_read() {
        let mut counts = Counts::default();
        counts.add_nextest_line(
            "     Summary [   1.2s] 12 tests run: 10 passed (2 slow), 1 failed, 1 timed out, 4 skipped",
        );
        assert_eq!((counts.passed, counts.failed, counts.skipped), (10, 2, 0));
        counts.add_cargo_line("test result: FAILED. 9 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out");
        counts.add_cargo_line("a line that says 5 passed");
        assert_eq!((counts.passed, counts.failed, counts.skipped), (19, 4, 1));
    }
}
