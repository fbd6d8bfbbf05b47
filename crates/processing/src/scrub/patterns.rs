//! Shapes of what identifies people and opens doors. Each is tried only where something cheap says that it may be there.

use regex::Regex;
use std::sync::LazyLock;

/// What a pattern finds, by Sentry's names of built-in rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    CreditCard,
    Iban,
    UsSsn,
    Bearer,
    PemKey,
    UrlAuth,
    Email,
    Ip,
    Mac,
    Uuid,
    Imei,
    UserPath,
}

impl Shape {
    /// Returns the shape of a built-in rule's name, without its `@` and method.
    pub fn from_name(name: &str) -> Option<Shape> {
        let known = [
            ("creditcard", Shape::CreditCard),
            ("iban", Shape::Iban),
            ("usssn", Shape::UsSsn),
            ("bearer", Shape::Bearer),
            ("pemkey", Shape::PemKey),
            ("urlauth", Shape::UrlAuth),
            ("email", Shape::Email),
            ("ip", Shape::Ip),
            ("mac", Shape::Mac),
            ("uuid", Shape::Uuid),
            ("imei", Shape::Imei),
            ("userpath", Shape::UserPath),
        ];
        known.into_iter().find(|(known, _)| *known == name).map(|(_, shape)| shape)
    }

    /// Returns what stands for it in a text.
    pub fn placeholder(self) -> &'static str {
        match self {
            Shape::CreditCard => "[creditcard]",
            Shape::Iban => "[iban]",
            Shape::UsSsn => "[us-ssn]",
            Shape::Bearer => "Bearer [token]",
            Shape::PemKey => "[pemkey]",
            Shape::UrlAuth => "[auth]",
            Shape::Email => "[email]",
            Shape::Ip => "[ip]",
            Shape::Mac => "[mac]",
            Shape::Uuid => "[uuid]",
            Shape::Imei => "[imei]",
            Shape::UserPath => "[user]",
        }
    }

    /// Returns the pattern. Its group `x`, where it has one, is what is taken; else all of it is.
    pub fn pattern(self) -> &'static Regex {
        match self {
            Shape::CreditCard => &CREDIT_CARD,
            Shape::Iban => &IBAN,
            Shape::UsSsn => &US_SSN,
            Shape::Bearer => &BEARER,
            Shape::PemKey => &PEM_KEY,
            Shape::UrlAuth => &URL_AUTH,
            Shape::Email => &EMAIL,
            Shape::Ip => &IP,
            Shape::Mac => &MAC,
            Shape::Uuid => &UUID,
            Shape::Imei => &IMEI,
            Shape::UserPath => &USER_PATH,
        }
    }

    /// Whether the text may hold one at all.
    pub fn may_be_in(self, text: &str) -> bool {
        match self {
            Shape::CreditCard | Shape::Iban | Shape::Imei => digits_at_least(text, 12),
            Shape::UsSsn => text.contains('-') && digits_at_least(text, 9),
            Shape::Bearer => text.len() > 7,
            Shape::PemKey => text.contains("-----"),
            Shape::UrlAuth => text.contains("://"),
            Shape::Email => text.contains('@'),
            Shape::Ip => text.contains(['.', ':']),
            Shape::Mac => text.contains([':', '-']),
            Shape::Uuid => text.len() >= 32,
            Shape::UserPath => text.contains(['/', '\\']),
        }
    }
}

/// Whether a text has at least so many digits.
pub(super) fn digits_at_least(text: &str, count: usize) -> bool {
    text.len() >= count && text.bytes().filter(u8::is_ascii_digit).count() >= count
}

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the patterns of this file are valid")
}

/// Amex, Visa, MasterCard, Discover; the check digit is not looked at, as a mistyped number is somebody's nearly.
static CREDIT_CARD: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?x-u) \b (?: 3[47][0-9]{2} [-\ ]? [0-9]{6} [-\ ]? [0-9]{5}
        | (?: 4[0-9]{3} | 5[1-5][0-9]{2} | 2[2-7][0-9]{2} | 6(?:011|5[0-9]{2}) ) (?: [-\ ]? [0-9]{4} ){3} ) \b",
    )
});
static IBAN: LazyLock<Regex> = LazyLock::new(|| {
    let countries = "AD|AE|AL|AT|AZ|BA|BE|BG|BH|BR|BY|CH|CR|CY|CZ|DE|DK|DO|EE|EG|ES|FI|FO|FR|GB|GE|GI|GL|GR|GT|HR|HU|IE|IL|\
                     IQ|IS|IT|JO|KW|KZ|LB|LC|LI|LT|LU|LV|LY|MC|MD|ME|MK|MR|MT|MU|NL|NO|PK|PL|PS|PT|QA|RO|RS|SA|SC|SE|SI|SK|\
                     SM|ST|SV|TL|TN|TR|UA|VA|VG|XK";
    compiled(&format!(r"(?-u)\b(?:{countries})[0-9]{{2}}(?: ?[A-Za-z0-9]{{4}}){{2,7}}(?: ?[A-Za-z0-9]{{1,3}})?\b"))
});
static US_SSN: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?-u)\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b"));
static BEARER: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?i-u)\bbearer[\t\n ]+[A-Za-z0-9._~+/=:-]{3,}"));
static PEM_KEY: LazyLock<Regex> = LazyLock::new(|| {
    let begins = r"-----BEGIN [A-Z0-9 ]*(?:PRIVATE|PUBLIC) KEY-----";
    compiled(&format!(r"(?s){begins}(?P<x>.+?)(?:-----END [A-Z0-9 ]*KEY-----|$)"))
});
static URL_AUTH: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@?#]*:(?P<x>[^\s/@?#]+)@"));
static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r"(?-u)\b[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)+\b")
});
static IP: LazyLock<Regex> = LazyLock::new(|| {
    let byte = "(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])";
    let four = format!(r"{byte}(?:\.{byte}){{3}}\b");
    let group = "[0-9A-Fa-f]{1,4}";
    let six = format!(
        r"(?:{group}:){{7}}{group}\b|(?:{group}:){{1,6}}(?::{group}){{1,6}}\b|:(?::{group}){{1,7}}\b|(?:{group}:){{1,7}}:"
    );
    compiled(&format!(r"(?:^|[^0-9A-Za-z_:.])(?P<x>(?-u:{four}|{six}))"))
});
static MAC: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?-u)\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b"));
static UUID: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"(?i-u)\b[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\b"));
static IMEI: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?-u)\b[0-9]{2}-?[0-9]{6}-?[0-9]{6}-?[0-9](?:[0-9])?\b"));
static USER_PATH: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"(?i)(?:[a-z]:[\\/]|/)(?:users|home|documents and settings)[\\/](?P<x>[^/\\\s:]+)"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_found_where_they_are() {
        fn check(shape: Shape, text: &str, expected: Option<&str>) {
            let found = shape.pattern().captures(text);
            let found = found.as_ref().and_then(|found| found.name("x").or(found.get(0))).map(|found| found.as_str());
            assert_eq!(found, expected, "{shape:?} in {text}");
            assert!(expected.is_none() || shape.may_be_in(text), "{shape:?} in {text}");
        }
        check(Shape::CreditCard, "card 4111-1111-1111-1111!", Some("4111-1111-1111-1111"));
        check(Shape::CreditCard, "3782 822463 10005", Some("3782 822463 10005"));
        check(Shape::CreditCard, "5555555555554444", Some("5555555555554444"));
        check(Shape::CreditCard, "4111111111111", None);
        check(Shape::CreditCard, "94111111111111111", None);
        check(Shape::Iban, "to DE89 3704 0044 0532 0130 00 now", Some("DE89 3704 0044 0532 0130 00"));
        check(Shape::Iban, "GB82WEST12345698765432", Some("GB82WEST12345698765432"));
        check(Shape::UsSsn, "ssn 078-05-1120.", Some("078-05-1120"));
        check(Shape::UsSsn, "1078-05-1120", None);
        check(Shape::Bearer, "got Bearer abc.def-1 twice", Some("Bearer abc.def-1"));
        check(Shape::UrlAuth, "postgres://bob:hunter2@db/x", Some("hunter2"));
        check(Shape::UrlAuth, "redis://:hunter2@db", Some("hunter2"));
        check(Shape::UrlAuth, "https://key@host/1", None);
        check(Shape::UrlAuth, "https://host:80/a@b", None);
        check(Shape::Email, "mail jane.doe+x@example.co.uk.", Some("jane.doe+x@example.co.uk"));
        check(Shape::Email, "a@b", None);
        check(Shape::Ip, "from 10.1.2.3:80", Some("10.1.2.3"));
        check(Shape::Ip, "v 1.2.3", None);
        check(Shape::Ip, "at 2001:db8::1 now", Some("2001:db8::1"));
        check(Shape::Ip, "12:30:45", None);
        check(Shape::Mac, "4a:00:04:10:9b:50", Some("4a:00:04:10:9b:50"));
        check(Shape::Uuid, "ceee0822-ed8f-4622-b2a3-789e73e75cd1", Some("ceee0822-ed8f-4622-b2a3-789e73e75cd1"));
        check(Shape::Imei, "356938035643809", Some("356938035643809"));
        check(Shape::UserPath, "C:\\Users\\jane\\x", Some("jane"));
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----";
        check(Shape::PemKey, key, Some("\nMII\n"));
        check(Shape::PemKey, "-----BEGIN PRIVATE KEY-----\nMII", Some("\nMII"));
    }
}
