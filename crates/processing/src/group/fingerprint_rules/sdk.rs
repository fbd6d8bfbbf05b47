//! Names of SDKs, as far as rules tell them apart.

/// SDKs that stand for another one in Sentry's statistics.
const SYNONYMS: &[(&str, &str)] = &[
    ("sentry.react", "sentry.javascript.react"),
    ("sentry.electron", "sentry.javascript.electron"),
    ("sentry.unity", "sentry.dotnet.unity"),
    ("sentry.symfony", "sentry.php.symfony"),
    ("sentry.laravel", "sentry.php.laravel"),
];
const OTHER: &str = "other";

/// Returns the name without what rules do not see: JavaScript's are kept whole, native ones to three parts, others to
/// two.
pub fn normalized(name: &str) -> String {
    let mut dotted = String::with_capacity(name.len());
    for part in name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()) {
        if !dotted.is_empty() {
            dotted.push('.');
        }
        dotted.push_str(part);
    }
    if let Some((_, meant)) = SYNONYMS.iter().find(|(synonym, _)| *synonym == dotted) {
        dotted = (*meant).to_owned();
    }
    let parts: Vec<&str> = dotted.split('.').collect();
    match parts.as_slice() {
        ["sentry", "javascript", ..] => dotted,
        ["sentry", "native", ..] => parts[..parts.len().min(3)].join("."),
        ["sentry", _, ..] => parts[..2].join("."),
        _ => OTHER.to_owned(),
    }
}
