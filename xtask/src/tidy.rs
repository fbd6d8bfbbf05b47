//! `cargo xtask tidy`: the rules of CONTRIBUTING that a machine can check, one file each. A rule reads the tree and
//! returns findings; there are no lists of exceptions that could grow.

mod headers;
mod layers;
mod links;
mod lists;
mod places;
mod sizes;
mod sql;
mod time;
mod tree;
mod words;

use crate::root::root;
use std::process::ExitCode;
pub use tree::{Finding, RustFile, TextFile, Tree};

type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: &[(&str, Rule)] = &[
    ("headers", headers::check),
    ("layers", layers::check),
    ("links", links::check),
    ("lists", lists::check),
    ("places", places::check),
    ("sizes", sizes::check),
    ("sql", sql::check),
    ("time", time::check),
    ("words", words::check),
];

/// Runs every rule and prints what it found.
///
/// # Errors
/// If there is a finding, or the tree cannot be read.
pub fn check() -> anyhow::Result<()> {
    let tree = Tree::read(&root())?;
    let mut count = 0;
    for (name, rule) in RULES {
        for finding in rule(&tree) {
            println!("{}:{}: {} ({name})", finding.path, finding.line, finding.text);
            count += 1;
        }
    }
    anyhow::ensure!(count == 0, "tidy found {count} things");
    Ok(())
}

/// `cargo xtask tidy`.
///
/// # Errors
/// If there is a finding, or the tree cannot be read.
pub fn run() -> anyhow::Result<ExitCode> {
    check()?;
    println!("tidy: {} rules hold", RULES.len());
    Ok(ExitCode::SUCCESS)
}
