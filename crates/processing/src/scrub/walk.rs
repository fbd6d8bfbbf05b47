//! The default rules, carried through an event by what each field is.

use super::path::Path;
use super::patterns::{Shape, digits_at_least};
use super::places::{self, Place};
use super::redaction::{Changes, FILTERED, Method, Part};
use super::safe::SafeFields;
use super::words::{Seen, Verdict, Words};
use super::{SENSITIVE_RULE, forms};
use protocol::json::{self, Number, Object, Str, Value};

const IP_RULE: &str = "@ip:remove";
const IP_TEXT_RULE: &str = "@ip:replace";
const ORIGINAL_RULE: &str = "@original:remove";
const TOKEN_RULE: &str = "@token:filter";

/// What is looked for.
pub(super) struct Defaults {
    pub words: Words,
    pub safe: SafeFields,
    /// Sentry's default rules, not only the project's own fields.
    pub has_defaults: bool,
    pub has_words: bool,
    pub removes_ip: bool,
}

/// One walk through one event.
pub(super) struct Walk<'s> {
    pub defaults: &'s Defaults,
    pub changes: Changes,
}

impl Walk<'_> {
    pub fn event(&mut self, event: &mut Object<'_>) {
        for (key, value) in &mut event.0 {
            let place = places::of_event(key);
            let path = Path::Root;
            self.place(place, &path.key(places::canonical(key)), key, value);
        }
    }

    fn place(&mut self, place: Place, path: &Path<'_>, key: &str, value: &mut Value<'_>) {
        match (place, value) {
            (Place::Kept, _) | (_, Value::Null | Value::Bool(_)) => {}
            (Place::Free, value) => self.free(path, Some(key), value),
            (Place::Message, Value::Str(text)) => self.message(path, text),
            (Place::Entry, Value::Str(text)) => self.message(&path.key("formatted"), text),
            (Place::Entry, Value::Object(object)) => self.fields(places::of_entry, path, object),
            (Place::Prose, Value::Str(text)) => self.addresses(path, text),
            (Place::Operation, Value::Str(text)) => self.shapes(path, text),
            (Place::Meta, value) => self.originals(&Path::Root, value),
            (Place::Address, value) => self.address(path, value),
            (Place::Url, Value::Str(text)) => self.url(path, text),
            (Place::Query, Value::Str(text)) => forms::query(self, path, text),
            (Place::Cookies, value) => self.cookies(path, value),
            (Place::Headers, value) => self.headers(path, value),
            (Place::Body, Value::Str(text)) => self.body(path, key, text),
            (Place::Tags, value) => self.tags(path, value),
            (Place::Fields(of), Value::Object(object)) => self.fields(of, path, object),
            (Place::List(of), Value::Array(values)) => self.list(of, path, values),
            (Place::Values(of), value) => self.values(of, path, value),
            // Of a shape the field does not take: what it holds is kept as it came, so it is looked through.
            (_, value) => self.free(path, Some(key), value),
        }
    }

    fn fields(&mut self, of: fn(&str) -> Place, path: &Path<'_>, object: &mut Object<'_>) {
        for (key, value) in &mut object.0 {
            self.place(of(key), &path.key(key), key, value);
        }
    }

    fn list(&mut self, of: fn(&str) -> Place, path: &Path<'_>, values: &mut [Value<'_>]) {
        for (index, value) in values.iter_mut().enumerate() {
            self.place(Place::Fields(of), &path.index(index), "", value);
        }
    }

    /// Paths are those of the normalised event, whichever of its forms the list has.
    fn values(&mut self, of: fn(&str) -> Place, path: &Path<'_>, value: &mut Value<'_>) {
        let wrapped = path.key("values");
        match value {
            Value::Array(values) => self.list(of, &wrapped, values),
            Value::Object(object) if object.get("values").is_some() => {
                for (key, value) in &mut object.0 {
                    match (key.as_str(), value) {
                        ("values", Value::Array(values)) => self.list(of, &wrapped, values),
                        (_, value) => self.free(&path.key(key), Some(key), value),
                    }
                }
            }
            Value::Object(object) => self.fields(of, &wrapped.index(0), object),
            other => self.free(path, None, other),
        }
    }

    /// Data of any shape.
    pub fn free(&mut self, path: &Path<'_>, key: Option<&str>, value: &mut Value<'_>) {
        if matches!(value, Value::Null | Value::Bool(_)) {
            return;
        }
        let is_safe = key.is_some_and(|key| self.defaults.safe.holds(path, key));
        if !is_safe && let Some(rule) = key.and_then(|key| self.name_rule(key)) {
            self.changes.filter(path, rule, value);
            return;
        }
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Str(_) if is_safe => {}
            Value::Str(text) => match key {
                Some(key) if is_cookie_name(key) => self.cookie_text(path, text),
                Some(_) | None => self.text(path, text),
            },
            Value::Number(number) => {
                if !is_safe && self.defaults.has_defaults && is_card(*number) {
                    self.changes.remove(path, "@creditcard:filter", value);
                }
            }
            Value::Array(_) if !is_safe && key.is_some_and(is_cookie_name) => self.cookies(path, value),
            Value::Array(values) => self.elements(path, values),
            Value::Object(object) => {
                for (key, value) in &mut object.0 {
                    self.free(&path.key(key), Some(key), value);
                }
            }
        }
    }

    /// A list whose elements are pairs of a name and a value is read as an object.
    fn elements(&mut self, path: &Path<'_>, values: &mut [Value<'_>]) {
        for (index, value) in values.iter_mut().enumerate() {
            let here = path.index(index);
            match value {
                Value::Array(pair) => match pair.as_mut_slice() {
                    [Value::Str(name), value] => self.free(&here.index(1), Some(name), value),
                    pair => self.elements(&here, pair),
                },
                other => self.free(&here, None, other),
            }
        }
    }

    pub fn name_rule(&self, name: &str) -> Option<&'static str> {
        if self.defaults.has_words { self.defaults.words.of_name(name) } else { None }
    }

    /// A text of data: the whole of it goes, or what has a known shape.
    pub fn text(&mut self, path: &Path<'_>, text: &mut Str<'_>) {
        if text.is_empty() || text.as_str() == FILTERED {
            return;
        }
        if self.defaults.has_words {
            match self.defaults.words.of_text(text) {
                Verdict::Whole(rule) => return self.changes.filter_text(path, rule, text),
                Verdict::Parts(seen) if self.defaults.has_defaults => self.parts(path, text, seen),
                Verdict::Parts(_) => {}
            }
        }
        self.addresses(path, text);
    }

    /// The name of a file: a word in it (`auth.log`) tells no secret, one that is given a value does.
    pub fn file_name(&mut self, path: &Path<'_>, text: &mut Str<'_>) {
        let gives_value = |(at, sign): (usize, char)| match sign {
            '=' => true,
            // `C:\` and `https://` give none.
            ':' => !text[at + 1..].starts_with(['\\', '/']),
            _ => false,
        };
        let is_named = self.defaults.has_words && self.defaults.words.sensitive_name(text);
        if is_named || text.char_indices().any(gives_value) {
            return self.text(path, text);
        }
        self.shapes(path, text);
    }

    /// What has the look of a secret, whatever words stand around it.
    fn shapes(&mut self, path: &Path<'_>, text: &mut Str<'_>) {
        if self.defaults.has_defaults {
            self.parts(path, text, Seen::EVERYTHING);
        }
        self.addresses(path, text);
    }

    /// Takes what fields were before the client changed them: it had a reason to.
    fn originals(&mut self, path: &Path<'_>, value: &mut Value<'_>) {
        let Value::Object(fields) = value else {
            return;
        };
        for (key, value) in &mut fields.0 {
            match value {
                Value::Object(leaf) if key.is_empty() && self.defaults.has_words => {
                    for (_, original) in leaf.0.iter_mut().filter(|(name, _)| name.as_str() == "val") {
                        self.changes.remove(path, ORIGINAL_RULE, original);
                    }
                }
                value => self.originals(&path.key(key), value),
            }
        }
    }

    fn parts(&mut self, path: &Path<'_>, text: &mut Str<'_>, seen: Seen) {
        if seen.token_start {
            let ranges = self.defaults.words.tokens(text);
            let parts = ranges.into_iter().map(|range| (range, Part::substituted(FILTERED)));
            self.changes.replace_parts(path, TOKEN_RULE, text, parts);
        }
        if seen.bearer {
            self.shape(path, text, Shape::Bearer, "@bearer:filter", FILTERED);
        }
        if seen.key_begins {
            self.shape(path, text, Shape::PemKey, "@pemkey:filter", FILTERED);
        }
        if seen.authority {
            self.shape(path, text, Shape::UrlAuth, "@urlauth:legacy", FILTERED);
        }
        if digits_at_least(text, 9) {
            self.shape(path, text, Shape::CreditCard, "@creditcard:filter", FILTERED);
            self.shape(path, text, Shape::Iban, "@iban:filter", FILTERED);
            self.shape(path, text, Shape::UsSsn, "@usssn:filter", FILTERED);
        }
    }

    /// Replaces what has a shape.
    fn shape(&mut self, path: &Path<'_>, text: &mut Str<'_>, shape: Shape, rule: &str, with: &str) {
        if !shape.may_be_in(text) {
            return;
        }
        let found = shape.pattern().captures_iter(text).filter_map(|found| found.name("x").or(found.get(0)));
        let parts: Vec<_> = found.map(|found| (found.range(), Part::substituted(with))).collect();
        if !parts.is_empty() {
            self.changes.replace_parts(path, rule, text, parts);
        }
    }

    /// A message for people: names in it say nothing, so only what cannot be meant is replaced, and by what it was.
    fn message(&mut self, path: &Path<'_>, text: &mut Str<'_>) {
        if self.defaults.has_defaults {
            for (shape, rule) in [(Shape::Email, "@email:replace"), (Shape::Bearer, "@bearer:replace")] {
                self.shape(path, text, shape, rule, shape.placeholder());
            }
            if digits_at_least(text, 9) {
                let shapes = [
                    (Shape::CreditCard, "@creditcard:replace"),
                    (Shape::Iban, "@iban:replace"),
                    (Shape::UsSsn, "@usssn:replace"),
                ];
                for (shape, rule) in shapes {
                    self.shape(path, text, shape, rule, shape.placeholder());
                }
            }
        }
        self.addresses(path, text);
    }

    fn addresses(&mut self, path: &Path<'_>, text: &mut Str<'_>) {
        if self.defaults.removes_ip {
            self.shape(path, text, Shape::Ip, IP_TEXT_RULE, Shape::Ip.placeholder());
        }
    }

    /// `{{auto}}` goes as well: it asks for the address that shall not be kept.
    fn address(&mut self, path: &Path<'_>, value: &mut Value<'_>) {
        if self.defaults.removes_ip {
            self.changes.remove(path, IP_RULE, value);
        }
    }

    /// The address itself stays but for a password in it; its query and fragment are data.
    pub fn url(&mut self, path: &Path<'_>, text: &mut Str<'_>) {
        if self.defaults.has_defaults {
            self.shape(path, text, Shape::UrlAuth, "@urlauth:legacy", FILTERED);
        }
        forms::url(self, path, text);
    }

    fn body(&mut self, path: &Path<'_>, key: &str, text: &mut Str<'_>) {
        if text.trim_start().starts_with(['{', '['])
            && let Ok(mut data) = json::parse(text.as_bytes())
        {
            let before = self.changes.count;
            self.free(path, Some(key), &mut data);
            if self.changes.count > before {
                *text = Str::from(json::to_text(&data));
            }
        } else if forms::is_form(text) {
            forms::query(self, path, text);
        } else {
            self.text(path, text);
        }
    }

    fn headers(&mut self, path: &Path<'_>, value: &mut Value<'_>) {
        self.pairs(path, value, |walk, path, name, value| {
            if name.eq_ignore_ascii_case("user-agent") {
                return;
            }
            match value {
                value if is_cookie_name(name) => walk.cookies(path, value),
                value => walk.free(path, Some(name), value),
            }
        });
    }

    /// Cookies in any form: a text, names and values, or a list of either.
    fn cookies(&mut self, path: &Path<'_>, value: &mut Value<'_>) {
        match value {
            Value::Str(text) => self.cookie_text(path, text),
            Value::Array(list) => {
                for (index, element) in list.iter_mut().enumerate() {
                    let here = path.index(index);
                    match element {
                        Value::Array(pair) => match pair.as_mut_slice() {
                            [Value::Str(name), value] if !name.contains('=') => {
                                self.cookie(&here.index(1), name, value);
                            }
                            _ => self.cookies(&here, element),
                        },
                        element => self.cookies(&here, element),
                    }
                }
            }
            other => self.pairs(path, other, Self::cookie),
        }
    }

    fn cookie(&mut self, path: &Path<'_>, name: &str, value: &mut Value<'_>) {
        match self.cookie_rule(path, name) {
            Some(rule) => self.changes.filter(path, rule, value),
            None => self.free(path, Some(name), value),
        }
    }

    fn cookie_text(&mut self, path: &Path<'_>, text: &mut Str<'_>) {
        forms::cookies(self, path, text);
    }

    pub fn cookie_rule(&self, path: &Path<'_>, name: &str) -> Option<&'static str> {
        if !self.defaults.has_words || self.defaults.safe.holds(path, name) {
            return None;
        }
        self.defaults.words.of_cookie(name)
    }

    /// Tags are searched by: only what the project itself names sensitive, and addresses, are taken from them.
    fn tags(&mut self, path: &Path<'_>, value: &mut Value<'_>) {
        self.pairs(path, value, |walk, path, name, value| {
            let is_named = walk.defaults.has_words && walk.defaults.words.sensitive_name(name);
            if is_named && !walk.defaults.safe.holds(path, name) {
                walk.changes.filter(path, SENSITIVE_RULE, value);
            } else if let Value::Str(text) = value {
                walk.addresses(path, text);
            }
        });
    }

    /// Names and values, of an object or of a list of pairs. Paths are those of the list, which is what is kept.
    fn pairs(
        &mut self,
        path: &Path<'_>,
        value: &mut Value<'_>,
        visit: impl Fn(&mut Self, &Path<'_>, &str, &mut Value<'_>),
    ) {
        match value {
            Value::Object(object) => {
                for (index, (name, value)) in object.0.iter_mut().enumerate() {
                    visit(self, &path.index(index).index(1), name, value);
                }
            }
            Value::Array(pairs) => {
                for (index, pair) in pairs.iter_mut().enumerate() {
                    let here = path.index(index);
                    match pair {
                        Value::Array(pair) => match pair.as_mut_slice() {
                            [Value::Str(name), value] => visit(self, &here.index(1), name, value),
                            other => self.elements(&here, other),
                        },
                        other => self.free(&here, None, other),
                    }
                }
            }
            other => self.free(path, None, other),
        }
    }

    /// Records that a part of a text under a name was filtered.
    pub fn note_filtered(&mut self, path: &Path<'_>, rule: &str, range: (usize, usize), chars_before: usize) {
        self.changes.push(path, rule, Method::Substituted, (Some(range), Some(chars_before)));
    }
}

fn is_cookie_name(name: &str) -> bool {
    ["cookie", "set-cookie", "http_cookie"].iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// A number with the digits of a card.
fn is_card(number: Number) -> bool {
    match number {
        Number::Unsigned(digits) if digits >= 100_000_000_000_000 => {
            Shape::CreditCard.pattern().is_match(&digits.to_string())
        }
        Number::Unsigned(_) | Number::Signed(_) | Number::Float(_) => false,
    }
}
