//! One transaction: statements with parameters, rows as types. Synchronous; nothing here waits for anything but the
//! database.

use crate::dialect::to_sqlite;
use crate::row::Row;
use crate::{DbError, FromRow, Val};
use rusqlite::{CachedStatement, Connection, Rows};

/// An open transaction. Dropped with the closure that got it; committed if that returned `Ok`.
pub struct Tx<'a> {
    connection: &'a Connection,
}

impl<'a> Tx<'a> {
    pub(crate) fn on(connection: &'a Connection) -> Self {
        Tx { connection }
    }

    /// Runs a statement and returns how many rows it changed.
    ///
    /// # Errors
    /// If the statement fails.
    pub fn execute(&mut self, sql: &str, params: &[Val<'_>]) -> Result<usize, DbError> {
        let mut statement = self.prepare(sql)?;
        bind(&mut statement, params)?;
        Ok(statement.raw_execute()?)
    }

    /// Runs one statement for each row of parameters; returns how many rows were changed in all.
    ///
    /// # Errors
    /// If one fails; the transaction should then be given up.
    pub fn execute_many<'p, R: AsRef<[Val<'p>]>>(
        &mut self,
        sql: &str,
        rows: impl IntoIterator<Item = R>,
    ) -> Result<usize, DbError> {
        let mut statement = self.prepare(sql)?;
        let mut changed = 0;
        for row in rows {
            bind(&mut statement, row.as_ref())?;
            changed += statement.raw_execute()?;
        }
        Ok(changed)
    }

    /// Returns all rows.
    ///
    /// # Errors
    /// If the statement fails or a row does not fit `T`.
    pub fn query<T: FromRow>(&mut self, sql: &str, params: &[Val<'_>]) -> Result<Vec<T>, DbError> {
        let mut found = Vec::new();
        self.for_each(sql, params, |row| {
            found.push(T::from_row(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// Runs one query for each row of parameters and returns what all of them found, in the order of the parameters.
    ///
    /// # Errors
    /// If one fails or a row does not fit `T`.
    pub fn query_many<'p, T: FromRow, R: AsRef<[Val<'p>]>>(
        &mut self,
        sql: &str,
        rows: impl IntoIterator<Item = R>,
    ) -> Result<Vec<T>, DbError> {
        let mut statement = self.prepare(sql)?;
        let mut found = Vec::new();
        for params in rows {
            bind(&mut statement, params.as_ref())?;
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                found.push(T::from_row(&Row(row))?);
            }
        }
        Ok(found)
    }

    /// Calls `look` with each row, without collecting them.
    ///
    /// # Errors
    /// If the statement fails, or `look` does.
    pub fn for_each(
        &mut self,
        sql: &str,
        params: &[Val<'_>],
        mut look: impl FnMut(&Row<'_>) -> Result<(), DbError>,
    ) -> Result<(), DbError> {
        let mut statement = self.prepare(sql)?;
        bind(&mut statement, params)?;
        let mut rows: Rows<'_> = statement.raw_query();
        while let Some(row) = rows.next()? {
            look(&Row(row))?;
        }
        Ok(())
    }

    /// Returns the first row, if there is one.
    ///
    /// # Errors
    /// If the statement fails or the row does not fit `T`.
    pub fn query_opt<T: FromRow>(&mut self, sql: &str, params: &[Val<'_>]) -> Result<Option<T>, DbError> {
        let mut statement = self.prepare(sql)?;
        bind(&mut statement, params)?;
        let mut rows = statement.raw_query();
        match rows.next()? {
            Some(row) => {
                let found = T::from_row(&Row(row))?;
                // Stepping to the end lets `INSERT … RETURNING` finish its work.
                while rows.next()?.is_some() {}
                Ok(Some(found))
            }
            None => Ok(None),
        }
    }

    /// Returns the first row.
    ///
    /// # Errors
    /// `NoRow` if there is none; else as `query_opt`.
    pub fn query_one<T: FromRow>(&mut self, sql: &str, params: &[Val<'_>]) -> Result<T, DbError> {
        self.query_opt(sql, params)?.ok_or(DbError::NoRow)
    }

    /// Runs several statements without parameters, as migrations do.
    ///
    /// # Errors
    /// If one fails.
    pub fn execute_script(&mut self, sql: &str) -> Result<(), DbError> {
        Ok(self.connection.execute_batch(sql)?)
    }

    fn prepare(&self, sql: &str) -> Result<CachedStatement<'a>, DbError> {
        Ok(self.connection.prepare_cached(&to_sqlite(sql))?)
    }
}

fn bind(statement: &mut CachedStatement<'_>, params: &[Val<'_>]) -> Result<(), DbError> {
    for (index, param) in params.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, param)?;
    }
    Ok(())
}
