//! What tests build on: a small world of organizations, projects, people and events in real stores. For
//! `[dev-dependencies]` only; the product never names it.

pub mod world;
