//! Questions to the person at the terminal. Where there is none, nothing is asked and the command says what to give.

use anyhow::Context;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{IsTerminal, Write};

pub fn is_possible() -> bool {
    std::io::stdin().is_terminal()
}

/// Returns the answer without the spaces around it.
///
/// # Errors
/// If the terminal cannot be used.
pub fn line(question: &str) -> anyhow::Result<String> {
    let mut out = std::io::stderr();
    write!(out, "{question}: ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("read the answer")?;
    Ok(answer.trim().to_owned())
}

/// Returns whether the answer is yes; anything else is no.
///
/// # Errors
/// As `line`.
pub fn is_agreed(question: &str) -> anyhow::Result<bool> {
    Ok(matches!(line(&format!("{question} [y/N]"))?.as_str(), "y" | "Y" | "yes"))
}

/// Returns an answer that the terminal does not show, asked for twice.
///
/// # Errors
/// If the two differ; as `line`.
pub fn secret(question: &str) -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    let shown = tcgetattr(&stdin).context("ask without showing the answer")?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Now, &hidden).context("ask without showing the answer")?;
    let answers = line(question).and_then(|first| Ok((first, line(&format!("\n{question} again"))?)));
    tcsetattr(&stdin, OptionalActions::Now, &shown).context("show answers again")?;
    writeln!(std::io::stderr())?;
    let (first, second) = answers?;
    anyhow::ensure!(first == second, "the two answers differ");
    Ok(first)
}
