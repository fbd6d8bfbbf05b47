//! A project's grouping tried out on its stored events before it is set, and hashes brought along from elsewhere.

mod import;
mod trial;

pub use import::{Import, ImportIssue, import};
pub use trial::{Destination, Outcome, Trial, TrialReport, apply, trial};
