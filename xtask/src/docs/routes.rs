//! `docs/reference/routes.md`, from the API's table (`route!(METHOD "/path/" SCOPE, handler)`) and the pages' router
//! (`.route("/path/", get(…).post(…))`).

use super::literals::{literals, uses};
use super::{Page, code, push_table};
use crate::tidy::Tree;

const API: &str = "crates/web/src/api/routes.rs";
const PAGES: &str = "crates/web/src/pages.rs";
const METHODS: &[&str] = &["get", "post", "put", "delete"];

pub fn page(tree: &Tree) -> Page {
    let mut text =
        String::from("# Routes\n\nWritten by `cargo xtask docs`; change them in the sources named below.\n\n");
    text.push_str(&format!("## Web API\n\nBehind `/api/0`, with a bearer token that has the scope. From `{API}`.\n\n"));
    push_table(&mut text, &["method", "path", "scope", "answers"], &api(tree));
    text.push_str(&format!("\n## Pages\n\nFrom `{PAGES}`.\n\n"));
    push_table(&mut text, &["methods", "path"], &pages(tree));
    Page { path: "docs/reference/routes.md", text }
}

fn api(tree: &Tree) -> Vec<Vec<String>> {
    let Some(file) = tree.rust_file(API) else { return Vec::new() };
    let mut rows = Vec::new();
    for range in uses(&file.code, "route!(") {
        let words = literals(file, range.clone());
        let Some(path) = words.first() else { continue };
        let arguments = &file.code[range];
        let method = arguments.split_whitespace().next().unwrap_or_default();
        let after = arguments.rsplit('"').next().unwrap_or_default();
        let (scope, handler) = after.split_once(',').unwrap_or((after, ""));
        rows.push(vec![method.to_owned(), code(path), words_of(scope), words_of(handler)]);
    }
    rows
}

/// `READ_PROJECT` is "read project", `issues::list_of_project` is "issues: list of project".
fn words_of(name: &str) -> String {
    name.trim().to_lowercase().replace("::", ": ").replace('_', " ")
}

fn pages(tree: &Tree) -> Vec<Vec<String>> {
    let Some(file) = tree.rust_file(PAGES) else { return Vec::new() };
    let mut rows = Vec::new();
    for range in uses(&file.code, "route(") {
        let Some(path) = literals(file, range.clone()).into_iter().next() else { continue };
        let arguments = &file.code[range];
        let is_named = |method: &&&str| arguments.contains(&format!("{method}("));
        let methods: Vec<String> = METHODS.iter().filter(is_named).map(|method| method.to_uppercase()).collect();
        rows.push(vec![methods.join(", "), code(&path)]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_and_pages_become_rows() {
        let api = "static R: &[I] = &[\n    route!(GET    \"/issues/{issue}/\" READ, issues::get),\n];\n";
        let pages = "fn r() { Router::new().route(\"/projects/new/\", get(a::b).post(a::c)) }\n";
        let text = page(&Tree::of(&[(API, api), (PAGES, pages)])).text;
        assert!(text.contains("| GET | `/issues/{issue}/` | read | issues: get |"), "{text}");
        assert!(text.contains("| GET, POST | `/projects/new/` |"), "{text}");
    }
}
