//! Metrics that are sent rather than asked for: statsd, dogstatsd, the log. Values are gathered in atomics and sent by a
//! timer, so whoever records never waits for a backend, and memory is bounded by series and samples, not by what the
//! backend does. Counts are exact; what a backend did not take is dropped and counted.

mod line;

use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key};
use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub use line::Dialect;

/// Series in all; those beyond are not sent, and counted. What is declared stays far below.
const SERIES_MAX: usize = 10_000;
/// Samples of one histogram between two sendings; the first are kept.
const SAMPLES_MAX: usize = 1_000;
/// What fits a frame of Ethernet with room for tunnels: a larger datagram may be lost whole.
const DATAGRAM_BYTES_MAX: usize = 1_400;

/// Where values are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Statsd,
    DogStatsd,
    Log,
}

/// How values are sent.
#[derive(Clone, Debug)]
pub struct PushConfig {
    pub targets: Vec<Target>,
    /// Stands before every name.
    pub prefix: String,
    /// Share of samples of timings and distributions that are sent; counts and levels are exact.
    pub sample_rate: f64,
    /// `host:port` of the statsd server.
    pub address: String,
}

/// What one sending came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub lines: u64,
    pub datagrams: u64,
    /// Lines that no backend took, and samples and series beyond the bounds.
    pub dropped: u64,
}

/// Gathers values and sends them.
pub struct Push {
    config: PushConfig,
    series: RwLock<HashMap<Key, Arc<Series>>>,
    socket: Mutex<Option<UdpSocket>>,
    dropped: AtomicU64,
    has_warned: AtomicBool,
}

/// One metric with its labels.
pub(super) struct Series {
    counted: AtomicU64,
    /// How much of the count has been sent.
    sent: AtomicU64,
    /// Bits of a float; told from "never set" by `is_set`.
    level: AtomicU64,
    is_set: AtomicBool,
    samples: Mutex<Vec<f64>>,
    draws: AtomicU64,
    sample_rate: f64,
    dropped: AtomicU64,
}

impl Push {
    pub fn new(config: PushConfig) -> Push {
        Push {
            config,
            series: RwLock::default(),
            socket: Mutex::default(),
            dropped: AtomicU64::new(0),
            has_warned: AtomicBool::new(false),
        }
    }

    /// Counts under a name that is in no table.
    pub fn add(&self, name: &'static str, count: u64) {
        self.counter(&Key::from_static_name(name)).increment(count);
    }

    pub(super) fn counter(&self, key: &Key) -> Counter {
        self.of(key).map_or_else(Counter::noop, Counter::from_arc)
    }

    pub(super) fn gauge(&self, key: &Key) -> Gauge {
        self.of(key).map_or_else(Gauge::noop, Gauge::from_arc)
    }

    pub(super) fn histogram(&self, key: &Key) -> Histogram {
        self.of(key).map_or_else(Histogram::noop, Histogram::from_arc)
    }

    /// Returns the series; `None` beyond their bound.
    pub(super) fn of(&self, key: &Key) -> Option<Arc<Series>> {
        if let Some(series) = self.series.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Some(series.clone());
        }
        let mut all = self.series.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= SERIES_MAX && !all.contains_key(key) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(all.entry(key.clone()).or_insert_with(|| Arc::new(Series::new(self.config.sample_rate))).clone())
    }

    /// Sends what was gathered since the last time. It does not wait for a server; looking its name up may take a while,
    /// so this is not for a thread that serves.
    pub fn flush(&self) -> Sent {
        let mut sent = Sent { dropped: self.dropped.swap(0, Ordering::Relaxed), ..Sent::default() };
        let values = self.take(&mut sent);
        for target in &self.config.targets {
            match target {
                Target::Log => log(&values, &mut sent),
                Target::Statsd => self.send(&values, Dialect::Statsd, &mut sent),
                Target::DogStatsd => self.send(&values, Dialect::DogStatsd, &mut sent),
            }
        }
        sent
    }

    fn take(&self, sent: &mut Sent) -> Vec<(Key, Value)> {
        let all = self.series.read().unwrap_or_else(PoisonError::into_inner);
        let mut values = Vec::new();
        for (key, series) in all.iter() {
            sent.dropped += series.dropped.swap(0, Ordering::Relaxed);
            values.extend(series.take().into_iter().map(|value| (key.clone(), value)));
        }
        values
    }

    fn send(&self, values: &[(Key, Value)], dialect: Dialect, sent: &mut Sent) {
        let mut datagram = String::new();
        let mut lines = 0;
        for (key, value) in values {
            let rate = self.config.sample_rate;
            let line = line::render(dialect, &self.config.prefix, key, value, rate);
            if !datagram.is_empty() && datagram.len() + 1 + line.len() > DATAGRAM_BYTES_MAX {
                self.send_datagram(&datagram, lines, sent);
                datagram.clear();
                lines = 0;
            }
            if !datagram.is_empty() {
                datagram.push('\n');
            }
            datagram.push_str(&line);
            lines += 1;
        }
        if lines > 0 {
            self.send_datagram(&datagram, lines, sent);
        }
    }

    fn send_datagram(&self, datagram: &str, lines: u64, sent: &mut Sent) {
        let mut socket = lock(&self.socket);
        let result = match socket.take() {
            Some(open) => Ok(open),
            None => connect(&self.config.address),
        };
        let result = result.and_then(|open| open.send(datagram.as_bytes()).map(|_| open));
        match result {
            Ok(open) => {
                *socket = Some(open);
                sent.lines += lines;
                sent.datagrams += 1;
                self.has_warned.store(false, Ordering::Relaxed);
            }
            // The next sending looks the name up again: the server may have moved.
            Err(error) => {
                sent.dropped += lines;
                if !self.has_warned.swap(true, Ordering::Relaxed) {
                    let address = &self.config.address;
                    tracing::warn!(address, error = %error, "metrics not sent; what is dropped is counted");
                }
            }
        }
    }
}

fn connect(address: &str) -> std::io::Result<UdpSocket> {
    let server = address.to_socket_addrs()?.next();
    let server = server.ok_or_else(|| std::io::Error::other(format!("{address} is no address")))?;
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    socket.connect(server)?;
    Ok(socket)
}

fn log(values: &[(Key, Value)], sent: &mut Sent) {
    for (key, value) in values {
        let labels: Vec<String> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let (kind, value) = match value {
            Value::Count(count) => ("counter", count.to_string()),
            Value::Level(level) => ("gauge", level.to_string()),
            Value::Sample(sample) => ("sample", sample.to_string()),
        };
        tracing::info!(metric = key.name(), kind, value, labels = labels.join(","), "metric");
        sent.lines += 1;
    }
}

/// What a series has to say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// More by so many.
    Count(u64),
    Level(f64),
    Sample(f64),
}

impl Series {
    fn new(sample_rate: f64) -> Series {
        Series {
            counted: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            level: AtomicU64::new(0),
            is_set: AtomicBool::new(false),
            samples: Mutex::default(),
            draws: AtomicU64::new(0),
            sample_rate,
            dropped: AtomicU64::new(0),
        }
    }

    fn take(&self) -> Vec<Value> {
        let mut values = Vec::new();
        let counted = self.counted.load(Ordering::Relaxed);
        let more = counted - self.sent.swap(counted, Ordering::Relaxed);
        if more > 0 {
            values.push(Value::Count(more));
        }
        // A level is said again although it did not change: a server forgets what it does not hear.
        if self.is_set.load(Ordering::Relaxed) {
            values.push(Value::Level(f64::from_bits(self.level.load(Ordering::Relaxed))));
        }
        values.extend(std::mem::take(&mut *lock(&self.samples)).into_iter().map(Value::Sample));
        values
    }

    /// Every n-th, which is as good a share as a lottery and costs no random number.
    fn is_drawn(&self) -> bool {
        if self.sample_rate >= 1.0 {
            return true;
        }
        let draw = self.draws.fetch_add(1, Ordering::Relaxed) as f64;
        ((draw + 1.0) * self.sample_rate).floor() > (draw * self.sample_rate).floor()
    }

    fn set(&self, change: impl Fn(f64) -> f64) {
        let changed = |bits| Some(change(f64::from_bits(bits)).to_bits());
        // The closure always answers, so the update always takes place.
        let _ = self.level.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed);
        self.is_set.store(true, Ordering::Relaxed);
    }
}

impl CounterFn for Series {
    fn increment(&self, value: u64) {
        self.counted.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.counted.fetch_max(value, Ordering::Relaxed);
    }
}

impl GaugeFn for Series {
    fn increment(&self, value: f64) {
        self.set(|level| level + value);
    }

    fn decrement(&self, value: f64) {
        self.set(|level| level - value);
    }

    fn set(&self, value: f64) {
        Series::set(self, |_| value);
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        if !self.is_drawn() {
            return;
        }
        let mut samples = lock(&self.samples);
        if samples.len() < SAMPLES_MAX {
            samples.push(value);
        } else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
