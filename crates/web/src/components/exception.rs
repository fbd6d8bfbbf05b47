//! The exceptions of an event, newest first, with a sentence that says how each led to the one above.

use super::stacktrace::{FrameChoice, Stacktrace};
use crate::event_json::{boolean, field, text, values};
use askama::Template;
use serde_json::Value;

/// Exceptions of one event shown; chains are rarely longer than five.
const EXCEPTIONS_MAX: usize = 50;

#[derive(Clone, Debug, Template)]
#[template(path = "components/exception.html")]
pub struct Exception {
    /// How it led to the exception above; the first has none.
    pub connective: Option<&'static str>,
    pub kind: String,
    pub value: String,
    pub module: Option<String>,
    pub mechanism: Option<String>,
    pub is_handled: Option<bool>,
    pub stacktrace: Option<Stacktrace>,
}

impl askama::filters::HtmlSafe for Exception {}

impl Exception {
    /// Returns the exceptions of an interface `{"values": […]}`, the outermost first. SDKs send the innermost first.
    pub fn list(interface: &Value, choice: FrameChoice) -> Vec<Exception> {
        let newest_first = values(interface).iter().rev().filter(|value| value.is_object()).take(EXCEPTIONS_MAX);
        newest_first.enumerate().map(|(place, value)| Exception::of(value, place, choice)).collect()
    }

    fn of(value: &Value, place: usize, choice: FrameChoice) -> Exception {
        let mechanism = field(value, &["mechanism"]);
        Exception {
            connective: (place > 0).then(|| connective(mechanism)),
            kind: text(value, &["type"]).unwrap_or_else(|| "Error".to_owned()),
            value: text(value, &["value"]).unwrap_or_default(),
            module: text(value, &["module"]),
            mechanism: mechanism.and_then(|mechanism| text(mechanism, &["type"])),
            is_handled: mechanism.and_then(|mechanism| boolean(mechanism, &["handled"])),
            stacktrace: Stacktrace::of(value, choice),
        }
    }
}

/// Returns the sentence between an exception and the one above it, by what the SDK says of their relation
/// (<https://develop.sentry.dev/sdk/data-model/event-payloads/exception/>, "source" of the mechanism).
fn connective(mechanism: Option<&Value>) -> &'static str {
    let source = mechanism.and_then(|mechanism| text(mechanism, &["source"])).unwrap_or_default();
    match source.as_str() {
        "__cause__" => "The exception above was raised directly from this one:",
        "__context__" => "The exception above occurred while this one was being handled:",
        "cause" | "InnerException" => "The exception above was caused by this one:",
        "suppressed" => "This exception was suppressed in favour of the one above:",
        source if source.starts_with("exceptions[") || source.starts_with("errors[") => {
            "The group above contains this exception:"
        }
        _ => "The exception above followed from this one:",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_chain_reads_from_the_outermost_inwards() {
        let interface = json!({"values": [
            {"type": "KeyError", "mechanism": {"type": "chained", "source": "__cause__"}},
            {"type": "ValueError", "mechanism": {"type": "logging", "handled": false}},
            "not an exception",
        ]});
        let list = Exception::list(&interface, FrameChoice::App);
        let read: Vec<_> = list.iter().map(|e| (e.kind.as_str(), e.connective)).collect();
        let directly = "The exception above was raised directly from this one:";
        assert_eq!(read, [("ValueError", None), ("KeyError", Some(directly))]);
        assert_eq!(list[0].is_handled, Some(false));
    }
}
