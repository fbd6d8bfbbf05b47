//! Stack-trace rules: which frames are the application's, of which category they are, and which are grouped by.
//!
//! A rule has matchers on a frame (and on its neighbours and the exception) and actions. The built-in lists stand before
//! a project's own, whose word is therefore the last. Syntax and meaning are Sentry's ("stack trace rules" of its
//! documentation); so that is what people can paste.

mod base;
mod bits;
mod glob;
mod parse;
mod patterns;
mod run;
mod show;

pub(super) use base::base;
pub(super) use glob::{COST_MAX, Glob, Mode, TOO_COSTLY};
pub(super) use run::{Effect, RuleFrame, Thrown, classify};

use super::RuleError;
use patterns::{Collector, PatternId, Patterns};

/// A compiled list of rules.
#[derive(Debug)]
pub struct StackRules {
    rules: Vec<Rule>,
    compiled: Vec<Compiled>,
    /// By `Field`.
    fields: [Patterns; 4],
    categories: Patterns,
}

impl StackRules {
    /// Reads and compiles rules.
    ///
    /// # Errors
    /// The first line that is no rule. Malformed patterns of frame matchers are no errors: they never match.
    pub fn parse(text: &str) -> Result<StackRules, RuleError> {
        Ok(StackRules::compile(parse::parse(text)?))
    }

    fn compile(rules: Vec<Rule>) -> StackRules {
        let mut collectors: [Collector; 4] = Default::default();
        let mut categories = Collector::default();
        let compiled = rules.iter().map(|rule| Compiled::of(rule, &mut collectors, &mut categories)).collect();
        let [function, module, package, path] = collectors;
        let fields = [
            function.compile(Mode::Name),
            module.compile(Mode::Name),
            package.compile(Mode::Path),
            path.compile(Mode::Path),
        ];
        StackRules { rules, compiled, fields, categories: categories.compile(Mode::Name) }
    }

    /// Returns how many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns the rule as it would be written.
    pub(super) fn text(&self, index: u16) -> String {
        self.rules.get(usize::from(index)).map(ToString::to_string).unwrap_or_default()
    }
}

/// One rule as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rule {
    caller: Option<Matcher>,
    matchers: Vec<Matcher>,
    callee: Option<Matcher>,
    actions: Vec<Action>,
}

impl Rule {
    /// Returns what it may cost: its patterns, and each matcher and action.
    fn cost(&self) -> usize {
        let matchers = self.caller.iter().chain(&self.matchers).chain(&self.callee);
        let globs = matchers.clone().filter_map(|matcher| Glob::new(&matcher.argument, matcher.key.mode()));
        let of_patterns: usize = globs.map(|glob| glob.cost()).sum();
        of_patterns + matchers.count() + self.actions.iter().map(Action::cost).sum::<usize>()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Matcher {
    is_negated: bool,
    key: Key,
    argument: String,
}

/// What a matcher looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Module,
    Function,
    Package,
    Path,
    Category,
    Family,
    App,
    Type,
    Value,
    Mechanism,
}

impl Key {
    fn from_name(name: &str) -> Option<Key> {
        Some(match name {
            "stack.module" | "module" => Key::Module,
            "stack.function" | "function" => Key::Function,
            "stack.package" | "package" => Key::Package,
            "stack.abs_path" | "path" => Key::Path,
            "category" => Key::Category,
            "family" => Key::Family,
            "app" => Key::App,
            "error.type" | "type" => Key::Type,
            "error.value" | "value" => Key::Value,
            "error.mechanism" | "mechanism" => Key::Mechanism,
            _ => return None,
        })
    }

    const fn mode(self) -> Mode {
        match self {
            Key::Package | Key::Path => Mode::Path,
            Key::Module | Key::Function | Key::Category | Key::Family | Key::App => Mode::Name,
            Key::Type | Key::Value | Key::Mechanism => Mode::Name,
        }
    }

    const fn is_of_exception(self) -> bool {
        matches!(self, Key::Type | Key::Value | Key::Mechanism)
    }
}

/// Which frames an action changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    Itself,
    /// All frames after it, towards the crash: `^`.
    Later,
    /// All frames before it: `v`.
    Earlier,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    App(Range, bool),
    Category(Box<str>),
    Group(Range, bool),
    MaxFrames(u32),
    MinFrames(u32),
    /// Understood and without effect: the configurations here group by all frames.
    InvertStacktrace(bool),
}

impl Action {
    /// Those on a range go over its frames again for each frame that matches.
    const fn cost(&self) -> usize {
        match self {
            Action::App(Range::Later | Range::Earlier, _) | Action::Group(Range::Later | Range::Earlier, _) => 8,
            Action::App(Range::Itself, _) | Action::Group(Range::Itself, _) | Action::Category(_) => 1,
            Action::MaxFrames(_) | Action::MinFrames(_) | Action::InvertStacktrace(_) => 1,
        }
    }

    /// Whether it says what a frame is, as opposed to whether it is grouped by.
    const fn classifies(&self) -> bool {
        matches!(self, Action::App(..) | Action::Category(_))
    }
}

/// A rule with its patterns looked up.
#[derive(Debug)]
struct Compiled {
    frame: Vec<Test>,
    exception: Vec<ExceptionTest>,
    classifies: bool,
    contributes: bool,
}

/// One question to a frame or a neighbour of it.
#[derive(Debug)]
struct Test {
    place: Place,
    is_negated: bool,
    question: Question,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Itself,
    Caller,
    Callee,
}

#[derive(Debug)]
enum Question {
    Field(Field, PatternId),
    Category(PatternId),
    /// By bits of `Family`.
    Family(u8),
    App(bool),
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Function,
    Module,
    Package,
    Path,
}

#[derive(Debug)]
struct ExceptionTest {
    key: Key,
    is_negated: bool,
    glob: Option<Glob>,
}

impl Compiled {
    fn of(rule: &Rule, fields: &mut [Collector; 4], categories: &mut Collector) -> Compiled {
        let placed = rule.caller.iter().map(|matcher| (Place::Caller, matcher));
        let placed = placed.chain(rule.callee.iter().map(|matcher| (Place::Callee, matcher)));
        let placed = placed.chain(rule.matchers.iter().map(|matcher| (Place::Itself, matcher)));
        let (mut frame, mut exception) = (Vec::new(), Vec::new());
        for (place, matcher) in placed {
            let is_negated = matcher.is_negated;
            if matcher.key.is_of_exception() {
                let glob = Glob::new(&matcher.argument, Mode::Name);
                exception.push(ExceptionTest { key: matcher.key, is_negated, glob });
            } else {
                frame.push(Test { place, is_negated, question: Question::of(matcher, fields, categories) });
            }
        }
        let classifies = rule.actions.iter().any(Action::classifies);
        let contributes = rule.actions.iter().any(|action| !action.classifies());
        Compiled { frame, exception, classifies, contributes }
    }
}

impl Question {
    fn of(matcher: &Matcher, fields: &mut [Collector; 4], categories: &mut Collector) -> Question {
        let mut field = |field: Field| Question::Field(field, fields[field as usize].id(&matcher.argument));
        match matcher.key {
            Key::Function => field(Field::Function),
            Key::Module => field(Field::Module),
            Key::Package => field(Field::Package),
            Key::Path => field(Field::Path),
            Key::Category => Question::Category(categories.id(&matcher.argument)),
            Key::Family => Question::Family(crate::in_app::Family::mask(&matcher.argument)),
            Key::App => match &*matcher.argument.to_ascii_lowercase() {
                "1" | "yes" | "true" => Question::App(true),
                "0" | "no" | "false" => Question::App(false),
                _ => Question::Never,
            },
            Key::Type | Key::Value | Key::Mechanism => Question::Never,
        }
    }
}
