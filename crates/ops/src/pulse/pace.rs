//! From hourly counts to rates. Pure.

use super::{Heard, RATE_WINDOW, Sample};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use stdx::{Hour, Timestamp};
use store::conservation::AcceptedRow;
use store::outcomes::HourSum;

/// Fewer waiting jobs than this, more or less, are no tendency.
const TENDENCY_JOBS_MIN: u64 = 20;

/// Counts since the first sample: of all projects, events only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub accepted: i64,
    pub accepted_by_project: BTreeMap<i64, i64>,
    /// By outcome and reason, refusals too.
    pub outcomes: BTreeMap<(String, String), i64>,
}

/// What the hourly counts say at one moment.
#[derive(Clone, Debug, Default)]
pub struct Hourly {
    accepted: HashMap<(i64, Hour), i64>,
    outcomes: HashMap<(Hour, String, String), i64>,
}

impl Hourly {
    pub fn of(accepted: &[AcceptedRow], outcomes: Vec<HourSum>) -> Hourly {
        let events = outcomes.into_iter().filter(|sum| sum.category == "error" && sum.outcome != "accepted");
        Hourly {
            accepted: accepted.iter().map(|row| ((row.project_id, row.hour), row.quantity)).collect(),
            outcomes: events.map(|sum| ((sum.hour, sum.outcome, sum.reason), sum.quantity)).collect(),
        }
    }

    /// Returns what was added since `last`. Hours that have left the window had their end counted before.
    pub fn growth_since(&self, last: &Hourly) -> Counters {
        let mut grown = Counters::default();
        for (key, quantity) in &self.accepted {
            let more = quantity - last.accepted.get(key).copied().unwrap_or(0);
            grown.accepted += more;
            *grown.accepted_by_project.entry(key.0).or_default() += more;
        }
        for (key, quantity) in &self.outcomes {
            let more = quantity - last.outcomes.get(key).copied().unwrap_or(0);
            *grown.outcomes.entry((key.1.clone(), key.2.clone())).or_default() += more;
        }
        grown
    }
}

impl Counters {
    pub fn add(&mut self, other: Counters) {
        self.accepted += other.accepted;
        for (project, more) in other.accepted_by_project {
            *self.accepted_by_project.entry(project).or_default() += more;
        }
        for (key, more) in other.outcomes {
            *self.outcomes.entry(key).or_default() += more;
        }
    }

    fn of_outcome(&self, outcome: &str) -> i64 {
        self.outcomes.iter().filter(|((name, _), _)| name == outcome).map(|(_, sum)| sum).sum()
    }
}

/// Events a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Rate(pub f64);

/// Where the backlog goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tendency {
    Growing,
    Draining,
    Steady,
    /// The queue did not answer now, or only now.
    #[default]
    Unknown,
}

/// Rates over the last minute, or as long as there are samples.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    pub accepted: Rate,
    pub refused: Rate,
    pub stored: Rate,
    pub filtered: Rate,
    pub duplicate: Rate,
    pub expired: Rate,
    pub dead: Rate,
    /// Jobs of all tasks; `None` while the queue does not say.
    pub finished: Option<Rate>,
    /// Refusals by reason, the most first.
    pub refusals: Vec<(String, Rate)>,
    /// Project id and what it sends, the most first.
    pub accepted_by_project: Vec<(i64, Rate)>,
    pub tendency: Tendency,
    /// What the rates are taken over; zero when there is no second sample yet.
    pub over: Duration,
}

impl Flow {
    pub fn of(samples: &[Sample]) -> Flow {
        let Some(last) = samples.last() else { return Flow::default() };
        let is_within = |sample: &&Sample| last.at.since(sample.at) <= RATE_WINDOW;
        let Some(first) = samples.iter().find(is_within).filter(|first| last.at > first.at) else {
            return Flow::default();
        };
        let over = last.at.since(first.at);
        let rate = |count: i64| Rate(count as f64 / over.as_secs_f64());
        let outcome = |name: &str| rate(last.counters.of_outcome(name) - first.counters.of_outcome(name));
        Flow {
            accepted: rate(last.counters.accepted - first.counters.accepted),
            refused: outcome("refused"),
            stored: outcome("stored"),
            filtered: outcome("filtered"),
            duplicate: outcome("duplicate"),
            expired: outcome("expired"),
            dead: outcome("dead"),
            finished: finished(samples, first, last),
            refusals: refusals(&first.counters, &last.counters, rate),
            accepted_by_project: by_project(&first.counters, &last.counters, rate),
            tendency: match (&first.heard, &last.heard) {
                (Some(first), Some(last)) => tendency(waiting(first), waiting(last)),
                (None, _) | (_, None) => Tendency::Unknown,
            },
            over,
        }
    }

    /// What leaves the pipeline, however it ends.
    pub fn settled(&self) -> Rate {
        Rate(self.stored.0 + self.filtered.0 + self.duplicate.0 + self.expired.0 + self.dead.0)
    }
}

fn refusals(first: &Counters, last: &Counters, rate: impl Fn(i64) -> Rate) -> Vec<(String, Rate)> {
    let of = |key: &(String, String), now: &i64| now - first.outcomes.get(key).copied().unwrap_or(0);
    let refused = last.outcomes.iter().filter(|((outcome, _), _)| outcome == "refused");
    let mut rates: Vec<_> = refused.map(|(key, now)| (key.1.clone(), of(key, now))).filter(|(_, n)| *n > 0).collect();
    rates.sort_by_key(|(_, count)| -count);
    rates.into_iter().map(|(reason, count)| (reason, rate(count))).collect()
}

fn by_project(first: &Counters, last: &Counters, rate: impl Fn(i64) -> Rate) -> Vec<(i64, Rate)> {
    let of = |id: &i64, now: &i64| now - first.accepted_by_project.get(id).copied().unwrap_or(0);
    let mut counts: Vec<(i64, i64)> =
        last.accepted_by_project.iter().map(|(id, now)| (*id, of(id, now))).filter(|(_, count)| *count > 0).collect();
    counts.sort_by_key(|(id, count)| (-count, *id));
    counts.into_iter().map(|(id, count)| (id, rate(count))).collect()
}

/// What a queue takes and gives away.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QueueFlow {
    /// Jobs that came: published, or back for another run.
    pub inward: Rate,
    /// Jobs whose run ended, however it did.
    pub outward: Rate,
}

impl QueueFlow {
    /// Over the last minute, or as long as there are samples. No broker counts what it is given, so that is what went and
    /// what is there more than before; a purge shows as nothing that came.
    pub fn of(samples: &[Sample], queue: &str) -> Option<QueueFlow> {
        let last = samples.last()?;
        let (over, before, now) = spoken(samples, last.at.minus(RATE_WINDOW), last)?;
        let ended = |heard: &Heard| heard.finished_by_queue.get(queue).copied().unwrap_or(0);
        let held = |heard: &Heard| {
            let depth = heard.queues.iter().find(|depth| depth.queue == queue);
            depth.map_or(0, |depth| depth.ready + depth.delayed + depth.leased + depth.parked + depth.dead)
        };
        let outward = ended(now).saturating_sub(ended(before));
        let inward = (outward + held(now)).saturating_sub(held(before));
        let rate = |count: u64| Rate(count as f64 / over.as_secs_f64());
        Some(QueueFlow { inward: rate(inward), outward: rate(outward) })
    }
}

/// Over what the queue said within the window: a worker counts from its own start.
fn finished(samples: &[Sample], first: &Sample, last: &Sample) -> Option<Rate> {
    let (over, before, now) = spoken(samples, first.at, last)?;
    Some(Rate(now.finished.saturating_sub(before.finished) as f64 / over.as_secs_f64()))
}

/// The first and the last word of the queue since `since`, and what is between them.
fn spoken<'a>(samples: &'a [Sample], since: Timestamp, last: &'a Sample) -> Option<(Duration, &'a Heard, &'a Heard)> {
    let now = last.heard.as_ref()?;
    let within = samples.iter().filter(|sample| sample.at >= since && sample.at < last.at);
    let (at, before) = within.filter_map(|sample| Some((sample.at, sample.heard.as_ref()?))).next()?;
    Some((last.at.since(at), before, now))
}

fn waiting(heard: &Heard) -> u64 {
    heard.queues.iter().map(|depth| depth.ready).sum()
}

fn tendency(before: u64, now: u64) -> Tendency {
    let step = TENDENCY_JOBS_MIN.max(before / 20);
    match now.abs_diff(before) {
        difference if difference < step => Tendency::Steady,
        _ if now > before => Tendency::Growing,
        _ => Tendency::Draining,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queues::QueueDepth;

    fn hourly(rows: &[(i64, i64, i64)], stored: &[(i64, i64)]) -> Hourly {
        let accepted: Vec<AcceptedRow> = rows
            .iter()
            .map(|(project_id, hour, quantity)| AcceptedRow {
                project_id: *project_id,
                hour: Hour(*hour),
                quantity: *quantity,
            })
            .collect();
        let sum = |&(hour, quantity): &(i64, i64)| HourSum {
            hour: Hour(hour),
            category: "error".to_owned(),
            outcome: "stored".to_owned(),
            reason: String::new(),
            quantity,
        };
        Hourly::of(&accepted, stored.iter().map(sum).collect())
    }

    #[test]
    fn growth_goes_on_over_the_turn_of_the_hour() {
        let before = hourly(&[(1, 4, 100), (1, 5, 50)], &[(5, 40)]);
        let after = hourly(&[(1, 5, 60), (1, 6, 5), (2, 6, 1)], &[(5, 60), (6, 3)]);
        let grown = after.growth_since(&before);
        assert_eq!(grown.accepted, 16);
        assert_eq!(grown.accepted_by_project, BTreeMap::from([(1, 15), (2, 1)]));
        assert_eq!(grown.of_outcome("stored"), 23);
    }

    fn sample(second: i64, accepted: i64, ready: u64) -> Sample {
        let counters = Counters { accepted, ..Counters::default() };
        let queues = vec![QueueDepth { queue: "q".to_owned(), ready, ..QueueDepth::default() }];
        let finished = accepted.unsigned_abs();
        let finished_by_queue = BTreeMap::from([("q".to_owned(), finished)]);
        let heard = Some(Heard { finished, finished_by_queue, queues });
        Sample { at: Timestamp::from_seconds(second), counters, heard }
    }

    #[test]
    fn rates_are_of_the_last_minute() {
        let samples = [sample(0, 0, 0), sample(40, 4_000, 0), sample(100, 4_600, 500)];
        let flow = Flow::of(&samples);
        assert_eq!((flow.accepted, flow.over, flow.tendency), (Rate(10.0), RATE_WINDOW, Tendency::Growing));
        assert_eq!(Flow::of(&samples[..1]).over, Duration::ZERO, "one sample is no rate");
    }

    #[test]
    fn what_a_silent_queue_holds_is_not_known_and_its_return_is_no_rush() {
        let silent = |second| Sample { heard: None, ..sample(second, 0, 0) };
        let flow = Flow::of(&[sample(0, 0, 900), silent(40)]);
        assert_eq!((flow.finished, flow.tendency), (None, Tendency::Unknown));
        let flow = Flow::of(&[silent(0), sample(30, 5_000, 900), sample(40, 5_020, 900)]);
        assert_eq!((flow.finished, flow.tendency), (Some(Rate(2.0)), Tendency::Unknown));
    }

    #[test]
    fn what_a_queue_took_is_what_it_gave_away_and_what_it_holds_more() {
        let of = |samples: &[Sample]| QueueFlow::of(samples, "q").map(|flow| (flow.inward.0, flow.outward.0));
        assert_eq!(of(&[sample(0, 0, 0), sample(40, 100, 50), sample(50, 200, 250)]), Some((9.0, 4.0)));
        assert_eq!(of(&[sample(0, 0, 900), sample(10, 100, 0)]), Some((0.0, 10.0)), "purged");
        assert_eq!(of(&[sample(0, 0, 0), sample(40, 100, 0), sample(140, 300, 0)]), None, "one word is no rate");
        assert_eq!(of(&[sample(0, 0, 0), Sample { heard: None, ..sample(40, 0, 0) }]), None);
        assert_eq!(QueueFlow::of(&[sample(0, 0, 0), sample(40, 80, 0)], "other"), Some(QueueFlow::default()));
    }

    #[test]
    fn a_few_jobs_more_or_less_are_no_tendency() {
        let check = |before, now, expected| assert_eq!(tendency(before, now), expected, "{before} → {now}");
        check(0, 19, Tendency::Steady);
        check(0, 20, Tendency::Growing);
        check(10_000, 10_400, Tendency::Steady);
        check(10_000, 9_000, Tendency::Draining);
    }
}
