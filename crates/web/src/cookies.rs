//! Cookies: reading one by name, and the three we set (session, theme, notice).

use axum::http::{HeaderMap, HeaderValue, header};

pub const THEME_COOKIE: &str = "vigie_theme";
pub const NOTICE_COOKIE: &str = "vigie_notice";

/// The longest that browsers keep a cookie. How long a session lives is decided by the store alone.
const LONG_S: u64 = 400 * 24 * 3_600;
/// A notice is shown on the next page; a page that never comes must not leave it for tomorrow.
const NOTICE_S: u64 = 30;

/// Returns the first cookie named `name`.
pub fn read<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// The session's cookie: for this site only, hidden from scripts, `Secure` where the public address is https.
pub fn session(token: &str, is_secure: bool) -> HeaderValue {
    cookie(ops::sessions::SESSION_COOKIE, token, LONG_S, if is_secure { "; HttpOnly; Secure" } else { "; HttpOnly" })
}

pub fn end_session(is_secure: bool) -> HeaderValue {
    cookie(ops::sessions::SESSION_COOKIE, "", 0, if is_secure { "; HttpOnly; Secure" } else { "; HttpOnly" })
}

pub fn theme(name: &'static str) -> HeaderValue {
    cookie(THEME_COOKIE, name, LONG_S, "")
}

pub fn notice(text: &str) -> HeaderValue {
    cookie(NOTICE_COOKIE, text, NOTICE_S, "; HttpOnly")
}

pub fn end_notice() -> HeaderValue {
    cookie(NOTICE_COOKIE, "", 0, "; HttpOnly")
}

fn cookie(name: &str, value: &str, max_age_s: u64, more: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("{name}={value}; Path=/; Max-Age={max_age_s}; SameSite=Lax{more}"))
        .expect("names and values are letters, digits and dots")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers
            .insert(header::COOKIE, HeaderValue::from_static("xvigie_session=1; vigie_session=abc; vigie_sessions=2"));
        assert_eq!(read(&headers, "vigie_session"), Some("abc"));
        assert_eq!(read(&headers, "vigie"), None);
    }
}
