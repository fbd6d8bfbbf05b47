//! The items of an event that matchers of fingerprint rules look at.

use super::{FingerprintRule, Key, Matcher, Source, sdk};
use crate::group::stacks::StackFrame;
use crate::group::variables;
use crate::in_app::Family;
use protocol::event::{Event, Exception, Stacktrace};

const SOURCES: [Source; 8] = [
    Source::Family,
    Source::Exceptions,
    Source::Toplevel,
    Source::Tags,
    Source::Log,
    Source::Sdk,
    Source::Release,
    Source::Frames,
];

/// Returns whether for every source the rule names there is one item of which all its matchers hold.
pub fn satisfy(rule: &FingerprintRule, event: &Event<'_>) -> bool {
    SOURCES.iter().all(|source| {
        let matchers: Vec<&Matcher> = rule.matchers.iter().filter(|one| one.key.source() == *source).collect();
        matchers.is_empty() || has_item(*source, &matchers, event)
    })
}

fn has_item(source: Source, matchers: &[&Matcher], event: &Event<'_>) -> bool {
    let all = |holds: &dyn Fn(&Matcher) -> bool| matchers.iter().all(|matcher| holds(matcher) != matcher.is_negated);
    match source {
        Source::Toplevel => {
            let formatted = event.logentry.as_ref().and_then(|entry| entry.formatted.as_deref());
            let values = exceptions(event).iter().map(|exception| exception.value.as_deref());
            let items = formatted.map(Some).into_iter().chain(values);
            items.into_iter().any(|text| all(&|matcher| matcher.takes(text.map(str::trim))))
        }
        Source::Log => {
            let level = event.level.map(|level| level.as_str());
            let logger = event.logger.as_deref();
            let text = |key: &Key| if *key == Key::Level { level } else { logger };
            (level.is_some() || logger.is_some()) && all(&|matcher| matcher.takes(text(&matcher.key)))
        }
        Source::Exceptions => exceptions(event).iter().any(|exception| {
            all(&|matcher| match matcher.key {
                Key::Type => matcher.takes(exception.kind.as_deref()),
                _ => matcher.takes(exception.value.as_deref().map(str::trim)),
            })
        }),
        Source::Tags => all(&|matcher| match &matcher.key {
            Key::Tag(name) => matcher.takes(variables::tag(event, name).map(str::trim)),
            _ => false,
        }),
        Source::Sdk => {
            let name = sdk::normalized(event.sdk.as_ref().and_then(|sdk| sdk.name.as_deref()).unwrap_or_default());
            all(&|matcher| matcher.pattern.split(',').map(str::trim).any(|wanted| wanted == "all" || wanted == name))
        }
        Source::Family => {
            let family = Family::of(event.platform.as_deref().unwrap_or_default());
            all(&|matcher| Family::mask(&matcher.pattern) & family.bit() != 0)
        }
        Source::Release => all(&|matcher| matcher.takes(event.release.as_deref().map(str::trim))),
        Source::Frames => has_frame(event, &|frame| all(&|matcher| holds_of_frame(matcher, frame))),
    }
}

fn exceptions<'e, 'a>(event: &'e Event<'a>) -> &'e [Exception<'a>] {
    event.exceptions.as_deref().unwrap_or_default()
}

fn has_frame(event: &Event<'_>, holds: &dyn Fn(&StackFrame<'_>) -> bool) -> bool {
    let platform = event.platform.as_deref().unwrap_or_default();
    let of_exceptions = exceptions(event).iter().map(|exception| &exception.stacktrace);
    let of_threads = event.threads.iter().flatten().map(|thread| &thread.stacktrace);
    let stacks = of_exceptions.chain([&event.stacktrace]).chain(of_threads);
    let frames = stacks.flatten().flat_map(|stack: &Stacktrace<'_>| stack.frames.as_deref().unwrap_or_default());
    frames.into_iter().any(|frame| holds(&StackFrame::of(frame, platform)))
}

fn holds_of_frame(matcher: &Matcher, frame: &StackFrame<'_>) -> bool {
    match matcher.key {
        Key::Module => matcher.takes(frame.frame.module.as_deref()),
        Key::Function => matcher.takes(Some(frame.function().unwrap_or("<unknown>"))),
        Key::Package => matcher.takes(frame.frame.package.as_deref()),
        Key::Path => {
            let path = frame.path();
            let filename = frame.frame.filename.as_deref();
            matcher.takes(path.as_deref()) || (filename != path.as_deref() && matcher.takes(filename))
        }
        Key::App => {
            let wanted = match &*matcher.pattern.to_ascii_lowercase() {
                "1" | "yes" | "true" => Some(true),
                "0" | "no" | "false" => Some(false),
                _ => return false,
            };
            frame.client_in_app == wanted
        }
        _ => false,
    }
}
