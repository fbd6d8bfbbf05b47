//! Whether a frame belongs to the application. The SDK's word is the base; where it gave none, a first rule stands in
//! for Sentry's stack-trace rules.

use protocol::event::Frame;

/// Returns whether the frame is the application's own code.
pub fn is_in_app(frame: &Frame<'_>, event_platform: &str) -> bool {
    if let Some(in_app) = frame.in_app {
        return in_app;
    }
    is_javascript(frame_platform(frame, event_platform)) && !is_javascript_library(frame)
}

/// Returns the platform of a frame: its own, else the event's.
pub fn frame_platform<'f>(frame: &'f Frame<'_>, event_platform: &'f str) -> &'f str {
    frame.platform.as_deref().filter(|platform| !platform.is_empty()).unwrap_or(event_platform)
}

/// Returns whether the platform's frames are JavaScript's, in a browser or not.
pub fn is_javascript(platform: &str) -> bool {
    matches!(platform, "javascript" | "node")
}

/// Returns whether the platform's frames are of machine code.
pub fn is_native(platform: &str) -> bool {
    matches!(platform, "objc" | "cocoa" | "swift" | "native" | "c")
}

/// Browsers' SDKs leave `in_app` out: everything is the application's but packages and the engine itself.
fn is_javascript_library(frame: &Frame<'_>) -> bool {
    let path = frame.abs_path.as_deref().or(frame.filename.as_deref()).unwrap_or_default();
    path.contains("/node_modules/")
        || path.starts_with("node_modules/")
        || path.starts_with("node:")
        || matches!(path, "" | "native" | "[native code]" | "native code" | "<anonymous>")
}
