//! The migration runner: numbered scripts, applied once each, in order, under the database's write lock. Several
//! processes may start at once: the first applies, the others find it done.

use crate::{Db, DbError, Tx, Val};
use stdx::Timestamp;

/// One numbered script, embedded in the binary.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub number: u32,
    pub name: &'static str,
    pub sql: &'static str,
}

/// Applies what is missing. Returns the names of what was applied.
///
/// # Errors
/// `Newer` if the database has a migration that this release does not know; `Changed` if an applied one differs.
pub fn run(db: &Db, migrations: &[Migration], now: Timestamp) -> Result<Vec<&'static str>, DbError> {
    db.write_blocking(|tx| {
        tx.execute_script(
            "CREATE TABLE IF NOT EXISTS schema_migration (
                 number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum BIGINT NOT NULL,
                 applied_at BIGINT NOT NULL)",
        )?;
        let mut applied = Vec::new();
        for migration in missing(tx, migrations)? {
            tx.execute_script(migration.sql)?;
            tx.execute(
                "INSERT INTO schema_migration (number, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
                &[
                    Val::Int(i64::from(migration.number)),
                    Val::Text(migration.name),
                    Val::Int(checksum(migration.sql)),
                    Val::from(now),
                ],
            )?;
            applied.push(migration.name);
        }
        Ok(applied)
    })
}

/// Returns the names of what `run` would apply.
///
/// # Errors
/// As `run`.
pub fn pending(db: &Db, migrations: &[Migration]) -> Result<Vec<&'static str>, DbError> {
    db.read_blocking(|tx| {
        let (tables,): (i64,) =
            tx.query_one("SELECT COUNT(*) FROM sqlite_master WHERE name = 'schema_migration'", &[])?;
        let missing = if tables == 0 { migrations.to_vec() } else { missing(tx, migrations)? };
        Ok(missing.iter().map(|migration| migration.name).collect())
    })
}

/// Returns the number of the last migration that a database has; 0 = none.
///
/// # Errors
/// If it cannot be read.
pub fn last_applied(tx: &mut Tx<'_>) -> Result<u32, DbError> {
    let (number,): (i64,) = tx.query_one("SELECT COALESCE(MAX(number), 0) FROM schema_migration", &[])?;
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

fn missing(tx: &mut Tx<'_>, migrations: &[Migration]) -> Result<Vec<Migration>, DbError> {
    let applied: Vec<(i64, i64)> = tx.query("SELECT number, checksum FROM schema_migration ORDER BY number", &[])?;
    let known = migrations.iter().map(|migration| migration.number).max().unwrap_or_default();
    for (number, sum) in &applied {
        let found = u32::try_from(*number).unwrap_or(u32::MAX);
        match migrations.iter().find(|migration| migration.number == found) {
            None => return Err(DbError::Newer { found, known }),
            Some(migration) if checksum(migration.sql) != *sum => return Err(DbError::Changed { number: found }),
            Some(_) => {}
        }
    }
    let is_missing = |migration: &&Migration| !applied.iter().any(|(number, _)| *number == i64::from(migration.number));
    Ok(migrations.iter().filter(is_missing).copied().collect())
}

/// FNV-1a: enough to notice that a script was edited after it was applied.
fn checksum(text: &str) -> i64 {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash as i64
}
