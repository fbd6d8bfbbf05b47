//! User agents: what browser, system and device a request came from, as contexts.
//!
//! Names and versions are those of the uap-core project's rules, which Sentry's searches are written against. The tables
//! are our own and small: what they do not know gives no context, never a wrong one.

mod browsers;
mod devices;
mod systems;

use super::Context;
use protocol::event::{Contexts, Event};
use protocol::json::{Object, Str, Value};

/// Longest text that is looked at; real ones have 300 characters at most.
const USER_AGENT_BYTES_MAX: usize = 1_024;

/// A name with its version, where one was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub name: String,
    pub version: Option<String>,
}

impl Named {
    fn new(name: &str, version: Option<String>) -> Named {
        Named { name: name.to_owned(), version: version.filter(|version| !version.is_empty()) }
    }
}

/// A device: family, model and brand.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Device {
    family: String,
    model: String,
    brand: Option<&'static str>,
}

/// Returns the browser of a user agent's text.
pub(crate) fn browser(user_agent: &str) -> Option<Named> {
    browsers::find(bounded(user_agent))
}

/// Returns the user agent of an event's request, or for events made in browsers that of its submission.
pub(crate) fn user_agent_of<'e>(event: &'e Event<'_>, submitted: Option<&'e str>) -> Option<&'e str> {
    let headers = event.request.as_ref().and_then(|request| request.headers.as_ref());
    let sent = headers.and_then(|headers| headers.get("User-Agent")).filter(|text| !text.is_empty());
    // Other SDKs submit with user agents of their own, such as `sentry.python/2.1`.
    let is_browser = event.platform.as_deref() == Some("javascript");
    sent.or(submitted.filter(|text| is_browser && text.starts_with("Mozilla/")))
}

/// Fills the contexts of browser, system and device that the event does not bring itself. Client hints win over the
/// user agent, which browsers have frozen.
pub(super) fn set_contexts<'a>(event: &mut Event<'a>, context: &Context<'_>) {
    let Some(user_agent) = user_agent_of(event, context.user_agent).map(bounded) else {
        return;
    };
    let hints = Hints::of(event);
    let browser = hints.browser.or_else(|| browsers::find(user_agent));
    let system = hints.system.or_else(|| systems::find(user_agent));
    let device = hints.device.or_else(|| devices::find(user_agent));
    // A server's event has the server's system in `os`; a browser's event has its own.
    let is_browser = event.platform.as_deref() == Some("javascript");
    let system_key = if is_browser { "os" } else { "client_os" };
    if browser.is_none() && system.is_none() && device.is_none() {
        return;
    }
    let contexts = event.contexts.get_or_insert_with(Contexts::default);
    if let Some(browser) = browser {
        add(contexts, "browser", named(browser));
    }
    if let Some(system) = system {
        add(contexts, system_key, named(system));
    }
    if let Some(device) = device {
        add(contexts, "device", described(device));
    }
}

/// Adds a context unless the event has one of that name.
fn add<'a>(contexts: &mut Contexts<'a>, name: &'static str, entries: Vec<(Str<'a>, Value<'a>)>) {
    if contexts.get(name).is_none() {
        contexts.0.push((Str::from(name), Object(entries)));
    }
}

fn named<'a>(found: Named) -> Vec<(Str<'a>, Value<'a>)> {
    let mut entries = vec![(Str::from("name"), Value::text(found.name))];
    entries.extend(found.version.map(|version| (Str::from("version"), Value::text(version))));
    entries
}

fn described<'a>(device: Device) -> Vec<(Str<'a>, Value<'a>)> {
    let mut entries =
        vec![(Str::from("family"), Value::text(device.family)), (Str::from("model"), Value::text(device.model))];
    entries.extend(device.brand.map(|brand| (Str::from("brand"), Value::text(brand))));
    entries
}

/// What the `Sec-CH-UA` headers tell.
struct Hints {
    browser: Option<Named>,
    system: Option<Named>,
    device: Option<Device>,
}

impl Hints {
    fn of(event: &Event<'_>) -> Hints {
        let headers = event.request.as_ref().and_then(|request| request.headers.as_ref());
        let header = |name| headers.and_then(|headers| headers.get(name)).map(bounded);
        let unquoted = |name| header(name).map(|text| text.trim().trim_matches('"')).filter(|text| !text.is_empty());
        let version = unquoted("Sec-CH-UA-Platform-Version").map(str::to_owned);
        let model = unquoted("Sec-CH-UA-Model");
        Hints {
            browser: header("Sec-CH-UA").and_then(browsers::of_hint),
            system: unquoted("Sec-CH-UA-Platform").map(|name| Named::new(name, version)),
            device: model.map(devices::of_model),
        }
    }
}

fn bounded(text: &str) -> &str {
    let mut end = text.len().min(USER_AGENT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Returns the digits and dots that follow `token`, without a dot at the end.
fn version_after<'t>(text: &'t str, token: &str) -> Option<&'t str> {
    let rest = &text[text.find(token)? + token.len()..];
    let end = rest.bytes().position(|byte| !byte.is_ascii_digit() && byte != b'.').unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches('.'))
}
