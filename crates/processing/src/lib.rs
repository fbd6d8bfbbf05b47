//! Pure functions over events: normalise, filter, scrub, title, tags, group. Given the same event and context they answer the same, on
//! every machine and at every time.
//!
//! No input and no output, no clock, no randomness, no panic on any event. The digest calls `normalise` and
//! `summarise`; pages call `normalise` again on the stored payload to show what was understood of it.

pub mod filter;
pub mod group;
pub mod in_app;
pub mod limits;
pub mod normalise;
pub mod scrub;
pub mod summary;
pub mod tags;
pub mod title;

mod crash_frame;
mod text;

pub use group::{GroupConfig, Grouping, Hash16, group};
pub use normalise::{Context, normalise};
pub use summary::{Summary, summarise, summarise_with};
