//! Times: the client's clock set right, then times too old or to come replaced by the time of receipt.

use super::Context;
use protocol::event::{Event, RemarkKind};
use std::time::Duration;
use stdx::Timestamp;

/// Differences of the clocks below this are latency.
const DRIFT_MIN: Duration = Duration::from_secs(55 * 60);
/// How far ahead of receipt an event's time may be.
const FUTURE_MAX: Duration = Duration::from_secs(60);
/// How far behind receipt an event's time may be.
const PAST_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Returns whether an event says that it was before 1970, by the client's clock set right: Sentry refuses it.
pub fn is_before_epoch(event: &Event<'_>, context: &Context<'_>) -> bool {
    let shift = drift(context).unwrap_or_default();
    let times = [event.timestamp, event.start_timestamp];
    times.into_iter().flatten().any(|time| time.micros().saturating_add(shift) < 0)
}

/// Moves all times by the difference between the client's clock when it sent and ours when we received.
pub(super) fn correct_clock_drift<'a>(event: &mut Event<'a>, context: &Context<'_>) {
    let Some(shift) = drift(context) else {
        return;
    };
    shift_event(event, shift);
    for breadcrumb in event.breadcrumbs.iter_mut().flatten() {
        shift_time(&mut breadcrumb.timestamp, shift);
    }
    event.remark("timestamp", RemarkKind::ClockDrift, None);
}

/// Returns the microseconds between the clocks, if they are more than latency.
fn drift(context: &Context<'_>) -> Option<i64> {
    let shift = context.received_at.micros().saturating_sub(context.sent_at?.micros());
    (Duration::from_micros(shift.unsigned_abs()) >= DRIFT_MIN).then_some(shift)
}

/// Fills a missing time with the time of receipt, and brings one outside the window there.
pub(super) fn set_timestamps<'a>(event: &mut Event<'a>, context: &Context<'_>) {
    let received_at = context.received_at;
    event.received = Some(received_at);
    let timestamp = *event.timestamp.get_or_insert(received_at);
    let remark = if timestamp > received_at.plus(FUTURE_MAX) {
        RemarkKind::FutureTimestamp
    } else if timestamp < received_at.minus(PAST_MAX) {
        RemarkKind::PastTimestamp
    } else {
        return;
    };
    shift_event(event, received_at.micros().saturating_sub(timestamp.micros()));
    event.remark("timestamp", remark, None);
}

fn shift_event(event: &mut Event<'_>, shift: i64) {
    shift_time(&mut event.timestamp, shift);
    shift_time(&mut event.start_timestamp, shift);
}

fn shift_time(time: &mut Option<Timestamp>, shift: i64) {
    if let Some(time) = time {
        *time = Timestamp::from_micros(time.micros().saturating_add(shift));
    }
}
