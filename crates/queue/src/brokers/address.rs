//! Takes the address of a broker apart, as kombu writes them. What is wrong with one is said without any of its text: of an
//! address that cannot be read, nobody knows which part is the password.
//!
//! Source: kombu 5.7 `utils/url.py`.

/// The queue of Celery programs that name none.
const CELERY_QUEUE: &str = "celery";

/// What is wrong with an address. Never holds a part of it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("read the broker's address: {part}: {why}")]
pub struct AddressError {
    pub part: &'static str,
    pub why: String,
}

pub(super) fn wrong<T>(part: &'static str, why: impl Into<String>) -> Result<T, AddressError> {
    Err(AddressError { part, why: why.into() })
}

/// What one address says; the path begins with its slash.
pub(super) struct Address<'a> {
    pub scheme: &'a str,
    pub user: Option<String>,
    pub password: Option<String>,
    pub host: String,
    pub port: Option<u16>,
    pub path: String,
    pub query: &'a str,
}

impl Address<'_> {
    /// # Errors
    /// Which part of it cannot be read.
    pub fn read(url: &str) -> Result<Address<'_>, AddressError> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return wrong("scheme", "it has none, as redis:// and amqp:// are");
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        // Read on, the front of a password would be a host, and its end a name that is shown.
        if path.contains('@') {
            return wrong("password", "an @ stands behind a slash: in a password / is written %2F, in a path @ is %40");
        }
        let (credentials, place) = place.rsplit_once('@').map_or((None, place), |(left, right)| (Some(left), right));
        let (user, password) = match credentials.map(|text| text.split_once(':').unwrap_or((text, ""))) {
            None => (None, None),
            Some((user, password)) => (some(unescaped(user)?), some(unescaped(password)?)),
        };
        let (host, port) = host_and_port(place)?;
        Ok(Address { scheme, user, password, host, port, path: unescaped(path)?, query })
    }
}

/// Returns the options of an address, read.
///
/// # Errors
/// If one cannot be read.
pub(super) fn options(query: &str) -> Result<Vec<(&str, String)>, AddressError> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let read =
        |pair: &'_ str| -> Result<String, AddressError> { unescaped(pair.split_once('=').map_or("", |(_, v)| v)) };
    pairs.map(|pair| Ok((pair.split('=').next().unwrap_or_default(), read(pair)?))).collect()
}

/// An option that nobody knows; it may be the end of a password with a question mark in it.
pub(super) fn unknown_option<T>(known: &[&str]) -> Result<T, AddressError> {
    let known = known.join(", ");
    wrong("options", format!("one is not known; known are {known}; in a password ? is written %3F and & is %26"))
}

/// Returns the names in a list of queues that Python programs publish to.
pub(super) fn names(list: &str) -> Vec<String> {
    list.split(',').filter_map(|name| some(name.trim().to_owned())).collect()
}

/// Returns the queues that Python programs may publish to before anybody else does.
pub(super) fn celery_queues(named: &[String]) -> Vec<String> {
    [CELERY_QUEUE.to_owned()].into_iter().chain(named.iter().cloned()).collect()
}

fn host_and_port(place: &str) -> Result<(String, Option<u16>), AddressError> {
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let host = if host.is_empty() { "localhost" } else { host };
    let port = match port {
        None | Some("") => None,
        Some(port) => match port.parse() {
            Ok(port) => Some(port),
            Err(_) => {
                let why = "what stands behind the : of the host is none; a password ends with @, and in it / is \
                           written %2F, ? is %3F and ; is %3B";
                return wrong("port", why);
            }
        },
    };
    Ok((host.to_owned(), port))
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn unescaped(text: &str) -> Result<String, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        bytes.push(match byte {
            b'%' => match (digit(rest.next()), digit(rest.next())) {
                (Some(high), Some(low)) => (high * 16 + low) as u8,
                _ => return wrong("escapes", "a % is not followed by two hexadecimal digits"),
            },
            other => other,
        });
    }
    String::from_utf8(bytes).or_else(|_| wrong("escapes", "they are no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::super::{amqp::AmqpConfig, redis::RedisConfig};
    use std::path::PathBuf;

    #[test]
    fn no_part_of_an_address_that_cannot_be_read_is_said() {
        let check = |rest: &str, part: &str| {
            for scheme in ["amqp", "redis"] {
                let url = format!("{scheme}://{rest}");
                let said = match scheme {
                    "amqp" => AmqpConfig::parse(&url, PathBuf::new()).map(|config| config.name()),
                    _ => RedisConfig::parse(&url).map(|config| config.name()),
                };
                let error = said.expect_err("no address");
                assert_eq!(error.part, part, "{url}: {error}");
                for secret in ["Top", "Secret9", "guest", "12"] {
                    assert!(!error.to_string().contains(secret), "{url}: {error}");
                }
            }
        };
        check("guest:Top/Secret9@host:25672/v1", "password");
        check("guest:Top:Secret9/12@host", "password");
        check("guest:12/Secret9@host", "password");
        check("Top/Secret9@host", "password");
        check("guest:p@Top/Secret9@host", "password");
        check("guest:Top?Secret9@host", "port");
        check("guest:12?Secret9@host", "options");
        check("guest:12?Top=Secret9@host", "options");
        check("guest:Top;Secret9@host", "port");
        check("guest:12;Secret9@host", "scheme");
        check("guest:12;Secret9://@host", "scheme");
        check("guest:Top%Secret9@host", "escapes");
        check("host/0?sentinel_password=Top&Secret9", "options");
    }
}
