//! Settings of the environment: `VIGIE_SECTION__KEY`, the names that other programs give (`BROKER_URL`, `DATABASE_URL`),
//! and each of them with `_FILE`: the path of a file that holds the value, as secrets are handed to containers.

use super::Problem;
use super::layers::{Layer, Layers, Setting};
use std::path::PathBuf;

const PREFIX: &str = "VIGIE_";
const OF_FILE: &str = "_FILE";
/// Weaker than ours: another program of the same environment may mean them.
const FOREIGN: [(&str, &str); 2] = [("BROKER_URL", "broker.url"), ("DATABASE_URL", "database.url")];

/// The environment as the process found it; tests make their own.
#[derive(Clone, Debug, Default)]
pub struct Environment(pub Vec<(String, String)>);

impl Environment {
    #[allow(clippy::disallowed_methods, reason = "configuration is the one reader of the environment")]
    pub fn of_process() -> Environment {
        let texts = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let mut variables: Vec<(String, String)> = std::env::vars_os().filter_map(texts).collect();
        variables.sort();
        Environment(variables)
    }

    /// Returns the file or folder that `VIGIE_CONF` names, or `SENTRY_CONF` as in installations of Sentry.
    pub fn config_path(&self) -> Option<PathBuf> {
        self.get("VIGIE_CONF").or_else(|| self.get("SENTRY_CONF")).map(PathBuf::from)
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(variable, _)| variable == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Adds what the variables say.
    pub fn overlay(&self, layers: &mut Layers, problems: &mut Vec<Problem>) {
        for (variable, name) in FOREIGN {
            self.overlay_one(variable, name, layers, problems);
            self.overlay_one(&format!("{variable}{OF_FILE}"), name, layers, problems);
        }
        for (variable, _) in &self.0 {
            if let Some(name) = key_of(variable) {
                self.overlay_one(variable, &name, layers, problems);
            }
        }
    }

    fn overlay_one(&self, variable: &str, name: &str, layers: &mut Layers, problems: &mut Vec<Problem>) {
        let Some(value) = self.get(variable) else { return };
        let place = format!("environment {variable}");
        let text = match variable.ends_with(OF_FILE) {
            false => value.to_owned(),
            true => match std::fs::read_to_string(value) {
                Ok(text) => text.trim().to_owned(),
                Err(error) => {
                    problems.push(Problem { place, text: format!("{name}: read the file {value}: {error}") });
                    return;
                }
            },
        };
        layers.put_named(name, Setting { layer: Layer::Environment, place, text }, problems);
    }
}

/// `VIGIE_WEB__LISTEN` and `VIGIE_WEB__LISTEN_FILE` are `web.listen`.
fn key_of(variable: &str) -> Option<String> {
    let words = variable.strip_prefix(PREFIX).filter(|words| words.contains("__"))?;
    let words = words.strip_suffix(OF_FILE).unwrap_or(words);
    Some(words.to_ascii_lowercase().replacen("__", ".", 1).replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Layers, Vec<Problem>) {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let (mut layers, mut problems) = (Layers::default(), Vec::new());
        Environment(owned.collect()).overlay(&mut layers, &mut problems);
        (layers, problems)
    }

    #[test]
    fn variables_name_keys_and_ours_beat_foreign_ones() {
        let (layers, problems) = read(&[
            ("BROKER_URL", "redis://a"),
            ("HOME", "/root"),
            ("VIGIE_BROKER__URL", "redis://b"),
            ("VIGIE_CONF", "/etc/vigie"),
            ("VIGIE_WORKER__MAX_TASKS_PER_CHILD", "7"),
        ]);
        assert_eq!(problems, []);
        assert_eq!(layers.in_force("broker.url").map(|setting| setting.text.as_str()), Some("redis://b"));
        assert_eq!(layers.of("broker.url").len(), 2);
        let most = layers.in_force("worker.max-tasks-per-child");
        assert_eq!(most.map(|setting| setting.place.as_str()), Some("environment VIGIE_WORKER__MAX_TASKS_PER_CHILD"));
    }

    #[test]
    fn a_secret_may_stand_in_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("broker-url");
        std::fs::write(&path, "redis://:secret@host\n").expect("written");
        let path = path.display().to_string();
        let (layers, problems) = read(&[("VIGIE_BROKER__URL_FILE", &path), ("DATABASE_URL_FILE", "/no/such/file")]);
        assert_eq!(layers.in_force("broker.url").map(|setting| setting.text.as_str()), Some("redis://:secret@host"));
        assert_eq!(problems.len(), 1);
        assert!(problems[0].text.starts_with("database.url: read the file /no/such/file"), "{problems:?}");
    }

    #[test]
    fn a_mistyped_variable_is_a_problem() {
        let (_, problems) = read(&[("VIGIE_WEB__LISTN", "127.0.0.1:1")]);
        assert_eq!(problems[0].place, "environment VIGIE_WEB__LISTN");
        assert_eq!(problems[0].text, "unknown key web.listn; did you mean web.listen?");
    }
}
