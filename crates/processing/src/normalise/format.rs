//! Fills message templates: Python's `%s`, `%(name)s` and `{}`, `{0}`, `{name}`.

use protocol::json::{Number, Value, to_sorted_text};
use std::borrow::Cow;

/// The longest text that is made; longer ones are cut later anyway, and `%s` can repeat a long parameter.
const FORMATTED_BYTES_MAX: usize = 64 * 1024;
/// Widths and precisions beyond this are no honest log message.
const PRECISION_MAX: usize = 32;

/// Returns the template with its placeholders replaced, or `None` if one of them has no parameter or there are none.
pub(super) fn fill(template: &str, params: &Value<'_>) -> Option<String> {
    let filler = Filler { params, next: 0, out: String::with_capacity(template.len() * 2), filled: 0 };
    if has_percent_placeholder(template) { filler.percent(template) } else { filler.curly(template) }
}

fn has_percent_placeholder(template: &str) -> bool {
    let mut rest = template;
    while let Some((_, after)) = rest.split_once('%') {
        match Placeholder::read(after) {
            Some((placeholder, _)) if placeholder.conversion != '%' => return true,
            Some((_, rest_after)) => rest = rest_after,
            None => rest = after,
        }
    }
    false
}

struct Filler<'p> {
    params: &'p Value<'p>,
    next: usize,
    out: String,
    filled: usize,
}

/// What follows a percent sign.
struct Placeholder<'t> {
    name: Option<&'t str>,
    precision: Option<usize>,
    conversion: char,
}

impl<'t> Placeholder<'t> {
    /// Reads a placeholder. Returns it with the text after it.
    fn read(text: &'t str) -> Option<(Self, &'t str)> {
        let (name, text) = match text.strip_prefix('(') {
            Some(named) => named.split_once(')').map(|(name, rest)| (Some(name), rest))?,
            None => (None, text),
        };
        let text = text.trim_start_matches(['-', '+', '#', '0']).trim_start_matches(|c: char| c.is_ascii_digit());
        let (precision, text) = match text.strip_prefix('.') {
            Some(after) => {
                let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
                (after[..after.len() - rest.len()].parse().ok(), rest)
            }
            None => (None, text),
        };
        let text = text.trim_start_matches(['l', 'h', 'L']);
        let conversion = text.chars().next().filter(|c| "sdifgeuxXrac%o@p".contains(*c))?;
        let precision = precision.map(|precision: usize| precision.min(PRECISION_MAX));
        Some((Placeholder { name, precision, conversion }, &text[conversion.len_utf8()..]))
    }
}

impl<'p> Filler<'p> {
    fn percent(mut self, template: &str) -> Option<String> {
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('%') {
            self.push(before)?;
            rest = after;
            match Placeholder::read(after) {
                Some((Placeholder { name: None, conversion: '%', .. }, after)) => {
                    self.push("%")?;
                    rest = after;
                }
                Some((placeholder, after)) => {
                    let value = self.param(placeholder.name)?;
                    self.push(&shown(value, &placeholder))?;
                    rest = after;
                }
                None => self.push("%")?,
            }
        }
        self.push(rest)?;
        Some(self.out)
    }

    fn curly(mut self, template: &str) -> Option<String> {
        let mut rest = template;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, found) = rest.split_at(at);
            self.push(before)?;
            if let Some(after) = found.strip_prefix("{{").or_else(|| found.strip_prefix("}}")) {
                self.push(&found[..1])?;
                rest = after;
                continue;
            }
            let after = found.strip_prefix('{')?;
            let (inside, after) = after.split_once('}')?;
            let name = inside.split([':', '!']).next().filter(|name| !name.is_empty());
            let value = self.param(name)?;
            self.push(&plain(value))?;
            rest = after;
        }
        self.push(rest)?;
        (self.filled > 0).then_some(self.out)
    }

    fn push(&mut self, text: &str) -> Option<()> {
        if self.out.len() + text.len() > FORMATTED_BYTES_MAX {
            return None;
        }
        self.out.push_str(text);
        Some(())
    }

    /// Returns the parameter of that name or number, or the next one.
    fn param(&mut self, name: Option<&str>) -> Option<&'p Value<'p>> {
        let found = match (self.params, name) {
            (Value::Array(values), None) => {
                self.next += 1;
                values.get(self.next - 1)
            }
            (Value::Array(values), Some(name)) => values.get(name.parse::<usize>().ok()?),
            (Value::Object(object), Some(name)) => object.get(name),
            _ => None,
        };
        self.filled += usize::from(found.is_some());
        found
    }
}

fn shown<'v>(value: &'v Value<'_>, placeholder: &Placeholder<'_>) -> Cow<'v, str> {
    match (value, placeholder.conversion, placeholder.precision) {
        (Value::Number(number), 'f' | 'e' | 'g', precision) => {
            Cow::Owned(format!("{:.*}", precision.unwrap_or(6), number.as_f64()))
        }
        (Value::Number(Number::Unsigned(number)), 'x', _) => Cow::Owned(format!("{number:x}")),
        (Value::Number(Number::Float(number)), 'd' | 'i', _) => Cow::Owned(format!("{}", number.trunc())),
        (value, _, _) => plain(value),
    }
}

fn plain<'v>(value: &'v Value<'_>) -> Cow<'v, str> {
    match value {
        Value::Str(text) => Cow::Borrowed(text.as_str()),
        other => Cow::Owned(to_sorted_text(other.clone())),
    }
}
