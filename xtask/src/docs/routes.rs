//! `docs/reference/routes.md`, from the SDK endpoints (`ENDPOINTS: &[(METHOD, path)]`), the API's table
//! (`route!(METHOD "/path/" SCOPE, handler)`) and the pages' router (`.route("/path/", get(…).post(…))`).

use super::literals::{inside, literals, uses};
use super::{Page, code, push_table};
use crate::tidy::Tree;

const INGEST: &str = "crates/ingest/src/endpoints/route.rs";
const API: &str = "crates/web/src/api/routes.rs";
const PAGES: &str = "crates/web/src/pages.rs";
const METHODS: &[&str] = &["get", "post", "put", "delete"];

pub fn page(tree: &Tree) -> Page {
    let mut text =
        String::from("# Routes\n\nWritten by `cargo xtask docs`; change them in the sources named below.\n\n");
    text.push_str(&format!("## SDK endpoints\n\nWith a project's DSN key. From `{INGEST}`.\n\n"));
    push_table(&mut text, &["method", "path"], &endpoints(tree));
    text.push_str(&format!(
        "\n## Web API\n\nBehind `/api/0`, with a bearer token that has the scope. From `{API}`.\n\n"
    ));
    push_table(&mut text, &["method", "path", "scope", "answers"], &api(tree));
    text.push_str(&format!("\n## Pages\n\nFrom `{PAGES}`.\n\n"));
    push_table(&mut text, &["methods", "path"], &pages(tree));
    Page { path: "docs/reference/routes.md", text }
}

fn endpoints(tree: &Tree) -> Vec<Vec<String>> {
    let Some(file) = tree.rust_file(INGEST) else { return Vec::new() };
    let open = file.code.find("ENDPOINTS: ").and_then(|at| Some(at + file.code[at..].find("= &[")? + 3));
    let Some(range) = open.and_then(|open| inside(&file.code, open)) else { return Vec::new() };
    literals(file, range).chunks_exact(2).map(|pair| vec![pair[0].clone(), code(&pair[1])]).collect()
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
        rows.push(vec![method.to_owned(), code(path), scope_of(&file.code, scope.trim()), words_of(handler)]);
    }
    rows
}

/// Follows `const READ: Option<Scope> = Some(Scope::EventRead);` to `event:read`; "any" where no scope is needed.
fn scope_of(code_text: &str, name: &str) -> String {
    let definition = code_text.split(&format!("const {name}: ")).nth(1).and_then(|rest| rest.split(';').next());
    let variant = definition.and_then(|text| text.split("Scope::").nth(1)).unwrap_or_default();
    let variant = variant.trim_end_matches(')');
    let split = variant.rfind(|c: char| c.is_ascii_uppercase()).unwrap_or_default();
    let (object, action) = variant.split_at(split);
    if object.is_empty() { "any".to_owned() } else { code(&format!("{object}:{action}").to_lowercase()) }
}

/// `issues::list_of_project` is "issues: list of project".
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
        let api = "const READ: Option<Scope> = Some(Scope::EventRead);\nstatic R: &[I] = &[\n    route!(GET    \"/issues/{issue}/\" READ, issues::get),\n];\n";
        let pages = "fn r() { Router::new().route(\"/projects/new/\", get(a::b).post(a::c)) }\n";
        let ingest = "pub const ENDPOINTS: &[(&str, &str)] = &[(\"POST\", \"/api/{id}/store/\")];\n";
        let text = page(&Tree::of(&[(API, api), (PAGES, pages), (INGEST, ingest)])).text;
        assert!(text.contains("| POST | `/api/{id}/store/` |"), "{text}");
        assert!(text.contains("| GET | `/issues/{issue}/` | `event:read` | issues: get |"), "{text}");
        assert!(text.contains("| GET, POST | `/projects/new/` |"), "{text}");
    }
}
