//! Operations against real stores: what they answer, and to whom.

mod accounts;
mod events;
mod fixture;
mod issues;
mod tenancy;
