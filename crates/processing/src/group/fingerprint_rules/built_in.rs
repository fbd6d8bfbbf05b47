//! The built-in rules: failures of JavaScript applications that would otherwise be one issue for every place.

use super::FingerprintRules;
use std::sync::OnceLock;

/// React's errors of server rendering and hydration.
const HYDRATION_ERRORS: [&str; 5] = [
    "Hydration failed because the initial UI does not match what was rendered on the server.",
    "The server could not finish this Suspense boundary, likely due to an error during server rendering. Switched to \
     client rendering.",
    "There was an error while hydrating this Suspense boundary. Switched to client rendering.",
    "There was an error while hydrating. Because the error happened outside of a Suspense boundary, the entire root \
     will switch to client rendering.",
    "Text content does not match server-rendered HTML.",
];

/// Returns the rules all projects have, after their own.
pub fn built_in() -> &'static FingerprintRules {
    static RULES: OnceLock<FingerprintRules> = OnceLock::new();
    RULES.get_or_init(|| {
        let mut text = String::from("family:\"javascript\" type:\"ChunkLoadError\" -> chunkloaderror\n");
        text.push_str("family:\"javascript\" value:\"ChunkLoadError*\" -> chunkloaderror\n");
        for error in HYDRATION_ERRORS {
            let matchers = format!("family:\"javascript\" tags.transaction:\"*\" message:\"{error}\"");
            text.push_str(&format!("{matchers} -> hydrationerror, {{{{tags.transaction}}}}\n"));
        }
        FingerprintRules::parse(&text).expect("the built-in rules are checked by a test")
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_built_in_rules_are_rules() {
        assert_eq!(super::built_in().len(), 7);
    }
}
