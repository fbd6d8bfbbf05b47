//! Black-box tests of processing: an event in, its normalised form, tags, title and groups out.

mod corpus;
mod filters;
mod golden_hashes;
mod grouping_corpus;
mod grouping_rules;
mod grouping_vectors;
mod hostile;
mod normalised;
mod scrubbing;
mod searchable_tags;
mod titles;
mod user_agents;

use processing::{Context, normalise};
use protocol::event::Event;
use stdx::Timestamp;

/// 2026-11-21T04:06:00Z: when the events of these tests are received.
const RECEIVED_AT: Timestamp = Timestamp::from_seconds(1_795_234_000);

fn context() -> Context<'static> {
    Context { event_id: [7; 16], received_at: RECEIVED_AT, ..Context::default() }
}

/// Reads and normalises an event received at `RECEIVED_AT`.
fn normalised(json: &str) -> Event<'_> {
    normalise(Event::parse(json.as_bytes()).expect("the test's event is an object"), &context())
}
