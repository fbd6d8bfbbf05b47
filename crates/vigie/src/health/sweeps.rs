//! Whether the nightly sweep of retention comes to its end. Pure: it is told when one last did.

use super::Check;
use std::time::Duration;
use stdx::Timestamp;

/// One night may fail; after two somebody must look.
const SILENT_AFTER: Duration = Duration::from_secs(36 * 3_600);
/// A sweep that was missed while all was down is made up for; it takes a while.
const MADE_UP_WITHIN: Duration = Duration::from_secs(6 * 3_600);

/// Without any sweep yet, the silence began with this process. A clock that stepped back is no silence.
pub fn judge(last_done: Option<Timestamp>, now: Timestamp, up_for: Duration) -> Check {
    let Some(last) = last_done else {
        let said = "no nightly sweep has ended yet";
        return if up_for < SILENT_AFTER { Check::good("retention", said) } else { Check::bad("retention", said) };
    };
    let ago = now.since(last);
    let said = format!("a nightly sweep was done {} h ago", ago.as_secs() / 3_600);
    let is_silent = ago >= SILENT_AFTER && up_for >= MADE_UP_WITHIN;
    if is_silent { Check::bad("retention", said) } else { Check::good("retention", said) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nights_without_a_whole_sweep_turn_red() {
        let now = Timestamp::from_seconds(1_000_000);
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        let ago = |count: u64| Some(now.minus(hours(count)));
        assert!(judge(ago(35), now, hours(100)).ok);
        assert!(!judge(ago(36), now, hours(100)).ok);
        assert!(judge(ago(80), now, hours(5)).ok, "all was down until a moment ago");
        assert!(judge(Some(now.plus(hours(50))), now, hours(100)).ok, "the clock stepped back");
        assert!(judge(None, now, hours(35)).ok);
        assert!(!judge(None, now, hours(36)).ok, "never");
    }
}
