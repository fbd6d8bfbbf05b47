//! Stack traces: the application's frames, and all frames.

use super::component::{Component, Hint, Part};
use super::rules::{Action, Effect};
use super::stacks::{Stack, StackFrame};
use super::{APP, Components, ConfigName, Grouped, SYSTEM, frame};
use crate::in_app::Family;

/// The event's own stack.
pub(super) fn components<'e>(grouped: &Grouped<'e, '_>) -> Components<'e> {
    match grouped.stacks.event.frames.is_empty() {
        false => of_stack(&grouped.stacks.event, grouped.config.name),
        true => Vec::new(),
    }
}

/// Returns the `app` and the `system` component of a stack, in this order.
pub(super) fn of_stack<'e>(stack: &Stack<'e>, config: ConfigName) -> Components<'e> {
    let mut frames: Vec<Component<'e>> = Vec::with_capacity(stack.frames.len());
    for (index, current) in stack.frames.iter().enumerate() {
        let mut component = frame::component(current, config);
        if index > 0 && is_recursion(&stack.frames[index - 1], current) {
            component.switch_off("the same as the frame before it");
        }
        frames.push(component);
    }
    let system = of_frames(stack, frames.clone(), config, false);
    let app = of_frames(stack, frames, config, true);
    let mut both = [app, system];
    if config == ConfigName::Newstyle20260120 {
        name_what_is_missing(stack, &mut both);
    }
    let [app, system] = both;
    vec![(APP, app), (SYSTEM, system)]
}

fn of_frames<'e>(stack: &Stack<'e>, mut frames: Vec<Component<'e>>, config: ConfigName, is_app: bool) -> Component<'e> {
    if is_app {
        switch_off_system(stack, &mut frames);
    }
    if let ([only], [component]) = (stack.frames.as_slice(), frames.as_mut_slice())
        && component.contributes
        && is_nameless_script(only, config)
    {
        component.switch_off("a lone frame without a name");
    }
    let contributes = apply(&stack.effects, &mut frames);
    if is_app && config == ConfigName::Newstyle20260120 {
        switch_off_system(stack, &mut frames);
    }
    let parts = frames.into_iter().map(Part::Child).collect();
    let mut whole = Component { id: "stacktrace", contributes: true, hint: None, parts };
    if let Err(hint) = contributes {
        whole.switch_off(hint);
    }
    whole
}

fn switch_off_system(stack: &Stack<'_>, frames: &mut [Component<'_>]) {
    for (component, frame) in frames.iter_mut().zip(&stack.frames) {
        if !frame.in_app && component.contributes {
            component.switch_off("not a frame of the application");
        }
    }
}

/// Lets rules switch frames on and off. Returns why the stack does not contribute, if it does not.
fn apply(effects: &[Effect<'_>], frames: &mut [Component<'_>]) -> Result<(), Hint> {
    let (mut frames_max, mut frames_min) = (None, None);
    for effect in effects {
        let rule = Some(effect.rule);
        for index in effect.frames.iter() {
            for action in effect.actions {
                match action {
                    Action::Group(range, on) => {
                        let why = if *on { "a rule groups by it" } else { "a rule leaves it out" };
                        let meant = range.of(index, frames.len());
                        for frame in &mut frames[meant] {
                            if frame.contributes != *on {
                                frame.contributes = *on;
                                frame.hint = Some(Hint { why, rule });
                            }
                        }
                    }
                    Action::MaxFrames(count) => frames_max = Some((*count, rule)),
                    Action::MinFrames(count) => frames_min = Some((*count, rule)),
                    Action::App(..) | Action::Category(_) | Action::InvertStacktrace(_) => {}
                }
            }
        }
    }
    if let Some((count, rule)) = frames_max.filter(|(count, _)| *count > 0) {
        let on = frames.iter_mut().rev().filter(|frame| frame.contributes);
        on.skip(count as usize).for_each(|frame| frame.switch_off(Hint { why: "beyond the frames allowed", rule }));
    }
    let count = frames.iter().filter(|frame| frame.contributes).count();
    match frames_min {
        _ if count == 0 => Err("no frame contributes".into()),
        Some((least, rule)) if count < least as usize => Err(Hint { why: "fewer frames than are needed", rule }),
        Some(_) | None => Ok(()),
    }
}

/// Says which frames the stack would need, where rules alone would let it contribute without any.
fn name_what_is_missing(stack: &Stack<'_>, [app, system]: &mut [Component<'_>; 2]) {
    let mut contributing = system.children().zip(&stack.frames).filter(|(component, _)| component.contributes);
    let any = contributing.next();
    let any_in_app = any.iter().copied().chain(contributing).any(|(_, frame)| frame.in_app);
    let is_any = any.is_some();
    if !is_any {
        system.switch_off("no frame contributes");
    }
    if !stack.frames.iter().any(|frame| frame.in_app) {
        app.switch_off("no frames of the application");
    } else if !any_in_app {
        app.switch_off("no frame of the application contributes");
    }
}

/// The same place called from itself.
fn is_recursion(earlier: &StackFrame<'_>, later: &StackFrame<'_>) -> bool {
    let (old, new) = (earlier.frame, later.frame);
    old.lineno == new.lineno
        && old.colno == new.colno
        && earlier.function == later.function
        && earlier.filename == later.filename
        && old.abs_path == new.abs_path
        && old.module == new.module
        && old.package == new.package
}

/// A JavaScript stack of one frame without a function. What its address must be depends on the configuration: 2023 had
/// the test the wrong way round and keeps it.
fn is_nameless_script(frame: &StackFrame<'_>, config: ConfigName) -> bool {
    if frame.family != Family::Javascript || frame.function().is_some() {
        return false;
    }
    let is_url = frame::is_url(frame.abs_path(), true);
    match config {
        ConfigName::Newstyle20260120 => !is_url,
        ConfigName::Newstyle20230111 => is_url,
    }
}
