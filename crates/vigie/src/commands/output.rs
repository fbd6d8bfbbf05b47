//! Printing: people's text or JSON on standard output, nothing else there.

use std::io::Write;

/// Prints one JSON document and a newline.
///
/// # Errors
/// If standard output is closed.
pub fn json(value: &serde_json::Value) -> anyhow::Result<()> {
    print(&value.to_string())
}

/// Prints an answer as it is: JSON, or a file for whoever asked for it.
///
/// # Errors
/// If standard output is closed.
pub fn raw(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    match out.write_all(bytes).and_then(|()| out.write_all(b"\n")) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Prints a line. A closed pipe (`vigie … | head`) is the reader's choice, not a failure.
///
/// # Errors
/// If standard output cannot be written for any other reason.
pub fn line(text: &str) -> anyhow::Result<()> {
    print(&harmless(text, &['\n', '\t']))
}

/// Returns the text with control characters but `kept` written out: names and errors come from strangers, and a terminal
/// obeys what it is sent.
fn harmless(text: &str, kept: &[char]) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() && !kept.contains(&character) {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    shown
}

fn print(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Prints rows under their heads, columns aligned.
///
/// # Errors
/// If standard output cannot be written.
pub fn table(heads: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| harmless(cell, &[])).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heads[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let render = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    line(&render(heads.to_vec()))?;
    for row in &rows {
        line(&render(row.iter().map(String::as_str).collect()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_sent_no_commands_of_strangers() {
        assert_eq!(harmless("a\u{1b}[2Jb\u{9b}c\nd", &['\n']), "a\\u{1b}[2Jb\\u{9b}c\nd");
        assert_eq!(harmless("tab\there", &[]), "tab\\there");
    }
}
