//! The client's transport: every envelope goes to both destinations, upstream first.

use super::bucket::Bucket;
use super::destination::Destination;
use super::own::OWN_TAG;
use sentry::protocol::{EnvelopeHeaders, EnvelopeItem, ItemContainer};
use sentry::{Envelope, Transport};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub struct Multiplexer {
    upstream: Option<Gate>,
    relay: Option<Gate>,
    upstream_metrics_rate: f32,
}

/// A destination behind its bound.
struct Gate {
    destination: Arc<Destination>,
    bucket: Bucket,
}

impl Multiplexer {
    pub fn new(
        upstream: Option<Arc<Destination>>,
        relay: Option<Arc<Destination>>,
        upstream_metrics_rate: f32,
    ) -> Multiplexer {
        let gate = |destination| Gate { destination, bucket: Bucket::full(Instant::now()) };
        Multiplexer { upstream: upstream.map(gate), relay: relay.map(gate), upstream_metrics_rate }
    }
}

impl Gate {
    fn pass(&self, envelope: &Envelope) {
        if !self.bucket.take(Instant::now()) {
            return self.destination.keep_from("rate");
        }
        let mut bytes = Vec::new();
        // Writing to memory does not fail.
        if envelope.to_writer(&mut bytes).is_ok() {
            self.destination.offer(bytes);
        }
    }
}

impl Transport for Multiplexer {
    /// Each destination gets bytes of its own, so that neither can disturb the other's.
    fn send_envelope(&self, envelope: Envelope) {
        let is_own = is_own(&envelope);
        let envelope = without_own_tag(envelope);
        if let Some(upstream) = &self.upstream {
            // One draw an envelope: its metrics go together or not at all.
            match has_metrics(&envelope) && !passes(self.upstream_metrics_rate) {
                false => upstream.pass(&envelope),
                true => {
                    if let Some(rest) = without_metrics(&envelope) {
                        upstream.pass(&rest);
                    }
                }
            }
        }
        if let Some(relay) = &self.relay {
            match is_own {
                true => relay.destination.keep_from("self"),
                false => relay.pass(&envelope),
            }
        }
    }

    fn flush(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let gates = [&self.upstream, &self.relay].into_iter().flatten();
        let mut is_done = true;
        for gate in gates {
            is_done &= gate.destination.flush(until.saturating_duration_since(Instant::now()));
        }
        is_done
    }
}

fn is_own(envelope: &Envelope) -> bool {
    envelope.items().any(|item| matches!(item, EnvelopeItem::Event(event) if event.tags.contains_key(OWN_TAG)))
}

fn is_metrics(item: &EnvelopeItem) -> bool {
    matches!(item, EnvelopeItem::ItemContainer(ItemContainer::Metrics(_)))
}

fn has_metrics(envelope: &Envelope) -> bool {
    envelope.items().any(is_metrics)
}

/// Returns a copy without metric items; `None` if nothing else was in it.
fn without_metrics(envelope: &Envelope) -> Option<Envelope> {
    envelope.clone().filter(|item: &EnvelopeItem| !is_metrics(item))
}

/// The mark is for this process, and the headers name the client's DSN, which is neither destination's.
fn without_own_tag(envelope: Envelope) -> Envelope {
    let mut headers = EnvelopeHeaders::new();
    if let Some(id) = envelope.uuid() {
        headers = headers.with_event_id(*id);
    }
    let mut clean = Envelope::new();
    for mut item in envelope.into_items() {
        if let EnvelopeItem::Event(event) = &mut item {
            event.tags.remove(OWN_TAG);
        }
        clean.add_item(item);
    }
    clean.with_headers(headers)
}

fn passes(rate: f32) -> bool {
    rate >= 1.0 || stdx::random::unit() < f64::from(rate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reporting::destination::{Answer, Deliver, Name};
    use sentry::protocol::{Event, Metric, MetricType, TraceId};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::SystemTime;

    const SOON: Duration = Duration::from_secs(20);

    struct Heard(Sender<Vec<u8>>);

    impl Deliver for Heard {
        fn deliver(&mut self, envelope: &[u8]) -> Answer {
            self.0.send(envelope.to_vec()).expect("somebody listens");
            Answer::Status { status: 200, rest: None }
        }
    }

    fn listening(name: Name) -> (Arc<Destination>, Receiver<Vec<u8>>) {
        let (heard, said) = channel();
        (Arc::new(Destination::start(name, Box::new(Heard(heard)))), said)
    }

    fn envelope(is_own: bool) -> Envelope {
        let mut event = Event { message: Some("broken".to_owned()), ..Event::default() };
        if is_own {
            event.tags.insert(OWN_TAG.to_owned(), "yes".to_owned());
        }
        let mut envelope: Envelope = event.into();
        let metric = Metric {
            r#type: MetricType::Counter,
            name: "jobs".into(),
            value: 1.0,
            timestamp: SystemTime::UNIX_EPOCH,
            trace_id: TraceId::default(),
            span_id: None,
            unit: None,
            attributes: Default::default(),
        };
        envelope.add_item(ItemContainer::Metrics(vec![metric]));
        envelope
    }

    fn text(said: &Receiver<Vec<u8>>) -> String {
        String::from_utf8(said.recv_timeout(SOON).expect("an envelope")).expect("text")
    }

    #[test]
    fn the_first_destination_gets_no_metrics_and_the_second_everything() {
        let ((upstream, first), (relay, second)) = (listening(Name::Upstream), listening(Name::Relay));
        let multiplexer = Multiplexer::new(Some(upstream.clone()), Some(relay.clone()), 0.0);
        multiplexer.send_envelope(envelope(false));
        let (first, second) = (text(&first), text(&second));
        assert!(first.contains("broken") && !first.contains("trace_metric"), "{first}");
        assert!(second.contains("broken") && second.contains("trace_metric"), "{second}");
        assert!(multiplexer.flush(SOON));
        for tally in [upstream.tally(), relay.tally()] {
            assert_eq!((tally.captured, tally.sent, tally.dropped), (1, 1, 0));
        }
    }

    #[test]
    fn with_every_draw_won_metrics_go_upstream_too() {
        let (upstream, first) = listening(Name::Upstream);
        Multiplexer::new(Some(upstream), None, 1.0).send_envelope(envelope(false));
        assert!(text(&first).contains("trace_metric"));
    }

    #[test]
    fn a_report_on_a_report_goes_upstream_and_never_to_the_relay() {
        let ((upstream, first), (relay, _second)) = (listening(Name::Upstream), listening(Name::Relay));
        let multiplexer = Multiplexer::new(Some(upstream), Some(relay.clone()), 0.0);
        multiplexer.send_envelope(envelope(true));
        let first = text(&first);
        assert!(first.contains("broken") && !first.contains(OWN_TAG), "{first}");
        assert_eq!((relay.tally().captured, relay.tally().uncaptured), (0, 1));
    }

    #[test]
    fn a_flood_is_cut_and_counted() {
        let (relay, _said) = listening(Name::Relay);
        let multiplexer = Multiplexer::new(None, Some(relay.clone()), 0.0);
        for _ in 0..100 {
            multiplexer.send_envelope(envelope(false));
        }
        let tally = relay.tally();
        assert_eq!((tally.captured, tally.uncaptured), (10, 90));
    }
}
