//! The commented `vigie.toml` that `init` and `import` write: every key with its meaning and its default, none of them set
//! but those that are given. It is made from the key table, and the table reads it back in a test.

use super::keys::{KEYS, Key};
use std::collections::BTreeMap;

/// Columns of a comment.
const WIDTH: usize = 110;
const INTRODUCTION: &str = "\
# Vigie's configuration. Each key stands here with its default; take the # away to change one.
# Stronger than this file: environment variables (VIGIE_SECTION__KEY, or VIGIE_SECTION__KEY_FILE with the path of a file
# that holds the value) and flags. `vigie config check` says everything that is wrong, `vigie config explain KEY` where a
# value comes from.
";

/// Keys that the file sets.
pub type Values = BTreeMap<&'static str, String>;

/// Returns the text of a file that sets these keys.
pub fn render(values: &Values) -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut sections: Vec<&str> = KEYS.iter().map(section).collect();
    sections.dedup();
    for name in sections {
        text.push_str(&format!("\n[{name}]\n"));
        for key in KEYS.iter().filter(|key| section(key) == name) {
            push_key(&mut text, key, values.get(key.name).map(String::as_str));
        }
    }
    text
}

fn section(key: &Key) -> &'static str {
    key.name.split_once('.').expect("every key has a section").0
}

fn push_key(text: &mut String, key: &Key, value: Option<&str>) {
    let name = key.name.split_once('.').expect("every key has a section").1;
    for line in wrapped(&format!("{} ({})", key.help, key.kind.words())) {
        text.push_str(&format!("# {line}\n"));
    }
    match value {
        Some(value) => text.push_str(&format!("{name} = {}\n", key.kind.in_toml(value))),
        None => text.push_str(&format!("#{name} = {}\n", key.kind.in_toml(key.default))),
    }
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a line");
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, file};
    use std::path::Path;

    fn secret_key() -> Values {
        [("system.secret-key", "0123".to_owned())].into()
    }

    fn read(text: &str) -> (Layers, Vec<super::super::Problem>) {
        let (mut layers, mut problems) = (Layers::default(), Vec::new());
        file::overlay_text(Path::new("vigie.toml"), text, &mut layers, &mut problems);
        problems.extend(layers.problems());
        (layers, problems)
    }

    #[test]
    fn the_file_sets_what_is_given_and_nothing_else() {
        let (layers, problems) = read(&render(&secret_key()));
        assert_eq!(problems, []);
        let set: Vec<&str> = KEYS.iter().map(|key| key.name).filter(|name| layers.in_force(name).is_some()).collect();
        assert_eq!(set, ["system.secret-key"]);
    }

    #[test]
    fn every_key_stands_in_it_with_its_default() {
        let is_key = |line: &str| line.starts_with('#') && !line.starts_with("# ");
        let uncomment = |line: &str| if is_key(line) { line[1..].to_owned() } else { line.to_owned() };
        let text: Vec<String> = render(&secret_key()).lines().map(uncomment).collect();
        let (layers, problems) = read(&text.join("\n"));
        assert_eq!(problems, []);
        for key in KEYS.iter().filter(|key| key.name != "system.secret-key") {
            let found = layers.in_force(key.name).map(|setting| setting.text.clone()).unwrap_or_default();
            let is_same = found == key.default || key.kind.in_toml(&found) == key.kind.in_toml(key.default);
            assert!(is_same, "{}: {found}", key.name);
        }
    }
}
