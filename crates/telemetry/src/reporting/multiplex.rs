//! The client's transport: every envelope goes to both destinations, upstream first.

use super::bucket::{Bucket, REPORTS_A_MINUTE};
use super::destination::{Destination, Kept};
use super::own::{ABOUT_TAG, About};
use super::traces;
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
    reports: Bucket,
    traces: Bucket,
}

impl Multiplexer {
    pub fn new(
        upstream: Option<Arc<Destination>>,
        relay: Option<Arc<Destination>>,
        upstream_metrics_rate: f32,
    ) -> Multiplexer {
        let reports = || Bucket::full(Instant::now(), REPORTS_A_MINUTE);
        let gate = |destination| Gate { destination, reports: reports(), traces: traces::bucket() };
        Multiplexer { upstream: upstream.map(gate), relay: relay.map(gate), upstream_metrics_rate }
    }
}

impl Gate {
    fn pass(&self, envelope: &Envelope, bound: &Bucket) {
        if !bound.take(Instant::now()) {
            return self.destination.keep_from(Kept::Rate);
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
        let about = about(&envelope);
        let envelope = without_mark(envelope);
        if traces::is_trace(&envelope) {
            return self.upstream.iter().for_each(|upstream| upstream.pass(&envelope, &upstream.traces));
        }
        if let Some(upstream) = &self.upstream {
            // One draw an envelope: its metrics go together or not at all.
            let is_whole = !has_metrics(&envelope) || passes(self.upstream_metrics_rate);
            match (about, is_whole) {
                (About::Foreign, _) => upstream.destination.keep_from(Kept::OfReport),
                (About::Own | About::Other, true) => upstream.pass(&envelope, &upstream.reports),
                (About::Own | About::Other, false) => {
                    if let Some(rest) = without_metrics(&envelope) {
                        upstream.pass(&rest, &upstream.reports);
                    }
                }
            }
        }
        if let Some(relay) = &self.relay {
            match about {
                About::Own => relay.destination.keep_from(Kept::OfReport),
                About::Foreign | About::Other => relay.pass(&envelope, &relay.reports),
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

fn about(envelope: &Envelope) -> About {
    let mark = |item: &EnvelopeItem| match item {
        EnvelopeItem::Event(event) => event.tags.get(ABOUT_TAG).map(|text| About::parse(text)),
        _ => None,
    };
    envelope.items().filter_map(mark).max().unwrap_or(About::Other)
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
fn without_mark(envelope: Envelope) -> Envelope {
    let mut headers = EnvelopeHeaders::new();
    if let Some(id) = envelope.uuid() {
        headers = headers.with_event_id(*id);
    }
    let mut clean = Envelope::new();
    for mut item in envelope.into_items() {
        if let EnvelopeItem::Event(event) = &mut item {
            event.tags.remove(ABOUT_TAG);
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
    use sentry::protocol::{Event, Metric, MetricType, TraceId, Transaction};
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

    fn envelope(about: About) -> Envelope {
        let mut event = Event { message: Some("broken".to_owned()), ..Event::default() };
        event.tags.insert(ABOUT_TAG.to_owned(), about.as_str().to_owned());
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
        multiplexer.send_envelope(envelope(About::Other));
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
        Multiplexer::new(Some(upstream), None, 1.0).send_envelope(envelope(About::Other));
        assert!(text(&first).contains("trace_metric"));
    }

    #[test]
    fn a_report_on_a_report_goes_upstream_and_never_to_the_relay() {
        let ((upstream, first), (relay, _second)) = (listening(Name::Upstream), listening(Name::Relay));
        let multiplexer = Multiplexer::new(Some(upstream), Some(relay.clone()), 0.0);
        multiplexer.send_envelope(envelope(About::Own));
        let first = text(&first);
        assert!(first.contains("broken") && !first.contains(ABOUT_TAG), "{first}");
        assert_eq!((relay.tally().captured, relay.tally().uncaptured_self), (0, 1));
    }

    #[test]
    fn what_is_said_of_anothers_report_stays_in_the_house() {
        let ((upstream, _first), (relay, second)) = (listening(Name::Upstream), listening(Name::Relay));
        Multiplexer::new(Some(upstream.clone()), Some(relay), 0.0).send_envelope(envelope(About::Foreign));
        assert!(text(&second).contains("broken"));
        assert_eq!((upstream.tally().captured, upstream.tally().uncaptured), (0, 1));
    }

    #[test]
    fn a_trace_goes_upstream_alone_and_takes_no_report_s_place() {
        let ((upstream, first), (relay, _second)) = (listening(Name::Upstream), listening(Name::Relay));
        let multiplexer = Multiplexer::new(Some(upstream.clone()), Some(relay.clone()), 0.0);
        for _ in 0..80 {
            multiplexer.send_envelope(Transaction { name: Some("debug.echo".to_owned()), ..Default::default() }.into());
        }
        assert!(text(&first).contains("debug.echo"));
        assert_eq!((upstream.tally().captured, upstream.tally().uncaptured_rate), (60, 20));
        assert_eq!(relay.tally().captured, 0);
        multiplexer.send_envelope(envelope(About::Other));
        assert_eq!((upstream.tally().captured, relay.tally().captured), (61, 1));
    }

    #[test]
    fn a_flood_is_cut_and_counted() {
        let (relay, _said) = listening(Name::Relay);
        let multiplexer = Multiplexer::new(None, Some(relay.clone()), 0.0);
        for _ in 0..100 {
            multiplexer.send_envelope(envelope(About::Other));
        }
        let tally = relay.tally();
        assert_eq!((tally.captured, tally.uncaptured_rate), (10, 90));
    }
}
