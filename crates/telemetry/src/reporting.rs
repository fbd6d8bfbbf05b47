//! Self-reporting: what goes wrong in Vigie itself is an event too. ERROR log records and panics become events of the
//! `sentry` crate's client, and go first *upstream* (the place most isolated from this installation) and then to the
//! *relay* (this installation's internal project, or a DSN of the operator's choice).
//!
//! A report must not cause the next. That is held by data: every report carries a hop marker, what is said of a job
//! of the internal project is never sent to the relay, nor upstream what is said of another installation's report, and a
//! token bucket bounds what is left. What is not sent is
//! counted with its reason, so that for each destination captured = sent + dropped + waiting.

mod bucket;
mod destination;
mod http;
mod layer;
pub mod metrics;
mod multiplex;
mod own;
mod record;
mod traces;

pub use destination::{Answer, Deliver, Tally};
pub use http::HttpDelivery;
pub use layer::ReportLayer;
pub use own::{Handling, handling, handling_of_client, set_internal_project};
pub use sentry::types::Dsn;
pub use traces::{TracedRun, TracesSampler};

use destination::Destination;
use multiplex::Multiplexer;
use own::About;
use sentry::integrations::backtrace::{AttachStacktraceIntegration, ProcessStacktraceIntegration};
use sentry::integrations::panic::PanicIntegration;
use sentry::protocol::Event;
use sentry::{Client, ClientOptions};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The tag that every report carries: how many installations have reported it on.
pub const HOP_TAG: &str = "vigie.hop";
/// How long the last reports of a process may take.
const LAST_REPORTS_WITHIN: Duration = Duration::from_secs(2);

/// How this process reports.
pub struct ReportingConfig {
    pub release: String,
    pub environment: String,
    pub server_name: String,
    /// Share of what is captured that is sent, from 0 to 1.
    pub sample_rate: f32,
    /// Share of envelopes whose metric items go upstream, from 0 to 1; one draw an envelope.
    pub upstream_metrics_rate: f32,
    /// The project whose jobs are reports themselves, if the relay is this installation.
    pub internal_project: Option<i64>,
}

/// Where reports go. What is missing is off.
#[derive(Default)]
pub struct Destinations {
    pub upstream: Option<Box<dyn Deliver>>,
    pub relay: Option<Box<dyn Deliver>>,
}

/// The process's reporting. One for a process: a second start is refused by saying so.
pub struct Reporting {
    client: Arc<Client>,
    upstream: Option<Arc<Destination>>,
    relay: Option<Arc<Destination>>,
}

/// What the layer and the panic hook report to.
static CLIENT: OnceLock<Arc<Client>> = OnceLock::new();

/// Starts reporting.
///
/// Returns `None` if no destination was given, or if reporting was started before in this process.
pub fn start(config: ReportingConfig, destinations: Destinations) -> Option<Reporting> {
    let was_started = CLIENT.get().is_some();
    if was_started || (destinations.upstream.is_none() && destinations.relay.is_none()) {
        return None;
    }
    let open =
        |name, deliver: Option<Box<dyn Deliver>>| deliver.map(|deliver| Arc::new(Destination::start(name, deliver)));
    let upstream = open(destination::Name::Upstream, destinations.upstream);
    let relay = open(destination::Name::Relay, destinations.relay);
    set_internal_project(config.internal_project);
    let multiplexer = Multiplexer::new(upstream.clone(), relay.clone(), config.upstream_metrics_rate);
    let client = Arc::new(Client::with_options(options(config, multiplexer)));
    if CLIENT.set(client.clone()).is_err() {
        return None;
    }
    report_panics();
    Some(Reporting { client, upstream, relay })
}

fn options(config: ReportingConfig, multiplexer: Multiplexer) -> ClientOptions {
    let transport = Arc::new(multiplexer);
    let factory = move |_: &ClientOptions| -> Arc<dyn sentry::Transport> { transport.clone() };
    let mut options = ClientOptions::new()
        .release(format!("backend@{}", config.release))
        .environment(config.environment)
        .default_integrations(false)
        .add_integration(AttachStacktraceIntegration)
        .add_integration(ProcessStacktraceIntegration)
        .before_send(|event| Some(marked(event)));
    options.server_name = Some(config.server_name.into());
    options.event_sampling_strategy = sentry::EventSamplingStrategy::FixedRate(config.sample_rate);
    options.in_app_include =
        vec!["vigie", "pipeline", "ingest", "ops", "web", "store", "queue", "processing", "protocol"];
    options.transport = Some(Arc::new(factory));
    // The client does nothing without one; where reports go is the multiplexer's to know.
    options.dsn = Some("http://self@localhost/1".parse().expect("a DSN"));
    options
}

/// What everybody downstream must see: that this is a report, so that nobody reports on it.
fn marked(mut event: Event<'static>) -> Event<'static> {
    event.tags.insert(HOP_TAG.to_owned(), "1".to_owned());
    event
}

fn report_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        capture(PanicIntegration::new().event_from_panic_info(info), own::handled_here());
        before(info);
    }));
}

/// Reports an event, if reporting was started.
fn capture(mut event: Event<'static>, about: About) {
    let Some(client) = CLIENT.get() else { return };
    if own::is_reporting_thread() {
        return;
    }
    if about != About::Other {
        event.tags.insert(own::ABOUT_TAG.to_owned(), about.as_str().to_owned());
    }
    client.capture_event(event, None);
}

/// Reports why the process ends, if reporting was started, and waits a moment for it to go out.
pub fn last_words(text: &str) {
    let Some(client) = CLIENT.get() else { return };
    capture(Event { message: Some(text.to_owned()), level: sentry::Level::Fatal, ..Event::default() }, About::Other);
    client.flush(Some(LAST_REPORTS_WITHIN));
}

impl Reporting {
    /// Returns what became of the reports, by destination.
    pub fn tallies(&self) -> Vec<(&'static str, Tally)> {
        let both = [&self.upstream, &self.relay];
        both.into_iter().flatten().map(|destination| (destination.name(), destination.tally())).collect()
    }
}

impl Drop for Reporting {
    /// The last words of a process are often its most important.
    fn drop(&mut self) {
        self.client.flush(Some(LAST_REPORTS_WITHIN));
    }
}
