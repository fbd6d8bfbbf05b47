//! Retention: what is kept how long, and the one engine that removes the rest. `vigie cleanup` and the daily schedule are
//! the same plan of units of work, run by child processes or by the worker's own thread.
//!
//! Whole days go first: a day past every project's limit is ended in metadata, then its files are deleted, in a time that
//! does not grow with the day. What is left is done in bounded steps. Every unit can be run again, by anybody, after any
//! kind of death: what it does is decided by what is there, not by what a process remembers. Counters never fall.

mod collect;
pub mod conduct;
pub mod governor;
mod plan;
pub mod policies;
mod remove;
mod report;
pub mod sweep;
mod thin;
mod told;
mod work;

pub use plan::{Ask, Plan, plan};
pub use policies::{Model, POLICIES, Policy, Reach};
pub use report::{Freed, Report};
pub use work::{Bench, Step, Unit, Work};

#[cfg(test)]
mod tests;
