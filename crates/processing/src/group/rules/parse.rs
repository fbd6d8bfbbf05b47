//! The text of stack-trace rules: one rule a line, matchers, then actions. An error names its line, and rejects the whole
//! text: half of somebody's rules would group by neither the old nor the new ones.

use super::glob::{COST_MAX, Glob, Mode, TOO_COSTLY};
use super::{Action, Key, Matcher, Range, Rule};
use crate::group::RuleError;

/// Rules one text may hold, and bytes of it; a project's own list is tens of lines.
const RULES_MAX: usize = 2_000;
const MATCHERS_MAX: usize = 16;
const ACTIONS_MAX: usize = 8;
const TEXT_BYTES_MAX: usize = 256 << 10;

/// Reads all rules of a text. Blank lines and lines that start with `#` hold none.
///
/// # Errors
/// The first line that is no rule, and why.
pub fn parse(text: &str) -> Result<Vec<Rule>, RuleError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(RuleError::new(1, "the rules are longer than 256 KiB"));
    }
    let mut rules = Vec::new();
    let mut cost = 0;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let rule = Reader { rest: line }.rule().map_err(|why| RuleError::new(index + 1, why))?;
        if rules.len() == RULES_MAX {
            return Err(RuleError::new(index + 1, "more rules than 2000"));
        }
        cost += rule.cost();
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
    fn rule(mut self) -> Read<Rule> {
        let mut rule = Rule::default();
        if self.eats("[") {
            rule.caller = Some(self.bracketed()?);
            self.expect("|", "'|' is missing after the matcher of the caller")?;
        }
        while self.is_at_matcher() {
            let matcher = self.matcher()?;
            if matcher.key.is_of_exception() && Glob::new(&matcher.argument, Mode::Name).is_none() {
                return Err("the pattern of an exception matcher is malformed");
            }
            if rule.matchers.len() == MATCHERS_MAX {
                return Err("a rule has more matchers than 16");
            }
            rule.matchers.push(matcher);
        }
        if rule.matchers.is_empty() {
            return Err("a rule needs a matcher of the frame or exception itself");
        }
        if self.eats("|") {
            self.expect("[", "'[' is missing before the matcher of the callee")?;
            rule.callee = Some(self.bracketed()?);
        }
        while !self.skips_blanks().is_empty() && !self.rest.starts_with('#') {
            if rule.actions.len() == ACTIONS_MAX {
                return Err("a rule has more actions than 8");
            }
            rule.actions.push(self.action()?);
        }
        if rule.actions.is_empty() { Err("a rule needs an action") } else { Ok(rule) }
    }

    fn skips_blanks(&mut self) -> &'t str {
        self.rest = self.rest.trim_start();
        self.rest
    }

    fn eats(&mut self, wanted: &str) -> bool {
        let after = self.skips_blanks().strip_prefix(wanted);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn expect(&mut self, wanted: &str, why: &'static str) -> Read<()> {
        if self.eats(wanted) { Ok(()) } else { Err(why) }
    }

    fn bracketed(&mut self) -> Read<Matcher> {
        let matcher = self.matcher()?;
        if matcher.key.is_of_exception() {
            return Err("the caller and the callee are frames: they have no exception");
        }
        self.expect("]", "']' is missing after the matcher")?;
        Ok(matcher)
    }

    /// Names of matchers and of actions begin alike (`family:` and `-app`, `category:` and `category=`).
    fn is_at_matcher(&mut self) -> bool {
        let starts = ["!", "a", "category:", "e", "f", "me", "mo", "p", "s", "t", "va"];
        let rest = self.skips_blanks();
        starts.iter().any(|start| rest.starts_with(start))
    }

    fn matcher(&mut self) -> Read<Matcher> {
        let is_negated = self.eats("!");
        let Some((name, rest)) = self.rest.split_once(':').filter(|(name, _)| !name.contains(char::is_whitespace))
        else {
            return Err("a matcher has the form name:pattern");
        };
        let key = Key::from_name(name).ok_or("no matcher has that name")?;
        self.rest = rest;
        let argument = self.argument()?;
        Ok(Matcher { is_negated, key, argument: argument.replace("\\\\", "\\") })
    }

    fn argument(&mut self) -> Read<&'t str> {
        let (argument, rest) = match self.rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or("the quote is never closed")?,
            None => self.rest.split_at(self.rest.find(char::is_whitespace).unwrap_or(self.rest.len())),
        };
        if argument.is_empty() && !self.rest.starts_with('"') {
            return Err("a matcher has the form name:pattern");
        }
        self.rest = rest;
        Ok(argument)
    }

    fn action(&mut self) -> Read<Action> {
        let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word.split_once('=') {
            Some((name, value)) => assignment(name, value),
            None => flag(word),
        }
    }
}

fn flag(word: &str) -> Read<Action> {
    let (range, rest) = match word.split_at_checked(1) {
        Some(("^", rest)) => (Range::Later, rest),
        Some(("v", rest)) => (Range::Earlier, rest),
        Some(_) | None => (Range::Itself, word),
    };
    match rest {
        "+app" => Ok(Action::App(range, true)),
        "-app" => Ok(Action::App(range, false)),
        "+group" => Ok(Action::Group(range, true)),
        "-group" => Ok(Action::Group(range, false)),
        _ => Err("no action has that name"),
    }
}

fn assignment(name: &str, value: &str) -> Read<Action> {
    let number = || value.parse::<u32>().map_err(|_| "a number is expected after '='");
    match name {
        "category" => {
            let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            let is_name = !value.is_empty() && value.chars().all(is_word);
            if is_name { Ok(Action::Category(value.into())) } else { Err("a category is letters, digits, '_.-'") }
        }
        "max-frames" => Ok(Action::MaxFrames(number()?)),
        "min-frames" => Ok(Action::MinFrames(number()?)),
        "invert-stacktrace" => match value {
            "1" | "yes" | "true" => Ok(Action::InvertStacktrace(true)),
            "0" | "no" | "false" => Ok(Action::InvertStacktrace(false)),
            _ => Err("yes or no is expected after '='"),
        },
        _ => Err("no action has that name"),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn rules_are_written_back_in_their_normal_form() {
        fn check(text: &str, expected: &str) {
            let rules = parse(text).expect("rules");
            let shown: Vec<String> = rules.iter().map(ToString::to_string).collect();
            assert_eq!(shown.join("\n"), expected);
            assert_eq!(parse(expected).expect("the normal form"), rules);
        }
        check("  stack.function:foo   +app -group # note", "function:foo +app -group");
        check("error.type:\"a b\" family:native -app", "type:\"a b\" family:native -app");
        check("[ category:gl ] | category:gl category=internals", "[ category:gl ] | category:gl category=internals");
        check("category:x | [ !function:y ] ^-group v+app", "category:x | [ !function:y ] ^-group v+app");
        check("\n# nothing\n\npath:package:sentry/** max-frames=3", "path:package:sentry/** max-frames=3");
        check("mechanism:ANR invert-stacktrace=yes min-frames=2", "mechanism:ANR invert-stacktrace=1 min-frames=2");
        check("", "");
    }

    #[test]
    fn an_error_names_its_line() {
        fn check(text: &str, line: usize, part: &str) {
            let error = parse(text).expect_err(text);
            assert_eq!(error.line, line, "{text}");
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
        check("function:a +app\nfunction:b", 2, "needs an action");
        check("+app", 1, "needs a matcher");
        check("[ function:a ] +app", 1, "'|' is missing");
        check("[ type:a ] | function:b +app", 1, "have no exception");
        check("function:\"a +app", 1, "never closed");
        check("function:a +apps", 1, "no action");
        check("foo.bar:a +app", 1, "no matcher");
        check("\n\nfunction:a max-frames=x", 3, "a number");
        check("type:[a +app", 1, "malformed");
        check("function: +app", 1, "name:pattern");
        check(&"function:a*{b,c}*{d,e}*f +app\n".repeat(1_999), 547, "16 KiB");
        check(&format!("function:*{}*b +app\n", "a".repeat(2_000)).repeat(20), 9, "16 KiB");
        check(&format!("function:a {}", "^-app ".repeat(9)), 1, "more actions than 8");
        check(&format!("{}^-app", "function:a ".repeat(17)), 1, "more matchers than 16");
        check(&"function:a ^-app\n".repeat(1_999), 1_821, "16 KiB");
        let plain = format!("{}+app\n", "function:a ".repeat(15));
        check(&plain.repeat(1_025), 1_025, "16 KiB");
    }
}
