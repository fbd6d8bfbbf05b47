//! Runs rules over one stack. Patterns are matched once per frame into a column of bits each; a rule is then a few
//! operations on columns, for all frames at once. Only categories and `in_app` change while rules run, so only their
//! columns are kept up.

use super::bits::Bits;
use super::glob::Mode;
use super::{Action, Compiled, ExceptionTest, Field, Key, Place, Question, Range, StackRules, Test};
use crate::group::component::RuleId;
use crate::in_app::Family;
use std::borrow::Cow;

const UNKNOWN: &str = "<unknown>";
/// The longest value patterns look at; what is longer is no name and no path.
const VALUE_BYTES_MAX: usize = 8 << 10;

/// What rules see of a frame, and what they decide of it.
#[derive(Clone, Debug)]
pub struct RuleFrame<'e> {
    pub family: Family,
    pub function: Option<Cow<'e, str>>,
    pub module: Option<&'e str>,
    pub package: Option<&'e str>,
    pub path: Option<Cow<'e, str>>,
    pub in_app: Option<bool>,
    pub category: Option<&'e str>,
    /// The rule that decided `in_app`, and the one that decided the category.
    pub in_app_by: Option<RuleId>,
    pub category_by: Option<RuleId>,
}

/// What rules see of the exception a stack belongs to; of other stacks nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Thrown<'e> {
    pub kind: Option<&'e str>,
    pub value: Option<&'e str>,
    pub mechanism: Option<&'e str>,
}

/// Actions on grouping that a rule has on some frames.
#[derive(Clone, Debug)]
pub struct Effect<'e> {
    pub rule: RuleId,
    pub actions: &'e [Action],
    pub frames: Bits,
}

/// Lets the lists of rules, one after the other, say what each frame is. Returns what they say about grouping, in
/// order; it is decided on what the frames are in the end.
pub fn classify<'e>(lists: &[&'e StackRules], frames: &mut [RuleFrame<'e>], thrown: &Thrown<'_>) -> Vec<Effect<'e>> {
    let mut all_columns: Vec<Columns> = lists.iter().map(|list| Columns::of(list, frames)).collect();
    for (place, (list, columns)) in lists.iter().zip(&mut all_columns).enumerate() {
        columns.read_decided(list, frames);
        for (index, rule) in list.compiled.iter().enumerate().filter(|(_, rule)| rule.classifies) {
            let matched = columns.matched(rule, thrown);
            let id = RuleId { list: place as u8, index: index as u16 };
            for frame in matched.iter() {
                for action in &list.rules[index].actions {
                    apply(action, frame, frames, id, list, columns);
                }
            }
        }
    }
    let mut effects = Vec::new();
    for (place, (list, columns)) in lists.iter().zip(&mut all_columns).enumerate() {
        columns.read_decided(list, frames);
        for (index, rule) in list.compiled.iter().enumerate().filter(|(_, rule)| rule.contributes) {
            let matched = columns.matched(rule, thrown);
            if !matched.is_empty() {
                let rule = RuleId { list: place as u8, index: index as u16 };
                effects.push(Effect { rule, actions: &list.rules[index].actions, frames: matched });
            }
        }
    }
    effects
}

fn apply<'e>(
    action: &'e Action,
    frame: usize,
    frames: &mut [RuleFrame<'e>],
    rule: RuleId,
    list: &StackRules,
    columns: &mut Columns,
) {
    match action {
        Action::App(range, on) => {
            for index in range.of(frame, frames.len()) {
                frames[index].in_app = Some(*on);
                frames[index].in_app_by = Some(rule);
                columns.in_app.set(index, *on);
            }
        }
        Action::Category(name) => {
            frames[frame].category = Some(name);
            frames[frame].category_by = Some(rule);
            columns.set_category(list, frame, Some(name));
        }
        Action::Group(..) | Action::MaxFrames(_) | Action::MinFrames(_) | Action::InvertStacktrace(_) => {}
    }
}

impl Range {
    /// Returns the places of the frames it means.
    pub fn of(self, frame: usize, count: usize) -> std::ops::Range<usize> {
        match self {
            Range::Itself => frame..frame + 1,
            Range::Later => frame + 1..count,
            Range::Earlier => 0..frame,
        }
    }
}

/// For every pattern of a list, the frames it matches.
struct Columns {
    all: Bits,
    fields: [Vec<Bits>; 4],
    categories: Vec<Bits>,
    families: [Bits; 3],
    in_app: Bits,
}

impl Columns {
    fn of(list: &StackRules, frames: &[RuleFrame<'_>]) -> Columns {
        let mut columns = Columns {
            all: Bits::first(frames.len()),
            fields: std::array::from_fn(|field| vec![Bits::default(); list.fields[field].count()]),
            categories: vec![Bits::default(); list.categories.count()],
            families: Default::default(),
            in_app: Bits::default(),
        };
        let mut scratch = Vec::new();
        for (index, frame) in frames.iter().enumerate() {
            columns.families[frame.family as usize].set(index, true);
            let function = frame.function.as_deref().unwrap_or(UNKNOWN);
            columns.set_field(list, Field::Function, index, Some(function), &mut scratch);
            columns.set_field(list, Field::Module, index, frame.module, &mut scratch);
            columns.set_field(list, Field::Package, index, frame.package, &mut scratch);
            columns.set_field(list, Field::Path, index, frame.path.as_deref(), &mut scratch);
        }
        columns
    }

    /// Paths are lower-cased, and tried with a slash before them too.
    fn set_field(&mut self, list: &StackRules, field: Field, index: usize, value: Option<&str>, scratch: &mut Vec<u8>) {
        let Some(value) = value.map(str::as_bytes) else {
            return;
        };
        let value = &value[..value.len().min(VALUE_BYTES_MAX)];
        let patterns = &list.fields[field as usize];
        let column = &mut self.fields[field as usize];
        let mut found = |id| column[usize::from(id)].set(index, true);
        if patterns.mode() == Mode::Name {
            return patterns.each_match(value, &mut found);
        }
        if patterns.count() == 0 {
            return;
        }
        scratch.clear();
        scratch.push(b'/');
        let plain = |byte: &u8| if *byte == b'\\' { b'/' } else { byte.to_ascii_lowercase() };
        scratch.extend(value.iter().map(plain));
        patterns.each_match(&scratch[1..], &mut found);
        if scratch.get(1) != Some(&b'/') {
            patterns.each_match(scratch, &mut found);
        }
    }

    /// Reads what other lists may have changed.
    fn read_decided(&mut self, list: &StackRules, frames: &[RuleFrame<'_>]) {
        self.categories.fill(Bits::default());
        for (index, frame) in frames.iter().enumerate() {
            self.in_app.set(index, frame.in_app == Some(true));
            if let Some(category) = frame.category {
                self.set_category(list, index, Some(category));
            }
        }
    }

    fn set_category(&mut self, list: &StackRules, index: usize, category: Option<&str>) {
        self.categories.iter_mut().for_each(|column| column.set(index, false));
        if let Some(category) = category {
            let categories = &mut self.categories;
            list.categories.each_match(category.as_bytes(), &mut |id| categories[usize::from(id)].set(index, true));
        }
    }

    fn matched(&self, rule: &Compiled, thrown: &Thrown<'_>) -> Bits {
        let mut matched = self.all;
        for test in &rule.frame {
            matched = matched.and(self.answer(test));
            if matched.is_empty() {
                return matched;
            }
        }
        if rule.exception.iter().all(|test| test.is_true_of(thrown)) { matched } else { Bits::default() }
    }

    /// A neighbour that is not there fails negated questions too.
    fn answer(&self, test: &Test) -> Bits {
        let found = match &test.question {
            Question::Field(field, id) => self.fields[*field as usize][usize::from(*id)],
            Question::Category(id) => self.categories[usize::from(*id)],
            Question::Family(mask) => self.of_families(*mask),
            Question::App(true) => self.in_app,
            Question::App(false) => self.in_app.not_in(self.all),
            Question::Never => Bits::default(),
        };
        let found = if test.is_negated { found.not_in(self.all) } else { found };
        match test.place {
            Place::Itself => found,
            Place::Caller => found.one_later(),
            Place::Callee => found.one_earlier(),
        }
    }

    fn of_families(&self, mask: u8) -> Bits {
        let families = self.families.iter().enumerate();
        let wanted = families.filter(|(family, _)| mask >> family & 1 == 1);
        wanted.fold(Bits::default(), |all, (_, frames)| all.or(*frames))
    }
}

impl ExceptionTest {
    fn is_true_of(&self, thrown: &Thrown<'_>) -> bool {
        let text = match self.key {
            Key::Type => thrown.kind,
            Key::Value => thrown.value,
            _ => thrown.mechanism,
        };
        let text = text.unwrap_or(UNKNOWN);
        let is_found = self.glob.as_ref().is_some_and(|glob| glob.matches(text.as_bytes()));
        is_found != self.is_negated
    }
}
