//! Security reports: a request of a browser's brings one or several, each of which becomes an event with a job of its own.
//! Browsers do not look at the answer and send a report once, so a body is taken as far as it can be understood.

use super::examine::Examined;
use super::head::Head;
use super::{Ingest, Taken, TakenBody, refusal_of_body};
use crate::answer;
use crate::body::{self, RawBody};
use crate::keyring::KeyEntry;
use crate::server::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use protocol::auth::Auth;
use protocol::encoding::{self, Encoding};
use protocol::limits::EVENT_BYTES_MAX;
use protocol::query;
use protocol::response::Refusal;
use protocol::security::{self, SecurityError, Submission};

impl Ingest {
    /// Publishes every report of the body. Of several answers the first refusal is the request's.
    pub(super) async fn answer_reports(
        &self,
        request: Request<Incoming>,
        head: &Head,
        key: KeyEntry,
        auth: &Auth,
    ) -> Response<Body> {
        let reports = match self.read_reports(request, head).await {
            Ok(reports) => reports,
            Err(refusal) => return self.refuse(Some(self.receive(key)), &refusal),
        };
        let mut refused = None;
        for report in reports {
            let received = self.receive(key);
            let response = match report {
                Ok(event) => self.publish(head, taken(key, auth.clone(), event), received).await,
                Err(error) => self.refuse(Some(received), &refusal_of(error)),
            };
            refused = refused.or_else(|| (response.status() != StatusCode::OK).then_some(response));
        }
        refused.unwrap_or_else(answer::empty)
    }

    async fn read_reports(&self, request: Request<Incoming>, head: &Head) -> Result<Vec<security::Read>, Refusal> {
        if !head.content_type.as_deref().is_some_and(security::is_content_type) {
            return Err(Refusal::UnsupportedMediaType);
        }
        let reading =
            body::read(request.into_body(), head.content_length, EVENT_BYTES_MAX, &self.budget, &self.incoming_dir);
        let RawBody::Inline { bytes, reservation } = reading.await.map_err(refusal_of_body)? else {
            return Err(Refusal::BodyTooLarge { limit: EVENT_BYTES_MAX });
        };
        let decoded = encoding::decode(head.encoding, &bytes, EVENT_BYTES_MAX)?;
        let query = head.query.as_deref().unwrap_or_default();
        let (release, environment) = (query::get(query, "sentry_release"), query::get(query, "sentry_environment"));
        let submission = Submission { release: release.as_deref(), environment: environment.as_deref() };
        let reports = security::events(&decoded, submission).map_err(refusal_of);
        drop(reservation);
        reports
    }
}

fn taken(key: KeyEntry, auth: Auth, event: Vec<u8>) -> Taken {
    let mut examined = Examined { is_kept: true, has_event: true, ..Examined::default() };
    examined.need_event_id();
    Taken { key, auth, examined, body: TakenBody::Inline(Bytes::from(event)), encoding: Encoding::Identity }
}

fn refusal_of(error: SecurityError) -> Refusal {
    match error {
        SecurityError::Json(_) => Refusal::InvalidJson { cause: stdx::causes::on_one_line(&error) },
        SecurityError::NoReport | SecurityError::UnknownDirective | SecurityError::NoHost | SecurityError::TooMany => {
            Refusal::InvalidReport { cause: error.to_string() }
        }
    }
}
