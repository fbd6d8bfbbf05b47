//! Platforms of frames, and the families that grouping treats alike.

use protocol::event::Frame;

/// What frames of a platform have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Machine code.
    Native,
    /// JavaScript, in a browser or not.
    Javascript,
    Other,
}

impl Family {
    pub fn of(platform: &str) -> Family {
        match platform {
            "objc" | "cocoa" | "swift" | "native" | "c" => Family::Native,
            "javascript" | "node" => Family::Javascript,
            _ => Family::Other,
        }
    }

    /// Returns the families a comma list names, a bit each by their order; `all` is all of them, unknown ones none.
    pub(crate) fn mask(names: &str) -> u8 {
        let bit = |name: &str| match name.trim() {
            "native" => 1,
            "javascript" => 2,
            "other" => 4,
            "all" => 7,
            _ => 0,
        };
        names.split(',').map(bit).fold(0, |all, bit| all | bit)
    }

    pub(crate) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Returns the platform of a frame: its own, else the event's.
pub fn frame_platform<'f>(frame: &'f Frame<'_>, event_platform: &'f str) -> &'f str {
    frame.platform.as_deref().filter(|platform| !platform.is_empty()).unwrap_or(event_platform)
}
