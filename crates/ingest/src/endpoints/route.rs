//! Which path is which endpoint. Both slash forms are the same, doubled slashes too, and nothing is ever redirected:
//! SDKs do not follow redirects of a POST.

use protocol::dsn;
use protocol::response::Refusal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Envelope,
    Store,
    /// Crash reports; what sends them tries again at once and for ever after a 429, so it never gets one.
    Minidump,
    /// What browsers report by themselves.
    Security,
}

impl Endpoint {
    /// Returns the refusal as the endpoint's clients can bear it.
    pub fn kindly(self, refusal: Refusal) -> Refusal {
        match (self, refusal.status()) {
            (Endpoint::Minidump, 429) => Refusal::Overloaded,
            (Endpoint::Envelope | Endpoint::Store | Endpoint::Minidump | Endpoint::Security, _) => refusal,
        }
    }
}

/// The endpoints of this release, for `docs/reference/routes.md`.
pub const ENDPOINTS: &[(&str, &str)] = &[
    ("POST", "/api/{project_id}/envelope/"),
    ("POST", "/api/{project_id}/store/"),
    ("GET", "/api/{project_id}/store/"),
    ("POST", "/api/store/"),
    ("GET", "/api/store/"),
    ("POST", "/api/{project_id}/minidump/"),
    ("POST", "/api/{project_id}/security/"),
    ("POST", "/api/{project_id}/csp-report/"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// `None` = `/api/store/`, whose project follows from the key.
    pub project_id: Option<i64>,
    pub endpoint: Endpoint,
}

/// Tells whether a path belongs to ingest: everything under `/api/` but the web API.
pub fn is_ingest_path(path: &str) -> bool {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    parts.next() == Some("api") && !matches!(parts.next(), None | Some("0"))
}

/// Finds the endpoint of a path.
///
/// # Errors
/// `BadProjectPath` if the project is not a number; `UnknownEndpoint` for the rest.
pub fn route(path: &str) -> Result<Route, Refusal> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).take(4).collect();
    match parts[..] {
        ["api", "store"] => Ok(Route { project_id: None, endpoint: Endpoint::Store }),
        ["api", project, name] => {
            let endpoint = match name {
                "envelope" => Endpoint::Envelope,
                "store" => Endpoint::Store,
                "minidump" => Endpoint::Minidump,
                "security" | "csp-report" => Endpoint::Security,
                _ => return Err(Refusal::UnknownEndpoint),
            };
            let project_id = dsn::read_project_id(project).ok_or(Refusal::BadProjectPath)?;
            Ok(Route { project_id: Some(project_id), endpoint })
        }
        _ => Err(Refusal::UnknownEndpoint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<(Option<i64>, Endpoint)>) {
        let found = route(path).ok().map(|route| (route.project_id, route.endpoint));
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn both_slash_forms_and_doubled_slashes_lead_to_the_endpoint() {
        check("/api/42/envelope/", Some((Some(42), Endpoint::Envelope)));
        check("/api/42/envelope", Some((Some(42), Endpoint::Envelope)));
        check("//api//42//store//", Some((Some(42), Endpoint::Store)));
        check("/api/store/", Some((None, Endpoint::Store)));
        check("/api/x/envelope/", None);
        check("/api/42/", None);
        check("/api/42/minidump", Some((Some(42), Endpoint::Minidump)));
        check("/api/42/security/", Some((Some(42), Endpoint::Security)));
        check("/api/42/csp-report", Some((Some(42), Endpoint::Security)));
        check("/api/42/unreal/", None);
        check("/api/42/envelope/more/", None);
    }

    #[test]
    fn the_web_api_is_not_ingest() {
        assert!(!is_ingest_path("/api/0/projects/"));
        assert!(!is_ingest_path("/api/"));
        assert!(!is_ingest_path("/issues/1/"));
        assert!(is_ingest_path("/api/1/envelope/"));
        assert!(is_ingest_path("/api/store/"));
    }
}
