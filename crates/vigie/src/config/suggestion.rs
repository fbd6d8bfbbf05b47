//! What an unknown key was probably meant to be.

use super::keys::KEYS;

/// More typing mistakes than this are another word.
const MISTAKES_MAX: usize = 4;

/// Returns `; did you mean …?`, or nothing if no key is near.
pub fn hint(name: &str) -> String {
    match nearest(name) {
        Some(nearest) => format!("; did you mean {nearest}?"),
        None => String::new(),
    }
}

fn nearest(name: &str) -> Option<&'static str> {
    let by_distance = KEYS.iter().map(|key| (distance(key.name, name), key.name)).min();
    let is_near = |(mistakes, _): &(usize, &str)| *mistakes <= MISTAKES_MAX.min(name.len() / 2);
    by_distance.filter(is_near).map(|(_, name)| name).or_else(|| only_of_section(name)).or_else(|| same_last_part(name))
}

/// `broker = "redis://…"`: the section's one key.
fn only_of_section(section: &str) -> Option<&'static str> {
    let mut keys = KEYS.iter().filter(|key| key.name.strip_prefix(section).is_some_and(|rest| rest.starts_with('.')));
    let first = keys.next()?;
    keys.next().is_none().then_some(first.name)
}

/// The right word in the wrong section, as after a move between releases.
fn same_last_part(name: &str) -> Option<&'static str> {
    let last = name.rsplit('.').next().filter(|last| last.len() > 3)?;
    KEYS.iter().map(|key| key.name).find(|key| key.rsplit('.').next() == Some(last))
}

/// Levenshtein distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_key_is_answered_with_the_one_that_was_meant() {
        assert_eq!(hint("web.lisen"), "; did you mean web.listen?");
        assert_eq!(hint("broker"), "; did you mean broker.url?");
        assert_eq!(hint("ingest.trusted-proxies"), "; did you mean web.trusted-proxies?");
        assert_eq!(hint("a.b"), "");
    }
}
