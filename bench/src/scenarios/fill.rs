//! `fill`: events of days long past in a data directory, for trying retention by hand.

use bench::fill::Fill;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;
use stdx::{Clock, SystemClock};

#[derive(clap::Args, Clone)]
pub struct Options {
    /// A data directory that was run once
    #[arg(long)]
    data_dir: PathBuf,
    #[arg(long, default_value = "default/default")]
    project: String,
    #[command(flatten)]
    shape: Shape,
}

/// How much.
#[derive(clap::Args, Clone, Copy)]
pub struct Shape {
    /// Days back from today
    #[arg(long, default_value_t = 60)]
    pub days: i64,
    #[arg(long, default_value_t = 10_000)]
    pub events: usize,
    #[arg(long, default_value_t = 200)]
    pub groups: usize,
    /// Bytes of a compressed body
    #[arg(long, default_value_t = 1_000)]
    pub bytes: usize,
    /// One event in so many has an attachment of about 20 kB; 0 = none
    #[arg(long, default_value_t = 0)]
    pub attachment_every: usize,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl Shape {
    pub fn fill(&self) -> Fill {
        Fill {
            days: self.days,
            events_per_day: self.events / usize::try_from(self.days).unwrap_or(1).max(1),
            groups: self.groups,
            body_bytes: self.bytes,
            attachment_every: self.attachment_every,
            seed: self.seed,
        }
    }
}

/// # Errors
/// If there is no such project, or a store fails.
pub fn run(options: &Options) -> anyhow::Result<Value> {
    let started = Instant::now();
    let now = SystemClock.now();
    let events = bench::fill::fill(&options.data_dir, &options.project, options.shape.fill(), now)?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(json!({ "scenario": "fill", "events": events, "seconds": bench::load::round(seconds) }))
}
