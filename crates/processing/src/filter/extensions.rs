//! Errors that extensions of browsers make in other people's pages.

use protocol::event::{Event, Exception};

/// What the messages of known ones have in them.
const VALUES: &[&str] = &[
    "top.GLOBALS",
    "originalCreateNotification",
    "canvas.contentDocument",
    "MyApp_RemoveAllHighlights",
    "http://tt.epicplay.com",
    "Can't find variable: ZiteReader",
    "jigsaw is not defined",
    "ComboSearch is not defined",
    "http://loading.retry.widdit.com/",
    "atomicFindClose",
    "fb_xd_fragment",
    "bmi_SafeAddOnload",
    "EBCallBackMessageReceived",
    "conduitPage",
    "plugin.setSuspendState is not a function",
    "Extension context invalidated",
    "webkit-masked-url:",
    "can't access dead object",
    "Cannot redefine property: solana",
    "Cannot redefine property: ethereum",
    "_gCrWeb",
    "__firefox__",
    "window.bannerNight",
];

/// Where their scripts come from: beginnings of addresses, and parts of them.
const SCHEMES: &[&str] = &[
    "chrome://",
    "chrome-extension://",
    "moz-extension://",
    "safari-extension://",
    "safari-web-extension://",
    "webkit-masked-url:",
    "file:///extensions/",
    "resource://",
];
const HOSTS: &[&str] = &[
    "graph.facebook.com",
    "connect.facebook.net",
    "eatdifferent.com.woopra-ns.com",
    "static.woopra.com/js/woopra.js",
    "127.0.0.1:4001/isrunning",
    "webappstoolbarba.texthelp.com/",
    "metrics.itunes.apple.com.edgesuite.net/",
    "kaspersky-labs.com",
];

pub(super) fn is_of_extension(event: &Event<'_>) -> bool {
    let Some(exception) = event.exceptions.as_deref().and_then(|list| list.first()) else {
        return false;
    };
    let value = exception.value.as_deref().unwrap_or_default();
    if VALUES.iter().any(|known| value.contains(known)) {
        return true;
    }
    let source = source_of(exception).unwrap_or_default().to_ascii_lowercase();
    SCHEMES.iter().any(|scheme| source.starts_with(scheme)) || HOSTS.iter().any(|host| source.contains(host))
}

/// Returns the address of the newest frame that has one.
fn source_of<'e>(exception: &'e Exception<'_>) -> Option<&'e str> {
    let frames = exception.stacktrace.as_ref()?.frames.as_deref()?;
    let named = |path: &&str| !matches!(*path, "<anonymous>" | "[native code]");
    frames.iter().rev().filter_map(|frame| frame.abs_path.as_deref()).find(named)
}
