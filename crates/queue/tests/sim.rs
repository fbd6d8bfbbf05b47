//! The simulator: a hundred seeds on the real code (thousands are run by `cargo xtask test`), and planted bugs that it must catch.

use queue::sim::{Lie, Plan, run};

const STEPS: usize = 150;

#[test]
fn a_hundred_seeds_keep_every_promise() {
    for seed in 0..100 {
        if let Err(failure) = run(Plan { seed, steps: STEPS, lie: None }) {
            panic!("seed {seed}: {}\n{}", failure.what, failure.steps.join("\n"));
        }
    }
}

/// An end that a power loss took while a later life of the job was on disk, a lease asserted by who had lost it, results of
/// stops that nobody saw; names that a crash left half changed, in the list of pauses.
#[test]
fn seeds_that_failed_once_do_not_again() {
    for seed in [1_413, 10_407, 32_973, 79_645, 305_315, 420_598] {
        if let Err(failure) = run(Plan { seed, steps: STEPS, lie: None }) {
            panic!("seed {seed}: {}\n{}", failure.what, failure.steps.join("\n"));
        }
    }
}

fn check_caught(lie: Lie, word: &str) {
    // What follows from the bug may be noticed first; within a few seeds the bug itself is named.
    let mut seen = Vec::new();
    for seed in 0..40 {
        let failure = run(Plan { seed, steps: STEPS, lie: Some(lie) }).err();
        if failure.as_ref().is_some_and(|failure| failure.what.contains(word)) {
            return;
        }
        seen.extend(failure.map(|failure| failure.what));
    }
    panic!("{lie:?}: {seen:?}");
}

#[test]
fn what_every_planted_bug_breaks_is_seen() {
    for (lie, word) in [
        (Lie::LostJob, "is lost"),
        (Lie::LostEnd, "is back after its end"),
        (Lie::TwoLeases, "held by two leases"),
        (Lie::OpenFence, "which had lost it"),
        (Lie::DeafOwner, "held by two leases"),
        (Lie::FreeLease, "was given to lease"),
        (Lie::LostResult, "which it did not"),
        (Lie::LateBegin, "was begun after its time"),
        (Lie::DoubledOccurrence, "was fired again"),
        (Lie::EarlyRun, "before it was durable"),
        (Lie::UncountedAttempt, "is at attempt"),
        (Lie::EndlessRetries, "3 are allowed"),
        (Lie::OneKey, "was served twice while key"),
        (Lie::StarvedQueue, "never came"),
        (Lie::ForgottenPause, "which is paused"),
        (Lie::SharedUniqueKey, "its unique key does: true"),
    ] {
        check_caught(lie, word);
    }
}
