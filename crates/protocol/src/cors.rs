//! Cross-origin rules of the SDK endpoints: the headers every answer carries, and which origins a project accepts.
//! Sends nothing; the endpoint adds the headers.

/// Headers of every answer of an SDK endpoint, errors too: without them a browser SDK cannot read its rate limits.
pub const RESPONSE_HEADERS: &[(&str, &str)] = &[
    ("access-control-allow-origin", "*"),
    ("access-control-expose-headers", "x-sentry-error, x-sentry-rate-limits, retry-after"),
    ("cross-origin-resource-policy", "cross-origin"),
];

/// Methods a preflight allows.
pub const ALLOW_METHODS: &str = "GET, POST, OPTIONS";

/// Seconds a browser may remember a preflight.
pub const MAX_AGE_SECONDS: &str = "3600";

/// Headers a preflight allows without being asked.
pub const ALLOW_HEADERS: &[&str] = &[
    "x-sentry-auth",
    "x-requested-with",
    "x-forwarded-for",
    "origin",
    "referer",
    "accept",
    "content-type",
    "authentication",
    "authorization",
    "content-encoding",
    "transfer-encoding",
    "sentry-trace",
    "baggage",
    "traceparent",
];

/// Further headers echoed from one preflight; applications set a few of their own, an attacker thousands.
pub const ECHOED_HEADERS_MAX: usize = 32;
/// Longest header name that is echoed.
pub const ECHOED_HEADER_BYTES_MAX: usize = 64;

/// Returns the further headers of a preflight's answer, `requested` being its `Access-Control-Request-Headers`.
pub fn preflight_headers(requested: Option<&str>) -> [(&'static str, String); 3] {
    [
        ("access-control-allow-methods", ALLOW_METHODS.to_owned()),
        ("access-control-allow-headers", allowed_headers(requested)),
        ("access-control-max-age", MAX_AGE_SECONDS.to_owned()),
    ]
}

fn allowed_headers(requested: Option<&str>) -> String {
    let mut allowed = ALLOW_HEADERS.join(", ");
    let names = requested.unwrap_or_default().split(',').map(str::trim);
    for name in names.filter(|name| is_echoable(name)).take(ECHOED_HEADERS_MAX) {
        allowed.push_str(", ");
        allowed.push_str(&name.to_ascii_lowercase());
    }
    allowed
}

fn is_echoable(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=ECHOED_HEADER_BYTES_MAX).contains(&name.len())
        && name.bytes().all(is_token)
        && !ALLOW_HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Returns whether a project with these allowed domains takes a request from this `Origin`, or `Referer` when there is
/// none. A request without a usable http or https origin is taken (servers send none), and so is everything when the
/// list is empty. A pattern that cannot be read matches nothing (fails closed).
pub fn is_origin_allowed<P: AsRef<str>>(origin: Option<&str>, referer: Option<&str>, allowed: &[P]) -> bool {
    if allowed.is_empty() || allowed.iter().any(|pattern| pattern.as_ref().trim() == "*") {
        return true;
    }
    let Some(origin) = origin.and_then(Origin::parse).or_else(|| referer.and_then(Origin::parse)) else {
        return true;
    };
    allowed.iter().any(|pattern| origin.matches(pattern.as_ref()))
}

/// Scheme, host and port of a web address, lowercase.
struct Origin {
    scheme: String,
    host: String,
    port: Option<String>,
}

impl Origin {
    fn parse(url: &str) -> Option<Self> {
        let url = url.trim().to_ascii_lowercase();
        let (scheme, rest) = url.split_once("://")?;
        if !matches!(scheme, "http" | "https") {
            return None;
        }
        let (host, port) = host_and_port(rest);
        if host.is_empty() {
            return None;
        }
        Some(Origin { scheme: scheme.to_owned(), host: host.to_owned(), port: port.map(str::to_owned) })
    }

    fn matches(&self, pattern: &str) -> bool {
        let pattern = pattern.trim().to_ascii_lowercase();
        let (scheme, rest) = match pattern.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, pattern.as_str()),
        };
        if scheme.is_some_and(|scheme| scheme != "*" && scheme != self.scheme) {
            return false;
        }
        let (host, port) = host_and_port(rest);
        self.matches_host(host) && port.is_none_or(|port| port == "*" || port == self.port_or_default())
    }

    fn matches_host(&self, pattern: &str) -> bool {
        if pattern == "*" {
            return true;
        }
        match pattern.strip_prefix("*.") {
            Some(parent) if !parent.is_empty() => {
                let child = self.host.strip_suffix(parent);
                child.is_some_and(|child| child.is_empty() || child.ends_with('.'))
            }
            Some(_) => false,
            None => !pattern.is_empty() && self.host == pattern,
        }
    }

    fn port_or_default(&self) -> &str {
        match &self.port {
            Some(port) => port,
            None if self.scheme == "https" => "443",
            None => "80",
        }
    }
}

/// Splits `user@host:port/path` into host and port. An IPv6 host keeps its brackets.
fn host_and_port(rest: &str) -> (&str, Option<&str>) {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port).filter(|port| !port.is_empty())),
        _ => (authority, None),
    }
}
