//! What a key is set to, by which source, and what the others say: for people, with secrets left out.

use super::keys::{KEYS, Key};
use super::{Environment, Flags, Kind, Problem, Setting};
use std::path::PathBuf;
use store::Stores;

const HIDDEN: &str = "***";

/// One key as it is set now, for people.
#[derive(Clone, Debug)]
pub struct Explained {
    pub key: &'static Key,
    /// What all sources say, weakest first; the last is in force. Secrets are left out.
    pub settings: Vec<Setting>,
}

impl Explained {
    /// Returns what is in force; empty = not set.
    pub fn value(&self) -> &str {
        self.settings.last().map(|setting| setting.text.as_str()).unwrap_or_default()
    }

    /// Returns where that came from: flag, environment variable, file and line, or `default`.
    pub fn place(&self) -> &str {
        self.settings.last().map_or("not set", |setting| setting.place.as_str())
    }
}

/// Returns every key with what all sources say of it, also when some values are wrong.
pub fn explain(flags: &Flags) -> (Vec<Explained>, Vec<Problem>) {
    let (mut layers, problems) = super::read(flags, &Environment::of_process());
    let data_dir = layers.in_force("system.data-dir").map(|setting| PathBuf::from(&setting.text)).unwrap_or_default();
    match Stores::peek_options(&data_dir) {
        Ok(options) => layers.put_options(&options),
        Err(error) => tracing::warn!(error = %stdx::causes::on_one_line(&error), "runtime options not looked at"),
    }
    let explained = KEYS.iter().map(|key| {
        let shown = |setting: &Setting| Setting { text: shown(key, &setting.text), ..setting.clone() };
        Explained { key, settings: layers.of(key.name).iter().map(shown).collect() }
    });
    (explained.collect(), problems)
}

/// Secrets, and passwords inside addresses, are for nobody to see.
pub fn shown(key: &Key, text: &str) -> String {
    if key.is_secret && !text.is_empty() {
        return "[redacted]".to_owned();
    }
    match key.kind {
        // Of one that cannot be read nobody knows which part is the password.
        Kind::Broker if key.kind.check(text).is_err() => HIDDEN.to_owned(),
        Kind::Broker | Kind::Store { .. } | Kind::Url => without_password(text),
        Kind::Text
        | Kind::Address
        | Kind::AddressOrNone
        | Kind::Labels
        | Kind::Shares
        | Kind::Bytes
        | Kind::Number { .. }
        | Kind::Duration
        | Kind::Switch
        | Kind::Fraction
        | Kind::Dsn
        | Kind::Choice(_)
        | Kind::Choices(_)
        | Kind::Server
        | Kind::Level
        | Kind::Networks => text.to_owned(),
    }
}

/// Returns addresses with `***` for their passwords. What is no address shows rather too little than a password.
pub fn without_password(text: &str) -> String {
    // A semicolon that starts no address stands in a password.
    let is_list = text.split(';').all(|part| part.contains("://"));
    if is_list { text.split(';').map(hide).collect::<Vec<_>>().join(";") } else { hide(text) }
}

fn hide(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return if url.contains('@') { HIDDEN.to_owned() } else { url.to_owned() };
    };
    let (front, query) = rest.split_once('?').map_or((rest, None), |(front, query)| (front, Some(query)));
    let Some(at) = front.rfind('@') else {
        return match rest.rfind('@') {
            // A question mark in a password.
            Some(at) if front.contains(':') && !query.is_some_and(is_settings) => {
                format!("{scheme}://***{}", &rest[at..])
            }
            _ => format!("{scheme}://{front}{}", hide_settings(query)),
        };
    };
    let user = front[..at].split_once(':').map_or(&front[..at], |(user, _)| user);
    let password = if user.len() < at { ":***" } else { "" };
    format!("{scheme}://{user}{password}{}{}", &front[at..], hide_settings(query))
}

/// Whether what follows a question mark reads as `name=value&…` from its start.
fn is_settings(query: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    query.split('&').all(|pair| pair.split_once('=').is_some_and(|(name, _)| is_name(name)))
}

fn hide_settings(query: Option<&str>) -> String {
    let Some(query) = query else { return String::new() };
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if name.to_ascii_lowercase().contains("pass") => format!("{name}=***"),
        _ => pair.to_owned(),
    });
    format!("?{}", shown.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys;

    #[test]
    fn passwords_in_addresses_are_not_shown() {
        assert_eq!(without_password("redis://:p:a@host:6379/0"), "redis://:***@host:6379/0");
        assert_eq!(without_password("redis://me:pass@host;redis://b/1"), "redis://me:***@host;redis://b/1");
        assert_eq!(without_password("redis://host:6379/0"), "redis://host:6379/0");
        assert_eq!(without_password("embedded:"), "embedded:");
        assert_eq!(
            without_password("redis://a:pw@h/0?sentinel=m&sentinel_password=s3cret&prefix=x"),
            "redis://a:***@h/0?sentinel=m&sentinel_password=***&prefix=x"
        );
        assert_eq!(
            without_password("redis://h:6379/0?sentinel_password=a@b"),
            "redis://h:6379/0?sentinel_password=***"
        );
    }

    #[test]
    fn a_password_that_was_not_escaped_is_not_shown_either() {
        for text in ["redis://:pa/ss@host", "redis://:pa?ss@host", "redis://me:pa;ss@host", "redis://me:p@ss@host/1"] {
            let shown = without_password(text);
            assert!(!shown.contains("pa") && !shown.contains("ss") && shown.contains("@host"), "{text}: {shown}");
        }
    }

    #[test]
    fn of_an_address_that_cannot_be_read_nothing_is_shown() {
        let broker = keys::find("broker.url").expect("the key is in the table");
        for text in ["guest:TopSecret9@host", "TopSecret9", "redis//:TopSecret9", "amqp://guest:Top/Secret9@host"] {
            assert_eq!(shown(broker, text), "***", "{text}");
            let refusal = broker.kind.check(text).expect_err("no address");
            assert!(["guest", "Top", "Secret9"].iter().all(|part| !refusal.contains(part)), "{text}: {refusal}");
        }
        assert_eq!(shown(broker, "embedded:"), "embedded:");
        assert_eq!(shown(broker, "amqp://guest:TopSecret9@host/v1"), "amqp://guest:***@host/v1");
        for name in ["system.url-prefix", "database.url"] {
            let key = keys::find(name).expect("the key is in the table");
            assert_eq!(shown(key, "guest:TopSecret9@host"), "***");
            let refusal = key.kind.check("guest:TopSecret9@host").expect_err("no address");
            assert!(!refusal.contains("TopSecret9"), "{name}: {refusal}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let key = keys::find("system.secret-key").expect("the key is in the table");
        assert_eq!(shown(key, "abc"), "[redacted]");
        assert_eq!(shown(key, ""), "");
    }
}
