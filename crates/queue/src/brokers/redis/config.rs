//! Where the server is and how to speak to it, read from a URL as kombu writes them.
//!
//! Source: kombu 5.7 `transport/redis.py` and `utils/url.py`; names of the query options are kombu's.

use super::super::address::{Address, AddressError, celery_queues, names, options, unknown_option, wrong};
use std::path::PathBuf;
use std::time::Duration;

/// Servers of one address, tried one after the other.
const SERVERS_MAX: usize = 16;
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
const OPTIONS: [&str; 12] = [
    "celery_queues",
    "global_keyprefix",
    "master_name",
    "sentinel_password",
    "virtual_host",
    "db",
    "visibility_timeout",
    "ssl_cert_reqs",
    "ssl_check_hostname",
    "ssl_ca_certs",
    "ssl_certfile",
    "ssl_keyfile",
];
/// Without effect: ours are fixed, and an address that Celery takes is taken.
const CELERYS: [&str; 7] = [
    "connect_timeout",
    "socket_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "retry_on_timeout",
    "health_check_interval",
    "max_connections",
];

/// How a Redis broker is set up.
#[derive(Clone)]
pub struct RedisConfig {
    pub servers: Vec<Server>,
    /// Put before every key and channel.
    pub prefix: String,
    pub jobs_max: u64,
    /// Of the server's memory, whatever it is used for.
    pub bytes_max: u64,
    pub time: TimeSource,
    /// After which Celery's workers take back what another of them holds; we do that for them too.
    pub visibility_timeout: Duration,
    /// Remembers the server between two lives of the process, so that an emptied one is noticed; `None`: only within one.
    pub marker_file: Option<PathBuf>,
    /// Queues that Python programs publish to, beside `celery`.
    pub shared: Vec<String>,
}

/// Where times of the queue come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeSource {
    /// The server's clock, the same for all processes.
    Server,
    /// The clock that was passed in, for tests.
    Clock,
}

/// One server, or the sentinels that know where it is.
#[derive(Clone)]
pub struct Server {
    pub place: Place,
    pub tls: Option<Tls>,
    pub user: Option<String>,
    pub password: Option<String>,
    pub database: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Tcp { host: String, port: u16 },
    Socket(PathBuf),
    Sentinels { hosts: Vec<(String, u16)>, master: String, password: Option<String> },
}

/// How the server's certificate is checked, and ours shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub is_checked: bool,
    pub is_name_checked: bool,
    /// In place of the machine's.
    pub authorities: Option<PathBuf>,
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl RedisConfig {
    /// Reads one address, or several with `;` between them.
    ///
    /// # Errors
    /// Which part of it cannot be read.
    pub fn parse(url: &str) -> Result<RedisConfig, AddressError> {
        let mut options = Options::default();
        let mut servers = Vec::new();
        let mut sentinels: Vec<Parts> = Vec::new();
        for one in url.split(';').map(str::trim).filter(|one| !one.is_empty()) {
            let parts = Parts::read(one, &mut options)?;
            if parts.scheme == Scheme::Sentinel { sentinels.push(parts) } else { servers.push(parts) }
        }
        let mut config = RedisConfig {
            servers: Vec::new(),
            prefix: options.prefix.clone(),
            jobs_max: u64::MAX,
            bytes_max: u64::MAX,
            time: TimeSource::Server,
            visibility_timeout: options.visibility_timeout.unwrap_or(Duration::from_secs(3_600)),
            marker_file: None,
            shared: options.shared.clone(),
        };
        if !sentinels.is_empty() {
            config.servers.push(options.sentinel_server(&sentinels)?);
        }
        for parts in servers {
            config.servers.push(options.server(parts)?);
        }
        match config.servers.len() {
            0 => wrong("host", "it names no server"),
            1..=SERVERS_MAX => Ok(config),
            _ => wrong("host", format!("it names more than {SERVERS_MAX} servers")),
        }
    }

    /// Returns the queues that Python programs may publish to before anybody else does.
    pub fn celery_queues(&self) -> Vec<String> {
        celery_queues(&self.shared)
    }

    /// Returns the servers without users and passwords, for logs and errors.
    pub fn name(&self) -> String {
        let names: Vec<String> = self.servers.iter().map(Server::name).collect();
        names.join(";")
    }
}

impl Server {
    pub fn name(&self) -> String {
        match &self.place {
            Place::Tcp { host, port } => {
                let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
                format!("{scheme}://{host}:{port}/{}", self.database)
            }
            Place::Socket(path) => format!("redis+socket://{}", path.display()),
            Place::Sentinels { hosts, master, .. } => {
                let hosts: Vec<String> = hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
                format!("sentinel://{} ({master})", hosts.join(","))
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Tcp,
    Tls,
    Socket,
    Sentinel,
}

/// What one address says by itself.
struct Parts {
    scheme: Scheme,
    user: Option<String>,
    password: Option<String>,
    host: String,
    port: Option<u16>,
    path: String,
}

impl Parts {
    fn read(url: &str, options: &mut Options) -> Result<Parts, AddressError> {
        let Address { scheme, user, password, host, port, path, query } = Address::read(url)?;
        let scheme = match scheme {
            "redis" | "valkey" => Scheme::Tcp,
            "rediss" | "valkeys" => Scheme::Tls,
            "redis+socket" | "socket" | "unix" | "redis+unix" => Scheme::Socket,
            "sentinel" | "redis+sentinel" => Scheme::Sentinel,
            _ => return wrong("scheme", "it is none of redis, rediss, redis+socket and sentinel"),
        };
        options.read(query)?;
        if scheme == Scheme::Socket && path.is_empty() {
            return wrong("path", "it names no socket");
        }
        Ok(Parts { scheme, user, password, host, port, path })
    }

    fn database(&self) -> Result<i64, AddressError> {
        match self.path.trim_matches('/') {
            "" => Ok(0),
            number => number
                .parse()
                .ok()
                .filter(|number| *number >= 0)
                .map_or_else(|| wrong("path", "it is no number of a database"), Ok),
        }
    }
}

/// Query options; those of all addresses count for all.
#[derive(Default)]
struct Options {
    shared: Vec<String>,
    prefix: String,
    master: Option<String>,
    sentinel_password: Option<String>,
    database: Option<i64>,
    visibility_timeout: Option<Duration>,
    is_unchecked: bool,
    is_name_unchecked: bool,
    authorities: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Options {
    fn read(&mut self, query: &str) -> Result<(), AddressError> {
        for (name, value) in options(query)? {
            match name {
                "celery_queues" => self.shared = names(&value),
                "global_keyprefix" => self.prefix = value,
                "master_name" => self.master = Some(value),
                "sentinel_password" => self.sentinel_password = Some(value),
                "virtual_host" | "db" => match value.trim_matches('/').parse() {
                    Ok(number) => self.database = Some(number),
                    Err(_) => return wrong("virtual_host", "it is no number of a database"),
                },
                "visibility_timeout" => match value.parse().ok().filter(|seconds: &f64| (1.0..1e9).contains(seconds)) {
                    Some(seconds) => self.visibility_timeout = Some(Duration::from_secs_f64(seconds)),
                    None => return wrong("visibility_timeout", "it is no number of seconds"),
                },
                "ssl_cert_reqs" => match value.to_ascii_lowercase().trim_start_matches("cert_") {
                    "required" | "optional" => self.is_unchecked = false,
                    "none" => self.is_unchecked = true,
                    _ => return wrong("ssl_cert_reqs", "it is required, optional or none"),
                },
                "ssl_check_hostname" => {
                    self.is_name_unchecked = matches!(value.to_ascii_lowercase().as_str(), "false" | "0" | "no");
                }
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

    fn tls(&self) -> Tls {
        Tls {
            is_checked: !self.is_unchecked,
            is_name_checked: !self.is_name_unchecked,
            authorities: self.authorities.clone(),
            certificate: self.certificate.clone().zip(self.key.clone()),
        }
    }

    fn server(&self, parts: Parts) -> Result<Server, AddressError> {
        let is_socket = parts.scheme == Scheme::Socket;
        let database = if is_socket { self.database.unwrap_or(0) } else { parts.database()? };
        let place = match is_socket {
            true => Place::Socket(PathBuf::from(parts.path)),
            false => Place::Tcp { host: parts.host, port: parts.port.unwrap_or(PORT) },
        };
        let tls = (parts.scheme == Scheme::Tls).then(|| self.tls());
        Ok(Server { place, tls, user: parts.user, password: parts.password, database })
    }

    fn sentinel_server(&self, sentinels: &[Parts]) -> Result<Server, AddressError> {
        let Some(master) = self.master.clone() else {
            return wrong("master_name", "sentinels need it to know whom to ask for");
        };
        let hosts = sentinels.iter().map(|one| (one.host.clone(), one.port.unwrap_or(SENTINEL_PORT))).collect();
        let first = &sentinels[0];
        Ok(Server {
            place: Place::Sentinels { hosts, master, password: self.sentinel_password.clone() },
            tls: None,
            user: first.user.clone(),
            password: first.password.clone(),
            database: first.database()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, name: &str) {
        assert_eq!(RedisConfig::parse(url).map(|config| config.name()), Ok(name.to_owned()), "{url}");
    }

    #[test]
    fn addresses_are_read_as_kombu_reads_them() {
        check("redis://", "redis://localhost:6379/0");
        check("redis://:p%40ss@cache/2", "redis://cache:6379/2");
        check("redis://app:word@[::1]:7000/1?global_keyprefix=x", "redis://::1:7000/1");
        check("rediss://cache:6380?ssl_cert_reqs=CERT_NONE", "rediss://cache:6380/0");
        check("redis+socket:///tmp/r.sock?virtual_host=3", "redis+socket:///tmp/r.sock");
        check("redis://a;redis://b:1/2", "redis://a:6379/0;redis://b:1/2");
        check("sentinel://h1;sentinel://:word@h2:5/1?master_name=m", "sentinel://h1:26379,h2:5 (m)");
        let config = RedisConfig::parse("redis://app:p%40ss@cache/2?global_keyprefix=x:").expect("an address");
        let server = &config.servers[0];
        assert_eq!((server.user.as_deref(), server.password.as_deref()), (Some("app"), Some("p@ss")));
        assert_eq!((server.database, config.prefix.as_str()), (2, "x:"));
        let config = RedisConfig::parse("redis://cache?celery_queues=mail,%20media").expect("an address");
        assert_eq!(config.celery_queues(), ["celery", "mail", "media"]);
    }

    #[test]
    fn each_option_that_is_named_is_known() {
        for option in OPTIONS.iter().chain(&CELERYS) {
            let error = RedisConfig::parse(&format!("redis://cache?{option}=1")).err();
            assert!(error.is_none_or(|error| error.part != "options"), "{option}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_without_the_password() {
        let bad = |url| RedisConfig::parse(url).err().expect("no address").part;
        assert_eq!(bad("cache:6379"), "scheme");
        assert_eq!(bad("http://cache"), "scheme");
        assert_eq!(bad("redis://cache:port"), "port");
        assert_eq!(bad("redis://cache/one"), "path");
        assert_eq!(bad("redis://a%zz@cache"), "escapes");
        assert_eq!(bad("sentinel://h1"), "master_name");
        assert_eq!(bad("rediss://cache?ssl_cert_reqs=maybe"), "ssl_cert_reqs");
        assert_eq!(bad("rediss://cache?ssl_certfile=/c"), "ssl_certfile");
        assert_eq!(bad("redis://cache?socket_timeuot=5"), "options");
        assert_eq!(bad(""), "host");
    }
}
