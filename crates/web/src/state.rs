//! What every handler is given, and what the binary must bring along. It decides nothing.

use ops::Ops;
use std::net::IpAddr;
use std::sync::Arc;

/// What handlers work with; cheap to clone.
#[derive(Clone)]
pub struct WebState {
    pub ops: Arc<Ops>,
    /// The pipeline's health at this moment: called once a page, so it must answer from memory.
    pub health: HealthSource,
}

/// Answers the pipeline's health from a cached snapshot.
pub type HealthSource = Arc<dyn Fn() -> PipelineHealth + Send + Sync>;

/// What the dot on every page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineHealth {
    pub light: PipelineLight,
    /// One short sentence: why it is in this state, such as `3,210 events waiting, oldest 40 s`.
    pub summary: String,
    /// Events accepted and not yet digested; pages say so when they may be behind.
    pub waiting: u64,
    /// All checks of the last look.
    pub checks: Vec<HealthCheck>,
}

/// One check of the health, as `/health/ready` says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    pub name: String,
    pub ok: bool,
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipelineLight {
    Green,
    Amber,
    Red,
}

/// The client's address, put into the request's extensions by whoever accepted the connection (after
/// `web.trusted-proxies` had its say). Without it all attempts to log in share one allowance.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);
