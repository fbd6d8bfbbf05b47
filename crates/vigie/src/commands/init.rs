//! `vigie init [DIR] [--no-clobber]`: writes a commented `vigie.toml` with a fresh secret key. It needs no store and
//! creates none.

use super::output;
use crate::config::{FILE_NAME, template};
use anyhow::Context;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Characters of a secret key; 5 bits each.
const SECRET_KEY_LENGTH: usize = 50;

pub fn run(folder: Option<PathBuf>, no_clobber: bool) -> anyhow::Result<ExitCode> {
    let folder = folder.unwrap_or_else(|| PathBuf::from("."));
    std::fs::create_dir_all(&folder).with_context(|| format!("create the folder {}", folder.display()))?;
    let path = folder.join(FILE_NAME);
    if path.exists() {
        if no_clobber {
            output::line(&format!("{} is there already and was left as it is", path.display()))?;
            return Ok(ExitCode::SUCCESS);
        }
        anyhow::ensure!(is_agreed(&path)?, "{} was left as it is", path.display());
    }
    let values = [("system.secret-key", fresh_secret_key())].into();
    write(&path, &template::render(&values)).with_context(|| format!("write {}", path.display()))?;
    output::line(&format!("wrote {}", path.display()))?;
    output::line(&format!("  start Vigie with   vigie --config {} run", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns a secret key nobody has.
pub fn fresh_secret_key() -> String {
    stdx::random::password(SECRET_KEY_LENGTH)
}

fn is_agreed(path: &Path) -> anyhow::Result<bool> {
    let asked = format!("{} is there already", path.display());
    anyhow::ensure!(std::io::stdin().is_terminal(), "{asked}; move it away, or say --no-clobber to keep it");
    let mut out = std::io::stdout();
    write!(out, "{asked}. Write it anew, with a new secret key? [y/N]: ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// It holds a secret: only its owner reads it. The old file stays whole until the new one is.
pub fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let fresh = path.with_extension("toml.new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)
}
