//! Security reports: they come from browsers, which say no more than what was blocked. The request that brought one says
//! whose browser it was.

use super::Context;
use protocol::event::{Event, Pairs, Request, User};
use protocol::json::Str;

/// The logger of all of them, as Sentry has it.
const LOGGER: &str = "csp";
const USER_AGENT: &str = "User-Agent";

/// Fills in who sent the report, where it does not say so itself.
pub(super) fn complete_report<'a>(event: &mut Event<'a>, context: &Context<'_>) {
    let reports = [&event.csp, &event.hpkp, &event.expectct, &event.expectstaple];
    if reports.iter().all(|report| report.is_none()) {
        return;
    }
    event.logger.get_or_insert(Str::from(LOGGER.to_owned()));
    if let Some(ip) = context.client_ip {
        let user = event.user.get_or_insert_with(User::default);
        user.ip_address.get_or_insert_with(|| Str::from(ip.to_string()));
    }
    if let Some(agent) = context.user_agent {
        let request = event.request.get_or_insert_with(Request::default);
        let headers = request.headers.get_or_insert_with(|| Pairs(Vec::new()));
        if headers.get(USER_AGENT).is_none() {
            headers.0.push((Str::from(USER_AGENT.to_owned()), Some(Str::from(agent.to_owned()))));
        }
    }
}
