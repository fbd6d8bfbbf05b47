//! Where RabbitMQ is and how to speak to it, read from a URL as kombu writes them.
//!
//! Source: kombu 5.7 `utils/url.py` and `transport/pyamqp.py`; names of the query options are kombu's.

use super::super::address::{Address, AddressError, celery_queues, names, options, unknown_option, wrong};
use super::lanes::Naming;
use std::path::PathBuf;
use std::time::Duration;

/// Servers of one address, tried one after the other.
const SERVERS_MAX: usize = 16;
const PORT: u16 = 5672;
const TLS_PORT: u16 = 5671;
/// Silence of twice this long is the end of a connection.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// A delivery is not held for longer: RabbitMQ ends the channel of one that is (30 minutes by default).
const HELD_MAX: Duration = Duration::from_secs(600);
const OPTIONS: [&str; 7] =
    ["heartbeat", "celery_queues", "queue_type", "ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"];
/// Without effect: ours are fixed, and an address that Celery takes is taken.
const CELERYS: [&str; 3] = ["connect_timeout", "login_method", "insist"];

/// How a RabbitMQ broker is set up.
#[derive(Clone)]
pub struct AmqpConfig {
    pub servers: Vec<Server>,
    pub virtual_host: String,
    pub heartbeat: Duration,
    /// The file of the ledger's tables; all processes of one queue share it.
    pub ledger: PathBuf,
    pub jobs_max: u64,
    pub bytes_max: u64,
    pub held_max: Duration,
    pub naming: Naming,
    pub lane_kind: LaneKind,
}

/// Of which kind the queues are that are ours alone (decision 0022).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneKind {
    /// On the disk of one node.
    Classic,
    /// On the disks of most nodes of a cluster.
    Quorum,
}

/// One server.
#[derive(Clone)]
pub struct Server {
    pub host: String,
    pub port: u16,
    pub tls: Option<Tls>,
    pub user: String,
    pub password: String,
}

/// How the server's certificate is checked, and ours shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Beside the machine's.
    pub authorities: Option<PathBuf>,
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl AmqpConfig {
    /// Reads one address, or several of one cluster with `;` between them. `ledger` is where the tables lie.
    ///
    /// # Errors
    /// Which part of it cannot be read.
    pub fn parse(url: &str, ledger: PathBuf) -> Result<AmqpConfig, AddressError> {
        let mut options = Options::default();
        let mut all = Vec::new();
        for one in url.split(';').map(str::trim).filter(|one| !one.is_empty()) {
            all.push(Parts::read(one, &mut options)?);
        }
        let Some(first) = all.first() else { return wrong("host", "it names no server") };
        if all.len() > SERVERS_MAX {
            return wrong("host", format!("it names more than {SERVERS_MAX} servers"));
        }
        let virtual_host = first.virtual_host.clone();
        if all.iter().any(|parts| parts.virtual_host != virtual_host) {
            return wrong("path", "all servers of one queue have the same virtual host");
        }
        Ok(AmqpConfig {
            servers: all.into_iter().map(|parts| options.server(parts)).collect(),
            virtual_host,
            heartbeat: options.heartbeat.unwrap_or(HEARTBEAT),
            ledger,
            jobs_max: u64::MAX,
            bytes_max: u64::MAX,
            held_max: HELD_MAX,
            naming: Naming::new(options.shared),
            lane_kind: options.lane_kind.unwrap_or(LaneKind::Classic),
        })
    }

    /// Returns the queues that Python programs may publish to before anybody else does.
    pub fn celery_queues(&self) -> Vec<String> {
        celery_queues(&self.naming.shared)
    }

    /// Returns the servers without users and passwords, for logs and errors.
    pub fn name(&self) -> String {
        let names: Vec<String> = self.servers.iter().map(|server| server.name(&self.virtual_host)).collect();
        names.join(";")
    }
}

impl Server {
    pub fn name(&self, virtual_host: &str) -> String {
        let scheme = if self.tls.is_some() { "amqps" } else { "amqp" };
        format!("{scheme}://{}:{}/{}", self.host, self.port, if virtual_host == "/" { "" } else { virtual_host })
    }
}

/// What one address says by itself.
struct Parts {
    has_tls: bool,
    user: Option<String>,
    password: Option<String>,
    host: String,
    port: Option<u16>,
    virtual_host: String,
}

impl Parts {
    fn read(url: &str, options: &mut Options) -> Result<Parts, AddressError> {
        let Address { scheme, user, password, host, port, path, query } = Address::read(url)?;
        let has_tls = match scheme {
            "amqp" | "pyamqp" => false,
            "amqps" => true,
            _ => return wrong("scheme", "it is neither amqp nor amqps"),
        };
        options.read(query)?;
        // The slash belongs to the address, not to the name; no name is the one that every server has.
        let path = path.strip_prefix('/').unwrap_or(&path);
        let virtual_host = if path.is_empty() { "/".to_owned() } else { path.to_owned() };
        if virtual_host.len() > 255 {
            return wrong("path", "a virtual host has at most 255 bytes");
        }
        Ok(Parts { has_tls, user, password, host, port, virtual_host })
    }
}

/// Query options; those of all addresses count for all.
#[derive(Default)]
struct Options {
    heartbeat: Option<Duration>,
    shared: Vec<String>,
    lane_kind: Option<LaneKind>,
    authorities: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Options {
    fn read(&mut self, query: &str) -> Result<(), AddressError> {
        for (name, value) in options(query)? {
            match name {
                "heartbeat" => match value.parse().ok().filter(|seconds| (1..=600).contains(seconds)) {
                    Some(seconds) => self.heartbeat = Some(Duration::from_secs(seconds)),
                    None => return wrong("heartbeat", "it is no number of seconds from 1 to 600"),
                },
                "celery_queues" => self.shared = names(&value),
                "queue_type" => match value.as_str() {
                    "classic" => self.lane_kind = Some(LaneKind::Classic),
                    "quorum" => self.lane_kind = Some(LaneKind::Quorum),
                    _ => return wrong("queue_type", "it is classic or quorum"),
                },
                "ssl_cert_reqs" => match value.to_ascii_lowercase().trim_start_matches("cert_") {
                    "required" | "optional" => {}
                    "none" => return wrong("ssl_cert_reqs", "a server's certificate is always checked; name its CA"),
                    _ => return wrong("ssl_cert_reqs", "it is required"),
                },
                "ssl_ca_certs" => self.authorities = Some(value.into()),
                "ssl_certfile" => self.certificate = Some(value.into()),
                "ssl_keyfile" => self.key = Some(value.into()),
                _ if CELERYS.contains(&name) => {}
                _ => return unknown_option(&[&OPTIONS[..], &CELERYS].concat()),
            }
        }
        if self.certificate.is_some() != self.key.is_some() && !query.is_empty() {
            return wrong("ssl_certfile", "ssl_certfile and ssl_keyfile belong together");
        }
        Ok(())
    }

    fn server(&self, parts: Parts) -> Server {
        let tls = parts.has_tls.then(|| Tls {
            authorities: self.authorities.clone(),
            certificate: self.certificate.clone().zip(self.key.clone()),
        });
        let port = parts.port.unwrap_or(if parts.has_tls { TLS_PORT } else { PORT });
        Server {
            host: parts.host,
            port,
            tls,
            user: parts.user.unwrap_or_else(|| "guest".to_owned()),
            password: parts.password.unwrap_or_else(|| "guest".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, name: &str) {
        let config = AmqpConfig::parse(url, PathBuf::new());
        assert_eq!(config.map(|config| config.name()), Ok(name.to_owned()), "{url}");
    }

    #[test]
    fn addresses_are_read_as_kombu_reads_them() {
        check("amqp://", "amqp://localhost:5672/");
        check("amqp://app:p%40ss@broker//", "amqp://broker:5672/");
        check("amqp://app:word@[::1]:7000/jobs?heartbeat=30", "amqp://::1:7000/jobs");
        check("amqps://broker/a%2Fb", "amqps://broker:5671/a/b");
        check("amqp://a;amqp://b:1", "amqp://a:5672/;amqp://b:1/");
        let config = AmqpConfig::parse("amqp://app:p%40ss@h/v?celery_queues=mail,media", PathBuf::new());
        let config = config.expect("an address");
        let server = &config.servers[0];
        assert_eq!((server.user.as_str(), server.password.as_str()), ("app", "p@ss"));
        assert!(config.naming.is_always_shared("media") && config.naming.is_always_shared("celery"));
        assert!(!config.naming.is_always_shared("events"));
        assert_eq!(config.celery_queues(), ["celery", "mail", "media"]);
    }

    #[test]
    fn each_option_that_is_named_is_known() {
        let known = |option: &str| AmqpConfig::parse(&format!("amqp://broker?{option}=1"), PathBuf::new()).err();
        for option in OPTIONS.iter().chain(&CELERYS) {
            assert!(known(option).is_none_or(|error| error.part != "options"), "{option}");
        }
        let error = known("hartbeat").expect("a refusal").to_string();
        assert!(error.contains("known are heartbeat, celery_queues, ") && !error.contains("hartbeat"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named_without_the_password() {
        let bad = |url| AmqpConfig::parse(url, PathBuf::new()).err().expect("no address").part;
        assert_eq!(bad("broker:5672"), "scheme");
        assert_eq!(bad("http://broker"), "scheme");
        assert_eq!(bad("amqp://broker:port"), "port");
        assert_eq!(bad("amqp://a%zz@broker"), "escapes");
        assert_eq!(bad("amqp://a/one;amqp://b/two"), "path");
        assert_eq!(bad("amqps://broker?ssl_cert_reqs=none"), "ssl_cert_reqs");
        assert_eq!(bad("amqps://broker?ssl_certfile=/c"), "ssl_certfile");
        assert_eq!(bad("amqp://broker?heartbeat=soon"), "heartbeat");
        assert_eq!(bad("amqp://broker?queue_type=stream"), "queue_type");
        assert_eq!(bad("amqp://broker?hartbeat=5"), "options");
        assert_eq!(bad(""), "host");
    }
}
