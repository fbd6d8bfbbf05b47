//! `cargo run -p fuzz -- TARGET --seconds 600`: mutates the corpus until the time is over, or a promise is broken; then
//! the input is written beside the corpus, to become a part of it.

use anyhow::{Context, bail};
use clap::Parser;
use fuzz::mutate::Mutator;
use fuzz::{Target, corpus, target};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// An input that takes longer is as bad as one that panics: it holds a worker.
const INPUT_TIME_MAX: Duration = Duration::from_secs(2);
const RUNS_OF_SLOW: usize = 5;

#[derive(Parser)]
struct Options {
    /// One of the targets in `fuzz/src/lib.rs`
    target: String,
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let target = target(&options.target).with_context(|| format!("no target is called {}", options.target))?;
    let inputs: Vec<Vec<u8>> = corpus::read(target.name)?.into_iter().map(|(_, bytes)| bytes).collect();
    anyhow::ensure!(!inputs.is_empty(), "the corpus of {} is empty", target.name);
    let mut mutator = Mutator::new(options.seed, &inputs, target.words);
    let started = Instant::now();
    let mut count: u64 = 0;
    while started.elapsed() < Duration::from_secs(options.seconds) {
        let input = mutator.next_input();
        check(target, &input)?;
        count += 1;
    }
    println!("{}: {count} inputs in {} s from seed {}: clean", target.name, options.seconds, options.seed);
    Ok(())
}

fn run(target: &Target, input: &[u8]) -> (std::thread::Result<()>, Duration) {
    let started = Instant::now();
    let ended = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    (ended, started.elapsed())
}

fn check(target: &Target, input: &[u8]) -> anyhow::Result<()> {
    let (mut ended, mut took) = run(target, input);
    // A machine with other work may have stood still: what is slow must be slow again.
    for _ in 0..RUNS_OF_SLOW {
        if ended.is_err() || took <= INPUT_TIME_MAX {
            break;
        }
        (ended, took) = run(target, input);
    }
    if ended.is_ok() && took <= INPUT_TIME_MAX {
        return Ok(());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("found-{}.bin", target.name));
    std::fs::write(&path, input).with_context(|| format!("write {}", path.display()))?;
    let what = if ended.is_err() { "panicked".to_owned() } else { format!("took {took:?}") };
    bail!(
        "{} {what}; the input is {}: mend it, then move it to fuzz/corpus/{}",
        target.name,
        path.display(),
        target.name
    )
}
