//! What to copy into a program so that its errors arrive here: install, init, and a line that throws.
//!
//! The DSN is ours (a public address and a hexadecimal key), so it can stand in code; it is escaped like everything.

use askama::Template;

#[derive(Clone, Debug, Template)]
#[template(path = "components/snippets.html")]
pub struct Snippets {
    snippets: Vec<Snippet>,
}

impl askama::filters::HtmlSafe for Snippets {}

#[derive(Clone, Debug)]
struct Snippet {
    name: &'static str,
    is_open: bool,
    code: String,
}

/// The parts of a DSN that the `curl` snippet needs apart.
struct DsnParts {
    origin: String,
    key: String,
    project: String,
}

impl Snippets {
    pub fn of(dsn: &str, platform: Option<&str>) -> Snippets {
        let platform = platform.unwrap_or("python");
        let mut snippets = vec![
            Snippet { name: "Python", is_open: false, code: python(dsn) },
            Snippet { name: "Node.js", is_open: false, code: node(dsn) },
            Snippet { name: "Browser", is_open: false, code: browser(dsn) },
        ];
        if let Some(parts) = parts(dsn) {
            snippets.push(Snippet { name: "curl", is_open: false, code: curl(&parts, dsn) });
        }
        let wanted = match platform {
            platform if platform.starts_with("node") => "Node.js",
            platform if platform.starts_with("javascript") => "Browser",
            "other" => "curl",
            _ => "Python",
        };
        for snippet in &mut snippets {
            snippet.is_open = snippet.name == wanted;
        }
        Snippets { snippets }
    }
}

fn parts(dsn: &str) -> Option<DsnParts> {
    let (scheme, rest) = dsn.split_once("://")?;
    let (key, rest) = rest.split_once('@')?;
    let (host, project) = rest.rsplit_once('/')?;
    let key = key.split(':').next().unwrap_or(key);
    Some(DsnParts { origin: format!("{scheme}://{host}"), key: key.to_owned(), project: project.to_owned() })
}

fn python(dsn: &str) -> String {
    format!(
        r#"# pip install sentry-sdk
import sentry_sdk

sentry_sdk.init(
    dsn="{dsn}",
    environment="development",
    release="my-app@1.0.0",
)

1 / 0  # the first event
"#
    )
}

fn node(dsn: &str) -> String {
    format!(
        r#"// npm install @sentry/node
const Sentry = require("@sentry/node");

Sentry.init({{
  dsn: "{dsn}",
  environment: "development",
  release: "my-app@1.0.0",
}});

setTimeout(() => {{ throw new Error("the first event"); }}, 100);
"#
    )
}

fn browser(dsn: &str) -> String {
    format!(
        r#"// npm install @sentry/browser
import * as Sentry from "@sentry/browser";

Sentry.init({{
  dsn: "{dsn}",
  environment: "development",
  release: "my-app@1.0.0",
}});

setTimeout(() => {{ throw new Error("the first event"); }}, 100);
"#
    )
}

fn curl(parts: &DsnParts, dsn: &str) -> String {
    let DsnParts { origin, key, project } = parts;
    format!(
        r#"curl '{origin}/api/{project}/envelope/?sentry_key={key}' --data-binary @- <<'END'
{{"dsn":"{dsn}"}}
{{"type":"event"}}
{{"message":"the first event","level":"error","platform":"other","environment":"development"}}
END
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curl_line_goes_where_the_dsn_points() {
        let dsn = "https://0123456789abcdef0123456789abcdef@errors.example.com/sub/7";
        let code = curl(&parts(dsn).expect("a DSN has parts"), dsn);
        let address = "'https://errors.example.com/sub/api/7/envelope/?sentry_key=0123456789abcdef0123456789abcdef'";
        assert!(code.contains(address), "{code}");
    }
}
