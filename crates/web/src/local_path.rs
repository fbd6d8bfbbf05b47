//! Where a form may send the browser afterwards: a path on this site and nothing else.

const LENGTH_MAX: usize = 2_048;

/// Returns `next` if it is a path on this site, else `/`. Browsers read `\` as `/` and drop tabs and line ends, so any
/// of them makes it foreign (fails closed).
pub fn or_home(next: Option<&str>) -> &str {
    match next {
        Some(path) if is_local(path) => path,
        _ => "/",
    }
}

fn is_local(path: &str) -> bool {
    path.len() <= LENGTH_MAX
        && path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_on_this_site_are_followed() {
        for local in ["/", "/issues/1/?a=b%20c#x", "/?next=//x"] {
            assert_eq!(or_home(Some(local)), local);
        }
        let foreign = [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil",
            "/a\nb",
            "x",
        ];
        for path in foreign {
            assert_eq!(or_home(Some(path)), "/", "{path:?}");
        }
        assert_eq!(or_home(None), "/");
    }
}
