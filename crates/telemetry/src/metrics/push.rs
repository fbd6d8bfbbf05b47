//! Metrics that are sent rather than asked for: statsd, dogstatsd, the log. What was gathered is sent by a timer, so whoever
//! records never waits for a backend, and memory is bounded by series and samples, not by what the backend does. Counts
//! are exact; what a backend did not take is dropped and counted.

mod line;

use super::Kind;
use super::hub::Hub;
use super::key::Key;
use super::series::{Change, Series};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use line::Dialect;

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
    /// Labels of every series. Plain statsd, which would have them in the name, does without.
    pub tags: Vec<(String, String)>,
}

/// What one sending came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub lines: u64,
    pub datagrams: u64,
    /// Lines that no backend took, and samples and series beyond the bounds.
    pub dropped: u64,
}

/// Sends values.
pub struct Push {
    config: PushConfig,
    socket: Mutex<Option<UnderWay>>,
    has_warned: AtomicBool,
}

/// A socket, and how many lines went out by it last: whether somebody took them is heard with the next.
struct UnderWay {
    socket: UdpSocket,
    lines: u64,
}

/// A series with something to say.
type Said = (Arc<Series>, Value);

impl Push {
    pub fn new(config: PushConfig) -> Push {
        Push { config, socket: Mutex::default(), has_warned: AtomicBool::new(false) }
    }

    /// Sends one more of a counter that is in no table.
    pub fn send_one(&self, name: &'static str) -> Sent {
        let series = Arc::new(Series::new(Key::of_name(name), Kind::Counter));
        self.send_all(&[(series, Value::Count(1))])
    }

    /// Sends what is new since the last time. It does not wait for a server; looking its name up may take a while, so
    /// this is not for a thread that serves.
    pub(super) fn flush(&self, hub: &Hub) -> Sent {
        let mut lost = 0;
        let mut values = Vec::new();
        for series in hub.series() {
            let change = series.tell();
            lost += change.lost;
            values.extend(values_of(change).into_iter().map(|value| (series.clone(), value)));
        }
        let mut sent = self.send_all(&values);
        sent.dropped += lost;
        sent
    }

    fn send_all(&self, values: &[Said]) -> Sent {
        let mut sent = Sent::default();
        for target in &self.config.targets {
            match target {
                Target::Log => log(values, &self.config.tags, &mut sent),
                Target::Statsd => self.send(values, Dialect::Statsd, &mut sent),
                Target::DogStatsd => self.send(values, Dialect::DogStatsd, &mut sent),
            }
        }
        sent
    }

    fn send(&self, values: &[Said], dialect: Dialect, sent: &mut Sent) {
        let mut datagram = String::new();
        let mut lines = 0;
        for (series, value) in values {
            let line = line::render(dialect, &self.config, &series.key, value);
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
        let mut kept = lock(&self.socket);
        let mut is_well = true;
        let reached = match kept.take() {
            Some(before) => match before.socket.send(datagram.as_bytes()) {
                // It is the one before that nobody took: its refusal is heard only now.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    is_well = false;
                    sent.dropped += before.lines;
                    self.warn(&error);
                    self.send_anew(datagram)
                }
                result => result.map(|_| before.socket),
            },
            None => self.send_anew(datagram),
        };
        match reached {
            Ok(socket) => {
                *kept = Some(UnderWay { socket, lines });
                sent.lines += lines;
                sent.datagrams += 1;
                if is_well {
                    self.has_warned.store(false, Ordering::Relaxed);
                }
            }
            Err(error) => {
                sent.dropped += lines;
                self.warn(&error);
            }
        }
    }

    fn warn(&self, error: &std::io::Error) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            let address = &self.config.address;
            tracing::warn!(address, error = %error, "metrics not sent; what is dropped is counted");
        }
    }

    /// Looks the name up again: the server may have moved.
    fn send_anew(&self, datagram: &str) -> std::io::Result<UdpSocket> {
        let socket = connect(&self.config.address)?;
        socket.send(datagram.as_bytes())?;
        Ok(socket)
    }
}

fn connect(address: &str) -> std::io::Result<UdpSocket> {
    let server = address.to_socket_addrs()?.next();
    let server = server.ok_or_else(|| std::io::Error::other(format!("{address} is no address")))?;
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let mut socket = UdpSocket::bind(any)?;
    if socket.local_addr()?.port() == server.port() {
        // On this machine it would be the server itself, hear its own lines and keep the real one from its port.
        let other = UdpSocket::bind(any)?;
        drop(std::mem::replace(&mut socket, other));
    }
    socket.set_nonblocking(true)?;
    socket.connect(server)?;
    Ok(socket)
}

fn log(values: &[Said], tags: &[(String, String)], sent: &mut Sent) {
    for (series, value) in values {
        let own = series.key.labels();
        let of_all = tags.iter().map(|(label, value)| (label.as_str(), value.as_str()));
        let labels: Vec<String> = own.chain(of_all).map(|(label, value)| format!("{label}={value}")).collect();
        let (kind, value) = match value {
            Value::Count(count) => ("counter", count.to_string()),
            Value::Level(level) => ("gauge", level.to_string()),
            Value::Sample(sample) => ("sample", sample.to_string()),
        };
        tracing::info!(metric = series.key.name(), kind, value, labels = labels.join(","), "metric");
        sent.lines += 1;
    }
}

/// What a series has to say.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    /// More by so many.
    Count(u64),
    Level(f64),
    Sample(f64),
}

fn values_of(change: Change) -> Vec<Value> {
    let count = (change.count > 0).then_some(Value::Count(change.count));
    let level = change.level.map(Value::Level);
    count.into_iter().chain(level).chain(change.samples.into_iter().map(Value::Sample)).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
