//! Names of generated Java classes without the numbers that generators put into them.

use crate::group::text::is_word;

const ACCESSORS: [&str; 2] = ["sun.reflect.GeneratedMethodAccessor", "jdk.internal.reflect.GeneratedMethodAccessor"];
const CONSTRUCTORS: [&str; 2] =
    ["sun.reflect.GeneratedConstructorAccessor", "sun.reflect.GeneratedSerializationConstructorAccessor"];
const AUTO: &str = "<auto>";

/// Finds one generated name at the start of a text. Returns the length of what is kept and of all of it.
type Form = fn(&str) -> Option<(usize, usize)>;

/// In this order each is replaced everywhere.
const FORMS: &[Form] = &[
    constructor,
    cglib,
    javassist,
    clojure,
    |text| enhanced(text, "EnhancerBy"),
    |text| enhanced(text, "FastClassBy"),
    hibernate,
];

/// Returns the module without what was generated into it, if anything was.
pub(super) fn cleaned_module(module: &str) -> Option<String> {
    if let Some(accessor) = ACCESSORS.into_iter().find(|accessor| module.starts_with(accessor)) {
        return Some(accessor.to_owned());
    }
    if !module.contains('$') && !module.contains("sun.reflect.Generated") {
        return None;
    }
    let mut cleaned = module.to_owned();
    for form in FORMS {
        cleaned = replaced(&cleaned, *form).unwrap_or(cleaned);
    }
    (cleaned != module).then_some(cleaned)
}

/// Returns the file name without what javassist adds, if it does.
pub(super) fn without_javassist(filename: &str) -> Option<String> {
    replaced(filename, javassist).filter(|cleaned| cleaned != filename)
}

fn replaced(text: &str, form: Form) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    let mut found = false;
    while let Some(c) = rest.chars().next() {
        match form(rest) {
            Some((kept, length)) => {
                found = true;
                out.push_str(&rest[..kept]);
                out.push_str(AUTO);
                rest = &rest[length..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    found.then_some(out)
}

fn constructor(text: &str) -> Option<(usize, usize)> {
    CONSTRUCTORS.into_iter().find_map(|name| {
        let digits = run(text.strip_prefix(name)?, |c| c.is_ascii_digit());
        (digits > 0).then_some((name.len(), name.len() + digits))
    })
}

/// `$$EnhancerBySpringCGLIB$$1a2b3c4d_5`
fn cglib(text: &str) -> Option<(usize, usize)> {
    let inner = text.strip_prefix("$$")?;
    inner.match_indices("CGLIB$$").filter(|(at, _)| *at > 0).find_map(|(at, mark)| {
        let is_word = inner[..at].chars().all(is_word);
        let kept = "$$".len() + at + mark.len();
        let hex = run(&text[kept..], |c| c.is_ascii_hexdigit());
        (is_word && hex > 0).then(|| (kept, kept + hex + number_after_underscore(&text[kept + hex..])))
    })
}

/// `$$_javassist_seam_3`
fn javassist(text: &str) -> Option<(usize, usize)> {
    const MARK: &str = "$$_javassist";
    let after = text.strip_prefix(MARK)?;
    let seam = if after.starts_with("_seam") { "_seam".len() } else { 0 };
    Some((MARK.len(), MARK.len() + seam + number_after_underscore(&after[seam..])))
}

/// `$fn__1234`
fn clojure(text: &str) -> Option<(usize, usize)> {
    const MARK: &str = "$fn__";
    let digits = run(text.strip_prefix(MARK)?, |c| c.is_ascii_digit());
    (digits > 0).then_some((MARK.len(), MARK.len() + digits))
}

/// `$$EnhancerByMockito$$1a2b`, with one or two dollars on each side.
fn enhanced(text: &str, by: &str) -> Option<(usize, usize)> {
    let start = after_dollars(text)?;
    let maker = text[start..].strip_prefix(by)?;
    let name = run(maker, is_word);
    let end = start + by.len() + name;
    let kept = end + after_dollars(&text[end..]).filter(|_| name > 0)?;
    let hex = run(&text[kept..], |c| c.is_ascii_hexdigit());
    (hex > 0).then(|| (kept, kept + hex + number_after_underscore(&text[kept + hex..])))
}

/// `$HibernateProxy$oa7gd8v`
fn hibernate(text: &str) -> Option<(usize, usize)> {
    const MARK: &str = "HibernateProxy";
    let start = after_dollars(text)?;
    text[start..].strip_prefix(MARK)?;
    let kept = start + MARK.len() + after_dollars(&text[start + MARK.len()..])?;
    let word = run(&text[kept..], is_word);
    (word > 0).then_some((kept, kept + word))
}

fn after_dollars(text: &str) -> Option<usize> {
    match run(text, |c| c == '$') {
        0 => None,
        count => Some(count.min(2)),
    }
}

fn run(text: &str, takes: impl Fn(char) -> bool) -> usize {
    text.find(|c: char| !takes(c)).unwrap_or(text.len())
}

/// The length of `_123`, if it is there.
fn number_after_underscore(text: &str) -> usize {
    match text.strip_prefix('_').map(|number| run(number, |c| c.is_ascii_digit())) {
        None | Some(0) => 0,
        Some(digits) => 1 + digits,
    }
}

#[cfg(test)]
mod tests {
    use super::cleaned_module;

    #[test]
    fn generated_parts_of_class_names_are_replaced() {
        fn check(module: &str, expected: Option<&str>) {
            assert_eq!(cleaned_module(module).as_deref(), expected, "{module}");
        }
        check("com.acme.Svc$$EnhancerBySpringCGLIB$$1a2b3c4d", Some("com.acme.Svc$$EnhancerBySpringCGLIB$$<auto>"));
        check("com.acme.Svc$$EnhancerBySpringCGLIB$$1a2b_7.x", Some("com.acme.Svc$$EnhancerBySpringCGLIB$$<auto>.x"));
        check("sun.reflect.GeneratedMethodAccessor12", Some("sun.reflect.GeneratedMethodAccessor"));
        check("sun.reflect.GeneratedConstructorAccessor9", Some("sun.reflect.GeneratedConstructorAccessor<auto>"));
        check("a.B_$$_javassist_seam_3", Some("a.B_$$_javassist<auto>"));
        check("a.B$$_javassist", Some("a.B$$_javassist<auto>"));
        check("app.core$fn__1234$x", Some("app.core$fn__<auto>$x"));
        check("a.B$EnhancerByMockito$1a2b", Some("a.B$EnhancerByMockito$<auto>"));
        check("a.B$$FastClassByGuice$$77", Some("a.B$$FastClassByGuice$$<auto>"));
        check("a.B$HibernateProxy$oa7gd8v", Some("a.B$HibernateProxy$<auto>"));
        check("a.B", None);
        check("a.B$C", None);
    }
}
