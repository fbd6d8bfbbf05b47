//! `/system/`: the pipeline from the endpoints to the stores: what comes in, what waits, what goes out and why not, and
//! the ledger that proves it.

use super::ledger::Ledger;
use super::reasons::{self, FLOOD_EVENTS_MIN, Reason};
use super::spools::SpoolView;
use super::{Tab, count};
use crate::components::sparkline::Sparkline;
use crate::error::PageError;
use crate::format::{bytes, grouped, percent, span};
use crate::pages::html;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use ops::conservation::WrittenOff;
use ops::pulse::{self, Pulse, Rate, SAMPLE_EVERY, SpoolState, Tendency};
use ops::queues::QueueDepth;
use ops::schedules::{self, ScheduleRow};
use ops::spools;
use ops::status::{self, OutcomeCount, Status};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use stdx::Timestamp;

/// Projects in the table.
const PROJECTS_MAX: usize = 20;
/// The check that says what a broker lost.
const BROKER_CHECK: &str = "broker";
/// The outcome that is followed by another.
const ACCEPTED: &str = "accepted";

#[derive(Template)]
#[template(path = "system/pipeline.html")]
pub struct PipelinePage {
    pub shell: Shell,
    pub reasons: Vec<Reason>,
    /// What the rates are taken over.
    pub over: String,
    pub stages: Vec<Stage>,
    pub projects: Vec<ProjectRow>,
    pub outcomes: Vec<OutcomeRow>,
    pub spools: Vec<SpoolView>,
    pub ledger: Ledger,
    /// The ledger misses events, or the broker says that it lost some.
    pub may_write_off: bool,
    pub said: Option<String>,
    pub public_url: String,
    pub organizations: String,
    pub project_count: String,
    pub event_days: Vec<String>,
}

pub struct Stage {
    pub name: &'static str,
    pub figure: String,
    pub unit: &'static str,
    pub line: Option<Sparkline>,
    pub facts: Vec<Fact>,
    pub is_bad: bool,
}

pub struct Fact {
    pub name: &'static str,
    pub value: String,
    pub is_bad: bool,
}

pub struct ProjectRow {
    pub name: String,
    /// `None` for what belongs to no project any more.
    pub url: Option<String>,
    pub rate: String,
    /// Of what comes in, per cent.
    pub share: i64,
    pub in_flight: String,
    /// Of what is in flight, per cent.
    pub in_flight_share: i64,
}

/// How many items came to one end for one reason.
pub struct OutcomeRow {
    pub category: String,
    pub outcome: String,
    pub reason: String,
    pub quantity: String,
}

/// What the page is made of.
pub struct Facts {
    pub status: Status,
    pub pulse: Pulse,
    pub outcomes: Vec<OutcomeCount>,
    pub schedules: Vec<ScheduleRow>,
}

/// What a form has just done.
#[derive(Default, Deserialize)]
pub struct PipelineQuery {
    forgotten: Option<i64>,
    lost: Option<i64>,
    emptied: Option<String>,
}

impl PipelineQuery {
    fn said(&self) -> Option<String> {
        let forgotten = self.forgotten.map(|jobs| spools::forgotten("The spool", jobs));
        let written = self.lost.map(|events| WrittenOff { events, was_emptied: self.emptied.is_some() }.said());
        forgotten.or(written).map(|said| format!("{said}."))
    }
}

/// `GET /system/`
pub async fn show(
    State(state): State<WebState>,
    viewer: Viewer,
    Query(query): Query<PipelineQuery>,
) -> Result<Response, PageError> {
    let facts = Facts {
        status: status::get(&state.ops, &viewer.caller).await?,
        pulse: pulse::get(&state.ops, &viewer.caller).await?,
        outcomes: status::outcomes(&state.ops, &viewer.caller).await?,
        // A queue that does not answer is told of once, above.
        schedules: schedules::list(&state.ops, &viewer.caller).await.unwrap_or_default(),
    };
    html(&PipelinePage::of(Shell::of(&state, &viewer, Nav::System, "System"), facts, query.said()))
}

impl PipelinePage {
    pub fn of(shell: Shell, facts: Facts, said: Option<String>) -> PipelinePage {
        let Facts { status, pulse, outcomes, schedules } = facts;
        let (checks, queues) = (&shell.health.checks, status.queues.as_deref());
        let reasons = reasons::of(&reasons::Facts {
            pulse: &pulse,
            queues: queues.unwrap_or_default(),
            checks,
            schedules: &schedules,
        });
        let number = |number: u64| grouped(i64::try_from(number).unwrap_or(i64::MAX));
        let ledger = Ledger::of(&pulse.balance);
        PipelinePage {
            reasons,
            over: match pulse.flow.over {
                Duration::ZERO => "rates need two looks, five seconds apart".to_owned(),
                over => format!("rates over the last {}", span(over)),
            },
            stages: stages(&pulse, queues),
            projects: projects(&pulse),
            // What became of items, and so not that they came.
            outcomes: outcomes.into_iter().filter(|count| count.outcome != ACCEPTED).map(OutcomeRow::of).collect(),
            spools: pulse.spools.iter().map(SpoolView::of).collect(),
            may_write_off: ledger.is_bad || checks.iter().any(|check| check.name == BROKER_CHECK && !check.ok),
            ledger,
            said,
            public_url: status.public_url,
            organizations: number(status.organizations),
            project_count: number(status.projects),
            event_days: status.event_days,
            shell,
        }
    }

    fn tab(&self) -> Tab {
        Tab::Pipeline
    }
}

/// What is not known is not shown as nothing.
const UNHEARD: &str = "not known, the queue does not answer";

/// A rate as people read it.
pub fn a_second(rate: Rate) -> String {
    match rate.0 {
        rate if rate >= 100.0 => grouped(rate.round() as i64),
        rate => format!("{rate:.1}"),
    }
}

fn fact(name: &'static str, value: impl Into<String>) -> Fact {
    Fact { name, value: value.into(), is_bad: false }
}

fn bad_if(is_bad: bool, fact: Fact) -> Fact {
    Fact { is_bad, ..fact }
}

fn stages(pulse: &Pulse, queues: Option<&[QueueDepth]>) -> Vec<Stage> {
    let mut stages = vec![accept_stage(pulse)];
    stages.extend(pulse.spool.as_ref().map(|spool| spool_stage(spool, pulse.now)));
    stages.extend([wait_stage(pulse, queues), digest_stage(pulse), work_stage(pulse, queues)]);
    stages
}

fn spool_stage(spool: &SpoolState, now: Timestamp) -> Stage {
    let oldest = spool.oldest_age.filter(|_| spool.jobs > 0);
    let mut facts = vec![
        fact("oldest", oldest.map_or_else(|| "–".to_owned(), span)),
        fact("size", if spool.jobs > 0 { bytes(spool.bytes) } else { "–".to_owned() }),
        fact("forwarded", count(spool.forwarded)),
    ];
    if spool.refused > 0 {
        facts.push(bad_if(true, fact("refused", count(spool.refused))));
    }
    if let Some(since) = spool.away_since {
        facts.push(bad_if(true, fact("broker away for", span(now.since(since)))));
    }
    let is_bad = spool.away_since.is_some();
    Stage { name: "Spool", figure: count(spool.jobs), unit: "events", line: None, facts, is_bad }
}

fn accept_stage(pulse: &Pulse) -> Stage {
    let flow = &pulse.flow;
    let mut facts = vec![bad_if(flow.refused.0 > 0.0, fact("refused", format!("{}/s", a_second(flow.refused))))];
    if let Some((reason, _)) = flow.refusals.first() {
        facts.push(fact("most for", reason.clone()));
    }
    Stage { name: "Accept", figure: a_second(flow.accepted), unit: "events/s in", line: None, facts, is_bad: false }
}

fn wait_stage(pulse: &Pulse, queues: Option<&[QueueDepth]>) -> Stage {
    let name = pulse.event_queues.first().map(String::as_str).unwrap_or_default();
    let line = Some(Sparkline::of_samples(&pulse.ready_of(name), "jobs", SAMPLE_EVERY));
    let Some(queues) = queues else {
        let facts = vec![bad_if(true, fact("state", UNHEARD))];
        return Stage { name: "Wait", figure: "–".to_owned(), unit: "events", line, facts, is_bad: true };
    };
    let held: Vec<&QueueDepth> = queues.iter().filter(|queue| pulse.event_queues.contains(&queue.queue)).collect();
    let waiting: u64 = held.iter().map(|queue| queue.ready + queue.delayed).sum();
    // Of nothing that waits there is no oldest: what the broker lost may have an age still.
    let oldest = held.iter().filter_map(|queue| queue.oldest_age_s).max().filter(|_| waiting > 0);
    let tendency = match pulse.flow.tendency {
        Tendency::Growing => "growing",
        Tendency::Draining => "draining",
        Tendency::Steady => "steady",
        Tendency::Unknown => "not known yet",
    };
    let is_paused = held.iter().any(|queue| queue.paused);
    let mut facts = vec![
        fact("oldest", oldest.map_or_else(|| "–".to_owned(), |age| span(Duration::from_secs(age)))),
        bad_if(pulse.flow.tendency == Tendency::Growing, fact("backlog", tendency)),
    ];
    if is_paused {
        facts.push(bad_if(true, fact("state", "paused")));
    }
    Stage { name: "Wait", figure: count(waiting), unit: "events", line, facts, is_bad: is_paused }
}

fn digest_stage(pulse: &Pulse) -> Stage {
    let flow = &pulse.flow;
    let part = |name, rate| fact(name, format!("{}/s", a_second(rate)));
    let mut facts = vec![part("filtered", flow.filtered), part("duplicate", flow.duplicate)];
    if flow.expired.0 > 0.0 {
        facts.push(part("expired", flow.expired));
    }
    if flow.dead.0 > 0.0 {
        facts.push(bad_if(true, part("dead", flow.dead)));
    }
    Stage { name: "Digest", figure: a_second(flow.stored), unit: "events/s stored", line: None, facts, is_bad: false }
}

fn work_stage(pulse: &Pulse, queues: Option<&[QueueDepth]>) -> Stage {
    let figure = pulse.flow.finished.map_or_else(|| "–".to_owned(), a_second);
    let (name, unit) = ("Workers", "jobs/s finished");
    let Some(queues) = queues.filter(|_| pulse.unheard.is_none()) else {
        return Stage { name, figure, unit, line: None, facts: vec![fact("state", UNHEARD)], is_bad: false };
    };
    let alive = || pulse.workers.iter().filter(|worker| worker.is_alive && worker.row.slots > 0);
    let slots: u32 = alive().map(|worker| worker.row.slots).sum();
    let busy: usize = alive().map(|worker| worker.row.running.len()).sum();
    let others = queues.iter().filter(|queue| !pulse.event_queues.contains(&queue.queue));
    let waiting: u64 = others.map(|queue| queue.ready).sum();
    let facts = vec![
        bad_if(slots == 0, fact("slots busy", format!("{busy} of {slots}"))),
        fact("other jobs wait", count(waiting)),
    ];
    Stage { name, figure, unit, line: None, facts, is_bad: slots == 0 }
}

/// Projects that send, or whose events wait: those of whose events most wait first while there is a backlog, so that a
/// project whose flood has ended is not cut off by those that send a little.
fn projects(pulse: &Pulse) -> Vec<ProjectRow> {
    let in_flight: BTreeMap<String, i64> = pulse.in_flight_by_project().into_iter().collect();
    let all_in_flight: i64 = in_flight.values().sum();
    let mut rows: BTreeMap<String, (f64, i64)> =
        in_flight.into_iter().map(|(name, events)| (name, (0.0, events))).collect();
    for (id, rate) in &pulse.flow.accepted_by_project {
        rows.entry(pulse.project_name(*id)).or_default().0 += rate.0;
    }
    let all: f64 = rows.values().map(|(rate, _)| rate).sum();
    let mut rows: Vec<(String, (f64, i64))> = rows.into_iter().collect();
    let waits = |events: i64| if all_in_flight >= FLOOD_EVENTS_MIN { events } else { 0 };
    rows.sort_by(|(_, a), (_, b)| waits(b.1).cmp(&waits(a.1)).then(b.0.total_cmp(&a.0)));
    rows.truncate(PROJECTS_MAX);
    let row = |(name, (rate, events)): (String, (f64, i64))| ProjectRow {
        url: (!name.is_empty()).then(|| format!("/projects/{name}/")),
        rate: format!("{}/s", a_second(Rate(rate))),
        share: percent((rate * 1_000.0) as i64, (all * 1_000.0) as i64),
        in_flight: grouped(events),
        in_flight_share: percent(events, all_in_flight),
        name,
    };
    rows.into_iter().map(row).collect()
}

impl OutcomeRow {
    fn of(count: OutcomeCount) -> OutcomeRow {
        OutcomeRow {
            quantity: grouped(count.quantity),
            category: count.category,
            outcome: count.outcome,
            reason: count.reason,
        }
    }
}
