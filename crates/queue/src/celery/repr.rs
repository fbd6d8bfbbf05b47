//! Values as Python shows them: monitors print `argsrepr` and `kwargsrepr` and nothing reads them back.

use serde_json::{Map, Value};
use std::fmt::Write;

/// Characters after which Celery's own clients cut.
const REPR_CHARS_MAX: usize = 1_024;

pub(crate) fn of_args(args: &[Value]) -> String {
    let mut text = String::from("(");
    list(&mut text, args);
    if args.len() == 1 {
        text.push(',');
    }
    text.push(')');
    cut(text)
}

pub(crate) fn of_kwargs(kwargs: &Map<String, Value>) -> String {
    let mut text = String::new();
    object(&mut text, kwargs);
    cut(text)
}

pub(crate) fn of_value(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value);
    cut(text)
}

fn write(text: &mut String, value: &Value) {
    // Once it is long enough the rest is cut anyway.
    if text.len() > REPR_CHARS_MAX * 4 {
        return;
    }
    match value {
        Value::Null => text.push_str("None"),
        Value::Bool(true) => text.push_str("True"),
        Value::Bool(false) => text.push_str("False"),
        Value::Number(number) => write!(text, "{number}").expect("a string takes everything"),
        Value::String(string) => quoted(text, string),
        Value::Array(values) => {
            text.push('[');
            list(text, values);
            text.push(']');
        }
        Value::Object(fields) => object(text, fields),
    }
}

fn list(text: &mut String, values: &[Value]) {
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        write(text, value);
    }
}

fn object(text: &mut String, fields: &Map<String, Value>) {
    text.push('{');
    for (index, (name, value)) in fields.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        quoted(text, name);
        text.push_str(": ");
        write(text, value);
    }
    text.push('}');
}

fn quoted(text: &mut String, string: &str) {
    let quote = if string.contains('\'') && !string.contains('"') { '"' } else { '\'' };
    text.push(quote);
    for character in string.chars().take(REPR_CHARS_MAX) {
        match character {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\\' => text.push_str("\\\\"),
            _ if character == quote => text.extend(['\\', quote]),
            _ => text.push(character),
        }
    }
    text.push(quote);
}

fn cut(text: String) -> String {
    match text.char_indices().nth(REPR_CHARS_MAX) {
        None => text,
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn values_look_as_in_python() {
        let call = crate::call::Call::parse(br#"[[1,"it's",null,true,[1.5]],{"a":{"b":"c"}},null]"#).expect("a call");
        assert_eq!(super::of_args(&call.args), r#"(1, "it's", None, True, [1.5])"#);
        assert_eq!(super::of_args(&call.args[..1]), "(1,)");
        assert_eq!(super::of_kwargs(&call.kwargs), "{'a': {'b': 'c'}}");
        let long = [serde_json::Value::from("é".repeat(5_000))];
        assert_eq!(super::of_args(&long).chars().count(), 1_027);
    }
}
