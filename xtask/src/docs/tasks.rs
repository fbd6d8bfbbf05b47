//! `docs/reference/tasks.md`, from the table of tasks (`TASKS: &[(NAME, what it does)]`) and the file of each.

use super::literals::{inside, literals};
use super::{Page, code, table};
use crate::tidy::{RustFile, Tree};

const SOURCE: &str = "crates/pipeline/src/tasks.rs";
const FOLDER: &str = "crates/pipeline/src/tasks/";

pub fn page(tree: &Tree) -> Page {
    let introduction = "Every kind of work this release can run. Each is safe to run twice; its file says why.";
    let rows: Vec<Vec<String>> = tree.rust_file(SOURCE).map(|file| rows(tree, file)).unwrap_or_default();
    let text = table("Tasks", introduction, SOURCE, &["task", "queue", "what it does", "file"], &rows);
    Page { path: "docs/reference/tasks.md", text }
}

fn rows(tree: &Tree, file: &RustFile) -> Vec<Vec<String>> {
    let Some(at) = file.code.find("TASKS: ") else { return Vec::new() };
    let Some(open) = file.code[at..].find("= &[").map(|offset| at + offset + 3) else { return Vec::new() };
    let Some(range) = inside(&file.code, open) else { return Vec::new() };
    let modules = file.code[range.clone()].match_indices("::NAME");
    let modules = modules.map(|(offset, _)| word_before(&file.code[..range.start + offset]));
    let row = |(module, help): (&str, String)| {
        let path = format!("{FOLDER}{module}.rs");
        let constant = |name: &str| tree.rust_file(&path).and_then(|task| constant(task, name)).unwrap_or_default();
        vec![code(&constant("NAME")), code(&constant("QUEUE")), help, code(&path)]
    };
    modules.zip(literals(file, range.clone())).map(row).collect()
}

fn word_before(code: &str) -> &str {
    let start = code.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
    &code[start..]
}

/// Returns the text of `const NAME: &str = "…"`.
fn constant(file: &RustFile, name: &str) -> Option<String> {
    let at = file.code.find(&format!("const {name}: &str"))?;
    let end = at + file.code[at..].find(';')?;
    literals(file, at..end).into_iter().next()
}

/// Returns the files of the folder that the table does not name: a task that would never be run.
pub fn unlisted(tree: &Tree) -> Vec<String> {
    let table = tree.rust_file(SOURCE).map(|file| file.code.as_str()).unwrap_or_default();
    let is_unlisted = |file: &&RustFile| {
        let name = file.path.strip_prefix(FOLDER).map(|rest| rest.trim_end_matches(".rs"));
        name.is_some_and(|name| !name.contains('/') && name != "tests" && !table.contains(&format!("{name}::NAME")))
    };
    tree.rust.iter().filter(is_unlisted).map(|file| file.path.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASKS: &str = "pub const TASKS: &[(&str, &str)] = &[(digest::NAME, \"stores events\")];\n";
    const DIGEST: &str = "pub const NAME: &str = \"ingest.digest\";\npub const QUEUE: &str = \"events\";\n";

    #[test]
    fn every_task_becomes_a_row() {
        let tree = Tree::of(&[(SOURCE, TASKS), ("crates/pipeline/src/tasks/digest.rs", DIGEST)]);
        let text = page(&tree).text;
        let row = "| `ingest.digest` | `events` | stores events | `crates/pipeline/src/tasks/digest.rs` |";
        assert!(text.contains(row), "{text}");
    }

    #[test]
    fn a_file_that_the_table_forgets_is_found() {
        let tree = Tree::of(&[(SOURCE, TASKS), ("crates/pipeline/src/tasks/forgotten.rs", "")]);
        assert_eq!(unlisted(&tree), ["crates/pipeline/src/tasks/forgotten.rs"]);
    }
}
