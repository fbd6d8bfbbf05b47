//! Content-security reports about what is not the site's: extensions, and pages of the browser itself.

use protocol::event::Event;

const FOREIGN: &[&str] = &[
    "about",
    "about:",
    "ms-browser-extension",
    "chrome://",
    "chrome-extension://",
    "chromeinvokeimmediate://",
    "chromenull://",
    "data:text/html,chromewebdata",
    "moz-extension://",
    "safari-extension://",
    "safari-web-extension://",
    "webkit-masked-url://",
    "mxaddon-pkg://",
    "mbinit://",
    "jar://",
    "webviewprogressproxy://",
    "symres://",
    "res://",
    "asset://",
    "mx://",
    "tmtbff://",
    "localhost",
    "http://localhost",
    "https://localhost",
];

pub(super) fn is_foreign(event: &Event<'_>) -> bool {
    let Some(report) = &event.csp else {
        return false;
    };
    ["blocked_uri", "blocked-uri", "source_file", "source-file"].iter().any(|key| {
        let address = report.text(key).unwrap_or_default().to_ascii_lowercase();
        FOREIGN.iter().any(|foreign| match foreign.ends_with(['/', ':', ',']) {
            true => address.starts_with(foreign),
            // A host or a word is followed by nothing, a port or a path.
            false => address.strip_prefix(foreign).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/'])),
        })
    })
}
