//! Exceptions: each by its stack, else by its type and value; a chain is its exceptions one after the other.

use super::component::Component;
use super::{APP, Components, ConfigName, GroupConfig, SYSTEM, parameters, stack};
use protocol::event::{Event, Exception};

pub(super) fn components<'e>(event: &'e Event<'_>, config: &GroupConfig) -> Components<'e> {
    let platform = event.platform.as_deref().unwrap_or_default();
    let mut app = Vec::new();
    let mut system = Vec::new();
    for exception in event.exceptions.iter().flatten() {
        for (name, component) in of_exception(exception, platform, config) {
            if name == SYSTEM { system.push(component) } else { app.push(component) }
        }
    }
    let chains = [(APP, app), (SYSTEM, system)];
    let present = chains.into_iter().filter(|(_, chain)| !chain.is_empty());
    present.map(|(name, chain)| (name, Component::of(chain))).collect()
}

/// An exception without frames has no system variant.
fn of_exception<'e>(exception: &'e Exception<'_>, platform: &'e str, config: &GroupConfig) -> Components<'e> {
    let frames = exception.stacktrace.as_ref().and_then(|stack| stack.frames.as_deref()).unwrap_or_default();
    let mut stacks = stack::of_frames(frames, platform, config);
    if frames.is_empty() {
        stacks.truncate(1);
    }
    let with_rest = |(name, stack)| (name, with_type_and_value(exception, stack, config));
    stacks.into_iter().map(with_rest).collect()
}

fn with_type_and_value<'e>(exception: &'e Exception<'_>, stack: Component<'e>, config: &GroupConfig) -> Component<'e> {
    let kind = kind_of(exception);
    let ns_error = ns_error_of(exception);
    let mut value = match exception.value.as_deref().map(parameters::replace) {
        Some(value) if !value.is_empty() => Component::text(value),
        Some(_) | None => Component::empty("no value"),
    };
    if stack.contributes || ns_error.contributes {
        value.switch_off("the stack trace or platform error takes precedence");
    }
    match config.name {
        ConfigName::Newstyle20260120 => Component::of([kind, value, ns_error, stack]),
        ConfigName::Newstyle20230111 => Component::of([stack, kind, ns_error, value]),
    }
}

fn kind_of<'e>(exception: &'e Exception<'_>) -> Component<'e> {
    let mut kind = match exception.kind.as_deref() {
        Some(kind) => Component::text(kind),
        None => Component::empty("no type"),
    };
    if exception.mechanism.as_ref().and_then(|mechanism| mechanism.synthetic) == Some(true) {
        kind.switch_off("the type is synthetic");
    }
    kind
}

/// Domain and code of an Apple error; a missing one is hashed as `None`, as Sentry does.
fn ns_error_of<'e>(exception: &'e Exception<'_>) -> Component<'e> {
    let meta = exception.mechanism.as_ref().and_then(|mechanism| mechanism.meta.as_ref());
    let Some(ns_error) = meta.and_then(|meta| meta.get("ns_error")) else {
        return Component::empty("no platform error");
    };
    let part = |key: &str| match ns_error.get(key) {
        Some(protocol::json::Value::Number(number)) => Component::text(number.to_string()),
        Some(protocol::json::Value::Str(text)) => Component::text(text.as_str()),
        Some(_) | None => Component::text("None"),
    };
    Component::of([part("domain"), part("code")])
}
