//! Levels as class names: whatever an event says, only one of five words reaches a page's markup.

/// Returns the level among the five known ones; anything else counts as an error, as SDKs mean by default.
pub fn known(level: &str) -> &'static str {
    match level {
        "debug" => "debug",
        "info" | "log" => "info",
        "warning" => "warning",
        "fatal" | "critical" => "fatal",
        _ => "error",
    }
}
