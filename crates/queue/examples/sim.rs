//! Runs seeds of the simulator: `sim SEEDS [FIRST]`. A failure prints its last steps and how to run it again.

use queue::sim::{Plan, run};
use std::process::ExitCode;

const STEPS: usize = 150;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).filter_map(|text| text.parse::<u64>().ok());
    let (seeds, first) = (arguments.next().unwrap_or(10_000), arguments.next().unwrap_or(0));
    let mut failed = 0;
    for seed in first..first + seeds {
        if let Err(failure) = run(Plan { seed, steps: STEPS, lie: None }) {
            failed += 1;
            println!("seed {seed}: {}", failure.what);
            println!("  {}", failure.steps.join("\n  "));
            println!("again with: cargo xtask sim --seed {seed}");
            break;
        }
    }
    println!("{seeds} seeds from {first}: {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
