//! Stack traces: the application's frames, and all frames.

use super::component::Component;
use super::{APP, Components, ConfigName, GroupConfig, SYSTEM, frame};
use crate::in_app::{frame_platform, is_in_app, is_javascript};
use protocol::event::{Event, Frame};

/// The event's own stack.
pub(super) fn components<'e>(event: &'e Event<'_>, config: &GroupConfig) -> Components<'e> {
    let platform = event.platform.as_deref().unwrap_or_default();
    match event.stacktrace.as_ref().and_then(|stack| stack.frames.as_deref()) {
        Some(frames) => of_frames(frames, platform, config),
        None => Vec::new(),
    }
}

/// Returns the `app` and the `system` component of a stack, in this order.
pub(super) fn of_frames<'e>(frames: &'e [Frame<'_>], platform: &'e str, config: &GroupConfig) -> Components<'e> {
    let mut app = Vec::new();
    let mut all = Vec::with_capacity(frames.len());
    let mut has_in_app = false;
    for (index, current) in frames.iter().enumerate() {
        let mut component = frame::component(current, platform);
        if index > 0 && is_recursion(&frames[index - 1], current) {
            component.switch_off("the same as the frame before it");
        }
        if is_in_app(current, platform) {
            has_in_app = true;
            app.push(component.clone());
        }
        all.push(component);
    }
    if let ([only], [component]) = (frames, all.as_mut_slice())
        && is_nameless_script(only, platform, config)
    {
        component.switch_off("a lone frame without a name");
        app.iter_mut().for_each(|component| component.switch_off("a lone frame without a name"));
    }
    vec![(APP, stack_of(app, has_in_app)), (SYSTEM, stack_of(all, !frames.is_empty()))]
}

fn stack_of<'e>(frames: Vec<Component<'e>>, has_frames: bool) -> Component<'e> {
    if !has_frames {
        return Component::empty("no frames of the application");
    }
    let mut stack = Component::of(frames);
    stack.has_stack = stack.contributes;
    stack
}

/// The same place called from itself.
fn is_recursion(earlier: &Frame<'_>, later: &Frame<'_>) -> bool {
    earlier.lineno == later.lineno
        && earlier.colno == later.colno
        && earlier.function == later.function
        && earlier.filename == later.filename
        && earlier.abs_path == later.abs_path
        && earlier.module == later.module
        && earlier.package == later.package
}

/// A JavaScript stack of one frame without a function. What its address must be depends on the configuration: 2023 had
/// the test the wrong way round and keeps it.
fn is_nameless_script(frame: &Frame<'_>, platform: &str, config: &GroupConfig) -> bool {
    if !is_javascript(frame_platform(frame, platform)) || frame.function.is_some() {
        return false;
    }
    let address = frame.abs_path.as_deref().unwrap_or_default();
    let is_url = frame::is_url(address, true);
    match config.name {
        ConfigName::Newstyle20260120 => !is_url,
        ConfigName::Newstyle20230111 => is_url,
    }
}
