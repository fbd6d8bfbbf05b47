//! The message of an event that is more than its title: the formatted text, and the template it came from.

use crate::event_json::{field, shown, text};
use askama::Template;
use serde_json::Value;

#[derive(Clone, Debug, Template)]
#[template(path = "components/message.html")]
pub struct Message {
    formatted: String,
    template: Option<String>,
    params: Option<String>,
}

impl askama::filters::HtmlSafe for Message {}

impl Message {
    /// Returns the message, or `None` if the interface holds no text.
    pub fn of(interface: &Value) -> Option<Message> {
        if let Value::String(text) = interface {
            return (!text.is_empty()).then(|| Message { formatted: text.clone(), template: None, params: None });
        }
        let template = text(interface, &["message"]);
        let formatted = text(interface, &["formatted"]).or_else(|| template.clone())?;
        Some(Message {
            template: template.filter(|template| *template != formatted),
            params: field(interface, &["params"]).map(shown),
            formatted,
        })
    }
}
