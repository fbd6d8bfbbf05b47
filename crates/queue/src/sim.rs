//! A seeded simulator of the embedded broker: the real code on a disk in memory that loses, tears and refuses, under a
//! clock that is moved by hand, asked by virtual producers and workers. What was promised is checked after every step.

mod dice;
mod disk;
mod world;

pub use disk::{Crash, SimDisk};
pub use world::{Failure, Lie, Plan, run};
