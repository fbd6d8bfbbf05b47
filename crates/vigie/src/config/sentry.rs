//! What an existing Sentry installation was told, in Vigie's keys. `config.yml` is read as far as its plain lines go, and
//! of `sentry.conf.py` only assignments of plain texts and numbers: it is a program, and is not run. What is not taken is
//! named.

use super::keys;
use std::collections::BTreeMap;
use std::path::Path;

/// What was found: values for keys of ours, and remarks on what was left.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub values: BTreeMap<&'static str, String>,
    /// Where each value came from, in people's words.
    pub taken: Vec<String>,
    pub left: Vec<String>,
}

/// Options that mean the same in both; others are named as not taken.
const SAME: &[&str] = &["system.url-prefix", "system.secret-key", "system.event-retention-days"];

/// Reads the folder that `SENTRY_CONF` names.
///
/// # Errors
/// If it holds neither file, or one of them cannot be read.
pub fn read(folder: &Path) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let options = text_of(&folder.join("config.yml"))?;
    let program = text_of(&folder.join("sentry.conf.py"))?;
    anyhow::ensure!(
        options.is_some() || program.is_some(),
        "{} holds neither config.yml nor sentry.conf.py",
        folder.display()
    );
    for (name, value) in options.as_deref().map(options_of).unwrap_or_default() {
        found.take_option(&name, value);
    }
    if let Some(program) = &program {
        found.take_program(program);
    }
    Ok(found)
}

fn text_of(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(anyhow::Error::new(error).context(format!("read {}", path.display()))),
    }
}

impl Found {
    fn take_option(&mut self, name: &str, value: Option<String>) {
        let Some(value) = value else {
            self.left.push(format!("config.yml: {name}: more than one value"));
            return;
        };
        match name {
            "system.logging-format" => {
                let format = if value == "machine" { "json" } else { "human" };
                self.take("config.yml", name, "log.format", format.to_owned());
            }
            _ if SAME.contains(&name) && keys::find(name).is_some() => self.take("config.yml", name, name, value),
            _ => self.left.push(format!("config.yml: {name}: Vigie has no such option")),
        }
    }

    fn take_program(&mut self, program: &str) {
        let assigned: BTreeMap<&str, &str> = program.lines().filter_map(assignment).collect();
        if let Some(url) = assigned.get("BROKER_URL") {
            self.take("sentry.conf.py", "BROKER_URL", "broker.url", (*url).to_owned());
        }
        if let Some(port) = assigned.get("SENTRY_WEB_PORT") {
            let host = assigned.get("SENTRY_WEB_HOST").filter(|host| !host.is_empty()).unwrap_or(&"0.0.0.0");
            self.take("sentry.conf.py", "SENTRY_WEB_HOST, SENTRY_WEB_PORT", "web.listen", format!("{host}:{port}"));
        }
        self.left.push("sentry.conf.py: everything else: it is a program, and was not run".to_owned());
    }

    /// A value that our key does not take is left, and why.
    fn take(&mut self, file: &str, name: &str, ours: &str, value: String) {
        let key = keys::find(ours).expect("the caller names keys of the table");
        match key.kind.check(&value) {
            Err(why) => self.left.push(format!("{file}: {name}: {ours}: {why}")),
            Ok(()) => {
                self.taken.push(format!("{file}: {name} as {ours}"));
                self.values.insert(key.name, value);
            }
        }
    }
}

/// Returns the names of a mapping with their values; `None` for what spans more than its line.
fn options_of(text: &str) -> Vec<(String, Option<String>)> {
    let mut options: Vec<(String, Option<String>)> = Vec::new();
    for line in text.lines() {
        let is_inner = line.starts_with([' ', '\t', '-']);
        let line = without_comment(line);
        if line.trim().is_empty() {
            continue;
        }
        match line.split_once(':') {
            _ if is_inner => {
                if let Some((_, value)) = options.last_mut() {
                    *value = None;
                }
            }
            Some((name, value)) => options.push((unquoted(name).to_owned(), Some(unquoted(value).to_owned()))),
            None => {}
        }
    }
    options
}

/// A `#` begins a comment at the start of a line or after a blank, outside quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() => return &line[..at],
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        before = c;
    }
    line
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let quoted = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    quoted('"').or_else(|| quoted('\'')).unwrap_or(text)
}

/// `NAME = "text"` or `NAME = 9000` at the start of a line; calls and expressions are none.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = without_comment(line).split_once('=')?;
    let name = name.strip_suffix(' ').unwrap_or(name);
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let value = value.trim();
    let plain = unquoted(value);
    let is_text = plain.len() + 2 == value.len() && !plain.contains(['"', '\'', '\\']);
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    (is_name && (is_text || is_number)).then_some((name, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "# Mail\nmail.host: 'smtp' # ours\nsystem.url-prefix: \"https://sentry.example.org\"\n\
                           system.secret-key: 'a#b'\nsystem.logging-format: machine\nredis.clusters:\n  default:\n    hosts:\n";
    const PROGRAM: &str = "from sentry.conf.server import *\nBROKER_URL = \"redis://redis:6379\"\n\
                           SENTRY_WEB_HOST = '0.0.0.0'\nSENTRY_WEB_PORT = 9000  # as before\nDATABASES = {\n}\n\
                           SECRET = env('X')\n";

    #[test]
    fn what_means_the_same_is_taken_and_the_rest_named() {
        let mut found = Found::default();
        for (name, value) in options_of(OPTIONS) {
            found.take_option(&name, value);
        }
        found.take_program(PROGRAM);
        let expected = [
            ("broker.url", "redis://redis:6379"),
            ("log.format", "json"),
            ("system.secret-key", "a#b"),
            ("system.url-prefix", "https://sentry.example.org"),
            ("web.listen", "0.0.0.0:9000"),
        ];
        let values: Vec<(&str, &str)> = found.values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(values, expected);
        assert_eq!(
            found.left,
            [
                "config.yml: mail.host: Vigie has no such option",
                "config.yml: redis.clusters: more than one value",
                "sentry.conf.py: everything else: it is a program, and was not run",
            ]
        );
    }

    #[test]
    fn expressions_are_not_guessed_at() {
        for line in ["A = env('X')", "A = 'x' + 'y'", "a = 'x'", "A['x'] = 'y'", "A == 'x'", "A = ", " A = 'x'"] {
            assert_eq!(assignment(line), None, "{line}");
        }
    }

    #[test]
    fn a_value_that_is_not_taken_is_named_with_the_reason() {
        let mut found = Found::default();
        found.take_option("system.url-prefix", Some("sentry.example.org".to_owned()));
        assert!(found.values.is_empty());
        assert!(found.left[0].contains("does not begin with http://"), "{:?}", found.left);
    }
}
