//! What the command and a worker process say to each other: one JSON object a line. Both ends are the same program, so a
//! message has no versions, but each must come out as it went in: a test holds that of every one.
//!
//! No map with keys that are not texts may be in a message: in a tagged enum they do not come out again.

use pipeline::retention::Unit;

/// What a worker is told.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum Order {
    Run { unit: Unit, sweep: i64, for_ms: u64 },
    Stop,
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "said", rename_all = "kebab-case")]
pub enum Heard {
    /// Its stores are open.
    Ready,
    /// It has its order: what happens from now on happens to the unit.
    Begun,
    /// It works; so many bytes came back since it last said so.
    Alive {
        returned_bytes: u64,
    },
    /// The unit's time is over, or all of it is done; bytes as for `Alive`.
    Ran {
        is_done: bool,
        returned_bytes: u64,
    },
    Failed {
        error: String,
        returned_bytes: u64,
    },
    SweepEnded,
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeline::retention::{Freed, Model, POLICIES, Work};
    use stdx::{Day, Timestamp};
    use store::series::{self, Share};

    fn check<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(said: &T) {
        let line = serde_json::to_string(said).expect("plain data is JSON");
        assert!(!line.contains('\n'), "one line: {line}");
        assert_eq!(serde_json::from_str::<T>(&line).expect(&line), *said, "{line}");
    }

    /// One of each kind, and of each part that may be missing. A new kind does not compile until it is here.
    fn all_work() -> Vec<Work> {
        let (day, generation, before) = (Day(20_000), i64::MAX, Timestamp::from_seconds(1_795_262_400));
        let share = |series| Share { series, id_first: i64::MIN, id_last: i64::MAX };
        let mut all = vec![
            Work::EndDay { day, generation, reopens: false, only: None },
            Work::EndDay { day, generation, reopens: true, only: Some(vec![1, -2, i64::MAX]) },
            Work::EndDay { day, generation, reopens: true, only: Some(Vec::new()) },
            Work::RemoveEvents { day, generation, project_id: 7 },
            Work::Leftovers,
            Work::Attachments { project_id: 7, before: day },
            Work::Rows { model: Model::Audit, before, project_id: Some(7) },
            Work::Fold { day: Day(-1) },
            Work::Remains { project_id: 7 },
            Work::Blobs { folder: 255, orphans_before: before, bodies_before: Some(before) },
            Work::Blobs { folder: 0, orphans_before: before, bodies_before: None },
            Work::Vacuum,
        ];
        all.extend(POLICIES.iter().map(|policy| Work::Rows { model: policy.model, before, project_id: None }));
        all.extend(series::ALL.iter().map(|of| Work::FoldHours { share: share(*of), before: before.hour() }));
        for work in &all {
            match work {
                Work::EndDay { .. }
                | Work::RemoveEvents { .. }
                | Work::Leftovers
                | Work::Attachments { .. }
                | Work::Rows { .. }
                | Work::Fold { .. }
                | Work::FoldHours { .. }
                | Work::Remains { .. }
                | Work::Blobs { .. }
                | Work::Vacuum => {}
            }
        }
        all
    }

    #[test]
    fn every_order_comes_out_as_it_went_in() {
        let freed = |policy: &pipeline::retention::Policy| Freed {
            model: policy.model,
            project_id: i64::MAX,
            rows: u64::MAX,
            bytes: u64::MAX,
        };
        for work in all_work() {
            for due in [Vec::new(), POLICIES.iter().map(freed).collect()] {
                let unit = Unit { work: work.clone(), due };
                check(&Order::Run { unit, sweep: 3, for_ms: u64::MAX });
            }
        }
        check(&Order::Stop);
    }

    #[test]
    fn everything_a_worker_says_comes_out_as_it_went_in() {
        let error = "a \"quoted\" one,\nover two lines\u{0}é".to_owned();
        for heard in [
            Heard::Ready,
            Heard::Begun,
            Heard::Alive { returned_bytes: u64::MAX },
            Heard::Ran { is_done: true, returned_bytes: 0 },
            Heard::Ran { is_done: false, returned_bytes: 7 },
            Heard::Failed { error, returned_bytes: 7 },
            Heard::SweepEnded,
        ] {
            match heard {
                Heard::Ready
                | Heard::Begun
                | Heard::Alive { .. }
                | Heard::Ran { .. }
                | Heard::Failed { .. }
                | Heard::SweepEnded => check(&heard),
            }
        }
    }
}
