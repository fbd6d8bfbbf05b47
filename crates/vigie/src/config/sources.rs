//! Where settings come from (flags, environment, file, defaults) and whether a value fits its key.

use super::keys::{KEYS, Key, Kind};
use super::{Flags, Problem, Setting, Settings};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use stdx::{ByteSize, Proxies};

/// `vigie.toml` beside the process, when no other file is named.
const FILE_NAME: &str = "vigie.toml";
const ENV_PREFIX: &str = "VIGIE_";

/// Collects every key's strongest value.
pub(super) fn gather(flags: &Flags, problems: &mut Vec<Problem>) -> Settings {
    let mut settings = Settings::new();
    for key in KEYS {
        settings.insert(key.name, Setting { text: key.default.to_owned(), place: "default".to_owned() });
    }
    overlay_file(flags, &mut settings, problems);
    overlay_environment(&mut settings, problems);
    overlay_flags(flags, &mut settings);
    settings.retain(|_, setting| !(setting.place == "default" && setting.text.is_empty()));
    settings
}

#[allow(clippy::disallowed_methods, reason = "configuration is the one reader of the environment")]
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The file named by flag or environment must exist; the one in the working folder may be absent.
fn overlay_file(flags: &Flags, settings: &mut Settings, problems: &mut Vec<Problem>) {
    let named = flags.config.clone().or_else(|| env("VIGIE_CONF").or_else(|| env("SENTRY_CONF")).map(PathBuf::from));
    let is_named = named.is_some();
    let mut path = named.unwrap_or_else(|| PathBuf::from(FILE_NAME));
    if path.is_dir() {
        path = path.join(FILE_NAME);
    }
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_named => return,
        Err(error) => {
            problems.push(Problem { place: path.display().to_string(), text: format!("read the file: {error}") });
            return;
        }
    };
    match text.parse::<toml::Table>() {
        Ok(table) => overlay_table(&path, &text, "", &table, settings, problems),
        Err(error) => {
            let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
            problems.push(Problem { place: format!("{}:{line}", path.display()), text: error.message().to_owned() });
        }
    }
}

fn overlay_table(
    path: &Path,
    text: &str,
    prefix: &str,
    table: &toml::Table,
    settings: &mut Settings,
    problems: &mut Vec<Problem>,
) {
    for (name, value) in table {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let place = format!("{}:{}", path.display(), line_of(text, &name));
        match value {
            toml::Value::Table(table) => overlay_table(path, text, &name, table, settings, problems),
            toml::Value::String(value) => set(&name, value.clone(), place, settings, problems),
            toml::Value::Array(_) => {
                problems.push(Problem { place, text: format!("{name}: expected one value, found a list") });
            }
            toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) | toml::Value::Datetime(_) => {
                set(&name, value.to_string(), place, settings, problems)
            }
        }
    }
}

/// The line that sets `name`: where its last part stands before an equals sign. Good enough to send a person there.
fn line_of(text: &str, name: &str) -> usize {
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_setting = |line: &str| {
        line.split_once('=').is_some_and(|(left, _)| {
            let left = left.trim().trim_matches('"');
            left == last || left.ends_with(&format!(".{last}"))
        })
    };
    text.lines().position(is_setting).map_or(1, |index| index + 1)
}

fn overlay_environment(settings: &mut Settings, problems: &mut Vec<Problem>) {
    for (variable, name) in [("BROKER_URL", "broker.url"), ("DATABASE_URL", "database.url")] {
        if let Some(value) = env(variable) {
            set(name, value, format!("environment {variable}"), settings, problems);
        }
    }
    let mut variables: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with(ENV_PREFIX) && name.contains("__"))
        .collect();
    variables.sort();
    for (variable, value) in variables {
        let name = variable[ENV_PREFIX.len()..].to_ascii_lowercase().replacen("__", ".", 1).replace('_', "-");
        set(&name, value, format!("environment {variable}"), settings, problems);
    }
}

fn overlay_flags(flags: &Flags, settings: &mut Settings) {
    let mut put = |name: &'static str, value: Option<String>, flag: &str| {
        if let Some(text) = value {
            settings.insert(name, Setting { text, place: format!("flag {flag}") });
        }
    };
    put("system.data-dir", flags.data_dir.as_ref().map(|path| path.display().to_string()), "--data-dir");
    put("web.listen", flags.listen.clone(), "--listen");
    put("worker.concurrency", flags.concurrency.map(|count| count.to_string()), "-c");
    put("worker.pool", flags.pool.map(str::to_owned), "--pool");
    let most = flags.max_tasks_per_child.map(|count| count.to_string());
    put("worker.max-tasks-per-child", most, "--max-tasks-per-child");
}

fn set(name: &str, text: String, place: String, settings: &mut Settings, problems: &mut Vec<Problem>) {
    match KEYS.iter().find(|key| key.name == name) {
        Some(key) => {
            settings.insert(key.name, Setting { text, place });
        }
        None => {
            let nearest = KEYS.iter().min_by_key(|key| distance(key.name, name)).expect("the table has keys");
            let hint = if distance(nearest.name, name) <= 4 {
                format!("; did you mean {}?", nearest.name)
            } else {
                String::new()
            };
            problems.push(Problem { place, text: format!("unknown key {name}{hint}") });
        }
    }
}

/// Says what is wrong with `text` as a value of `key`.
pub(super) fn check(key: &Key, text: &str) -> Result<(), String> {
    match key.kind {
        Kind::Text => Ok(()),
        Kind::Address => text
            .parse::<SocketAddr>()
            .map(|_| ())
            .map_err(|_| format!("'{text}' is not an address such as 127.0.0.1:9000")),
        Kind::Bytes => text.parse::<ByteSize>().map(|_| ()),
        Kind::Number { min, max } => match text.parse::<u64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(()),
            _ => Err(format!("'{text}' is not a whole number from {min} to {max}")),
        },
        Kind::Duration => parse_duration(text).map(|_| ()),
        Kind::Choice(words) if words.contains(&text) => Ok(()),
        Kind::Choice(words) => Err(format!("'{text}' is not one of {}", words.join(", "))),
        Kind::Networks => Proxies::parse(text)
            .map(|_| ())
            .map_err(|entry| format!("'{entry}' is no address and no network such as 10.0.0.0/8")),
        Kind::Broker => crate::broker::check_url(text),
        Kind::Store { built, .. } if built.contains(&text) => Ok(()),
        Kind::Store { built, later } => match later.iter().find(|scheme| text.starts_with(*scheme)) {
            Some(scheme) => Err(format!("{scheme} is not built yet; this release takes {}", built.join(", "))),
            None => Err(format!("unknown scheme; this release takes {}", built.join(", "))),
        },
    }
}

/// Reads `500ms`, `30s`, `5m` or `1h`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
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

/// Levenshtein distance, for suggestions.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
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
    fn every_default_fits_its_kind() {
        for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
            assert_eq!(check(key, key.default), Ok(()), "{}", key.name);
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_a_suggestion() {
        let (mut settings, mut problems) = (Settings::new(), Vec::new());
        set("web.lisen", "x".to_owned(), "here".to_owned(), &mut settings, &mut problems);
        assert_eq!(problems[0].text, "unknown key web.lisen; did you mean web.listen?");
    }

    #[test]
    fn a_store_that_comes_later_is_refused_by_name() {
        let key = KEYS.iter().find(|key| key.name == "database.url").expect("the key is in the table");
        let refusal = check(key, "postgres://localhost/vigie").expect_err("it is not built");
        assert!(refusal.contains("not built yet"), "{refusal}");
    }

    #[test]
    fn proxies_are_addresses_and_networks() {
        let key = KEYS.iter().find(|key| key.name == "web.trusted-proxies").expect("the key is in the table");
        assert_eq!(check(key, "10.0.0.0/8, ::1"), Ok(()));
        assert!(check(key, "10.0.0.0/8, lb.example").is_err_and(|refusal| refusal.contains("'lb.example'")));
    }
}
