//! E-mail addresses, URLs, host names and IP addresses.

use super::Version;
use super::pattern::Pattern;
use super::words::Text;
use crate::group::text::is_blank;
use std::sync::OnceLock;

/// Top-level domains that make a host name of dotted words; sorted.
const TLDS: &[&str] = &[
    "ae", "al", "app", "ar", "at", "au", "be", "bg", "biz", "br", "by", "ca", "cat", "cc", "cf", "ch", "cl", "club",
    "cn", "co", "com", "cx", "cz", "de", "dk", "edu", "ee", "es", "eu", "fi", "fm", "fr", "ga", "gov", "gq", "gr",
    "hk", "hr", "hu", "id", "ie", "il", "in", "info", "io", "ir", "is", "it", "jobs", "jp", "kr", "kz", "la", "li",
    "link", "lt", "lv", "ly", "me", "mobi", "ms", "mx", "my", "net", "news", "ng", "nl", "no", "nz", "online", "org",
    "pe", "ph", "pl", "pro", "pt", "ro", "rs", "ru", "sa", "se", "sg", "si", "site", "sk", "th", "tips", "tk", "to",
    "tr", "tv", "tw", "ua", "ug", "uk", "us", "vn", "wiki", "xxx", "xyz", "za",
];
const LABEL_CHARS_MAX: usize = 63;
const SCHEMES: [&str; 5] = ["wss://", "ws://", "https://", "http://", "ftp://"];

pub fn is_local_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte)
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// Returns where the address that begins here ends, or up to where none begins.
pub fn email(text: Text<'_>, at: usize) -> Result<usize, usize> {
    let local_end = at + text.run(at, is_local_byte);
    let mut end = local_end + 1;
    let first = text.run(end, is_label_byte);
    if text.byte(local_end) != Some(b'@') || first == 0 {
        return Err(local_end);
    }
    end += first;
    while text.byte(end) == Some(b'.') {
        match text.run(end + 1, is_label_byte) {
            0 => break,
            label => end += 1 + label,
        }
    }
    Ok(end)
}

/// A scheme, `://`, and everything up to a blank. The second character may be any but a line feed.
pub fn url(text: Text<'_>, at: usize) -> Option<usize> {
    let rest = text.rest(at);
    let scheme = SCHEMES.iter().find(|scheme| rest.starts_with(**scheme))?;
    if text.is_word_before(at) {
        return None;
    }
    let mut end = at + scheme.len();
    let first = text.at(end).filter(|c| !is_blank(*c) && !"/$.?#".contains(*c))?;
    end += first.len_utf8();
    end += text.at(end).filter(|c| *c != '\n')?.len_utf8();
    Some(text.find(end, is_blank))
}

/// Returns where the host name that begins here ends, or up to where none begins.
pub fn hostname(text: Text<'_>, at: usize) -> Result<usize, usize> {
    let mut end = at;
    loop {
        let label = text.run(end, is_label_byte);
        if label == 0 || text.byte(end + label) != Some(b'.') {
            return Err(end + label);
        }
        if label > LABEL_CHARS_MAX {
            // Every name that begins earlier runs into this label.
            return Err(end + label - LABEL_CHARS_MAX);
        }
        end += label + 1;
        let letters = text.run(end, |byte| byte.is_ascii_alphabetic());
        if !text.is_word_at(end + letters) && is_tld(&text.rest(end)[..letters]) {
            return Ok(end + letters);
        }
    }
}

fn is_tld(word: &str) -> bool {
    if TLDS.binary_search(&word).is_ok() {
        return true;
    }
    let is_upper = !word.is_empty() && word.len() <= 6 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    is_upper && TLDS.binary_search(&&*word.to_ascii_lowercase()).is_ok()
}

const OCTETS: &str = r"OCTET\.OCTET\.OCTET\.OCTET";
const OCTET: &str = "(25[0-5]|(2[0-4]|1?\\d)?\\d)";
const GROUP: &str = "[0-9a-fA-F]{1,4}";
/// The ways to write an address of version 6, in order; `G` is a group, `V4` an address of version 4.
const V6: &[&str] = &[
    "(G:){7}G",
    "(G:){1,7}:",
    "(G:){1,6}:G",
    "(G:){1,5}(:G){1,2}",
    "(G:){1,4}(:G){1,3}",
    "(G:){1,3}(:G){1,4}",
    "(G:){1,2}(:G){1,5}",
    "G:(:G){1,6}",
    ":((:G){1,7}|:)",
    "fe80:(:[0-9a-fA-F]{0,4}){0,4}%[0-9a-zA-Z]+",
    "::(ffff(:0{1,4})?:)?V4",
    r"(G:){1,4}:V4\b",
];

/// Addresses of version 6 and of version 4.
#[derive(Debug)]
struct Forms {
    v6: Pattern,
    v4: Pattern,
}

impl Forms {
    fn of(version: Version) -> Forms {
        let octets = OCTETS.replace("OCTET", OCTET);
        let v6 = V6.join("|").replace("V4", &octets).replace('G', GROUP);
        let v6 = match version {
            Version::P2024 => v6,
            Version::P2026a | Version::P2026b => format!("(?<![0-9A-Za-z_])({v6})(?![0-9A-Za-z])"),
        };
        Forms { v6: Pattern::new(&v6), v4: Pattern::new(&format!(r"\b{octets}\b")) }
    }
}

/// Returns where the IP address that begins here ends.
pub fn ip(text: Text<'_>, at: usize, version: Version) -> Option<usize> {
    static FORMS: [OnceLock<Forms>; 2] = [const { OnceLock::new() }; 2];
    // Every form has a colon after at most four digits, or a dot after at most three.
    let digits = text.run_up_to(at, 5, |byte| byte.is_ascii_hexdigit());
    let may_be_v6 = digits <= 4 && text.byte(at + digits) == Some(b':');
    let may_be_v4 = (1..=3).contains(&digits) && text.byte(at + digits) == Some(b'.');
    if !may_be_v6 && !may_be_v4 {
        return None;
    }
    let forms = FORMS[usize::from(version != Version::P2024)].get_or_init(|| Forms::of(version));
    let v6 = may_be_v6.then(|| forms.v6.end(text, at)).flatten();
    v6.or_else(|| may_be_v4.then(|| forms.v4.end(text, at)).flatten())
}
