//! Reports about a host, of checks that browsers have given up: pinned keys, certificate transparency, certificate staples.

use super::{Composed, SecurityError, take_number, take_text};
use serde_json::{Map, Value};

/// A kind of report: the key its object stands under, if under one, and how it is called.
struct Kind {
    interface: &'static str,
    wrapper: Option<&'static str>,
    failed: &'static str,
}

const KINDS: &[Kind] = &[
    Kind { interface: "expectct", wrapper: Some("expect-ct-report"), failed: "Expect-CT failed" },
    Kind { interface: "expectstaple", wrapper: Some("expect-staple-report"), failed: "Expect-Staple failed" },
    Kind { interface: "hpkp", wrapper: None, failed: "Public key pinning validation failed" },
];
/// What tells a report of pinned keys, which stands under no name.
const PINS: &str = "known-pins";
const PORT_OF_HTTPS: u64 = 443;

pub(super) fn of(mut report: Map<String, Value>) -> Result<Composed, SecurityError> {
    for kind in KINDS {
        let inner = match kind.wrapper {
            Some(wrapper) => report.remove(wrapper),
            None if report.contains_key(PINS) => Some(Value::Object(std::mem::take(&mut report))),
            None => None,
        };
        if let Some(Value::Object(inner)) = inner {
            return composed(kind, inner);
        }
    }
    Err(SecurityError::NoReport)
}

fn composed(kind: &Kind, report: Map<String, Value>) -> Result<Composed, SecurityError> {
    let mut fields: Map<String, Value> =
        report.into_iter().map(|(name, value)| (name.replace('-', "_"), value)).collect();
    let host = take_text(&mut fields, "hostname").ok_or(SecurityError::NoHost)?;
    let port = take_number(&mut fields, "port");
    let covers_subdomains = fields.get("include_subdomains").and_then(Value::as_bool);
    fields.insert("hostname".to_owned(), Value::from(host.as_str()));
    fields.extend(port.map(|port| ("port".to_owned(), Value::from(port))));
    let at = port.filter(|port| *port != PORT_OF_HTTPS).map(|port| format!(":{port}")).unwrap_or_default();
    let mut tags = vec![("hostname", host.clone())];
    tags.extend(port.map(|port| ("port", port.to_string())));
    tags.extend(covers_subdomains.map(|covers| ("include-subdomains", covers.to_string())));
    Ok(Composed {
        interface: kind.interface,
        report: fields,
        message: format!("{} for '{host}'", kind.failed),
        culprit: None,
        tags,
        url: Some(format!("https://{host}{at}/")),
        headers: Vec::new(),
    })
}
