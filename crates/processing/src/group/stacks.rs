//! What is known of every stack before anything is grouped: names trimmed, queries of scripts gone, and by the rules
//! which frames are the application's. The event itself stays as it is.

use super::component::RuleId;
use super::rules::{self, Effect, RuleFrame, StackRules, Thrown};
use super::{threads, trim};
use crate::in_app::{Family, frame_platform};
use protocol::event::{Event, Exception, Frame, Stacktrace};
use protocol::json::{Number, Value};
use std::borrow::Cow;

/// The stacks of an event that can decide its group, title or culprit.
#[derive(Debug, Default)]
pub struct Stacks<'e> {
    /// As many as there are exceptions.
    pub(crate) exceptions: Vec<Stack<'e>>,
    pub(crate) event: Stack<'e>,
    /// Of the thread that stands out, if one does.
    pub(crate) thread: Option<Stack<'e>>,
    /// How many threads there are.
    pub(crate) threads: usize,
}

/// One stack, oldest frame first; without frames where there is none.
#[derive(Debug, Default)]
pub(crate) struct Stack<'e> {
    pub frames: Vec<StackFrame<'e>>,
    /// What rules say about grouping by the frames.
    pub effects: Vec<Effect<'e>>,
}

/// A frame as grouping sees it.
#[derive(Debug)]
pub(crate) struct StackFrame<'e> {
    pub frame: &'e Frame<'e>,
    pub platform: &'e str,
    pub family: Family,
    /// The name to show and group by: trimmed where the platform has signatures in it.
    pub function: Option<Cow<'e, str>>,
    /// The name before it was trimmed.
    pub raw_function: Option<&'e str>,
    pub filename: Option<Cow<'e, str>>,
    /// What the client said.
    pub client_in_app: Option<bool>,
    pub in_app: bool,
    pub category: Option<&'e str>,
    pub in_app_by: Option<RuleId>,
    pub category_by: Option<RuleId>,
}

impl<'e> Stacks<'e> {
    /// Prepares the stacks of an event with lists of rules, the later having the last word.
    pub(super) fn of(event: &'e Event<'_>, lists: &[&'e StackRules]) -> Stacks<'e> {
        let platform = event.platform.as_deref().unwrap_or_default();
        let of_exception = |exception: &'e Exception<'_>| {
            let mechanism = exception.mechanism.as_ref().and_then(|mechanism| mechanism.kind.as_deref());
            let thrown = Thrown { kind: exception.kind.as_deref(), value: exception.value.as_deref(), mechanism };
            Stack::of(exception.stacktrace.as_ref(), platform, &thrown, lists)
        };
        let no_exception = Thrown::default();
        let thread = event.threads.as_deref().and_then(threads::the_one);
        Stacks {
            exceptions: event.exceptions.iter().flatten().map(of_exception).collect(),
            event: Stack::of(event.stacktrace.as_ref(), platform, &no_exception, lists),
            thread: thread.map(|thread| Stack::of(thread.stacktrace.as_ref(), platform, &no_exception, lists)),
            threads: event.threads.as_ref().map_or(0, Vec::len),
        }
    }
}

impl<'e> Stack<'e> {
    fn of(
        stack: Option<&'e Stacktrace<'_>>,
        platform: &'e str,
        thrown: &Thrown<'_>,
        lists: &[&'e StackRules],
    ) -> Stack<'e> {
        let frames = stack.and_then(|stack| stack.frames.as_deref()).unwrap_or_default();
        if frames.is_empty() {
            return Stack::default();
        }
        let mut frames: Vec<StackFrame<'e>> = frames.iter().map(|frame| StackFrame::of(frame, platform)).collect();
        let mut seen: Vec<RuleFrame<'e>> = frames.iter().map(StackFrame::for_rules).collect();
        let effects = rules::classify(lists, &mut seen, thrown);
        for (frame, seen) in frames.iter_mut().zip(seen) {
            frame.in_app = seen.in_app.unwrap_or(false);
            frame.category = seen.category;
            frame.in_app_by = seen.in_app_by;
            frame.category_by = seen.category_by;
        }
        Stack { frames, effects }
    }
}

impl<'e> StackFrame<'e> {
    /// Reads a frame as the client sent it; no rule has spoken yet.
    pub fn of(frame: &'e Frame<'_>, event_platform: &'e str) -> StackFrame<'e> {
        let platform = frame_platform(frame, event_platform);
        let (function, raw_function) = names(frame, platform);
        let client_in_app = client_in_app(frame);
        StackFrame {
            frame,
            platform,
            family: Family::of(platform),
            function,
            raw_function,
            filename: frame.filename.as_deref().map(|name| without_query(name, event_platform)),
            client_in_app,
            in_app: client_in_app.unwrap_or(false),
            category: frame.data.as_ref().and_then(|data| data.text("category")),
            in_app_by: None,
            category_by: None,
        }
    }

    pub fn function(&self) -> Option<&str> {
        self.function.as_deref().filter(|function| !function.is_empty())
    }

    /// Returns the name as it was sent.
    pub fn sent_function(&self) -> Option<&str> {
        self.raw_function.filter(|function| !function.is_empty()).or(self.function())
    }

    pub fn abs_path(&self) -> &'e str {
        self.frame.abs_path.as_deref().unwrap_or_default()
    }

    pub fn path(&self) -> Option<Cow<'e, str>> {
        let abs_path = self.frame.abs_path.as_deref().filter(|path| !path.is_empty());
        abs_path.map(Cow::Borrowed).or_else(|| self.filename.clone())
    }

    fn for_rules(&self) -> RuleFrame<'e> {
        RuleFrame {
            family: self.family,
            function: self.function.clone().filter(|function| !function.is_empty()),
            module: self.frame.module.as_deref(),
            package: self.frame.package.as_deref(),
            path: self.path(),
            in_app: self.client_in_app,
            category: self.category,
            in_app_by: None,
            category_by: None,
        }
    }
}

/// The function's name and its name before trimming, if that differs or was sent.
fn names<'e>(frame: &'e Frame<'_>, platform: &str) -> (Option<Cow<'e, str>>, Option<&'e str>) {
    let raw_function = frame.raw_function.as_deref();
    match frame.function.as_deref() {
        Some(function) if raw_function.is_none() && !function.is_empty() => {
            let trimmed = trim::trimmed(function, platform);
            let raw_function = (*trimmed != *function).then_some(function);
            (Some(trimmed), raw_function)
        }
        function => (function.map(Cow::Borrowed), raw_function),
    }
}

/// What the client said of a frame, where an earlier grouping kept it, else what the frame says.
fn client_in_app(frame: &Frame<'_>) -> Option<bool> {
    match frame.data.as_ref().and_then(|data| data.get("orig_in_app")) {
        None | Some(Value::Null) => frame.in_app,
        Some(Value::Number(Number::Signed(-1))) => None,
        Some(Value::Number(number)) => Some(number.as_f64() != 0.0),
        Some(Value::Bool(flag)) => Some(*flag),
        Some(Value::Str(text)) => Some(!text.is_empty()),
        Some(Value::Array(values)) => Some(!values.is_empty()),
        Some(Value::Object(object)) => Some(!object.is_empty()),
    }
}

/// Scripts in browsers are often asked for with a version in their query.
fn without_query<'e>(filename: &'e str, event_platform: &str) -> Cow<'e, str> {
    if event_platform != "javascript" {
        return Cow::Borrowed(filename);
    }
    let path = filename.split('#').next().unwrap_or(filename);
    match path.split_once('?') {
        Some((_, query)) if !query.is_empty() => Cow::Owned(filename.replace(&format!("?{query}"), "")),
        Some(_) | None => Cow::Borrowed(filename),
    }
}
