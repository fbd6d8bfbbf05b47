//! Query strings and the `Link` header of lists, as Sentry writes them and sentry-cli reads them.

use ops::page::PageLink;

/// Most parameters of a query string that are read.
const PAIRS_MAX: usize = 200;

/// Returns the pairs of a query string, decoded; bytes that are not UTF-8 become replacement characters.
pub(super) fn query_pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).take(PAIRS_MAX);
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(key), decoded(value))
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = text.get(at + 1..at + 3).and_then(stdx::hex::decode::<1>);
        match (bytes[at], escaped) {
            (b'%', Some([byte])) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Returns `text` with everything but RFC 3986's unreserved characters percent-encoded.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&stdx::hex::encode(&[byte]).to_ascii_uppercase());
        }
    }
    out
}

/// Returns the `Link` header's text: both neighbours, always.
pub(super) fn link(base: &str, query: &[(String, String)], previous: &PageLink, next: &PageLink) -> String {
    let mut kept = String::new();
    for (key, value) in query.iter().filter(|(key, _)| key != "cursor") {
        kept.push_str(&format!("{}={}&", encoded(key), encoded(value)));
    }
    let one = |rel: &str, to: &PageLink| {
        let PageLink { cursor, has_results } = to;
        format!("<{base}?{kept}cursor={cursor}>; rel=\"{rel}\"; results=\"{has_results}\"; cursor=\"{cursor}\"")
    };
    format!("{}, {}", one("previous", previous), one("next", next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_strings_are_decoded_whatever_they_hold() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let pairs = query_pairs(text);
            let pairs: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            assert_eq!(pairs, expected, "{text}");
        };
        check("", &[]);
        check("query=is%3Aunresolved+a%20b&x", &[("query", "is:unresolved a b"), ("x", "")]);
        check("a=%&b=%zz&c=%e", &[("a", "%"), ("b", "%zz"), ("c", "%e")]);
        check("a=%ff&é=ü", &[("a", "\u{fffd}"), ("é", "ü")]);
        check("a=%é", &[("a", "%é")]);
    }

    #[test]
    fn a_link_keeps_the_query_and_replaces_the_cursor() {
        let to = |cursor: &str, has_results| PageLink { cursor: cursor.into(), has_results };
        let query = query_pairs("query=a%22%0d%0ab&cursor=1:2:0");
        let text = link("http://h/api/0/x/", &query, &to("9:8:1", false), &to("7:6:0", true));
        assert_eq!(
            text,
            "<http://h/api/0/x/?query=a%22%0D%0Ab&cursor=9:8:1>; rel=\"previous\"; results=\"false\"; cursor=\"9:8:1\", \
             <http://h/api/0/x/?query=a%22%0D%0Ab&cursor=7:6:0>; rel=\"next\"; results=\"true\"; cursor=\"7:6:0\""
        );
    }
}
