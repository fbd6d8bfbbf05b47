//! Rows as tuples or as types of the caller's.

use crate::DbError;
use rusqlite::types::ValueRef;
use stdx::{Day, Hour, Timestamp};

/// One row of a result, by position.
pub struct Row<'a>(pub(crate) &'a rusqlite::Row<'a>);

/// A type that one column can be read as.
pub trait FromColumn: Sized {
    /// # Errors
    /// If the column holds another kind of value.
    fn from_column(value: ValueRef<'_>, index: usize) -> Result<Self, DbError>;
}

/// A type that a row can be read as.
pub trait FromRow: Sized {
    /// # Errors
    /// If a column holds another kind of value.
    fn from_row(row: &Row<'_>) -> Result<Self, DbError>;
}

impl Row<'_> {
    /// Returns column `index` as `T`.
    ///
    /// # Errors
    /// If there is no such column, or it holds another kind of value.
    pub fn get<T: FromColumn>(&self, index: usize) -> Result<T, DbError> {
        let value = self.0.get_ref(index).map_err(|_| DbError::Column { index, expected: "a column" })?;
        T::from_column(value, index)
    }
}

impl FromColumn for i64 {
    fn from_column(value: ValueRef<'_>, index: usize) -> Result<Self, DbError> {
        value.as_i64().map_err(|_| DbError::Column { index, expected: "an integer" })
    }
}

impl FromColumn for bool {
    fn from_column(value: ValueRef<'_>, index: usize) -> Result<Self, DbError> {
        Ok(i64::from_column(value, index)? != 0)
    }
}

impl FromColumn for f64 {
    fn from_column(value: ValueRef<'_>, index: usize) -> Result<Self, DbError> {
        value.as_f64().map_err(|_| DbError::Column { index, expected: "a number" })
    }
}

impl FromColumn for String {
    fn from_column(value: ValueRef<'_>, index: usize) -> Result<Self, DbError> {
        let text = value.as_str().map_err(|_| DbError::Column { index, expected: "text" })?;
        Ok(text.to_owned())
    }
}

impl FromColumn for Vec<u8> {
    fn from_column(value: ValueRef<'_>, index: usize) -> Result<Self, DbError> {
        let bytes = value.as_blob().map_err(|_| DbError::Column { index, expected: "bytes" })?;
        Ok(bytes.to_vec())
    }
}

impl<const N: usize> FromColumn for [u8; N] {
    fn from_column(value: ValueRef<'_>, index: usize) -> Result<Self, DbError> {
        let bytes = value.as_blob().ok().and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or(DbError::Column { index, expected: "bytes of a fixed length" })
    }
}

impl FromColumn for Timestamp {
    fn from_column(value: ValueRef<'_>, index: usize) -> Result<Self, DbError> {
        i64::from_column(value, index).map(Timestamp::from_micros)
    }
}

impl FromColumn for Day {
    fn from_column(value: ValueRef<'_>, index: usize) -> Result<Self, DbError> {
        i64::from_column(value, index).map(Day)
    }
}

impl FromColumn for Hour {
    fn from_column(value: ValueRef<'_>, index: usize) -> Result<Self, DbError> {
        i64::from_column(value, index).map(Hour)
    }
}

impl<T: FromColumn> FromColumn for Option<T> {
    fn from_column(value: ValueRef<'_>, index: usize) -> Result<Self, DbError> {
        if value == ValueRef::Null { Ok(None) } else { T::from_column(value, index).map(Some) }
    }
}

macro_rules! tuple_rows {
    ($($name:ident $index:tt),+) => {
        impl<$($name: FromColumn),+> FromRow for ($($name,)+) {
            fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
                Ok(($(row.get::<$name>($index)?,)+))
            }
        }
    };
}

tuple_rows!(A 0);
tuple_rows!(A 0, B 1);
tuple_rows!(A 0, B 1, C 2);
tuple_rows!(A 0, B 1, C 2, D 3);
tuple_rows!(A 0, B 1, C 2, D 3, E 4);
tuple_rows!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple_rows!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple_rows!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuple_rows!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuple_rows!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuple_rows!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuple_rows!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
