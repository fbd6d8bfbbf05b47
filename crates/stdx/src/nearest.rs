//! What somebody may have meant: the known name nearest to one that is not known.

/// Longest name that is compared; a longer one is no slip of the keyboard.
const NAME_BYTES_MAX: usize = 64;

/// Returns the known name that `wanted` is nearest to, unless it is too far from all of them: more than a third of its
/// letters would have to change. Upper and lower case are the same.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wanted.is_empty() || wanted.len() > NAME_BYTES_MAX {
        return None;
    }
    let wanted = wanted.to_lowercase();
    let bound = (wanted.chars().count() / 3).max(2);
    let ranked = known.into_iter().map(|name| (distance(&wanted, &name.to_lowercase()), name));
    ranked.filter(|(far, name)| *far <= bound && *far < name.len()).min_by_key(|(far, _)| *far).map(|(_, name)| name)
}

/// Edits (insert, remove, replace a character) between two texts: Levenshtein's distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, left_char) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, right_char) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(left_char != *right_char);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_understood_and_a_stranger_is_not() {
        let known = ["users.admin", "options.admin", "queues.admin"];
        let check = |wanted: &str, expected: Option<&str>| assert_eq!(nearest(wanted, known), expected, "{wanted}");
        check("user.admin", Some("users.admin"));
        check("Queues.Admin", Some("queues.admin"));
        check("queue.admim", Some("queues.admin"));
        check("root", None);
        check("", None);
        check(&"x".repeat(100_000), None);
    }
}
