//! End-to-end tests: the release binary against real clients and faults.

/// What may be asked of the tests.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Only tests whose name holds one of these words
    pub filter: Vec<String>,
    /// Kills of the kill test
    #[arg(long, default_value_t = 20)]
    pub kills: u32,
    /// Seed of the kill test
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}
