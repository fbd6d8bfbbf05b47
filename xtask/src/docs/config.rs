//! `docs/reference/config.md`, from the table of keys (`key(name, default, kind, help)`).

use super::literals::{literals, uses};
use super::{Page, code, table};
use crate::tidy::Tree;

const SOURCE: &str = "crates/vigie/src/config/keys.rs";

pub fn page(tree: &Tree) -> Page {
    let mut rows = Vec::new();
    if let Some(file) = tree.rust_file(SOURCE) {
        for range in uses(&file.code, "key(") {
            let words = literals(file, range.clone());
            let change = change(&file.code[range.end..]);
            if let [name, default, .., help] = words.as_slice() {
                rows.push(vec![code(name), code(default), code(&variable(name)), change.to_owned(), help.clone()]);
            }
        }
    }
    let introduction = "Configuration keys of `vigie.toml`. Strongest first: flag, environment, file, runtime option (`vigie config set`), default. `--config PATH` \
                        (or the variable `VIGIE_CONF`, or `SENTRY_CONF`) names the file or a folder that holds it. A variable \
                        with `_FILE` behind its name holds the path of a file with the value.";
    let text =
        table("Configuration", introduction, SOURCE, &["key", "default", "environment", "a change", "meaning"], &rows);
    Page { path: "docs/reference/config.md", text }
}

/// Reads the calls behind a key, up to the next one.
fn change(code: &str) -> &'static str {
    let calls = code.split("key(").next().unwrap_or_default();
    match (calls.contains(".runtime()"), calls.contains(".live()")) {
        (true, true) => "runtime option, followed at once",
        (true, false) => "runtime option, after a restart",
        (false, true) => "on SIGHUP",
        (false, false) => "after a restart",
    }
}

/// `web.listen` is `VIGIE_WEB__LISTEN`.
fn variable(name: &str) -> String {
    format!("VIGIE_{}", name.replace('.', "__").replace('-', "_").to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_becomes_a_row() {
        let source =
            "pub const KEYS: &[Key] = &[key(\"web.listen\", \"127.0.0.1:9000\", Kind::Address, \"where\").live()];\n";
        let page = page(&Tree::of(&[(SOURCE, source)]));
        assert!(
            page.text.contains("| `web.listen` | `127.0.0.1:9000` | `VIGIE_WEB__LISTEN` | on SIGHUP | where |"),
            "{}",
            page.text
        );
    }
}
