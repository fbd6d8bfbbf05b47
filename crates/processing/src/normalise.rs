//! Normalisation: what every event looks like before it is titled, tagged, grouped and shown.
//!
//! A list of small steps, each of one concern, in an order that matters: platform before stacks, stacks before
//! exceptions' moves, trimming last. Steps never fail; what they change or leave out is remarked on the event,
//! and in its `_meta`. Rules are
//! those of Sentry's normaliser unless a step says that it is kinder.

mod bags;
mod breadcrumbs;
mod contexts;
mod exceptions;
mod format;
mod frames;
mod identity;
mod labels;
mod mechanism;
mod message;
mod release;
mod remarks;
mod request;
mod sdk;
mod security;
mod tags;
mod timestamps;
mod trimming;
mod user;
mod user_agent;

pub(crate) use remarks::{append, leaf_at};
pub use timestamps::is_before_epoch;
pub(crate) use user_agent::{browser, user_agent_of};

use protocol::event::Event;
use std::net::IpAddr;
use stdx::Timestamp;

/// What is known of an event beside its payload, stamped once when it was accepted.
#[derive(Clone, Debug, Default)]
pub struct Context<'c> {
    pub event_id: [u8; 16],
    pub received_at: Timestamp,
    /// The client's clock when it sent the envelope.
    pub sent_at: Option<Timestamp>,
    pub client_ip: Option<IpAddr>,
    /// `name/version` of the SDK from the authentication header or query.
    pub auth_client: Option<&'c str>,
    /// The `User-Agent` of the request that brought it.
    pub user_agent: Option<&'c str>,
}

/// The version of the steps below. Events say which one read them: a step that changes what is grouped by is a new one.
pub const VERSION: u32 = 3;

type Step = for<'a> fn(&mut Event<'a>, &Context<'_>);

const STEPS: &[Step] = &[
    identity::set_event_id,
    identity::set_platform,
    sdk::set_sdk,
    timestamps::correct_clock_drift,
    timestamps::set_timestamps,
    labels::set_level,
    labels::set_names,
    security::complete_report,
    message::merge_message,
    message::format_message,
    tags::clean_tags,
    release::set_release,
    release::set_environment,
    release::set_dist,
    exceptions::clean_exceptions,
    exceptions::clean_threads,
    exceptions::move_event_stack,
    frames::clean_stacks,
    identity::set_kind,
    breadcrumbs::clean_breadcrumbs,
    request::clean_request,
    user::set_user,
    contexts::read_descriptions,
    user_agent::set_contexts,
    contexts::set_types,
    contexts::set_shown_names,
    mechanism::name_signals,
    trimming::trim_fields,
    trimming::trim_fingerprint,
    bags::fit_data,
    remarks::write_meta,
];

/// Returns the event normalised: ids, times, level, platform, message, tags, release, user and the rest by the rules of
/// each step. Running it twice, without `sent_at`, changes nothing more.
pub fn normalise<'a>(mut event: Event<'a>, context: &Context<'_>) -> Event<'a> {
    for step in STEPS {
        step(&mut event, context);
    }
    event
}
