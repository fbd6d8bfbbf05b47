//! Reports over HTTP, to a DSN.

use super::destination::{Answer, Deliver};
use super::own::CLIENT_NAME;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use sentry::types::Dsn;
use std::time::Duration;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const ENVELOPE: &str = "application/x-sentry-envelope";

pub struct HttpDelivery {
    url: String,
    auth: String,
    /// Made with the first report: most processes never have one.
    connection: Option<Connection>,
}

struct Connection {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

impl HttpDelivery {
    pub fn new(dsn: &Dsn) -> HttpDelivery {
        let auth = dsn.to_auth(Some(&client())).to_string();
        HttpDelivery { url: dsn.envelope_api_url().to_string(), auth, connection: None }
    }
}

fn client() -> String {
    format!("{CLIENT_NAME}/{}", env!("CARGO_PKG_VERSION"))
}

impl Connection {
    fn open() -> Option<Connection> {
        // Fails if there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(client())
            .build();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match (runtime, client) {
            (Ok(runtime), Ok(client)) => Some(Connection { runtime, client }),
            (Err(error), _) => {
                tracing::warn!(error = %error, "reports cannot be sent");
                None
            }
            (_, Err(error)) => {
                tracing::warn!(error = %error, "reports cannot be sent");
                None
            }
        }
    }
}

impl Deliver for HttpDelivery {
    fn deliver(&mut self, envelope: &[u8]) -> Answer {
        if self.connection.is_none() {
            self.connection = Connection::open();
        }
        let Some(connection) = &self.connection else { return Answer::Unreachable };
        let request = connection
            .client
            .post(&self.url)
            .header("X-Sentry-Auth", &self.auth)
            .header(CONTENT_TYPE, ENVELOPE)
            .body(envelope.to_vec());
        // Its timer wants to be made inside the runtime.
        match connection.runtime.block_on(async { request.send().await }) {
            Ok(response) => {
                let said = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                Answer::Status { status: response.status().as_u16(), rest: said.map(Duration::from_secs) }
            }
            Err(error) => {
                // The address holds the key: only the kind of failure is said.
                tracing::warn!(is_timeout = error.is_timeout(), is_connect = error.is_connect(), "report not sent");
                Answer::Unreachable
            }
        }
    }
}
