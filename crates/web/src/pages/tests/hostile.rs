//! Whatever an event holds in whatever field, it arrives on a page as text.

use super::fixtures;
use super::templates::every_page;

const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(2)>",
    "'><svg/onload=alert(3)>",
    "javascript:alert(4)",
    "</title></textarea></pre><iframe src=//evil.example>",
    "{{ 7*7 }}{% raw %}<u>",
];

#[test]
fn nothing_of_an_event_is_ever_markup() {
    for hostile in HOSTILE {
        for (template, page) in every_page(hostile) {
            for open in ["<script>", "<img", "<svg/", "<iframe", "<u>", "onerror=alert(2)>", "</textarea></pre>"] {
                assert!(!page.contains(open), "{template}: {open} of {hostile}");
            }
            check_tags(template, &page, hostile);
        }
    }
}

/// Every tag of the page is ours: no attribute holds a script, an event handler or an address of another scheme.
fn check_tags(template: &str, page: &str, hostile: &str) {
    for tag in page.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        let names = attributes(tag);
        for (name, value) in names {
            assert!(!name.starts_with("on"), "{template}: attribute {name} of {hostile}");
            assert!(name != "style", "{template}: inline style");
            if matches!(name.as_str(), "href" | "src" | "action") {
                assert!(value.starts_with('/') || value.starts_with('#'), "{template}: {name}={value} of {hostile}");
                assert!(!value.starts_with("//"), "{template}: {name}={value} of {hostile}");
            }
        }
    }
}

/// Returns the attributes of a tag; values are in double quotes, as all our templates write them.
fn attributes(tag: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once("=\"") {
        let name = before.split_ascii_whitespace().last().unwrap_or_default().to_owned();
        let Some((value, further)) = after.split_once('"') else { break };
        found.push((name, value.to_owned()));
        rest = further;
    }
    found
}

#[test]
fn nothing_but_our_own_parts_is_written_unescaped() {
    for (name, template) in super::templates::sources() {
        assert!(!template.contains("|safe") && !template.contains("| safe"), "{name} writes something unescaped");
        assert!(!template.contains("<script>") && !template.contains("style=\""), "{name} has something inline");
    }
}

#[test]
fn an_event_of_wrong_types_is_still_shown() {
    let mut facts = fixtures::issue_facts("odd");
    let Some(event) = facts.event.as_mut() else { return };
    for odd in [serde_json::json!(null), serde_json::json!([[], {}, 3]), serde_json::json!("x"), serde_json::json!(7)] {
        for entry in &mut event.event.entries {
            entry.data = serde_json::json!({ "values": odd.clone(), "frames": odd.clone(), "headers": odd.clone() });
        }
        event.event.contexts = odd.clone();
        event.event.extra = odd.clone();
        event.event.sdk = odd.clone();
        event.event.errors = vec![odd.clone()];
        event.event.summary.user = odd;
        let extras = crate::components::event_sections::EventExtras {
            attachments: Vec::new(),
            receipt: None,
            grouping: None,
            choice: Default::default(),
            url: "/issues/1/events/2/".to_owned(),
        };
        let sections = crate::components::event_sections::EventSections::of(&event.event, extras);
        assert!(askama::Template::render(&sections).is_ok());
    }
}
