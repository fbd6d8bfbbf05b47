//! Measures what the digest does to one event: `cargo run --release -p processing --example event_rate`.
//! Prints the best of several rounds for each stage, in microseconds of one core.

use processing::scrub::{Scrubber, Settings};
use processing::{Context, normalise, summarise};
use protocol::event::Event;
use protocol::json;
use std::hint::black_box;
use std::time::Instant;
use stdx::Timestamp;

/// A Python event of 10 KB: two chained exceptions, eight frames with source and variables, breadcrumbs, a request.
const EVENT: &[u8] = include_bytes!("../tests/fixtures/python_rich_10kb.json");
const ROUNDS: usize = 9;
const RUNS: u32 = 2_000;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let received_at = Timestamp::parse_rfc3339("2026-11-21T02:13:24Z").expect("a valid time");
    let context = Context { received_at, ..Context::default() };
    println!("event of {} bytes", EVENT.len());
    report("parse", || {
        black_box(json::parse(EVENT).expect("valid json"));
    });
    report("parse, read event", || {
        black_box(Event::parse(EVENT).expect("an event"));
    });
    report("parse, read, normalise", || {
        black_box(normalise(Event::parse(EVENT).expect("an event"), &context));
    });
    let event = normalise(Event::parse(EVENT).expect("an event"), &context);
    report("group", || {
        black_box(processing::group(&event, &processing::GroupConfig::default()));
    });
    report("summarise (tags, title, group)", || {
        black_box(summarise(&event));
    });
    let scrubber = Scrubber::new(&Settings::default()).expect("the default settings");
    let tree = json::parse(EVENT).expect("valid json");
    report("copy tree", || {
        black_box(tree.clone());
    });
    report("copy tree, scrub", || {
        black_box(scrubber.scrub(&mut tree.clone()));
    });
    report("all of it", || {
        let mut tree = json::parse(EVENT).expect("valid json");
        black_box(scrubber.scrub(&mut tree));
        black_box(json::to_text(&tree));
        let event = Event::from_value(tree).expect("an event");
        black_box(summarise(&normalise(event, &context)));
    });
}

fn report(stage: &str, mut run: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        for _ in 0..RUNS {
            run();
        }
        best = best.min(started.elapsed().as_secs_f64() * 1e6 / f64::from(RUNS));
    }
    println!("{stage:32} {best:7.1} us");
}
