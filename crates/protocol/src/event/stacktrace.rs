//! Stack traces and their frames, oldest call first.

use super::interface::interface;
use super::reader::{self, Field, Reader};
use crate::json::{Object, Str, Value};

interface! {
    /// A stack trace; the last frame is where it happened.
    pub struct Stacktrace<'a> {
        frames: Vec<Frame<'a>> = "frames",
        registers: Object<'a> = "registers",
        lang: Str<'a> = "lang",
        snapshot: bool = "snapshot",
        instruction_addr_adjustment: Str<'a> = "instruction_addr_adjustment",
    }
}

interface! {
    /// One frame of a stack.
    pub struct Frame<'a> {
        function: Str<'a> = "function",
        raw_function: Str<'a> = "raw_function",
        symbol: Str<'a> = "symbol",
        module: Str<'a> = "module",
        package: Str<'a> = "package",
        filename: Str<'a> = "filename",
        abs_path: Str<'a> = "abs_path",
        lineno: u64 = "lineno",
        colno: u64 = "colno",
        platform: Str<'a> = "platform",
        pre_context: Vec<Str<'a>> = "pre_context" via context_lines,
        context_line: Str<'a> = "context_line",
        post_context: Vec<Str<'a>> = "post_context" via context_lines,
        in_app: bool = "in_app",
        vars: Object<'a> = "vars" via vars,
        data: Object<'a> = "data",
        image_addr: Str<'a> = "image_addr" via address,
        instruction_addr: Str<'a> = "instruction_addr" via address,
        symbol_addr: Str<'a> = "symbol_addr" via address,
        function_id: Str<'a> = "function_id" via address,
        addr_mode: Str<'a> = "addr_mode",
        trust: Str<'a> = "trust",
        lang: Str<'a> = "lang",
        stack_start: bool = "stack_start",
        lock: Object<'a> = "lock",
        source_link: Str<'a> = "source_link",
    }
}

impl<'a> Field<'a> for Vec<Frame<'a>> {
    fn read(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        reader::list(value, reader)
    }

    fn into_value(self) -> Value<'a> {
        Value::Array(self.into_iter().map(Field::into_value).collect())
    }
}

/// Lines around the frame's own. A null line is an empty one, so that line numbers stay right.
fn context_lines<'a>(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Vec<Str<'a>>> {
    let Value::Array(lines) = value else {
        return reader.wrong(value);
    };
    let mut read = Vec::with_capacity(lines.len());
    for (index, line) in lines.into_iter().enumerate() {
        read.push(reader.element(index, line, Str::read).unwrap_or_default());
    }
    Some(read)
}

/// Variables; a list becomes an object keyed by index.
fn vars<'a>(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Object<'a>> {
    match value {
        Value::Array(values) => {
            let numbered = values.into_iter().enumerate();
            Some(Object(numbered.map(|(index, value)| (Str::from(index.to_string()), value)).collect()))
        }
        value => Object::read(value, reader),
    }
}

/// An address: a number, or hexadecimal or decimal text, as lower-case `0x…`.
fn address<'a>(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Str<'a>> {
    let number = match &value {
        Value::Str(text) => match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        },
        value => value.as_u64(),
    };
    match (number, value) {
        (Some(number), Value::Str(text)) if is_canonical(&text, number) => Some(text),
        (Some(number), _) => Some(Str::from(format!("{number:#x}"))),
        (None, wrong) => reader.wrong(wrong),
    }
}

/// Whether the text is what we would write, so that it can be kept without a copy.
fn is_canonical(text: &str, number: u64) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or_default();
    let plain = !digits.is_empty() && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    plain && (number == 0 || !digits.starts_with('0')) && (number != 0 || digits == "0")
}
