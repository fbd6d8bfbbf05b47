//! The tests of the crate as others see it.

mod records;
