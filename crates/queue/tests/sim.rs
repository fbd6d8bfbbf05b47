//! The simulator: hundreds of seeds on the real code, and planted bugs that it must catch.

use queue::sim::{Lie, Plan, run};

const STEPS: usize = 150;

#[test]
fn hundreds_of_seeds_keep_every_promise() {
    for seed in 0..300 {
        if let Err(failure) = run(Plan { seed, steps: STEPS, lie: None }) {
            panic!("seed {seed}: {}\n{}", failure.what, failure.steps.join("\n"));
        }
    }
}

fn check_caught(lie: Lie, word: &str) {
    // What follows from the bug may be noticed first; within a few seeds the bug itself is named.
    let failures = (0..40).filter_map(|seed| run(Plan { seed, steps: STEPS, lie: Some(lie) }).err());
    let seen: Vec<String> = failures.map(|failure| failure.what).collect();
    assert!(seen.iter().any(|what| what.contains(word)), "{seen:?}");
}

#[test]
fn a_disk_that_forgets_flushes_is_caught_losing_a_job() {
    check_caught(Lie::LostJob, "is lost");
}

#[test]
fn a_second_lease_on_a_job_is_caught() {
    check_caught(Lie::TwoLeases, "held by two leases");
}

#[test]
fn a_finish_that_passes_the_fence_is_caught() {
    check_caught(Lie::OpenFence, "which had lost it");
}
