//! Inputs that are kept: seeds, and everything that ever broke a promise.

use anyhow::Context;
use std::path::PathBuf;

/// Returns the names and bytes of a target's inputs, in order.
///
/// # Errors
/// If they cannot be read.
pub fn read(target: &str) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = std::fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))?;
    let mut inputs = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        inputs.push((name, std::fs::read(&path).with_context(|| format!("read {}", path.display()))?));
    }
    inputs.sort();
    Ok(inputs)
}
