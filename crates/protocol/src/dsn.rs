//! DSNs: the address of a project's ingest endpoints, with its public key in it. Parses what clients put into envelope
//! headers and prints what people copy.
//!
//! Source: Sentry's SDK documentation ("The DSN"); `SCHEME://PUBLIC_KEY[:SECRET_KEY]@HOST[:PORT][/PATH]/PROJECT_ID`.

use std::fmt;
use std::str::FromStr;
use stdx::Redacted;

/// Longest DSN that is read.
pub const DSN_BYTES_MAX: usize = 2_048;

/// The public key of a project: 32 ASCII characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// A DSN taken apart. The secret key is read and kept only so that printing gives back what was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dsn {
    pub scheme: Scheme,
    pub public_key: PublicKey,
    pub secret_key: Option<Redacted<String>>,
    /// Name or address; an IPv6 address stands in brackets.
    pub host: String,
    pub port: Option<u16>,
    /// What stands between the host and the project id: empty, or `/` and one or more segments.
    pub path_prefix: String,
    pub project_id: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    Http,
    Https,
}

/// What is wrong with a DSN.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DsnError {
    #[error("read dsn: longer than {DSN_BYTES_MAX} bytes")]
    TooLong,
    #[error("read dsn: scheme is neither http nor https")]
    Scheme,
    #[error("read dsn: no public key before the host")]
    MissingKey,
    #[error("read dsn: public key is not 32 ascii characters")]
    PublicKey,
    #[error("read dsn: no host")]
    MissingHost,
    #[error("read dsn: host has characters that no host has")]
    Host,
    #[error("read dsn: port is not a number from 1 to 65535")]
    Port,
    #[error("read dsn: no project id at the end of the path")]
    MissingProject,
    #[error("read dsn: project id is not a positive number")]
    ProjectId,
    #[error("read dsn: query or fragment after the project id")]
    Trailing,
}

impl PublicKey {
    /// Reads a key; flags after a dot (`<key>.no-cache`) are left off.
    pub fn parse(text: &str) -> Option<Self> {
        let key = text.split_once('.').map_or(text, |(key, _)| key);
        let bytes: [u8; 32] = key.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_alphanumeric).then_some(PublicKey(bytes))
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a public key is ascii by construction")
    }

    pub const fn bytes(self) -> [u8; 32] {
        self.0
    }
}

impl Scheme {
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    pub const fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

impl Dsn {
    /// Returns the base of every ingest URL, without a slash at the end: `https://host/prefix/api/42`.
    pub fn ingest_url(&self) -> String {
        let mut url = format!("{}://{}", self.scheme.as_str(), self.host);
        if let Some(port) = self.port {
            url.push_str(&format!(":{port}"));
        }
        url.push_str(&format!("{}/api/{}", self.path_prefix, self.project_id));
        url
    }

    /// Returns the port that is connected to.
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(self.scheme.default_port())
    }
}

impl FromStr for Dsn {
    type Err = DsnError;

    fn from_str(text: &str) -> Result<Self, DsnError> {
        let text = text.trim();
        if text.len() > DSN_BYTES_MAX {
            return Err(DsnError::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(DsnError::Scheme)?;
        let scheme = read_scheme(scheme)?;
        let (authority, path) = rest.split_once('/').ok_or(DsnError::MissingProject)?;
        let (credentials, host) = authority.rsplit_once('@').ok_or(DsnError::MissingKey)?;
        let (public_key, secret_key) = match credentials.split_once(':') {
            Some((public, secret)) => (public, (!secret.is_empty()).then(|| Redacted::new(secret.to_owned()))),
            None => (credentials, None),
        };
        if public_key.is_empty() {
            return Err(DsnError::MissingKey);
        }
        let public_key = PublicKey::parse(public_key).ok_or(DsnError::PublicKey)?;
        let (host, port) = read_host(host)?;
        let (path_prefix, project_id) = read_path(path)?;
        Ok(Dsn { scheme, public_key, secret_key, host, port, path_prefix, project_id })
    }
}

/// Old clients put a transport before the scheme: `sync+https`.
fn read_scheme(scheme: &str) -> Result<Scheme, DsnError> {
    let scheme = scheme.rsplit_once('+').map_or(scheme, |(_, scheme)| scheme);
    if scheme.eq_ignore_ascii_case("https") {
        Ok(Scheme::Https)
    } else if scheme.eq_ignore_ascii_case("http") {
        Ok(Scheme::Http)
    } else {
        Err(DsnError::Scheme)
    }
}

fn read_host(text: &str) -> Result<(String, Option<u16>), DsnError> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    if host.is_empty() {
        return Err(DsnError::MissingHost);
    }
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    if !host.bytes().all(is_host) {
        return Err(DsnError::Host);
    }
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0).ok_or(DsnError::Port)?),
        None => None,
    };
    Ok((host.to_ascii_lowercase(), port))
}

fn read_path(path: &str) -> Result<(String, i64), DsnError> {
    if path.contains(['?', '#']) {
        return Err(DsnError::Trailing);
    }
    let path = path.trim_end_matches('/');
    let (prefix, project) = match path.rsplit_once('/') {
        Some((prefix, project)) => (format!("/{}", prefix.trim_start_matches('/')), project),
        None => (String::new(), path),
    };
    if project.is_empty() {
        return Err(DsnError::MissingProject);
    }
    let prefix = prefix.trim_end_matches('/').to_owned();
    Ok((prefix, read_project_id(project).ok_or(DsnError::ProjectId)?))
}

/// Returns the project id written in `text`: a positive decimal number without a sign.
pub fn read_project_id(text: &str) -> Option<i64> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|id| *id > 0)
}

impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.public_key)?;
        if let Some(secret) = &self.secret_key {
            write!(f, ":{}", secret.expose())?;
        }
        write!(f, "@{}", self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}/{}", self.path_prefix, self.project_id)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
