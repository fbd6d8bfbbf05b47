//! What values a key takes: how one is checked, told to people and written in `vigie.toml`. A value is a text until the
//! whole configuration is read; lists are texts parted by commas.

use std::net::SocketAddr;
use std::time::Duration;
use stdx::{ByteSize, Proxies};

/// What values a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// `http://…` or `https://…`.
    Url,
    /// `host:port`; port 0 takes a free one.
    Address,
    /// The same, or empty.
    AddressOrNone,
    /// `64MiB`, `2 GB`, plain bytes.
    Bytes,
    Number {
        min: u64,
        max: u64,
    },
    /// `500ms`, `30s`, `5m`, `1h`.
    Duration,
    /// `on` or `off`; `true` and `false` in the file.
    Switch,
    /// A share, from 0 to 1.
    Fraction,
    /// Where reports go: `https://key@host/project`.
    Dsn,
    Choice(&'static [&'static str]),
    /// A list of such words.
    Choices(&'static [&'static str]),
    /// `host:port`, the host by name or number.
    Server,
    /// A level, or a filter such as `queue=debug`.
    Level,
    /// A list of addresses and networks.
    Networks,
    /// A list of labels and their values, `label=value`.
    Labels,
    /// A list of names and shares, `name=0.1`.
    Shares,
    /// Where jobs are queued.
    Broker,
    /// Begins with one of these; the schemes after `|` in design are not built yet and are refused by name.
    Store {
        built: &'static [&'static str],
        later: &'static [&'static str],
    },
}

impl Kind {
    /// Says what is wrong with `text` as a value.
    ///
    /// # Errors
    /// What was expected instead, in words for the person who wrote it.
    pub fn check(self, text: &str) -> Result<(), String> {
        match self {
            Kind::Text => Ok(()),
            Kind::Url if text.is_empty() || is_web_address(text) => Ok(()),
            Kind::Url => {
                let shown = super::without_password(text);
                Err(format!("'{shown}' does not begin with http:// or https:// and a host"))
            }
            Kind::AddressOrNone if text.is_empty() => Ok(()),
            Kind::Address | Kind::AddressOrNone => text
                .parse::<SocketAddr>()
                .map(|_| ())
                .map_err(|_| format!("'{text}' is not an address such as 127.0.0.1:9000")),
            Kind::Bytes => text.parse::<ByteSize>().map(|_| ()),
            Kind::Number { min, max } => match text.parse::<u64>() {
                Ok(number) if (min..=max).contains(&number) => Ok(()),
                _ => Err(format!("'{text}' is not a whole number from {min} to {max}")),
            },
            Kind::Duration => parse_duration(text).map(|_| ()),
            Kind::Switch => parse_switch(text).map(|_| ()).ok_or_else(|| format!("'{text}' is neither on nor off")),
            Kind::Fraction => match text.parse::<f32>() {
                Ok(share) if (0.0..=1.0).contains(&share) => Ok(()),
                _ => Err(format!("'{text}' is not a number from 0 to 1")),
            },
            Kind::Dsn if text.is_empty() => Ok(()),
            // The text holds a key: it is not repeated.
            Kind::Dsn => {
                text.parse::<telemetry::reporting::Dsn>().map(|_| ()).map_err(|error| format!("no DSN: {error}"))
            }
            Kind::Choice(words) if words.contains(&text) => Ok(()),
            Kind::Choice(words) => Err(format!("'{text}' is not one of {}", words.join(", "))),
            Kind::Choices(words) => match list(text).find(|item| !words.contains(item)) {
                Some(item) => Err(format!("'{item}' is not one of {}", words.join(", "))),
                None => Ok(()),
            },
            Kind::Server => match text.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) => Ok(()),
                _ => Err(format!("'{text}' is not a host and port such as 127.0.0.1:8125")),
            },
            Kind::Level => telemetry::logging::check(text).map_err(|error| error.to_string()),
            Kind::Networks => Proxies::parse(text)
                .map(|_| ())
                .map_err(|entry| format!("'{entry}' is no address and no network such as 10.0.0.0/8")),
            Kind::Labels => match list(text).find(|item| label(item).is_none()) {
                Some(item) => Err(format!("'{item}' is not a label such as region=eu, of letters, digits and _")),
                None => Ok(()),
            },
            Kind::Shares => match list(text).find(|item| share(item).is_none()) {
                Some(item) => Err(format!("'{item}' is not a name and a number from 0 to 1 such as ingest.digest=0.1")),
                None => Ok(()),
            },
            Kind::Broker => crate::broker::check_url(text),
            Kind::Store { built, .. } if built.contains(&text) => Ok(()),
            Kind::Store { built, later } => match later.iter().find(|scheme| text.starts_with(*scheme)) {
                Some(scheme) => Err(format!("{scheme} is not built yet; this release takes {}", built.join(", "))),
                None => Err(format!("unknown scheme or engine; this release takes {}", built.join(", "))),
            },
        }
    }

    /// Returns what the key takes, for people.
    pub fn words(self) -> String {
        match self {
            Kind::Text => "text".to_owned(),
            Kind::Url => "an address such as https://errors.example.org".to_owned(),
            Kind::Address | Kind::AddressOrNone => "an address and port".to_owned(),
            Kind::Bytes => "a size such as 64MiB or 2GB".to_owned(),
            Kind::Number { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Duration => "a duration such as 500ms, 30s, 5m or 1h".to_owned(),
            Kind::Switch => "on or off".to_owned(),
            Kind::Fraction => "a number from 0 to 1".to_owned(),
            Kind::Dsn => "a DSN such as https://key@errors.example.org/1".to_owned(),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
            Kind::Choices(words) => format!("a list of {}", words.join(", ")),
            Kind::Server => "a host and port".to_owned(),
            Kind::Level => "error, warn, info, debug, trace, or a filter such as queue=debug".to_owned(),
            Kind::Networks => "a list of addresses and networks such as 10.0.0.0/8".to_owned(),
            Kind::Labels => "a list of labels such as region=eu".to_owned(),
            Kind::Shares => "a list of tasks and shares such as ingest.digest=0.1".to_owned(),
            Kind::Broker => "the address of a broker".to_owned(),
            Kind::Store { built, .. } => format!("one of {}", built.join(", ")),
        }
    }

    pub fn is_list(self) -> bool {
        match self {
            Kind::Networks | Kind::Labels | Kind::Shares | Kind::Choices(_) => true,
            Kind::Text
            | Kind::Url
            | Kind::Address
            | Kind::AddressOrNone
            | Kind::Bytes
            | Kind::Number { .. }
            | Kind::Duration
            | Kind::Switch
            | Kind::Fraction
            | Kind::Dsn
            | Kind::Choice(_)
            | Kind::Server
            | Kind::Level
            | Kind::Broker
            | Kind::Store { .. } => false,
        }
    }

    /// Returns a value as it is written in `vigie.toml`.
    pub fn in_toml(self, text: &str) -> String {
        match self {
            Kind::Number { .. } | Kind::Fraction => text.to_owned(),
            Kind::Switch => (parse_switch(text) == Some(true)).to_string(),
            Kind::Networks | Kind::Labels | Kind::Shares | Kind::Choices(_) => {
                let quoted: Vec<String> = list(text).map(quoted).collect();
                format!("[{}]", quoted.join(", "))
            }
            Kind::Text
            | Kind::Url
            | Kind::Address
            | Kind::AddressOrNone
            | Kind::Bytes
            | Kind::Duration
            | Kind::Dsn
            | Kind::Choice(_)
            | Kind::Server
            | Kind::Level
            | Kind::Broker
            | Kind::Store { .. } => quoted(text),
        }
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Returns the items of a list.
pub fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\t']).filter(|item| !item.is_empty())
}

/// Reads `label=value`. `None` if it is none that every backend takes.
pub fn label(item: &str) -> Option<(&str, &str)> {
    let (label, value) = item.split_once('=')?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name = label.chars().all(is_word) && label.starts_with(|c: char| c.is_ascii_alphabetic());
    (is_name && !value.is_empty()).then_some((label, value))
}

/// Reads `name=0.1`. `None` if it is none.
pub fn share(item: &str) -> Option<(&str, f64)> {
    let (name, share) = item.split_once('=')?;
    let share: f64 = share.parse().ok()?;
    (!name.is_empty() && (0.0..=1.0).contains(&share)).then_some((name, share))
}

fn is_web_address(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.trim_matches('/').is_empty() && !rest.contains(char::is_whitespace))
}

/// Reads `on`, `off` and what people write for them.
pub fn parse_switch(text: &str) -> Option<bool> {
    match text {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// Reads `500ms`, `30s`, `5m` or `1h`.
///
/// # Errors
/// If the text is none.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a duration such as 500ms, 30s, 5m or 1h");
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit_ms = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7_200)));
        for text in ["", "5", "s", "5 days", "99999999999999999999s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn proxies_are_addresses_and_networks() {
        assert_eq!(Kind::Networks.check("10.0.0.0/8, ::1"), Ok(()));
        assert!(Kind::Networks.check("10.0.0.0/8, lb.example").is_err_and(|refusal| refusal.contains("'lb.example'")));
    }

    #[test]
    fn labels_have_a_name_and_a_value() {
        assert_eq!(Kind::Labels.check("region=eu, instance=web-1"), Ok(()));
        assert_eq!(label("region=eu=1"), Some(("region", "eu=1")));
        for text in ["region", "region=", "=eu", "1st=a", "a-b=c"] {
            assert!(Kind::Labels.check(text).is_err_and(|refusal| refusal.contains(text)), "{text}");
        }
    }

    #[test]
    fn shares_have_a_name_and_are_at_most_the_whole() {
        assert_eq!(share("ingest.digest=0.1"), Some(("ingest.digest", 0.1)));
        for text in ["ingest.digest", "=0.1", "a=2", "a=-1", "a=NaN"] {
            assert!(Kind::Shares.check(text).is_err_and(|refusal| refusal.contains(text)), "{text}");
        }
    }

    #[test]
    fn values_are_written_as_the_file_takes_them() {
        assert_eq!(Kind::Networks.in_toml("10.0.0.0/8, ::1"), r#"["10.0.0.0/8", "::1"]"#);
        assert_eq!(Kind::Switch.in_toml("on"), "true");
        assert_eq!(Kind::Text.in_toml("a \"b\""), "'a \"b\"'");
    }

    #[test]
    fn a_public_address_has_a_scheme_and_a_host() {
        assert_eq!(Kind::Url.check("https://errors.example.org/base"), Ok(()));
        for text in ["errors.example.org", "https://", "http://a b"] {
            assert!(Kind::Url.check(text).is_err(), "{text}");
        }
    }
}
