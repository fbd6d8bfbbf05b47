//! What a request's head says: who sends, to which project, how the body is encoded, and from where.

use super::route::{self, Endpoint};
use http::{HeaderMap, Method, Request};
use protocol::auth::{self, Auth, AuthSources};
use protocol::encoding::Encoding;
use protocol::query;
use protocol::response::Refusal;
use std::net::{IpAddr, SocketAddr};
use stdx::Timestamp;

/// Content type under which `store/` takes an envelope.
const ENVELOPE_TYPE: &str = "application/x-sentry-envelope";

pub struct Head {
    pub method: Method,
    pub endpoint: Endpoint,
    pub project_id: Option<i64>,
    /// `None` = only the envelope's own header can tell.
    pub auth: Option<Auth>,
    pub encoding: Encoding,
    pub content_length: Option<u64>,
    pub content_type: Option<String>,
    pub query: Option<String>,
    pub client_ip: IpAddr,
    pub user_agent: Option<String>,
    pub received_at: Timestamp,
}

impl Head {
    pub fn read<B>(request: &Request<B>, peer: SocketAddr, received_at: Timestamp) -> Result<Head, Refusal> {
        let headers = request.headers();
        let route = route::route(request.uri().path())?;
        check_method(request.method(), route.endpoint)?;
        let sources = AuthSources {
            x_sentry_auth: text(headers, "x-sentry-auth"),
            authorization: text(headers, "authorization"),
            query: request.uri().query(),
            path_key: None,
        };
        let is_envelope = text(headers, "content-type").is_some_and(|kind| kind.starts_with(ENVELOPE_TYPE));
        let endpoint = if is_envelope { Endpoint::Envelope } else { route.endpoint };
        let auth = auth::find(&sources)?;
        if auth.is_none() && endpoint != Endpoint::Envelope {
            return Err(Refusal::MissingAuth);
        }
        Ok(Head {
            method: request.method().clone(),
            endpoint,
            project_id: route.project_id,
            auth,
            encoding: Encoding::parse(text(headers, "content-encoding").unwrap_or_default())?,
            content_length: text(headers, "content-length").and_then(|length| length.parse().ok()),
            content_type: text(headers, "content-type").map(str::to_owned),
            query: request.uri().query().map(str::to_owned),
            user_agent: text(headers, "user-agent").map(shorten),
            client_ip: peer.ip().to_canonical(),
            received_at,
        })
    }

    /// The event in the query string of `GET store/`.
    pub fn query_event(&self) -> Option<String> {
        if self.method != Method::GET {
            return None;
        }
        let query = self.query.as_deref().unwrap_or_default();
        Some(query::get(query, "sentry_data").unwrap_or_default().into_owned())
    }
}

/// User agents longer than this are cut; real ones have about a hundred bytes.
const USER_AGENT_BYTES_MAX: usize = 512;

fn shorten(text: &str) -> String {
    text.chars().take(USER_AGENT_BYTES_MAX).collect()
}

fn check_method(method: &Method, endpoint: Endpoint) -> Result<(), Refusal> {
    match (method, endpoint) {
        (&Method::POST, _) | (&Method::GET, Endpoint::Store) => Ok(()),
        _ => Err(Refusal::MethodNotAllowed),
    }
}

/// A header's text; one that is not text is as good as absent.
pub fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
