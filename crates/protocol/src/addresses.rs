//! Addresses as security reports and grouping by them see them: the authority, or the scheme where there is none. Where
//! hashes depend on it, it is as Python's `urllib` has it, for that is what Sentry used.

use std::borrow::Cow;

const SELF: &str = "'self'";
/// Schemes that Python writes with slashes though nothing follows.
const WITH_AUTHORITY: &[&str] = &[
    "file", "ftp", "git", "git+ssh", "gopher", "imap", "mms", "nfs", "nntp", "prospero", "rsync", "rtsp", "rtspu",
    "sftp", "shttp", "snews", "svn", "svn+ssh", "telnet", "wais", "ws", "wss",
];

/// Tells whether a blocked address is the page's own code.
pub fn is_page_itself(address: &str) -> bool {
    matches!(address, "" | "self" | SELF)
}

/// Returns what is the same for all addresses of a place: `https://host:8080/path` is `host:8080`, other schemes keep their
/// name, and a word alone is a scheme, since browsers report a bare `data` or `inline`.
pub fn origin(address: &str) -> Cow<'_, str> {
    if is_page_itself(address) {
        return Cow::Borrowed(SELF);
    }
    let (scheme, rest) = address.split_once(':').unwrap_or((address, ""));
    let authority = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "http" | "https" => Cow::Borrowed(authority),
        scheme if authority.is_empty() && !WITH_AUTHORITY.contains(&scheme) => Cow::Owned(format!("{scheme}:")),
        scheme => Cow::Owned(format!("{scheme}://{authority}")),
    }
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn addresses_are_reduced_to_where_they_lead() {
        fn check(address: &str, expected: &str) {
            assert_eq!(origin(address), expected, "{address}");
        }
        check("", "'self'");
        check("self", "'self'");
        check("https://evil.test/x.png?y#z", "evil.test");
        check("HTTPS://Evil.test:8080/x", "Evil.test:8080");
        check("https://u:p@evil.test?x", "u:p@evil.test");
        check("data:text/plain,x", "data:");
        check("data", "data:");
        check("inline", "inline:");
        check("blob:https://evil.test/1", "blob:");
        check("chrome-extension://abc/x.js", "chrome-extension://abc");
        check("file:///etc/passwd", "file://");
        check("wss", "wss://");
        check("http:", "");
        check("é:x", "é:");
    }
}
