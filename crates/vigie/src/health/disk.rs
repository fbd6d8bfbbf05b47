//! Whether there is room on the disk. Pure: it is told what is free, and what the disk governor last said.

use super::Check;
use std::time::Duration;
use stdx::{ByteSize, Timestamp};
use store::governor::{Said, Verdict};

/// A governor that has not lifted the disk over its limit by then has a hard time, or cannot write.
const FREED_WITHIN: Duration = Duration::from_secs(45);

/// Below the limit somebody must act once the governor can free no more, takes long, or where none has begun; while it
/// works, it is for people to see.
pub fn judge(free_bytes: u64, free_min_bytes: u64, said: Option<Said>, now: Timestamp) -> Check {
    let (free, free_min) = (ByteSize(free_bytes), ByteSize(free_min_bytes));
    if free_bytes >= free_min_bytes {
        return Check::good("disk", format!("{free} are free, {free_min} are kept free"));
    }
    let short = format!("{free} are free, less than disk.min-free ({free_min})");
    let Some(said) = said else {
        return Check::bad("disk", format!("{short}: no worker has begun to remove events"));
    };
    let (text, silent) = (said.verdict.text(), now.since(said.at));
    match said.verdict {
        Verdict::Exhausted | Verdict::Helpless => Check::bad("disk", format!("{short}: {text}")),
        // It looks each second: this is what it said of an earlier shortage.
        Verdict::Relieved if silent >= FREED_WITHIN => {
            Check::bad("disk", format!("{short}: no worker has begun to remove events again"))
        }
        Verdict::Waiting | Verdict::Freeing if silent >= FREED_WITHIN => {
            Check::bad("disk", format!("{short}: {text}, for {} s by now", silent.as_secs()))
        }
        Verdict::Waiting | Verdict::Freeing | Verdict::Relieved => Check::good("disk", format!("{short}: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_disk_is_red_once_no_more_can_be_removed() {
        let check = |free, verdict: Option<Verdict>, is_good, word: &str| {
            let said = |verdict| Said { verdict, at: Timestamp::EPOCH, free_bytes: 1, free_min_bytes: 2 };
            let check = judge(free, 1_000, verdict.map(said), Timestamp::from_seconds(44));
            assert_eq!(check.ok, is_good, "{check:?}");
            assert!(check.detail.contains(word), "{check:?}");
        };
        check(1_000, None, true, "are kept free");
        check(1_000, Some(Verdict::Exhausted), true, "are kept free");
        check(999, Some(Verdict::Freeing), true, "being removed");
        check(999, Some(Verdict::Waiting), true, "has to end first");
        check(999, Some(Verdict::Relieved), true, "until enough was free");
        check(999, Some(Verdict::Exhausted), false, "make room");
        check(999, Some(Verdict::Helpless), false, "make room");
        check(999, None, false, "no worker");
        for (verdict, word) in [
            (Verdict::Freeing, "being removed, the oldest first, for 46 s"),
            (Verdict::Waiting, "has to end first, for 46 s"),
            (Verdict::Relieved, "no worker has begun to remove events again"),
        ] {
            let said = Said { verdict, at: Timestamp::EPOCH, free_bytes: 1, free_min_bytes: 2 };
            let late = judge(999, 1_000, Some(said), Timestamp::from_seconds(46));
            assert!(!late.ok && late.detail.contains(word), "{late:?}");
        }
    }
}
