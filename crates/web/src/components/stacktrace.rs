//! A stack, newest frame first: the frames of the application in sight, runs of library frames rolled up.

use super::frame::Frame;
use crate::event_json::values;
use askama::Template;
use serde_json::Value;

/// Frames of one stack shown, newest first; a runaway recursion has thousands that say the same.
const FRAMES_MAX: usize = 250;

/// Which frames are in sight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FrameChoice {
    /// Frames of the application and the failing one.
    #[default]
    App,
    All,
}

#[derive(Clone, Debug, Template)]
#[template(path = "components/stacktrace.html")]
pub struct Stacktrace {
    parts: Vec<Part>,
    frames_left_out: usize,
}

impl askama::filters::HtmlSafe for Stacktrace {}

#[derive(Clone, Debug)]
enum Part {
    Frame(Frame),
    Rolled(Vec<Frame>),
}

impl Stacktrace {
    /// Returns the stack of an exception or a thread, or `None` if it has no frames.
    pub fn of(holder: &Value, choice: FrameChoice) -> Option<Stacktrace> {
        let stack = crate::event_json::field(holder, &["stacktrace", "rawStacktrace", "raw_stacktrace"])?;
        let values = stack.get("frames").map(values).unwrap_or_default();
        let mut frames: Vec<Frame> =
            values.iter().rev().filter(|frame| frame.is_object()).take(FRAMES_MAX).map(Frame::of).collect();
        if frames.is_empty() {
            return None;
        }
        let open = frames.iter().position(|frame| frame.in_app).unwrap_or(0);
        frames[open].is_open = true;
        let has_app = frames.iter().any(|frame| frame.in_app);
        let frames_left_out = values.len().saturating_sub(FRAMES_MAX);
        let parts = match choice {
            FrameChoice::App if has_app => roll_up(frames),
            FrameChoice::App | FrameChoice::All => frames.into_iter().map(Part::Frame).collect(),
        };
        Some(Stacktrace { parts, frames_left_out })
    }
}

/// Puts runs of library frames together. The failing frame stays in sight, and so does a run of one: rolling it up
/// would save no line.
fn roll_up(frames: Vec<Frame>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut run: Vec<Frame> = Vec::new();
    for (place, frame) in frames.into_iter().enumerate() {
        if !frame.in_app && place > 0 {
            run.push(frame);
            continue;
        }
        close_run(&mut parts, &mut run);
        parts.push(Part::Frame(frame));
    }
    close_run(&mut parts, &mut run);
    parts
}

fn close_run(parts: &mut Vec<Part>, run: &mut Vec<Frame>) {
    match run.len() {
        0 => {}
        1 => parts.extend(run.drain(..).map(Part::Frame)),
        _ => parts.push(Part::Rolled(std::mem::take(run))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shape(apps: &[bool], choice: FrameChoice) -> Vec<usize> {
        let frames: Vec<_> = apps.iter().map(|app| json!({"function": "f", "in_app": app})).collect();
        let stack = Stacktrace::of(&json!({"stacktrace": {"frames": frames}}), choice).expect("frames");
        let size = |part: &Part| match part {
            Part::Frame(_) => 1,
            Part::Rolled(frames) => frames.len(),
        };
        stack.parts.iter().map(size).collect()
    }

    #[test]
    fn library_frames_are_rolled_up_but_never_the_failing_one() {
        // Oldest first, as SDKs send them.
        assert_eq!(shape(&[false, false, true, false, false, false], FrameChoice::App), [1, 2, 1, 2]);
        assert_eq!(shape(&[false, false, true], FrameChoice::All), [1, 1, 1]);
        assert_eq!(shape(&[false, false, false], FrameChoice::App), [1, 1, 1]);
        assert_eq!(shape(&[true, false, true], FrameChoice::App), [1, 1, 1]);
    }
}
