//! What a page's content security policy blocked, or would have blocked.

use super::{Composed, SecurityError, take_number, take_text};
use crate::addresses;
use serde_json::{Map, Value};

/// What a report without an address is about: the page itself.
const SELF: &str = "self";
/// Sources that are no address.
const KEYWORDS: &[&str] = &["'none'", "'self'", "'unsafe-inline'", "'unsafe-eval'"];
/// Sources with a scheme of their own.
const SCHEMES: &[&str] = &["data:", "mediastream:", "blob:", "filesystem:", "http:", "https:", "file:"];
/// Its queries are known to hold secrets, and a tag is not scrubbed.
const STRIPE: &str = "https://api.stripe.com/";

const DIRECTIVES: &[&str] = &[
    "base-uri",
    "block-all-mixed-content",
    "child-src",
    "connect-src",
    "default-src",
    "fenced-frame-src",
    "font-src",
    "form-action",
    "frame-ancestors",
    "frame-src",
    "img-src",
    "manifest-src",
    "media-src",
    "navigate-to",
    "object-src",
    "plugin-types",
    "prefetch-src",
    "referrer",
    "report-to",
    "report-uri",
    "require-sri-for",
    "require-trusted-types-for",
    "sandbox",
    "script-src",
    "script-src-attr",
    "script-src-elem",
    "style-src",
    "style-src-attr",
    "style-src-elem",
    "trusted-types",
    "upgrade-insecure-requests",
    "worker-src",
];

/// A field of a report by its names.
struct Field {
    classic: &'static str,
    reporting_api: &'static str,
    /// In the event.
    kept_as: &'static str,
}

const TEXTS: &[Field] = &[
    Field { classic: "document-uri", reporting_api: "documentURL", kept_as: "document_uri" },
    Field { classic: "original-policy", reporting_api: "originalPolicy", kept_as: "original_policy" },
    Field { classic: "referrer", reporting_api: "referrer", kept_as: "referrer" },
    Field { classic: "violated-directive", reporting_api: "violatedDirective", kept_as: "violated_directive" },
    Field { classic: "source-file", reporting_api: "sourceFile", kept_as: "source_file" },
    Field { classic: "script-sample", reporting_api: "sample", kept_as: "script_sample" },
    Field { classic: "disposition", reporting_api: "disposition", kept_as: "disposition" },
];
const NUMBERS: &[Field] = &[
    Field { classic: "status-code", reporting_api: "statusCode", kept_as: "status_code" },
    Field { classic: "line-number", reporting_api: "lineNumber", kept_as: "line_number" },
    Field { classic: "column-number", reporting_api: "columnNumber", kept_as: "column_number" },
];

/// Reads `{"csp-report": …}`, of which this is the inner object.
pub(super) fn of_classic(mut report: Map<String, Value>) -> Result<Composed, SecurityError> {
    let effective = take_text(&mut report, "effective-directive");
    let blocked = take_text(&mut report, "blocked-uri");
    let fields = take_fields(&mut report, |field| field.classic);
    composed(effective, blocked, fields)
}

/// Reads one report of the Reporting API's list.
pub(super) fn of_reporting_api(mut report: Map<String, Value>) -> Result<Composed, SecurityError> {
    let Some(Value::Object(mut body)) = report.remove("body") else { return Err(SecurityError::NoReport) };
    let effective = take_text(&mut body, "effectiveDirective");
    let blocked = take_text(&mut body, "blockedURL");
    let mut fields = take_fields(&mut body, |field| field.reporting_api);
    if let Some(url) = take_text(&mut report, "url") {
        fields.entry("document_uri").or_insert(Value::from(url));
    }
    // This form knows one directive only.
    if let Some(directive) = &effective {
        fields.entry("violated_directive").or_insert(Value::from(directive.as_str()));
    }
    let mut composed = composed(effective, blocked, fields)?;
    composed.headers.extend(take_text(&mut report, "user_agent").map(|agent| ("User-Agent", agent)));
    Ok(composed)
}

/// Takes the fields that are kept out of a report, under the names they have in the event.
fn take_fields(report: &mut Map<String, Value>, name: fn(&Field) -> &'static str) -> Map<String, Value> {
    let mut fields = Map::new();
    for field in TEXTS {
        fields.extend(take_text(report, name(field)).map(|text| (field.kept_as.to_owned(), Value::from(text))));
    }
    for field in NUMBERS {
        fields.extend(take_number(report, name(field)).map(|number| (field.kept_as.to_owned(), Value::from(number))));
    }
    fields
}

fn composed(
    effective: Option<String>,
    blocked: Option<String>,
    mut fields: Map<String, Value>,
) -> Result<Composed, SecurityError> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let violated = text("violated_directive").to_owned();
    let document = text("document_uri").to_owned();
    let referrer = text("referrer").to_owned();
    // Firefox names no effective directive.
    let named = effective.as_deref().unwrap_or(&violated);
    let directive = named.split_ascii_whitespace().next().unwrap_or_default().to_owned();
    if !DIRECTIVES.contains(&directive.as_str()) {
        return Err(SecurityError::UnknownDirective);
    }
    let blocked = blocked.unwrap_or_else(|| SELF.to_owned());
    let message = message(&directive, &blocked, &violated);
    fields.insert("effective_directive".to_owned(), Value::from(directive.as_str()));
    fields.insert("blocked_uri".to_owned(), Value::from(blocked.as_str()));
    Ok(Composed {
        interface: "csp",
        report: fields,
        message,
        culprit: Some(culprit(&violated, &document)),
        tags: vec![("effective-directive", directive), ("blocked-uri", without_secrets(&blocked).to_owned())],
        url: Some(document).filter(|url| !url.is_empty()),
        headers: Some(("Referer", referrer)).filter(|(_, value)| !value.is_empty()).into_iter().collect(),
    })
}

/// Names what was blocked as Sentry does.
fn message(directive: &str, blocked: &str, violated: &str) -> String {
    let (what, is_named) = match directive {
        "child-src" => ("child", true),
        "connect-src" => ("connect", true),
        "font-src" => ("font", true),
        "img-src" => ("image", true),
        "manifest-src" => ("manifest", true),
        "media-src" => ("media", true),
        "object-src" => ("object", true),
        "script-src" | "script-src-elem" => ("script", true),
        "style-src" | "style-src-elem" => ("style", true),
        other => (other, false),
    };
    if !addresses::is_page_itself(blocked) {
        let from = addresses::origin(blocked);
        return match directive {
            "form-action" => format!("Blocked 'form' action to '{from}'"),
            "script-src-attr" => format!("Blocked inline script attribute from '{from}'"),
            "style-src-attr" => format!("Blocked style attribute from '{from}'"),
            _ => format!("Blocked '{what}' from '{from}'"),
        };
    }
    match directive {
        "script-src" if violated.contains("'unsafe-inline'") => "Blocked unsafe inline 'script'".to_owned(),
        "script-src" if violated.contains("'unsafe-eval'") => "Blocked unsafe eval() 'script'".to_owned(),
        "script-src" => "Blocked unsafe (eval() or inline) 'script'".to_owned(),
        "script-src-attr" => "Blocked unsafe 'script' element".to_owned(),
        "script-src-elem" => "Blocked inline script attribute".to_owned(),
        "style-src-elem" => "Blocked 'style' or 'link' element".to_owned(),
        "style-src-attr" => "Blocked style attribute".to_owned(),
        _ if is_named => format!("Blocked inline '{what}'"),
        _ => format!("Blocked inline '{directive}'"),
    }
}

/// The violated directive, its sources as the policy wrote them: Firefox spells `'self'` out.
fn culprit(violated: &str, document: &str) -> String {
    let page = addresses::origin(document);
    let scheme = document.split_once(':').map_or("", |(scheme, _)| scheme);
    let source = |source: &str| {
        let has_scheme = SCHEMES.iter().any(|scheme| source.starts_with(scheme));
        if KEYWORDS.contains(&source) {
            return source.to_owned();
        }
        let is_page = if has_scheme { addresses::origin(source) == page } else { source == page };
        match scheme {
            _ if is_page => "'self'".to_owned(),
            "http" | "https" | "" => source.to_owned(),
            _ if has_scheme => source.to_owned(),
            scheme => format!("{scheme}://{source}"),
        }
    };
    let mut words = violated.split_ascii_whitespace();
    let directive = words.next().unwrap_or_default().to_owned();
    words.fold(directive, |culprit, word| culprit + " " + &source(word))
}

fn without_secrets(blocked: &str) -> &str {
    match blocked.strip_prefix(STRIPE).and_then(|rest| rest.find(['?', '#'])) {
        Some(at) => &blocked[..STRIPE.len() + at],
        None => blocked,
    }
}
