//! Databases behind one face: an enum over the engines, transactions, portable SQL and the migration runner.
//!
//! `db` knows no table's meaning. SQL is written once, in the subset that SQLite and PostgreSQL share, with `$1…$n`
//! placeholders; what differs lives in `dialect`. Functions over a transaction are synchronous and get only `&mut Tx`,
//! so nothing can wait for the network while a transaction is open (docs/decisions/0001-sync-store-functions.md).

mod connect;
mod copy;
pub mod dialect;
mod error;
pub mod migrate;
mod pool;
mod row;
mod tx;
mod value;

pub use connect::{Durability, SqliteConfig};
pub use copy::Snapshot;
pub use error::DbError;
pub use migrate::Migration;
pub use pool::{Db, SqlitePool};
pub use row::{FromColumn, FromRow, Row};
pub use tx::Tx;
pub use value::Val;
