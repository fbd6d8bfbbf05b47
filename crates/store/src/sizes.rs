//! What things take on disk, as `du` counts. For a page and for people; nothing decides by it.

use crate::{StoreError, Stores};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Saying what each table takes reads the whole file: beyond this it is not said.
const MEASURED_BYTES_MAX: u64 = 256 << 20;
const TABLES_MAX: i64 = 12;

/// Returns the bytes of the metadata's largest tables, with their indexes, largest first; none of a large file.
///
/// # Errors
/// If the database fails.
pub fn tables(stores: &Stores) -> Result<Vec<(String, u64)>, StoreError> {
    if stores.metadata_bytes() > MEASURED_BYTES_MAX {
        return Ok(Vec::new());
    }
    let rows: Vec<(String, i64)> = stores.db.read_blocking(|tx| {
        tx.query(
            "SELECT m.tbl_name, SUM(d.pgsize) AS bytes FROM dbstat d JOIN sqlite_master m ON m.name = d.name
             WHERE d.aggregate = TRUE GROUP BY m.tbl_name ORDER BY bytes DESC, m.tbl_name LIMIT $1",
            &[db::Val::Int(TABLES_MAX)],
        )
    })?;
    Ok(rows.into_iter().map(|(name, bytes)| (name, bytes.unsigned_abs())).collect())
}

/// Returns the names of the metadata's tables, without those of SQLite and of the migration runner.
///
/// # Errors
/// If the database fails.
pub fn table_names(stores: &Stores) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = stores.db.read_blocking(|tx| {
        tx.query(
            "SELECT name FROM sqlite_master
             WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' AND name NOT LIKE 'schema!_%' ESCAPE '!'
             ORDER BY name",
            &[],
        )
    })?;
    Ok(rows.into_iter().map(|(name,)| name).collect())
}

/// Returns what each entry of a folder takes, with all that is in it. What goes away meanwhile counts nothing.
pub fn of_folder(folder: &Path) -> Vec<(String, u64)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), bytes_of(&entry.path()))).collect()
}

fn bytes_of(path: &Path) -> u64 {
    let Ok(metadata) = path.symlink_metadata() else { return 0 };
    let own = metadata.blocks() * 512;
    if !metadata.is_dir() {
        return own;
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    own + entries.map(|entry| bytes_of(&entry.path())).sum::<u64>()
}
