//! Operations against real stores: what they answer, and to whom.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod accounts;
mod conservation;
mod events;
mod grouping;
mod issues;
mod members;
mod permissions;
mod project_settings;
mod queues;
mod tenancy;
