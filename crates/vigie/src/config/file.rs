//! Reads `vigie.toml`. Each value is kept with its line; a file that is malformed in places is read as far as it can be,
//! so that everything that is wrong with it is said at once.

use super::Problem;
use super::keys;
use super::layers::{Layer, Layers, Setting};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub const FILE_NAME: &str = "vigie.toml";

/// Which file is read: a folder stands for the `vigie.toml` in it; without a name, the one in the working folder.
pub struct Chosen {
    pub path: PathBuf,
    /// A file that was named must be there.
    is_named: bool,
}

pub fn choose(named: Option<PathBuf>) -> Chosen {
    let is_named = named.is_some();
    let path = named.unwrap_or_else(|| PathBuf::from(FILE_NAME));
    let path = if path.is_dir() { path.join(FILE_NAME) } else { path };
    Chosen { path, is_named }
}

/// Adds what the file says.
pub fn overlay(chosen: &Chosen, layers: &mut Layers, problems: &mut Vec<Problem>) {
    match std::fs::read_to_string(&chosen.path) {
        Ok(text) => overlay_text(&chosen.path, &text, layers, problems),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !chosen.is_named => {}
        Err(error) => {
            let hint = match error.kind() {
                std::io::ErrorKind::NotFound => "; vigie init DIR writes one",
                _ => "",
            };
            let place = chosen.path.display().to_string();
            problems.push(Problem { place, text: format!("read the file: {error}{hint}") });
        }
    }
}

/// Adds what the text of a file says.
pub fn overlay_text(path: &Path, text: &str, layers: &mut Layers, problems: &mut Vec<Problem>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let place = place(path, text, error.span().map_or(0, |span| span.start));
        problems.push(Problem { place, text: error.message().to_owned() });
    }
    let mut reader = Reader { path, text, layers, problems };
    reader.read_table("", table.get_ref());
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    layers: &'a mut Layers,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn read_table(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let name = match section {
                "" => name.get_ref().to_string(),
                _ => format!("{section}.{}", name.get_ref()),
            };
            self.read_value(&name, value);
        }
    }

    fn read_value(&mut self, name: &str, value: &Spanned<DeValue<'_>>) {
        if let DeValue::Table(table) = value.get_ref() {
            return self.read_table(name, table);
        }
        let place = place(self.path, self.text, value.span().start);
        if self.problems.iter().any(|problem| problem.place == place) {
            // What stands on a malformed line is a guess of the parser.
            return;
        }
        let is_list = keys::find(name).is_some_and(|key| key.kind.is_list());
        let is_text = keys::find(name).is_some_and(|key| key.kind == super::Kind::Text);
        let read = match value.get_ref() {
            DeValue::Array(_) if !is_list && keys::find(name).is_some() => {
                Err("expected one value, found a list".into())
            }
            DeValue::Array(items) => items.iter().map(|item| text_of(item.get_ref())).collect::<Result<Vec<_>, _>>(),
            DeValue::String(text) => Ok(vec![text.to_string()]),
            other if is_text => Err(format!("expected text in quotes, found {}", article(other.type_str()))),
            other => text_of(other).map(|text| vec![text]),
        };
        match read {
            Ok(texts) => {
                let setting = Setting { layer: Layer::File, place, text: texts.join(", ") };
                self.layers.put_named(name, setting, self.problems);
            }
            Err(text) => self.problems.push(Problem { place, text: format!("{name}: {text}") }),
        }
    }
}

fn text_of(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            parsed.map(|number| number.to_string()).map_err(|_| format!("{number} is out of range"))
        }
        DeValue::Float(number) => Ok(number.to_string()),
        DeValue::Boolean(is_true) => Ok(is_true.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            Err(format!("expected text or a number, found {}", article(value.type_str())))
        }
    }
}

fn article(kind: &str) -> String {
    let is_vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if is_vowel { "an" } else { "a" })
}

fn place(path: &Path, text: &str, at: usize) -> String {
    let line = text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
    format!("{}:{line}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Layers, Vec<String>) {
        let (mut layers, mut problems) = (Layers::default(), Vec::new());
        overlay_text(Path::new("vigie.toml"), text, &mut layers, &mut problems);
        problems.extend(layers.problems());
        (layers, problems.into_iter().map(|problem| format!("{}: {}", problem.place, problem.text)).collect())
    }

    #[test]
    fn values_are_kept_with_their_lines() {
        let (layers, problems) = read(
            "system.url-prefix = \"https://e.org\"\n\n[web]\ntrusted-proxies = [\n  \"10.0.0.0/8\",\n  \"::1\",\n]\n\
             [worker]\nconcurrency = 1_0\nremote-control = false\n",
        );
        assert_eq!(problems, Vec::<String>::new());
        let found = |name: &str| layers.in_force(name).map(|setting| (setting.text.as_str(), setting.place.as_str()));
        assert_eq!(found("system.url-prefix"), Some(("https://e.org", "vigie.toml:1")));
        assert_eq!(found("web.trusted-proxies"), Some(("10.0.0.0/8, ::1", "vigie.toml:4")));
        assert_eq!(found("worker.concurrency"), Some(("10", "vigie.toml:9")));
        assert_eq!(found("worker.remote-control"), Some(("false", "vigie.toml:10")));
    }

    #[test]
    fn a_file_that_is_malformed_in_places_is_read_as_far_as_it_can_be() {
        let (layers, problems) =
            read("[web]\nlisten = \n[worker]\nconcurrency = 4\nconcurrency = 5\npool = \"fibres\"\n");
        assert!(layers.in_force("worker.pool").is_some());
        assert!(problems.iter().any(|problem| problem.starts_with("vigie.toml:2: ")), "{problems:?}");
        assert!(problems.iter().any(|problem| problem.starts_with("vigie.toml:5: ")), "{problems:?}");
        assert!(problems.iter().any(|problem| problem.contains("'fibres' is not one of threads, processes")));
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        let (_, mut problems) =
            read("[system]\ndata-dir = 5\n[broker]\nurl = [\"a\"]\n[queue]\nmax-jobs = 2026-01-01\n");
        problems.sort();
        assert_eq!(
            problems,
            [
                "vigie.toml:2: system.data-dir: expected text in quotes, found an integer",
                "vigie.toml:4: broker.url: expected one value, found a list",
                "vigie.toml:6: queue.max-jobs: expected text or a number, found a datetime",
            ]
        );
    }
}
