//! The database face on real files: transactions, snapshots, several processes' connections, migrations, full disks.

mod files;
mod migrations;
mod transactions;

use db::{Db, DbError, SqliteConfig, Tx, Val};
use std::path::Path;

const CREATE: &str =
    "CREATE TABLE thing (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, size BIGINT)";

fn open(folder: &Path) -> Db {
    Db::open_sqlite(&folder.join("test.sqlite"), SqliteConfig::default()).expect("the database opens")
}

fn open_with_table(folder: &Path) -> Db {
    let db = open(folder);
    db.write_blocking(|tx| tx.execute_script(CREATE)).expect("the table is created");
    db
}

fn add(tx: &mut Tx<'_>, name: &str) -> Result<i64, DbError> {
    let (id,): (i64,) = tx.query_one("INSERT INTO thing (name) VALUES ($1) RETURNING id", &[Val::Text(name)])?;
    Ok(id)
}

fn count(tx: &mut Tx<'_>) -> Result<i64, DbError> {
    let (count,): (i64,) = tx.query_one("SELECT COUNT(*) FROM thing", &[])?;
    Ok(count)
}
