//! The text of the issue list's search box, taken apart only as far as tabs and "drop this filter" need. What the words
//! mean is the operation's business.

/// Returns the words of a query; quotes keep blanks together, as in `release:"my app 1"`.
pub fn words(query: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut is_quoted = false;
    for c in query.chars() {
        if c == '"' {
            is_quoted = !is_quoted;
        }
        if c.is_whitespace() && !is_quoted {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
        } else {
            word.push(c);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Returns the query with its `is:` of a state replaced; `None` takes it out.
pub fn with_state(query: &str, state: Option<&str>) -> String {
    let kept = words(query).into_iter().filter(|word| !is_state(word));
    state.map(|state| format!("is:{state}")).into_iter().chain(kept).collect::<Vec<_>>().join(" ")
}

/// Returns the state the query asks for, or `None` if it asks for all.
pub fn state(query: &str) -> Option<String> {
    words(query).into_iter().find(|word| is_state(word)).and_then(|word| word.strip_prefix("is:").map(str::to_owned))
}

/// Returns the query without its word at `place`.
pub fn without(query: &str, place: usize) -> String {
    let mut words = words(query);
    if place < words.len() {
        words.remove(place);
    }
    words.join(" ")
}

fn is_state(word: &str) -> bool {
    word.strip_prefix("is:").is_some_and(|state| ops::issues::IssueStatus::parse(state).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tab_replaces_the_state_and_nothing_else() {
        assert_eq!(
            with_state("is:unresolved level:error \"a b\"", Some("resolved")),
            "is:resolved level:error \"a b\""
        );
        assert_eq!(with_state("is:unresolved x", None), "x");
        assert_eq!(with_state("", Some("ignored")), "is:ignored");
        assert_eq!(state("x is:ignored").as_deref(), Some("ignored"));
        assert_eq!(state("is:strange"), None);
    }

    #[test]
    fn quotes_keep_blanks_together_even_when_one_is_missing() {
        assert_eq!(words("a release:\"x y\" \"b c"), ["a", "release:\"x y\"", "\"b c"]);
        assert_eq!(without("a b c", 1), "a c");
        assert_eq!(without("a", 7), "a");
    }
}
