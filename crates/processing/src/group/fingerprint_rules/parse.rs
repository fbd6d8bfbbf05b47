//! The text of fingerprint rules: matchers, an arrow, the fingerprint, and perhaps a title.

use super::{FingerprintRule, Key, Matcher};
use crate::group::rules::{COST_MAX, Glob, TOO_COSTLY};
use crate::group::{RuleError, variables};
use crate::limits::FINGERPRINT_ENTRIES_MAX;

const RULES_MAX: usize = 2_000;
const MATCHERS_MAX: usize = 16;
const TEXT_BYTES_MAX: usize = 256 << 10;

/// Reads all rules of a text.
///
/// # Errors
/// The first line that is no rule, and why.
pub fn parse(text: &str) -> Result<Vec<FingerprintRule>, RuleError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(RuleError::new(1, "the rules are longer than 256 KiB"));
    }
    let mut rules: Vec<FingerprintRule> = Vec::new();
    let mut cost = 0;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let rule = Reader { rest: line }.rule(line).map_err(|why| RuleError::new(index + 1, why))?;
        if rules.len() == RULES_MAX {
            return Err(RuleError::new(index + 1, "more rules than 2000"));
        }
        cost += rule.matchers.len();
        cost += rule.matchers.iter().filter_map(|matcher| matcher.glob.as_ref()).map(Glob::cost).sum::<usize>();
        if cost > COST_MAX {
            return Err(RuleError::new(index + 1, TOO_COSTLY));
        }
        rules.push(rule);
    }
    Ok(rules)
}

struct Reader<'t> {
    rest: &'t str,
}

type Read<T> = Result<T, &'static str>;

impl<'t> Reader<'t> {
    fn rule(mut self, line: &str) -> Read<FingerprintRule> {
        let mut matchers = Vec::new();
        while !self.eats("->") {
            if self.rest.is_empty() {
                return Err("'->' is missing after the matchers");
            }
            if matchers.len() == MATCHERS_MAX {
                return Err("a rule has more matchers than 16");
            }
            matchers.push(self.matcher()?);
        }
        if matchers.is_empty() {
            return Err("a rule needs a matcher before '->'");
        }
        let (mut fingerprint, mut title) = (Vec::new(), None);
        while !self.skip_blanks().is_empty() {
            if self.rest.starts_with(',') && !fingerprint.is_empty() {
                self.rest = &self.rest[1..];
                continue;
            }
            match self.attribute()? {
                Some(text) => title = Some(text),
                None if fingerprint.len() == FINGERPRINT_ENTRIES_MAX => {
                    return Err("a fingerprint has at most 100 values");
                }
                None => fingerprint.push(self.value()?),
            }
        }
        if fingerprint.is_empty() {
            return Err("a rule needs a fingerprint after '->'");
        }
        Ok(FingerprintRule { matchers, fingerprint, title, text: line.to_owned() })
    }

    fn skip_blanks(&mut self) -> &'t str {
        self.rest = self.rest.trim_start();
        self.rest
    }

    fn eats(&mut self, wanted: &str) -> bool {
        let after = self.skip_blanks().strip_prefix(wanted);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn matcher(&mut self) -> Read<Matcher> {
        let is_negated = self.eats("!");
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let name = match self.rest.starts_with('"') {
            true => self.quoted()?,
            false => self.run(is_name).to_owned(),
        };
        let Some(rest) = self.rest.strip_prefix(':') else {
            return Err("a matcher has the form name:pattern");
        };
        self.rest = rest;
        let key = Key::from_name(&name).ok_or("no matcher has that name")?;
        let pattern = match self.rest.starts_with('"') {
            true => self.quoted()?,
            false => self.run(|c| !c.is_whitespace()).to_owned(),
        };
        Ok(Matcher::new(is_negated, key, pattern))
    }

    fn run(&mut self, takes: impl Fn(char) -> bool) -> &'t str {
        let (run, rest) = self.rest.split_at(self.rest.find(|c| !takes(c)).unwrap_or(self.rest.len()));
        self.rest = rest;
        run
    }

    /// `title="…"`
    fn attribute(&mut self) -> Read<Option<String>> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        match rest.strip_prefix('=') {
            Some(value) if name == "title" && value.starts_with('"') => {
                self.rest = value;
                self.quoted().map(Some)
            }
            Some(value) if !name.is_empty() && value.starts_with('"') => Err("'title' is the only attribute"),
            Some(_) | None => Ok(None),
        }
    }

    fn value(&mut self) -> Read<String> {
        if self.rest.starts_with('"') {
            return self.quoted();
        }
        if self.rest.starts_with("{{") {
            let end = self.rest.find("}}").ok_or("the variable is never closed")? + "}}".len();
            let (variable, rest) = self.rest.split_at(end);
            self.rest = rest;
            return match variables::name_of(variable) {
                // Every spelling of the default is the same.
                Some("default") => Ok("{{ default }}".to_owned()),
                Some(_) => Ok(variable.to_owned()),
                None => Err("a variable has the form {{ name }}"),
            };
        }
        match self.run(|c| !c.is_whitespace() && !matches!(c, '{' | ',')) {
            "" => Err("a value cannot begin here"),
            word => Ok(word.to_owned()),
        }
    }

    /// Reads a quoted text with escapes.
    fn quoted(&mut self) -> Read<String> {
        let mut out = String::new();
        self.rest = &self.rest[1..];
        while let Some(c) = self.next() {
            match c {
                '"' => return Ok(out),
                '\\' => self.escape(&mut out),
                plain => out.push(plain),
            }
        }
        Err("the quote is never closed")
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// Reads what follows a backslash as Python reads it in its texts; anything else keeps the backslash, patterns use it.
    fn escape(&mut self, out: &mut String) {
        let before = self.rest;
        let Some(c) = self.next() else { return };
        let meant = match c {
            'n' => Some('\n'),
            't' => Some('\t'),
            'r' => Some('\r'),
            'a' => Some('\x07'),
            'b' => Some('\x08'),
            'f' => Some('\x0c'),
            'v' => Some('\x0b'),
            '"' | '\'' | '\\' => Some(c),
            'x' => self.coded(2, 16),
            'u' => self.coded(4, 16),
            'U' => self.coded(8, 16),
            '0'..='7' => {
                self.rest = before;
                let digits = before.bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
                self.coded(digits, 8)
            }
            _ => None,
        };
        match meant {
            Some(meant) => out.push(meant),
            None => out.extend(['\\', c]),
        }
    }

    /// Reads the character with a number of so many digits; reads nothing if they are not there.
    fn coded(&mut self, digits: usize, radix: u32) -> Option<char> {
        let (number, rest) = self.rest.split_at_checked(digits)?;
        let is_number = number.chars().all(|digit| digit.is_digit(radix));
        let c = char::from_u32(u32::from_str_radix(number, radix).ok().filter(|_| is_number)?)?;
        self.rest = rest;
        Some(c)
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn rules_are_read() {
        fn check(text: &str, fingerprint: &[&str], title: Option<&str>) {
            let rules = parse(text).expect(text);
            assert_eq!(rules[0].fingerprint, fingerprint, "{text}");
            assert_eq!(rules[0].title.as_deref(), title, "{text}");
        }
        check("type:Foo -> foo", &["foo"], None);
        check("type:Foo !path:*/x -> foo, {{default}} bar", &["foo", "{{ default }}", "bar"], None);
        check("\"tags.a b\":x -> \"one two\" title=\"T {{ type }}\"", &["one two"], Some("T {{ type }}"));
        check(r#"type:a -> "\x41\u00e9\101\d\xzz\"\\""#, &["AéA\\d\\xzz\"\\"], None);
        check("# note\n\nmessage:\"a \\\"b\\\"\" -> x-{{ type }}", &["x-", "{{ type }}"], None);
    }

    #[test]
    fn an_error_names_its_line() {
        fn check(text: &str, line: usize, part: &str) {
            let error = parse(text).expect_err(text);
            assert_eq!(error.line, line, "{text}");
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
        check("type:a -> x\ntype:a", 2, "'->' is missing");
        check("-> x", 1, "needs a matcher");
        check("type:a ->", 1, "needs a fingerprint");
        check("foo:a -> x", 1, "no matcher");
        check("type:\"a -> x", 1, "never closed");
        check("type:a -> x name=\"y\"", 1, "only attribute");
        check("type:a -> {{ x", 1, "never closed");
        check("type -> x", 1, "name:pattern");
        check(&format!("{}-> x", "type:a ".repeat(17)), 1, "more matchers than 16");
        check(&format!("{}-> x\n", "type:a ".repeat(16)).repeat(1_025), 1_025, "16 KiB");
        check(&format!("type:a -> {}", "{{default}}".repeat(101)), 1, "at most 100 values");
    }
}
