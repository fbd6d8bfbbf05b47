//! `cargo xtask docs`: writes `docs/reference/` from the tables in the sources, so that a list is declared once. Tidy
//! compares the written files with what this would write.

mod config;
mod literals;
mod metrics;
mod retention;
mod routes;
pub mod tasks;

use crate::root::root;
use crate::tidy::Tree;
use anyhow::Context;
use std::process::ExitCode;

/// A generated document.
pub struct Page {
    /// From the root.
    pub path: &'static str,
    pub text: String,
}

/// Returns every generated document, as the sources say now.
pub fn pages(tree: &Tree) -> Vec<Page> {
    vec![config::page(tree), metrics::page(tree), retention::page(tree), routes::page(tree), tasks::page(tree)]
}

/// Writes them.
///
/// # Errors
/// If the sources cannot be read or a file cannot be written.
pub fn write() -> anyhow::Result<ExitCode> {
    let tree = Tree::read(&root())?;
    for page in pages(&tree) {
        let path = root().join(page.path);
        std::fs::create_dir_all(path.parent().context("a page stands in a folder")?)?;
        std::fs::write(&path, page.text).with_context(|| format!("write {}", page.path))?;
        println!("wrote {}", page.path);
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns a document of one table.
fn table(title: &str, introduction: &str, source: &str, heads: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("# {title}\n\n{introduction}\n\n");
    text.push_str(&format!("Written by `cargo xtask docs` from `{source}`; change it there.\n\n"));
    push_table(&mut text, heads, rows);
    text
}

fn push_table(text: &mut String, heads: &[&str], rows: &[Vec<String>]) {
    text.push_str(&format!("| {} |\n|{}\n", heads.join(" | "), " --- |".repeat(heads.len())));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
}

/// Returns `word` in backticks; nothing for an empty one.
fn code(word: &str) -> String {
    if word.is_empty() { "–".to_owned() } else { format!("`{word}`") }
}
