//! Replaces what varies in a message (numbers, ids, addresses, dates) so that "user 17 not found" and "user 18 not
//! found" are one issue.
//!
//! Sentry does this with one regular expression of some sixty alternatives, tried in order at every place. Here one walk
//! asks at each place only the patterns that can begin with the character there; simple ones are code, dates and
//! addresses a small backtracking pattern each. The patterns have versions, for Sentry changed them over the years; a
//! configuration names the version it groups by.

mod addresses;
mod dates;
mod numbers;
mod pattern;
mod scan;
mod words;

use std::borrow::Cow;

/// Which patterns, by the time at which Sentry had them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// September 2024.
    P2024,
    // No configuration names it; its table shows what changed, and hashes of those weeks can be made with it.
    #[cfg_attr(not(test), expect(dead_code))]
    /// Early March 2026: trace parents, Swift transaction ids, git hashes, longer hexadecimal words.
    P2026a,
    /// Late March 2026: shorter hexadecimal words, integers of at most seven digits, real times of day.
    P2026b,
}

/// What a part of a text is, in the words that stand in for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Email,
    Url,
    Hostname,
    Ip,
    Traceparent,
    Uuid,
    Sha1,
    Md5,
    Date,
    Duration,
    SwiftTransaction,
    Hex,
    GitSha,
    Float,
    Int,
    QuotedStr,
    Bool,
}

/// In the order in which they are tried; both orders of 2026 are this one, 2024 lacks three.
const KINDS: [Kind; 17] = [
    Kind::Email,
    Kind::Url,
    Kind::Hostname,
    Kind::Ip,
    Kind::Traceparent,
    Kind::Uuid,
    Kind::Sha1,
    Kind::Md5,
    Kind::Date,
    Kind::Duration,
    Kind::SwiftTransaction,
    Kind::Hex,
    Kind::GitSha,
    Kind::Float,
    Kind::Int,
    Kind::QuotedStr,
    Kind::Bool,
];

impl Kind {
    const fn placeholder(self) -> &'static str {
        match self {
            Kind::Email => "<email>",
            Kind::Url => "<url>",
            Kind::Hostname => "<hostname>",
            Kind::Ip => "<ip>",
            Kind::Traceparent => "<traceparent>",
            Kind::Uuid => "<uuid>",
            Kind::Sha1 => "<sha1>",
            Kind::Md5 => "<md5>",
            Kind::Date => "<date>",
            Kind::Duration => "<duration>",
            Kind::SwiftTransaction => "<swift_txn_id>",
            Kind::Hex => "<hex>",
            Kind::GitSha => "<git_sha>",
            Kind::Float => "<float>",
            Kind::Int => "<int>",
            Kind::QuotedStr => "<quoted_str>",
            Kind::Bool => "<bool>",
        }
    }

    const fn is_since_2026(self) -> bool {
        matches!(self, Kind::Traceparent | Kind::SwiftTransaction | Kind::GitSha)
    }
}

/// Longer texts are left as they are; normalised ones are never longer.
const CHARS_MAX: usize = 8_192;

/// Returns `text` with its variable parts replaced by what they are.
pub(super) fn replace(text: &str, version: Version) -> Cow<'_, str> {
    let is_too_long = text.len() > CHARS_MAX && text.chars().nth(CHARS_MAX).is_some();
    if is_too_long || !scan::may_hold_any(text) {
        return Cow::Borrowed(text);
    }
    scan::replace(text, version)
}

#[cfg(test)]
mod tests;
