//! Who sends: finds the public key in the places where SDKs put it. Decides nothing about the key itself.
//!
//! Kinder than Relay in two points: a query string counts only when it has a `sentry_key` (not any `sentry_…`), and the
//! same key in several places is fine. Two different keys are refused.

use crate::dsn::{Dsn, PublicKey};
use crate::envelope::{EnvelopeError, EnvelopeHeader};
use crate::query;
use crate::response::Refusal;
use base64::Engine;

/// Version assumed when the client names none.
pub const PROTOCOL_VERSION_DEFAULT: u16 = 7;
/// Newest version that is understood.
pub const PROTOCOL_VERSION_MAX: u16 = 8;
/// Longest client name that is kept, `name/version`.
pub const CLIENT_BYTES_MAX: usize = 256;

const CAUSE_SCHEME: &str = "not a Sentry auth header";
const CAUSE_MISSING_KEY: &str = "missing public key in auth header";
const CAUSE_VERSION: &str = "invalid version in auth header";
const CAUSE_BASIC: &str = "invalid basic auth header";

/// Where authentication can stand, as the request has it.
#[derive(Clone, Copy, Default, Debug)]
pub struct AuthSources<'a> {
    /// Value of the header `X-Sentry-Auth`.
    pub x_sentry_auth: Option<&'a str>,
    /// Value of the header `Authorization`; only the schemes Sentry and Basic count.
    pub authorization: Option<&'a str>,
    /// The query string, without its `?`.
    pub query: Option<&'a str>,
    /// The key in the path, where the route has one.
    pub path_key: Option<&'a str>,
}

/// What the client says it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Auth {
    pub public_key: PublicKey,
    pub version: u16,
    /// `name/version` of the SDK.
    pub client: Option<String>,
}

/// Returns what the request's head says, or `None` when it says nothing: then only an envelope's own header can.
///
/// # Errors
/// `BadAuthHeader`, `BadPublicKey`, `UnsupportedVersion`, and `MultipleAuth` for two different keys.
pub fn find(sources: &AuthSources<'_>) -> Result<Option<Auth>, Refusal> {
    let mut found = Vec::with_capacity(4);
    if let Some(header) = sources.x_sentry_auth {
        let fields = strip_scheme(header, "sentry").ok_or(Refusal::BadAuthHeader { cause: CAUSE_SCHEME })?;
        found.push(read_fields(header_fields(fields))?);
    }
    if let Some(header) = sources.authorization {
        // Other schemes, such as a proxy's bearer token, are none of ours.
        if let Some(fields) = strip_scheme(header, "sentry") {
            found.push(read_fields(header_fields(fields))?);
        } else if let Some(credentials) = strip_scheme(header, "basic") {
            found.push(read_basic(credentials)?);
        }
    }
    if let Some(query) = sources.query.filter(|query| query::get(query, "sentry_key").is_some()) {
        found.push(read_fields(query::pairs(query))?);
    }
    if let Some(key) = sources.path_key {
        found.push(of_key(PublicKey::parse(key).ok_or(Refusal::BadPublicKey)?));
    }
    merge(found)
}

/// Returns the authentication in an envelope's header, for requests whose head has none.
///
/// # Errors
/// `MissingAuth` when the header has no DSN.
pub fn from_envelope_header(header: &EnvelopeHeader<'_>) -> Result<Auth, Refusal> {
    let dsn = header.dsn.as_ref().ok_or(Refusal::MissingAuth)?;
    Ok(of_key(dsn.public_key))
}

/// Returns the authentication in the first line of an envelope, nothing after it being looked at.
///
/// # Errors
/// `BadEnvelopeAuth` when the line cannot be read, `EmptyBody`, `MissingAuth` when it has no DSN.
pub fn from_envelope(body: &[u8]) -> Result<Auth, Refusal> {
    match EnvelopeHeader::parse_first(body) {
        Ok((header, _)) => from_envelope_header(&header),
        Err(EnvelopeError::Empty) => Err(Refusal::EmptyBody),
        Err(_) => Err(Refusal::BadEnvelopeAuth),
    }
}

/// Checks that an envelope's own DSN, if it has one, names the key and project of the request.
///
/// # Errors
/// `InvalidEnvelope` with a cause that names what differs.
pub fn check_dsn(dsn: Option<&Dsn>, auth: &Auth, project_id: i64) -> Result<(), Refusal> {
    let Some(dsn) = dsn else {
        return Ok(());
    };
    let differs = if dsn.project_id != project_id {
        "project id"
    } else if dsn.public_key != auth.public_key {
        "public key"
    } else {
        return Ok(());
    };
    Err(Refusal::InvalidEnvelope { causes: vec![format!("{differs} header mismatch between envelope and request")] })
}

/// Returns what follows the scheme's name and a space, or `None` for another scheme.
fn strip_scheme<'a>(header: &'a str, scheme: &str) -> Option<&'a str> {
    let header = header.trim_start();
    let (name, rest) = header.split_at_checked(scheme.len())?;
    (name.eq_ignore_ascii_case(scheme) && (rest.is_empty() || rest.starts_with([' ', '\t']))).then_some(rest)
}

/// Pairs are separated by commas, spaces or both; values hold neither.
fn header_fields(fields: &str) -> impl Iterator<Item = (&str, &str)> {
    fields.split([',', ' ', '\t']).filter_map(|field| field.split_once('=')).map(|(key, value)| {
        let value = value.trim_matches('"');
        (key, value)
    })
}

fn read_fields<K: AsRef<str>, V: AsRef<str>>(fields: impl Iterator<Item = (K, V)>) -> Result<Auth, Refusal> {
    let mut public_key = None;
    let mut version = PROTOCOL_VERSION_DEFAULT;
    let mut client = None;
    for (key, value) in fields {
        let value = value.as_ref();
        match key.as_ref() {
            "sentry_key" => public_key = Some(value.to_owned()),
            "sentry_version" => version = read_version(value)?,
            "sentry_client" => client = read_client(value),
            // Timestamp (in milliseconds from some), secret and unknown keys say nothing that we use.
            _ => {}
        }
    }
    let public_key =
        public_key.filter(|key| !key.is_empty()).ok_or(Refusal::BadAuthHeader { cause: CAUSE_MISSING_KEY })?;
    let public_key = PublicKey::parse(&public_key).ok_or(Refusal::BadPublicKey)?;
    Ok(Auth { public_key, version, client })
}

/// `7`, or `2.0` of which the integer part counts.
fn read_version(text: &str) -> Result<u16, Refusal> {
    let integer = text.split_once('.').map_or(text, |(integer, _)| integer);
    let version: u64 = integer.trim().parse().map_err(|_| Refusal::BadAuthHeader { cause: CAUSE_VERSION })?;
    match u16::try_from(version) {
        Ok(version) if version <= PROTOCOL_VERSION_MAX => Ok(version),
        _ => Err(Refusal::UnsupportedVersion(version)),
    }
}

fn read_client(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text.len() <= CLIENT_BYTES_MAX).then(|| text.to_owned())
}

fn read_basic(credentials: &str) -> Result<Auth, Refusal> {
    let bad = || Refusal::BadAuthHeader { cause: CAUSE_BASIC };
    let decoded = base64::engine::general_purpose::STANDARD.decode(credentials.trim()).map_err(|_| bad())?;
    let decoded = String::from_utf8(decoded).map_err(|_| bad())?;
    let user = decoded.split_once(':').map_or(decoded.as_str(), |(user, _)| user);
    if user.is_empty() {
        return Err(Refusal::BadAuthHeader { cause: CAUSE_MISSING_KEY });
    }
    Ok(of_key(PublicKey::parse(user).ok_or(Refusal::BadPublicKey)?))
}

fn of_key(public_key: PublicKey) -> Auth {
    Auth { public_key, version: PROTOCOL_VERSION_DEFAULT, client: None }
}

/// The first place wins; later ones may only add the client's name.
fn merge(found: Vec<Auth>) -> Result<Option<Auth>, Refusal> {
    let mut found = found.into_iter();
    let Some(mut first) = found.next() else {
        return Ok(None);
    };
    for other in found {
        if other.public_key != first.public_key {
            return Err(Refusal::MultipleAuth);
        }
        first.client = first.client.or(other.client);
    }
    Ok(Some(first))
}
