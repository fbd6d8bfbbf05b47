//! Errors of frameworks that say nothing about the program.

use protocol::event::Event;

/// React's numbers of errors in hydration.
const REACT_NUMBERS: &[&str] = &["418", "419", "422", "423", "425"];
const REACT_TEXTS: &[&str] = &[
    "Hydration failed because the initial UI does not match what was rendered on the server",
    "The server could not finish this Suspense boundary",
    "There was an error while hydrating",
    "Text content does not match server-rendered HTML",
];

pub(super) fn is_react_hydration(event: &Event<'_>) -> bool {
    values(event).any(|value| {
        let minified = value.contains("react") || value.contains("React");
        minified && has_react_number(value) || REACT_TEXTS.iter().any(|text| value.contains(text))
    })
}

/// `Minified React error #418; visit https://react.dev/errors/418`, older ones with `?invariant=418`.
fn has_react_number(value: &str) -> bool {
    ["Minified React error #", "react.dev/errors/", "invariant="].iter().any(|before| {
        let Some((_, after)) = value.split_once(before) else {
            return false;
        };
        let end = after.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(after.len());
        REACT_NUMBERS.contains(&&after[..end])
    })
}

pub(super) fn is_chunk_load(event: &Event<'_>) -> bool {
    event.exceptions.iter().flatten().any(|exception| {
        let value = exception.value.as_deref().unwrap_or_default();
        let is_typed = exception.kind.as_deref() == Some("ChunkLoadError") && value.starts_with("Loading chunk ");
        is_typed || value.contains("ChunkLoadError: Loading chunk ")
    })
}

fn values<'e>(event: &'e Event<'_>) -> impl Iterator<Item = &'e str> {
    event.exceptions.iter().flatten().filter_map(|exception| exception.value.as_deref())
}
