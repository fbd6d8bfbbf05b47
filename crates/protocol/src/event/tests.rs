//! Lenient reading, field by field.
