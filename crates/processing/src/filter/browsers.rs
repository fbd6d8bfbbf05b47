//! Browsers too old to care about, by Sentry's names for them.

use crate::normalise::browser;
use serde::{Deserialize, Serialize};

/// Browsers up to a version. The later names take in all that the earlier ones of their family do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegacyBrowser {
    /// The set from before versions were told apart.
    Default,
    #[serde(rename = "ie_pre_9")]
    IePre9,
    Ie9,
    Ie10,
    Ie11,
    #[serde(rename = "safari_pre_6")]
    SafariPre6,
    #[serde(rename = "opera_pre_15")]
    OperaPre15,
    #[serde(rename = "opera_mini_pre_8")]
    OperaMiniPre8,
    #[serde(rename = "android_pre_4")]
    AndroidPre4,
    #[serde(rename = "edge_pre_79")]
    EdgePre79,
    Ie,
    Edge,
    Safari,
    Firefox,
    Chrome,
    Opera,
    OperaMini,
    Android,
}

impl LegacyBrowser {
    /// Returns the browser of Sentry's name.
    pub fn from_name(name: &str) -> Option<LegacyBrowser> {
        serde_json::from_value(serde_json::Value::from(name)).ok()
    }

    /// Returns the families and the first major version that is not legacy.
    fn range(self) -> (&'static [&'static str], std::ops::Range<u32>) {
        const IE: &[&str] = &["IE", "IE Mobile"];
        const EDGE: &[&str] = &["Edge", "Edge Mobile"];
        const SAFARI: &[&str] = &["Safari", "Mobile Safari"];
        const CHROME: &[&str] = &["Chrome", "Chrome Mobile"];
        const FIREFOX: &[&str] = &["Firefox", "Firefox Mobile"];
        match self {
            LegacyBrowser::Default => (&[], 0..0),
            LegacyBrowser::IePre9 => (IE, 0..9),
            LegacyBrowser::Ie9 => (IE, 9..10),
            LegacyBrowser::Ie10 => (IE, 10..11),
            LegacyBrowser::Ie11 => (IE, 11..12),
            LegacyBrowser::Ie => (IE, 0..12),
            LegacyBrowser::SafariPre6 => (&["Safari"], 0..6),
            LegacyBrowser::Safari => (SAFARI, 0..16),
            LegacyBrowser::OperaPre15 => (&["Opera"], 0..15),
            LegacyBrowser::Opera => (&["Opera", "Opera Mobile"], 0..100),
            LegacyBrowser::OperaMiniPre8 => (&["Opera Mini"], 0..8),
            LegacyBrowser::OperaMini => (&["Opera Mini"], 0..35),
            LegacyBrowser::AndroidPre4 => (&["Android"], 0..4),
            LegacyBrowser::Android => (&["Android"], 0..5),
            LegacyBrowser::EdgePre79 => (EDGE, 0..79),
            LegacyBrowser::Edge => (EDGE, 0..111),
            LegacyBrowser::Firefox => (FIREFOX, 0..111),
            LegacyBrowser::Chrome => (CHROME, 0..111),
        }
    }
}

const DEFAULT: &[LegacyBrowser] = &[
    LegacyBrowser::IePre9,
    LegacyBrowser::Ie9,
    LegacyBrowser::SafariPre6,
    LegacyBrowser::OperaPre15,
    LegacyBrowser::AndroidPre4,
];

/// Whether the browser is one of those listed. One whose version is not told is not.
pub(super) fn is_legacy(user_agent: &str, listed: &[LegacyBrowser]) -> bool {
    let Some(found) = browser(user_agent) else {
        return false;
    };
    let version = found.version.as_deref().unwrap_or_default();
    let Some(major) = version.split('.').next().and_then(|major| major.parse::<u32>().ok()) else {
        return false;
    };
    let takes = |legacy: &LegacyBrowser| {
        let (families, majors) = legacy.range();
        families.contains(&found.name.as_str()) && majors.contains(&major)
    };
    listed.iter().any(|legacy| match legacy {
        LegacyBrowser::Default => DEFAULT.iter().any(takes),
        other => takes(other),
    })
}
