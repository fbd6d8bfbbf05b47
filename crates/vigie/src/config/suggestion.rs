//! What an unknown key was probably meant to be.

use super::keys::KEYS;

/// Returns `; did you mean …?`, or nothing if no key is near.
pub fn hint(name: &str) -> String {
    match meant_by(name) {
        Some(nearest) => format!("; did you mean {nearest}?"),
        None => String::new(),
    }
}

fn meant_by(name: &str) -> Option<&'static str> {
    let slip = stdx::nearest(name, KEYS.iter().map(|key| key.name));
    slip.or_else(|| only_of_section(name)).or_else(|| same_last_part(name))
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
