//! Browsers and other clients by their user agents.

use super::{Named, version_after};

/// Versions are cut to this many numbers, as uap-core does.
const VERSION_PARTS_MAX: usize = 3;

/// One rule: the text that tells the client, what else must be there, its name, and where its version stands.
struct Rule {
    token: &'static str,
    with: &'static str,
    name: &'static str,
    version_token: &'static str,
}

const fn rule(token: &'static str, name: &'static str) -> Rule {
    Rule { token, with: "", name, version_token: token }
}

const fn rule_with(token: &'static str, with: &'static str, name: &'static str) -> Rule {
    Rule { token, with, name, version_token: token }
}

/// The first that fits counts: nearly every browser calls itself Chrome, Safari and Mozilla too.
const RULES: &[Rule] = &[
    rule("Googlebot/", "Googlebot"),
    rule("bingbot/", "bingbot"),
    rule("YandexBot/", "YandexBot"),
    rule("Baiduspider/", "Baiduspider"),
    rule("DuckDuckBot/", "DuckDuckBot"),
    rule("AhrefsBot/", "AhrefsBot"),
    rule("SemrushBot/", "SemrushBot"),
    rule("facebookexternalhit/", "FacebookBot"),
    rule("Twitterbot/", "Twitterbot"),
    rule("EdgA/", "Edge Mobile"),
    rule("EdgiOS/", "Edge Mobile"),
    rule("Edg/", "Edge"),
    rule("Edge/", "Edge"),
    Rule { token: "Opera Mini/", with: "", name: "Opera Mini", version_token: "Opera Mini/" },
    rule_with("OPR/", " Mobile", "Opera Mobile"),
    rule("OPR/", "Opera"),
    rule("SamsungBrowser/", "Samsung Internet"),
    rule("YaBrowser/", "Yandex Browser"),
    rule("Vivaldi/", "Vivaldi"),
    rule("UCBrowser/", "UC Browser"),
    rule("MiuiBrowser/", "MiuiBrowser"),
    rule("HuaweiBrowser/", "HuaweiBrowser"),
    rule("Electron/", "Electron"),
    rule("HeadlessChrome/", "HeadlessChrome"),
    rule("PhantomJS/", "PhantomJS"),
    rule("FxiOS/", "Firefox iOS"),
    rule("CriOS/", "Chrome Mobile iOS"),
    rule("GSA/", "Google"),
    rule_with("Firefox/", "Mobile;", "Firefox Mobile"),
    rule_with("Firefox/", "Tablet;", "Firefox Mobile"),
    rule("Firefox/", "Firefox"),
    Rule { token: "; wv)", with: "Chrome/", name: "Chrome Mobile WebView", version_token: "Chrome/" },
    rule_with("Chrome/", " Mobile", "Chrome Mobile"),
    rule("Chromium/", "Chromium"),
    rule("Chrome/", "Chrome"),
    Rule { token: "Android", with: "Version/", name: "Android", version_token: "Version/" },
    Rule { token: "iPhone", with: "Version/", name: "Mobile Safari", version_token: "Version/" },
    Rule { token: "iPad", with: "Version/", name: "Mobile Safari", version_token: "Version/" },
    Rule { token: "iPod", with: "Version/", name: "Mobile Safari", version_token: "Version/" },
    Rule { token: "(iPhone", with: "AppleWebKit/", name: "Mobile Safari UI/WKWebView", version_token: " OS " },
    Rule { token: "(iPad", with: "AppleWebKit/", name: "Mobile Safari UI/WKWebView", version_token: " OS " },
    Rule { token: "Safari/", with: "Version/", name: "Safari", version_token: "Version/" },
    Rule { token: "Opera", with: "Version/", name: "Opera", version_token: "Version/" },
    rule("Opera/", "Opera"),
    rule("Opera ", "Opera"),
    rule("IEMobile/", "IE Mobile"),
    rule("MSIE ", "IE"),
    Rule { token: "Trident/", with: "rv:", name: "IE", version_token: "rv:" },
    rule("okhttp/", "okhttp"),
    rule("curl/", "curl"),
    rule("Wget/", "Wget"),
    rule("python-requests/", "Python Requests"),
    rule("aiohttp/", "Python/aiohttp"),
    rule("Go-http-client/", "Go-http-client"),
    rule("PostmanRuntime/", "PostmanRuntime"),
    rule("axios/", "axios"),
    rule("Apache-HttpClient/", "Apache-HttpClient"),
    rule("CFNetwork/", "CFNetwork"),
];

pub(super) fn find(user_agent: &str) -> Option<Named> {
    let rule = RULES.iter().find(|rule| user_agent.contains(rule.token) && user_agent.contains(rule.with))?;
    Some(Named::new(rule.name, version_after(user_agent, rule.version_token).map(shortened)))
}

/// Reads `"Chromium";v="118", "Google Chrome";v="118", "Not=A?Brand";v="99"`. The brand that is neither the engine nor
/// the decoy counts, else the engine.
pub(super) fn of_hint(header: &str) -> Option<Named> {
    let brands = header.split(',').filter_map(|brand| {
        let (name, version) = brand.trim().split_once(";v=")?;
        Some((name.trim_matches('"'), version.trim_matches('"')))
    });
    let real = |(name, _): &(&str, &str)| !name.contains("Brand") && !name.is_empty();
    let mut found = None;
    for (name, version) in brands.filter(real) {
        if name != "Chromium" {
            return Some(Named::new(name, Some(version.to_owned())));
        }
        found = Some(Named::new("Chromium", Some(version.to_owned())));
    }
    found
}

fn shortened(version: &str) -> String {
    let parts: Vec<&str> = version.split('.').take(VERSION_PARTS_MAX).collect();
    parts.join(".")
}
