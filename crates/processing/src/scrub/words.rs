//! The words that tell a secret: in the name of a field, or in a text. One pass over a text finds all of them.

use super::SENSITIVE_RULE;
use aho_corasick::AhoCorasick;

/// Rule of the default words, as Sentry names it.
pub(super) const PASSWORD_RULE: &str = "@password:filter";

/// In a name or in a text, any of these anywhere.
const PASSWORDS: &[&str] = &[
    "password",
    "secret",
    "passwd",
    "api_key",
    "api-key",
    "apikey",
    "auth",
    "credentials",
    "mysql_pwd",
    "privatekey",
    "private_key",
    "private-key",
];
/// In a name anywhere, in a text where a colon or an equals sign ends its word.
const TOKEN: &str = "token";
/// Names that are these, no more and no less.
const EXACT: &[&str] = &["otp", "two_factor", "two-factor"];
/// What patterns need to be somewhere in a text; without them they are not tried.
const BEARER: &str = "bearer";
const KEY_BEGINS: &str = "-----begin";
const AUTHORITY: &str = "://";
/// How tokens of well-known services begin, case and all. Not of Sentry's rules: variables of an environment are sent
/// under names like `GITHUB_PAT` that no word tells.
const TOKEN_STARTS: &[&str] = &[
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "sk_live_",
    "rk_live_",
    "sk-ant-",
    "sk-proj-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "npm_",
    "pypi-",
    "sntrys_",
    "sntryu_",
    "dop_v1_",
    "hf_",
    "AKIA",
    "ASIA",
    "AIza",
];
/// Characters that must follow such a start.
const TOKEN_CHARS_MIN: usize = 16;

/// Names of cookies that hold sessions, besides those the words above tell.
const SESSION_COOKIES: &[&str] = &[
    "sentrysid",
    "sudo",
    "su",
    "session",
    "__session",
    "sessionid",
    "user_session",
    "symfony",
    "phpsessid",
    "fasthttpsessionid",
    "mysession",
    "irissessionid",
    "_vercel_jwt",
    "csrf",
    "xsrf",
    "_xsrf",
    "_csrf",
    "csrf-token",
    "csrf_token",
    "xsrf-token",
    "xsrf_token",
    "fastcsrf",
    "_iris_csrf",
    "jsessionid",
    "connect.sid",
];

/// What was seen in a text beside words that end the search.
#[derive(Clone, Copy, Default)]
pub(super) struct Seen {
    pub bearer: bool,
    pub key_begins: bool,
    pub authority: bool,
    pub token_start: bool,
}

impl Seen {
    /// For texts that were not searched.
    pub const EVERYTHING: Seen = Seen { bearer: true, key_begins: true, authority: true, token_start: true };
}

/// What a text is.
pub(super) enum Verdict {
    /// The rule that takes the whole of it.
    Whole(&'static str),
    Parts(Seen),
}

#[derive(Clone, Copy)]
enum Meaning {
    Password,
    Token,
    Sensitive,
    Bearer,
    KeyBegins,
    Authority,
    TokenStart(&'static str),
}

/// The default words and a project's own.
pub(super) struct Words {
    automaton: AhoCorasick,
    meanings: Vec<Meaning>,
    with_defaults: bool,
}

impl Words {
    /// Sensitive fields are at most some hundred short texts (`Settings::check`): building does not fail.
    pub fn new(with_defaults: bool, sensitive: &[String]) -> Words {
        let mut patterns: Vec<&str> = Vec::new();
        let mut meanings = Vec::new();
        let mut add = |pattern, meaning| {
            patterns.push(pattern);
            meanings.push(meaning);
        };
        for field in sensitive.iter().map(|field| field.trim()).filter(|field| !field.is_empty()) {
            add(field, Meaning::Sensitive);
        }
        if with_defaults {
            PASSWORDS.iter().for_each(|word| add(word, Meaning::Password));
            TOKEN_STARTS.iter().for_each(|start| add(start, Meaning::TokenStart(start)));
            add(TOKEN, Meaning::Token);
            add(BEARER, Meaning::Bearer);
            add(KEY_BEGINS, Meaning::KeyBegins);
            add(AUTHORITY, Meaning::Authority);
        }
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(&patterns);
        Words { automaton: automaton.expect("a few hundred short words fit an automaton"), meanings, with_defaults }
    }

    /// Returns the rule that a field of this name falls under.
    pub fn of_name(&self, name: &str) -> Option<&'static str> {
        if self.with_defaults && EXACT.iter().any(|exact| exact.eq_ignore_ascii_case(name)) {
            return Some(PASSWORD_RULE);
        }
        for found in self.automaton.find_overlapping_iter(name) {
            match self.meanings[found.pattern().as_usize()] {
                Meaning::Password | Meaning::Token => return Some(PASSWORD_RULE),
                Meaning::Sensitive => return Some(SENSITIVE_RULE),
                Meaning::Bearer | Meaning::KeyBegins | Meaning::Authority | Meaning::TokenStart(_) => {}
            }
        }
        None
    }

    /// Returns the rule that a field of this name falls under by a project's own words alone.
    pub fn sensitive_name(&self, name: &str) -> bool {
        let mut found = self.automaton.find_overlapping_iter(name);
        found.any(|found| matches!(self.meanings[found.pattern().as_usize()], Meaning::Sensitive))
    }

    /// Returns the rule that a cookie of this name falls under.
    pub fn of_cookie(&self, name: &str) -> Option<&'static str> {
        let is_session = || SESSION_COOKIES.iter().any(|known| known.eq_ignore_ascii_case(name));
        self.of_name(name).or_else(|| (self.with_defaults && is_session()).then_some(PASSWORD_RULE))
    }

    /// Returns what a text is.
    pub fn of_text(&self, text: &str) -> Verdict {
        let mut seen = Seen::default();
        for found in self.automaton.find_overlapping_iter(text) {
            match self.meanings[found.pattern().as_usize()] {
                Meaning::Password => return Verdict::Whole(PASSWORD_RULE),
                Meaning::Token if is_assigned(&text[found.end()..]) => return Verdict::Whole(PASSWORD_RULE),
                Meaning::Sensitive => return Verdict::Whole(SENSITIVE_RULE),
                Meaning::Token => {}
                Meaning::Bearer => seen.bearer = true,
                Meaning::KeyBegins => seen.key_begins = true,
                Meaning::Authority => seen.authority = true,
                Meaning::TokenStart(start) => {
                    seen.token_start |= token_length(text, found.start(), start).is_some();
                }
            }
        }
        Verdict::Parts(seen)
    }

    /// Returns where tokens of well-known services stand in a text.
    pub fn tokens(&self, text: &str) -> Vec<std::ops::Range<usize>> {
        let mut ranges: Vec<std::ops::Range<usize>> = Vec::new();
        for found in self.automaton.find_overlapping_iter(text) {
            if let Meaning::TokenStart(start) = self.meanings[found.pattern().as_usize()]
                && let Some(length) = token_length(text, found.start(), start)
                && ranges.last().is_none_or(|last| last.end <= found.start())
            {
                ranges.push(found.start()..found.start() + length);
            }
        }
        ranges
    }
}

/// `token…=`, `token…:`: nothing but a word's characters in between.
fn is_assigned(rest: &str) -> bool {
    let end = rest.bytes().find(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'_' | b'-' | b'"' | b'\''));
    matches!(end, Some(b':' | b'='))
}

/// Returns the length of the token that begins at `at`, if it is one.
fn token_length(text: &str, at: usize, start: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let stands_alone = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
    let rest = bytes.get(at..)?.strip_prefix(start.as_bytes())?;
    let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
    (stands_alone && length >= TOKEN_CHARS_MIN).then_some(start.len() + length)
}
