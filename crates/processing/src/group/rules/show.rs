//! Rules as text: what an explanation shows, and what can be read again.

use super::{Action, Key, Matcher, Range, Rule};
use std::fmt::{Display, Formatter, Result};

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if let Some(caller) = &self.caller {
            write!(f, "[ {caller} ] | ")?;
        }
        let of_exception = |matcher: &&Matcher| matcher.key.is_of_exception();
        let of_frame = self.matchers.iter().filter(|matcher| !of_exception(matcher));
        let words = self.matchers.iter().filter(of_exception).chain(of_frame).map(ToString::to_string);
        f.write_str(&words.collect::<Vec<_>>().join(" "))?;
        if let Some(callee) = &self.callee {
            write!(f, " | [ {callee} ]")?;
        }
        self.actions.iter().try_for_each(|action| write!(f, " {action}"))
    }
}

impl Display for Matcher {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let not = if self.is_negated { "!" } else { "" };
        let argument = self.argument.replace('\\', "\\\\");
        // A quoted argument cannot hold a quote, so one that has a quote was written without.
        let quote = if argument.is_empty() || argument.contains(char::is_whitespace) { "\"" } else { "" };
        write!(f, "{not}{}:{quote}{argument}{quote}", self.key.name())
    }
}

impl Key {
    const fn name(self) -> &'static str {
        match self {
            Key::Module => "module",
            Key::Function => "function",
            Key::Package => "package",
            Key::Path => "path",
            Key::Category => "category",
            Key::Family => "family",
            Key::App => "app",
            Key::Type => "type",
            Key::Value => "value",
            Key::Mechanism => "mechanism",
        }
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let sign = |on: &bool| if *on { "+" } else { "-" };
        match self {
            Action::App(range, on) => write!(f, "{}{}app", range.sign(), sign(on)),
            Action::Group(range, on) => write!(f, "{}{}group", range.sign(), sign(on)),
            Action::Category(name) => write!(f, "category={name}"),
            Action::MaxFrames(count) => write!(f, "max-frames={count}"),
            Action::MinFrames(count) => write!(f, "min-frames={count}"),
            Action::InvertStacktrace(on) => write!(f, "invert-stacktrace={}", u8::from(*on)),
        }
    }
}

impl Range {
    const fn sign(self) -> &'static str {
        match self {
            Range::Itself => "",
            Range::Later => "^",
            Range::Earlier => "v",
        }
    }
}
