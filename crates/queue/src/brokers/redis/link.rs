//! Connections to the server: each with deadlines, none shared, a few kept for the next call. While the server is away calls
//! fail at once, and it is tried again with growing pauses, for ever.

use super::config::{Place, RedisConfig, Server, Tls};
use super::scripts::{self, Script, Scripts};
use crate::QueueError;
use redis::{
    Client, ClientTlsConfig, Connection, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, RedisResult, ServerErrorKind, TlsCertificates,
};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For a connection to be made, TLS included.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// For an answer. A network that swallows everything is noticed after this.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Connections kept for the next call.
const IDLE_MAX: usize = 16;
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// The oldest server with all the commands of the scripts.
const VERSION_MIN: (u32, u32) = (6, 2);

/// A connection on which all scripts are known.
pub(super) struct Open {
    pub connection: Connection,
    pub scripts: Scripts,
}

impl Open {
    pub fn run<T: FromRedisValue>(&mut self, script: Script, arguments: &[Vec<u8>]) -> RedisResult<T> {
        self.command(script, arguments).query(&mut self.connection)
    }

    pub fn command(&self, script: Script, arguments: &[Vec<u8>]) -> redis::Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.scripts.hash_of(script)).arg(0);
        for argument in arguments {
            command.arg(&argument[..]);
        }
        command
    }
}

#[derive(Default)]
struct Away {
    /// Why, and when it is tried again.
    until: Option<(String, Instant)>,
    pause: Duration,
}

pub(super) struct Link {
    config: RedisConfig,
    name: String,
    idle: Mutex<Vec<Open>>,
    away: Mutex<Away>,
    /// When the server was found again after it had been away.
    found_at: Mutex<Option<Instant>>,
}

impl Link {
    pub fn new(config: RedisConfig) -> Link {
        // One provider of ciphers for the whole process; whoever came first has chosen the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let name = config.name();
        Link { config, name, idle: Mutex::default(), away: Mutex::default(), found_at: Mutex::default() }
    }

    /// Runs a call on a connection. A connection that fails is thrown away, and the call is made once more on a new one:
    /// everything that is asked here may be asked twice.
    pub fn with<T>(&self, mut call: impl FnMut(&mut Open) -> RedisResult<T>) -> Result<T, QueueError> {
        let kept = lock(&self.idle).pop();
        if let Some(mut open) = kept {
            match call(&mut open) {
                Ok(answer) => return self.done(open, answer),
                Err(error) if !breaks(&error) => return self.refused(open, &error),
                // The others are of the same age: they have met the same end.
                Err(_) => lock(&self.idle).clear(),
            }
        }
        let mut open = self.open()?;
        match call(&mut open) {
            Ok(answer) => self.done(open, answer),
            Err(error) if !breaks(&error) => self.refused(open, &error),
            Err(error) => Err(self.error(&error)),
        }
    }

    /// Runs a script.
    pub fn run<T: FromRedisValue>(&self, script: Script, arguments: &[Vec<u8>]) -> Result<T, QueueError> {
        self.with(|open| open.run(script, arguments))
    }

    /// Whether the server was away so short a time ago.
    pub fn was_away_within(&self, time: Duration) -> bool {
        lock(&self.away).until.is_some() || lock(&self.found_at).is_some_and(|found_at| found_at.elapsed() < time)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    fn done<T>(&self, open: Open, answer: T) -> Result<T, QueueError> {
        self.keep(open);
        self.note_there();
        Ok(answer)
    }

    /// An answer proves that the server is there, also when another connection could not be made a moment ago.
    fn note_there(&self) {
        let was_away = std::mem::take(&mut *lock(&self.away)).until.is_some();
        if was_away {
            *lock(&self.found_at) = Some(Instant::now());
        }
    }

    fn refused<T>(&self, open: Open, error: &RedisError) -> Result<T, QueueError> {
        self.keep(open);
        Err(self.error(error))
    }

    fn keep(&self, open: Open) {
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE_MAX {
            idle.push(open);
        }
    }

    /// Makes a connection, unless the server was away a moment ago.
    pub fn open(&self) -> Result<Open, QueueError> {
        if let Some((why, until)) = &lock(&self.away).until
            && Instant::now() < *until
        {
            return Err(self.unreachable(why.clone()));
        }
        let mut last = None;
        for server in &self.config.servers {
            match connect(server).and_then(prepare) {
                Ok(open) => {
                    self.note_there();
                    return Ok(open);
                }
                Err(error) => last = Some(self.error(&error)),
            }
        }
        let error = last.unwrap_or_else(|| self.unreachable("no server is named".to_owned()));
        let mut away = lock(&self.away);
        away.pause = (away.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        let until = Instant::now() + away.pause;
        away.until = Some((stdx::causes::on_one_line(&error), until));
        Err(error)
    }

    fn unreachable(&self, why: String) -> QueueError {
        QueueError::Unreachable { broker: self.name.clone(), why }
    }

    pub fn error(&self, error: &RedisError) -> QueueError {
        let (broker, why) = (self.name.clone(), error.to_string());
        match error.code() {
            Some("OOM") => QueueError::Full { bound: "the server's maxmemory" },
            Some("READONLY" | "MISCONF" | "NOREPLICAS") => QueueError::Unwritable { why },
            Some("LOADING" | "MASTERDOWN" | "CLUSTERDOWN") => QueueError::Unreachable { broker, why },
            _ if why.contains("OOM command not allowed") => QueueError::Full { bound: "the server's maxmemory" },
            _ if why.contains("READONLY") || why.contains("MISCONF") => QueueError::Unwritable { why },
            _ if breaks(error) => QueueError::Unreachable { broker, why },
            _ => QueueError::Refused { broker, why },
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while it was held is a bug; what it guards is still the best we know.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the connection is of no more use: broken, late, or to a server that has forgotten the scripts.
fn breaks(error: &RedisError) -> bool {
    let kinds = [ErrorKind::Io, ErrorKind::Parse, ErrorKind::Server(ServerErrorKind::NoScript)];
    let servers = [ServerErrorKind::ReadOnly, ServerErrorKind::BusyLoading, ServerErrorKind::MasterDown];
    kinds.contains(&error.kind())
        || servers.into_iter().any(|kind| error.kind() == ErrorKind::Server(kind))
        || error.is_connection_dropped()
}

fn connect(server: &Server) -> RedisResult<Connection> {
    match &server.place {
        Place::Tcp { host, port } => dial(server, host, *port),
        Place::Socket(path) => finish(server, ConnectionAddr::Unix(path.clone()), None),
        Place::Sentinels { hosts, master, password } => {
            let mut last = None;
            for (host, port) in hosts {
                let asked = ask_sentinel(host, *port, password.as_deref(), master);
                match asked.and_then(|(host, port)| dial(server, &host, port)).and_then(must_be_master) {
                    Ok(connection) => return Ok(connection),
                    Err(error) => last = Some(error),
                }
            }
            Err(last.unwrap_or_else(|| RedisError::from((ErrorKind::EmptySentinelList, "no sentinel is named"))))
        }
    }
}

fn ask_sentinel(host: &str, port: u16, password: Option<&str>, master: &str) -> RedisResult<(String, u16)> {
    let place = Place::Tcp { host: host.to_owned(), port };
    let sentinel = Server { place, tls: None, user: None, password: password.map(str::to_owned), database: 0 };
    let mut connection = dial(&sentinel, host, port)?;
    redis::cmd("SENTINEL").arg("get-master-addr-by-name").arg(master).query(&mut connection)
}

/// A sentinel may tell of a master that has just been replaced.
fn must_be_master(mut connection: Connection) -> RedisResult<Connection> {
    let role: Vec<redis::Value> = redis::cmd("ROLE").query(&mut connection)?;
    match role.first() {
        Some(redis::Value::BulkString(role)) if role == b"master" => Ok(connection),
        _ => Err(RedisError::from((ErrorKind::Io, "the sentinels name a server that is not the master"))),
    }
}

fn dial(server: &Server, host: &str, port: u16) -> RedisResult<Connection> {
    match &server.tls {
        None => finish(server, ConnectionAddr::Tcp(host.to_owned(), port), None),
        Some(tls) => {
            let address =
                ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure: !tls.is_checked, tls_params: None };
            finish(server, address, Some(tls))
        }
    }
}

fn finish(server: &Server, address: ConnectionAddr, tls: Option<&Tls>) -> RedisResult<Connection> {
    let mut settings = RedisConnectionInfo::default().set_db(server.database);
    if let Some(user) = &server.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = &server.password {
        settings = settings.set_password(password);
    }
    let info = address.into_connection_info()?.set_redis_settings(settings);
    let client = match tls {
        None => Client::open(info)?,
        Some(tls) => {
            let client = Client::build_with_tls(info, certificates(tls)?)?;
            let info = client.get_connection_info().clone();
            let mut address = info.addr().clone();
            address.set_danger_accept_invalid_hostnames(!tls.is_name_checked);
            Client::open(info.set_addr(address))?
        }
    };
    let connection = client.get_connection_with_timeout(CONNECT_MAX)?;
    connection.set_read_timeout(Some(ANSWER_MAX))?;
    connection.set_write_timeout(Some(ANSWER_MAX))?;
    Ok(connection)
}

fn certificates(tls: &Tls) -> RedisResult<TlsCertificates> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| {
            RedisError::from((
                ErrorKind::InvalidClientConfig,
                "a certificate is not read",
                format!("{}: {error}", path.display()),
            ))
        })
    };
    let client_tls = match &tls.certificate {
        None => None,
        Some((certificate, key)) => Some(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? }),
    };
    let root_cert = tls.authorities.as_deref().map(read).transpose()?;
    Ok(TlsCertificates { client_tls, root_cert })
}

/// Loads the scripts.
fn prepare(mut connection: Connection) -> RedisResult<Open> {
    let version = version(&mut connection)?;
    if version < VERSION_MIN {
        let why = format!(
            "the server is {}.{}, at least {}.{} is needed",
            version.0, version.1, VERSION_MIN.0, VERSION_MIN.1
        );
        return Err(RedisError::from((ErrorKind::InvalidClientConfig, "too old", why)));
    }
    let scripts = scripts::load(&mut connection, version)?;
    Ok(Open { connection, scripts })
}

fn version(connection: &mut Connection) -> RedisResult<(u32, u32)> {
    let info: String = redis::cmd("INFO").arg("server").query(connection)?;
    let text = info_field(&info, "redis_version").unwrap_or_default();
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    Ok((parts.next().unwrap_or(0), parts.next().unwrap_or(0)))
}

/// Returns a field of the answer to `INFO`.
pub(super) fn info_field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}
