//! The one recorder of the process: it hands what is recorded to every backend that is on. Labels that name single
//! objects are taken off before: a series for each project or event would never end.

use super::push::Push;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Label, Metadata, Recorder, SharedString,
    Unit,
};
use metrics_exporter_prometheus::PrometheusRecorder;
use std::borrow::Cow;
use std::sync::Arc;

/// Labels that are never sent, besides all that end with `_id`.
const DENIED: [&str; 3] = ["event", "project", "group"];

pub(super) struct Fan {
    pub prometheus: Option<PrometheusRecorder>,
    pub push: Option<Arc<Push>>,
}

/// Returns the key without labels that name single objects.
fn without_ids(key: &Key) -> Cow<'_, Key> {
    let is_denied = |label: &Label| DENIED.contains(&label.key()) || label.key().ends_with("_id");
    if !key.labels().any(is_denied) {
        return Cow::Borrowed(key);
    }
    let kept: Vec<Label> = key.labels().filter(|label| !is_denied(label)).cloned().collect();
    Cow::Owned(Key::from_parts(key.name().to_owned(), kept))
}

impl Recorder for Fan {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        if let Some(prometheus) = &self.prometheus {
            prometheus.describe_counter(key, unit, text);
        }
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        if let Some(prometheus) = &self.prometheus {
            prometheus.describe_gauge(key, unit, text);
        }
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        if let Some(prometheus) = &self.prometheus {
            prometheus.describe_histogram(key, unit, text);
        }
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        let key = &without_ids(key);
        match (&self.prometheus, &self.push) {
            (Some(prometheus), Some(push)) => {
                Counter::from_arc(Arc::new(Both(prometheus.register_counter(key, metadata), push.counter(key))))
            }
            (Some(prometheus), None) => prometheus.register_counter(key, metadata),
            (None, Some(push)) => push.counter(key),
            (None, None) => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        let key = &without_ids(key);
        match (&self.prometheus, &self.push) {
            (Some(prometheus), Some(push)) => {
                Gauge::from_arc(Arc::new(Both(prometheus.register_gauge(key, metadata), push.gauge(key))))
            }
            (Some(prometheus), None) => prometheus.register_gauge(key, metadata),
            (None, Some(push)) => push.gauge(key),
            (None, None) => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let key = &without_ids(key);
        match (&self.prometheus, &self.push) {
            (Some(prometheus), Some(push)) => {
                Histogram::from_arc(Arc::new(Both(prometheus.register_histogram(key, metadata), push.histogram(key))))
            }
            (Some(prometheus), None) => prometheus.register_histogram(key, metadata),
            (None, Some(push)) => push.histogram(key),
            (None, None) => Histogram::noop(),
        }
    }
}

/// What is recorded twice: to be asked for, and to be sent.
struct Both<T>(T, T);

impl CounterFn for Both<Counter> {
    fn increment(&self, value: u64) {
        self.0.increment(value);
        self.1.increment(value);
    }

    fn absolute(&self, value: u64) {
        self.0.absolute(value);
        self.1.absolute(value);
    }
}

impl GaugeFn for Both<Gauge> {
    fn increment(&self, value: f64) {
        self.0.increment(value);
        self.1.increment(value);
    }

    fn decrement(&self, value: f64) {
        self.0.decrement(value);
        self.1.decrement(value);
    }

    fn set(&self, value: f64) {
        self.0.set(value);
        self.1.set(value);
    }
}

impl HistogramFn for Both<Histogram> {
    fn record(&self, value: f64) {
        self.0.record(value);
        self.1.record(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::push::{PushConfig, Target};
    use metrics::{counter, gauge, histogram, with_local_recorder};
    use std::net::UdpSocket;
    use std::time::Duration;

    fn fan(targets: Vec<Target>, address: String, sample_rate: f64) -> Fan {
        let config = PushConfig { targets, prefix: "vigie.".to_owned(), sample_rate, address };
        Fan { prometheus: None, push: Some(Arc::new(Push::new(config))) }
    }

    fn listener() -> (UdpSocket, String) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
        let address = socket.local_addr().expect("an address").to_string();
        (socket, address)
    }

    fn lines(socket: &UdpSocket) -> Vec<String> {
        let mut bytes = [0; 2_000];
        let length = socket.recv(&mut bytes).expect("a datagram");
        let mut lines: Vec<String> = String::from_utf8_lossy(&bytes[..length]).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    #[test]
    fn check_12_a_udp_listener_hears_series_by_task_and_no_ids() {
        let (socket, address) = listener();
        let fan = fan(vec![Target::Statsd, Target::DogStatsd], address, 1.0);
        let record = || {
            counter!("vigie_jobs_done_total", "task" => "ingest.digest", "project_id" => "7").increment(3);
            counter!("vigie_jobs_done_total", "task" => "ingest.digest", "project_id" => "8").increment(1);
            counter!("vigie_jobs_done_total", "task" => "debug.echo", "group" => "x").increment(1);
            gauge!("vigie_queue_jobs").set(2.0);
            histogram!("vigie_jobs_run_seconds").record(0.5);
        };
        with_local_recorder(&fan, record);
        let push = fan.push.as_ref().expect("it is on");
        assert_eq!(push.flush().lines, 8, "four series to each of two");
        assert_eq!(
            lines(&socket),
            [
                "vigie.jobs.done.debug.echo:1|c",
                "vigie.jobs.done.ingest.digest:4|c",
                "vigie.jobs.run_seconds:500|ms",
                "vigie.queue.jobs:2|g",
            ]
        );
        assert_eq!(
            lines(&socket),
            [
                "vigie.jobs.done:1|c|#task:debug.echo",
                "vigie.jobs.done:4|c|#task:ingest.digest",
                "vigie.jobs.run_seconds:500|ms",
                "vigie.queue.jobs:2|g",
            ]
        );
        push.flush();
        assert_eq!(lines(&socket), ["vigie.queue.jobs:2|g"], "counts are sent once, levels again");
    }

    #[test]
    fn check_11_a_million_from_8_threads_are_exact_and_dropped_ones_counted() {
        let (socket, address) = listener();
        drop(socket);
        let fan = Arc::new(fan(vec![Target::DogStatsd], address.clone(), 1.0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let fan = fan.clone();
                scope.spawn(move || {
                    with_local_recorder(&*fan, || (0..125_000).for_each(|_| counter!("vigie_a_b_total").increment(1)));
                });
            }
        });
        let push = fan.push.as_ref().expect("it is on");
        // Nobody listens: the first datagram is answered with a refusal, which the next one hears.
        let first = push.flush();
        with_local_recorder(&*fan, || counter!("vigie_a_b_total").increment(5));
        let second = push.flush();
        assert_eq!((first.lines, second.dropped), (1, 1));
        let socket = UdpSocket::bind(&address).expect("the port is free again");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
        with_local_recorder(&*fan, || {
            (0..1_000).for_each(|_| counter!("vigie_a_b_total").increment(1_000));
        });
        push.flush();
        assert_eq!(lines(&socket), ["vigie.a.b:1000000|c"]);
    }

    #[test]
    fn samples_are_sent_at_their_rate_and_bounded() {
        let (socket, address) = listener();
        let fan = fan(vec![Target::DogStatsd], address, 0.25);
        with_local_recorder(&fan, || (0..8).for_each(|_| histogram!("vigie_a_b_bytes").record(4.0)));
        let push = fan.push.as_ref().expect("it is on");
        push.flush();
        assert_eq!(lines(&socket), ["vigie.a.b_bytes:4|d|@0.25", "vigie.a.b_bytes:4|d|@0.25"]);
        with_local_recorder(&fan, || (0..10_000).for_each(|_| histogram!("vigie_a_b_bytes").record(4.0)));
        assert_eq!(push.flush().dropped, 1_500, "2,500 were drawn, 1,000 are kept");
    }
}
