//! Every route of authentication, every failure of it.

use protocol::Refusal;
use protocol::auth::{self, Auth, AuthSources};
use protocol::dsn::{Dsn, PublicKey};

const KEY: &str = "aaaabbbbccccddddeeeeffff00001111";
const OTHER: &str = "11110000ffffeeeeddddccccbbbbaaaa";

fn auth(version: u16, client: Option<&str>) -> Auth {
    Auth { public_key: PublicKey::parse(KEY).unwrap(), version, client: client.map(str::to_owned) }
}

fn x_sentry_auth(header: &str) -> Result<Option<Auth>, Refusal> {
    auth::find(&AuthSources { x_sentry_auth: Some(header), ..AuthSources::default() })
}

fn authorization(header: &str) -> Result<Option<Auth>, Refusal> {
    auth::find(&AuthSources { authorization: Some(header), ..AuthSources::default() })
}

fn query(query: &str) -> Result<Option<Auth>, Refusal> {
    auth::find(&AuthSources { query: Some(query), ..AuthSources::default() })
}

#[test]
fn headers_are_read_as_real_clients_write_them() {
    fn check(fields: &str, expected: &Auth) {
        assert_eq!(x_sentry_auth(fields).unwrap().as_ref(), Some(expected), "{fields}");
        assert_eq!(authorization(fields).unwrap().as_ref(), Some(expected), "{fields}");
    }
    check(
        &format!("Sentry sentry_key={KEY}, sentry_version=7, sentry_client=sentry.python/2.75.0"),
        &auth(7, Some("sentry.python/2.75.0")),
    );
    check(
        &format!(
            "sentry sentry_version=5,sentry_client=raven-node/2.6.4,sentry_timestamp=1795233600123,sentry_key={KEY},sentry_secret=x"
        ),
        &auth(5, Some("raven-node/2.6.4")),
    );
    check(&format!("SENTRY  sentry_key={KEY}  sentry_version=2.0"), &auth(2, None));
    check(&format!("Sentry sentry_key=\"{KEY}\",future=1"), &auth(7, None));
    check(&format!("Sentry sentry_key={KEY}.no-cache"), &auth(7, None));
}

#[test]
fn basic_query_and_path_name_the_key() {
    // base64 of "<key>:" and of the key alone
    let with_colon = "Basic YWFhYWJiYmJjY2NjZGRkZGVlZWVmZmZmMDAwMDExMTE6";
    let alone = "basic YWFhYWJiYmJjY2NjZGRkZGVlZWVmZmZmMDAwMDExMTE=";
    assert_eq!(authorization(with_colon).unwrap(), Some(auth(7, None)));
    assert_eq!(authorization(alone).unwrap(), Some(auth(7, None)));
    let text = format!("sentry_key={KEY}&sentry_version=7&sentry_client=sentry.javascript.browser%2F11.12.0");
    assert_eq!(query(&text).unwrap(), Some(auth(7, Some("sentry.javascript.browser/11.12.0"))));
    let sources = AuthSources { path_key: Some(KEY), ..AuthSources::default() };
    assert_eq!(auth::find(&sources).unwrap(), Some(auth(7, None)));
}

#[test]
fn nothing_of_ours_is_no_authentication() {
    assert_eq!(auth::find(&AuthSources::default()).unwrap(), None);
    assert_eq!(authorization("Bearer abcdef").unwrap(), None);
    assert_eq!(authorization("").unwrap(), None);
    assert_eq!(query("sentry_release=1.0&sentry_environment=x").unwrap(), None);
}

#[test]
fn the_same_key_twice_is_fine_and_two_keys_are_not() {
    let header = format!("Sentry sentry_key={KEY}");
    let same = format!("sentry_key={KEY}&sentry_client=a/1");
    let sources = AuthSources { x_sentry_auth: Some(&header), query: Some(&same), ..AuthSources::default() };
    assert_eq!(auth::find(&sources).unwrap(), Some(auth(7, Some("a/1"))));
    let sources = AuthSources { query: Some("sentry_release=1"), ..sources };
    assert_eq!(auth::find(&sources).unwrap(), Some(auth(7, None)));
    let other = format!("sentry_key={OTHER}");
    for sources in [
        AuthSources { query: Some(&other), ..sources },
        AuthSources { path_key: Some(OTHER), ..sources },
        AuthSources { authorization: Some(&format!("Sentry sentry_key={OTHER}")), ..sources },
    ] {
        let refusal = auth::find(&sources).unwrap_err();
        assert_eq!((refusal.status(), refusal.to_string().as_str()), (401, "multiple authorization payloads detected"));
    }
}

#[test]
fn every_failure_has_its_status_and_text() {
    fn check(found: Result<Option<Auth>, Refusal>, status: u16, detail: &str, cause: Option<&str>) {
        let refusal = found.unwrap_err();
        assert_eq!((refusal.status(), refusal.to_string().as_str()), (status, detail));
        assert_eq!(refusal.causes().first().map(AsRef::as_ref), cause, "{detail}");
    }
    let bad = "bad x-sentry-auth header";
    let missing = Some("missing public key in auth header");
    check(x_sentry_auth("Sentry sentry_version=7"), 401, bad, missing);
    check(x_sentry_auth("Sentry sentry_key=,sentry_version=7"), 401, bad, missing);
    check(x_sentry_auth("Sentry"), 401, bad, missing);
    check(x_sentry_auth(""), 401, bad, Some("not a Sentry auth header"));
    check(x_sentry_auth(KEY), 401, bad, Some("not a Sentry auth header"));
    check(x_sentry_auth("é"), 401, bad, Some("not a Sentry auth header"));
    check(query("sentry_key="), 401, bad, missing);
    check(authorization("Basic ????"), 401, bad, Some("invalid basic auth header"));
    check(authorization("Basic Og=="), 401, bad, missing);
    check(x_sentry_auth("Sentry sentry_key=abc"), 400, "bad sentry DSN public key", None);
    check(query("sentry_key=abc"), 400, "bad sentry DSN public key", None);
    check(query(&format!("sentry_key={KEY}0")), 400, "bad sentry DSN public key", None);
    check(authorization("Basic YTo="), 400, "bad sentry DSN public key", None);
    let version = |version: &str| query(&format!("sentry_key={KEY}&sentry_version={version}"));
    check(version("9"), 400, "unsupported protocol version (9)", None);
    check(version("99999"), 400, "unsupported protocol version (99999)", None);
    check(version("x"), 401, bad, Some("invalid version in auth header"));
    assert!(version("8").is_ok() && version("6").is_ok());
}

#[test]
fn an_envelope_brings_its_own_dsn_when_nothing_else_does() {
    let body = format!("{{\"dsn\":\"https://{KEY}@a.example/42\"}}\ngarbage");
    assert_eq!(auth::from_envelope(body.as_bytes()).unwrap(), auth(7, None));
    fn check(body: &[u8], status: u16, detail: &str) {
        let refusal = auth::from_envelope(body).unwrap_err();
        assert_eq!((refusal.status(), refusal.to_string().as_str()), (status, detail));
    }
    check(b"{}\n", 401, "missing authorization information");
    check(b"{", 401, "bad envelope authentication header");
    check(b"what", 401, "bad envelope authentication header");
    check(b"{\"dsn\":\"https://a/1\"}", 401, "bad envelope authentication header");
    check(b"", 400, "empty request body");
}

#[test]
fn a_dsn_that_differs_from_the_request_is_refused() {
    let dsn: Dsn = format!("https://{KEY}@a.example/42").parse().unwrap();
    let request = auth(7, None);
    assert!(auth::check_dsn(None, &request, 1).is_ok());
    assert!(auth::check_dsn(Some(&dsn), &request, 42).is_ok());
    let refusal = auth::check_dsn(Some(&dsn), &request, 1).unwrap_err();
    assert_eq!((refusal.status(), refusal.to_string().as_str()), (400, "invalid event envelope"));
    assert_eq!(refusal.causes(), ["project id header mismatch between envelope and request"]);
    let other = Auth { public_key: PublicKey::parse(OTHER).unwrap(), ..request };
    let refusal = auth::check_dsn(Some(&dsn), &other, 42).unwrap_err();
    assert_eq!(refusal.causes(), ["public key header mismatch between envelope and request"]);
}
