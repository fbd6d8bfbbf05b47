//! Exceptions: each by its stack, else by its type and value; a chain is its exceptions one after the other.

use super::component::Component;
use super::{APP, Components, ConfigName, Grouped, exception_group, stack};
use protocol::event::Exception;
use protocol::json::Value;

pub(super) fn components<'e>(grouped: &Grouped<'e, '_>) -> Components<'e> {
    let mut of_each = of_all(grouped);
    let kept = exception_group::kept(grouped.event, &of_each).unwrap_or_else(|| (0..of_each.len()).collect());
    match kept.as_slice() {
        [only] => of_each.swap_remove(*only),
        many => chain(&of_each, many),
    }
}

/// Returns which exception the event is to be named after, where a group of them decides it.
pub(super) fn main_exception(grouped: &Grouped<'_, '_>) -> Option<usize> {
    let mut mechanisms = grouped.event.exceptions.iter().flatten().filter_map(|one| one.mechanism.as_ref());
    let is_group = mechanisms.any(|mechanism| mechanism.is_exception_group == Some(true));
    is_group.then(|| exception_group::main_exception(grouped.event, &of_all(grouped))).flatten()
}

fn of_all<'e>(grouped: &Grouped<'e, '_>) -> Vec<Components<'e>> {
    let exceptions = grouped.event.exceptions.iter().flatten().zip(&grouped.stacks.exceptions);
    exceptions.map(|(exception, stack)| of_exception(exception, stack, grouped)).collect()
}

/// By variant, the components that have it.
fn chain<'e>(of_each: &[Components<'e>], kept: &[usize]) -> Components<'e> {
    let mut by_name: Vec<(&'static str, Vec<Component<'e>>)> = Vec::new();
    for (name, component) in kept.iter().flat_map(|index| &of_each[*index]) {
        match by_name.iter_mut().find(|(known, _)| known == name) {
            Some((_, chain)) => chain.push(component.clone()),
            None => by_name.push((name, vec![component.clone()])),
        }
    }
    by_name.into_iter().map(|(name, chain)| (name, Component::of("chained_exception", chain))).collect()
}

/// An exception without frames has no system variant.
fn of_exception<'e>(
    exception: &'e Exception<'_>,
    stack: &super::stacks::Stack<'e>,
    grouped: &Grouped<'e, '_>,
) -> Components<'e> {
    let stacks = match stack.frames.is_empty() {
        false => stack::of_stack(stack, grouped.config.name),
        true => vec![(APP, Component::empty("stacktrace"))],
    };
    let with_rest = |(name, stack)| (name, with_type_and_value(exception, stack, grouped));
    stacks.into_iter().map(with_rest).collect()
}

fn with_type_and_value<'e>(
    exception: &'e Exception<'_>,
    stack: Component<'e>,
    grouped: &Grouped<'e, '_>,
) -> Component<'e> {
    let kind = kind_of(exception);
    let ns_error = ns_error_of(exception);
    let value = exception.value.as_deref().map(|value| grouped.parameterised_lines(value));
    let mut value = Component::optional("value", value.filter(|value| !value.is_empty()));
    if value.contributes && stack.contributes {
        value.switch_off("the stack trace takes precedence");
    } else if value.contributes && ns_error.contributes {
        value.switch_off("the platform's error takes precedence");
    }
    let parts = match grouped.config.name {
        ConfigName::Newstyle20260120 => [kind, value, ns_error, stack],
        ConfigName::Newstyle20230111 => [stack, kind, ns_error, value],
    };
    Component::of("exception", parts)
}

fn kind_of<'e>(exception: &'e Exception<'_>) -> Component<'e> {
    let kind = Component::optional("type", exception.kind.as_deref());
    match exception.mechanism.as_ref().and_then(|mechanism| mechanism.synthetic) {
        Some(true) => kind.off("the type is synthetic"),
        Some(false) | None => kind,
    }
}

/// Domain and code of an Apple error; a missing one is hashed as `None`, as Sentry does.
fn ns_error_of<'e>(exception: &'e Exception<'_>) -> Component<'e> {
    let meta = exception.mechanism.as_ref().and_then(|mechanism| mechanism.meta.as_ref());
    let Some(ns_error) = meta.and_then(|meta| meta.get("ns_error")).filter(|value| value.as_object().is_some()) else {
        return Component::empty("ns_error");
    };
    let part = |id, value: Option<&'e Value<'_>>| match value {
        Some(Value::Number(number)) => Component::text(id, number.to_string()),
        Some(Value::Str(text)) => Component::text(id, text.as_str()),
        Some(_) | None => Component::text(id, "None"),
    };
    let parts = [part("domain", ns_error.get("domain")), part("code", ns_error.get("code"))];
    Component::of("ns_error", parts)
}
