//! Why the pipeline is as it is, in sentences: what an operator would find by going through the pages. Pure.

use super::pipeline::a_second;
use super::{Tab, count};
use crate::format::{percent, span};
use crate::state::HealthCheck;
use ops::pulse::{Pulse, Tendency};
use ops::queues::QueueDepth;
use ops::schedules::{JobResult, ScheduleRow};
use ops::workers::{RunningRow, Worker};
use std::time::Duration;

/// A run of this age is named, and marked on the page of workers.
pub(super) const LONG_RUN: Duration = Duration::from_secs(60);
/// While all slots are busy a run of this age is named.
const HOLDING_RUN: Duration = Duration::from_secs(10);
/// A project that sends this share of all, or whose events are this share of what waits, is named.
const FLOOD_PERCENT: i64 = 60;
/// Fewer events in flight, or a second, are no flood.
pub(super) const FLOOD_EVENTS_MIN: i64 = 100;
const FLOOD_RATE_MIN: f64 = 5.0;

pub struct Reason {
    pub topic: &'static str,
    pub is_bad: bool,
    pub text: String,
    pub link: Option<Link>,
}

pub struct Link {
    pub url: String,
    pub text: &'static str,
}

/// What is looked at.
pub struct Facts<'a> {
    pub pulse: &'a Pulse,
    pub queues: &'a [QueueDepth],
    pub checks: &'a [HealthCheck],
    pub schedules: &'a [ScheduleRow],
}

/// Returns the reasons, the gravest first; nothing when all is well.
pub fn of(facts: &Facts<'_>) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = facts.checks.iter().filter(|check| !check.ok).map(of_check).collect();
    reasons.extend(of_spool(facts.pulse));
    reasons.extend(of_queues(facts));
    reasons.extend(of_backlog(facts.pulse));
    reasons.extend(of_rates(facts.pulse));
    reasons.extend(of_flood(facts.pulse));
    reasons.extend(of_runs(facts.pulse));
    reasons.extend(of_refusals(facts.pulse));
    reasons.extend(facts.schedules.iter().filter_map(of_schedule));
    reasons.extend(of_dead(facts.queues));
    reasons
}

fn link(tab: Tab, text: &'static str) -> Option<Link> {
    Some(Link { url: tab.path().to_owned(), text })
}

fn of_check(check: &HealthCheck) -> Reason {
    let link = match check.name.as_str() {
        "workers" | "rates" => link(Tab::Workers, "Workers"),
        "cron" | "schedule" => link(Tab::Schedules, "Schedules"),
        "pipeline" | "queue" | "tasks" => link(Tab::Queues, "Queues"),
        "disk" | "retention" => link(Tab::Storage, "Storage"),
        "spools" => Some(Link { url: format!("{}#spools", Tab::Pipeline.path()), text: "Spools" }),
        // What a broker has lost is written off there.
        "conservation" | "broker" => Some(Link { url: format!("{}#ledger", Tab::Pipeline.path()), text: "Ledger" }),
        _ => None,
    };
    Reason { topic: "failing", is_bad: true, text: format!("{}: {}", check.name, check.detail), link }
}

fn of_spool(pulse: &Pulse) -> Option<Reason> {
    let spool = pulse.spool.as_ref()?;
    let since = spool.away_since?;
    let text = format!(
        "The broker has taken nothing for {}. Events are accepted into the spool: {} wait there, and go on when it is back.",
        span(pulse.now.since(since)),
        count(spool.jobs)
    );
    Some(Reason { topic: "broker away", is_bad: true, text, link: None })
}

fn of_queues(facts: &Facts<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for queue in facts.queues.iter().filter(|queue| queue.ready > 0) {
        let name = &queue.queue;
        let jobs = jobs(queue.ready);
        if queue.paused {
            let text = format!("Queue {name} is paused; {jobs} in it.");
            reasons.push(Reason { topic: "paused", is_bad: false, text, link: link(Tab::Queues, "Resume it") });
        } else if !alive(facts.pulse).any(|worker| worker.row.queues.contains(name)) {
            let text = format!("No living worker serves queue {name}; {jobs} in it.");
            reasons.push(Reason { topic: "unserved", is_bad: true, text, link: link(Tab::Workers, "Workers") });
        }
    }
    reasons
}

fn jobs(waiting: u64) -> String {
    match waiting {
        1 => "one job waits".to_owned(),
        more => format!("{} jobs wait", count(more)),
    }
}

fn of_backlog(pulse: &Pulse) -> Option<Reason> {
    if pulse.flow.tendency != Tendency::Growing {
        return None;
    }
    let (inward, outward) = (pulse.flow.accepted, pulse.flow.settled());
    let (busy, slots) = slots(pulse);
    let advice = match busy {
        _ if slots == 0 => "No worker is alive.".to_owned(),
        busy if busy >= slots && held_by(pulse).is_some() => {
            format!("All {slots} slots of the workers are busy with jobs that take long.")
        }
        busy if busy >= slots => format!("All {slots} slots of the workers are busy: more workers would help."),
        busy => format!("{busy} of {slots} slots of the workers are busy: what they wait for is elsewhere."),
    };
    let text = format!(
        "The backlog grows: {} events come in a second, {} go out. {advice}",
        a_second(inward),
        a_second(outward)
    );
    Some(Reason { topic: "backlog", is_bad: false, text, link: link(Tab::Queues, "Queues") })
}

fn alive(pulse: &Pulse) -> impl Iterator<Item = &Worker> {
    pulse.workers.iter().filter(|worker| worker.is_alive)
}

/// How many slots are busy, and how many there are.
fn slots(pulse: &Pulse) -> (usize, usize) {
    let serving = || alive(pulse).filter(|worker| worker.row.slots > 0);
    let busy = serving().map(|worker| worker.row.running.len()).sum();
    (busy, serving().map(|worker| worker.row.slots as usize).sum())
}

/// The oldest run, if it is one that a person should know of: sooner while all slots are busy, for others wait behind it.
fn held_by(pulse: &Pulse) -> Option<(&Worker, &RunningRow)> {
    let runs = alive(pulse).flat_map(|worker| worker.row.running.iter().map(move |run| (worker, run)));
    let (busy, slots) = slots(pulse);
    let least = if busy >= slots { HOLDING_RUN } else { LONG_RUN };
    runs.min_by_key(|(_, run)| run.since).filter(|(_, run)| pulse.now.since(run.since) >= least)
}

fn of_rates(pulse: &Pulse) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for worker in alive(pulse) {
        for limit in worker.row.rate_limits.iter().filter(|limit| limit.holds_jobs) {
            let text = format!("Jobs wait at {}: {}.", worker.row.name, limit.said());
            reasons.push(Reason { topic: "rate limit", is_bad: false, text, link: link(Tab::Workers, "Workers") });
        }
    }
    reasons
}

fn of_flood(pulse: &Pulse) -> Option<Reason> {
    let waiting = pulse.in_flight_by_project();
    let all: i64 = waiting.iter().map(|(_, events)| events).sum();
    if let Some((project, events)) = waiting.first() {
        let share = percent(*events, all);
        if all >= FLOOD_EVENTS_MIN && share >= FLOOD_PERCENT {
            let text = format!("{share} % of the events that wait are of {project}.");
            return Some(Reason { topic: "flood", is_bad: false, text, link: project_link(project) });
        }
    }
    let (id, rate) = pulse.flow.accepted_by_project.first()?;
    let share = (rate.0 * 100.0 / pulse.flow.accepted.0.max(f64::MIN_POSITIVE)) as i64;
    let others = pulse.flow.accepted_by_project.len() > 1;
    if rate.0 < FLOOD_RATE_MIN || share < FLOOD_PERCENT || !others {
        return None;
    }
    let project = pulse.project_name(*id);
    let text = format!("{project} sends {share} % of all events: {:.1} a second.", rate.0);
    Some(Reason { topic: "flood", is_bad: false, link: project_link(&project), text })
}

fn project_link(project: &str) -> Option<Link> {
    (!project.is_empty()).then(|| Link { url: format!("/projects/{project}/"), text: "Project" })
}

fn of_runs(pulse: &Pulse) -> Option<Reason> {
    let (worker, run) = held_by(pulse)?;
    let long = span(pulse.now.since(run.since));
    let text = format!("Job {} of task {} has run for {long} on {}.", run.job, run.task, worker.row.name);
    Some(Reason { topic: "long run", is_bad: false, text, link: link(Tab::Workers, "Workers") })
}

fn of_refusals(pulse: &Pulse) -> Option<Reason> {
    let (reason, rate) = pulse.flow.refusals.first()?;
    let text =
        format!("{:.1} requests a second are refused, most for: {reason} ({:.1}/s).", pulse.flow.refused.0, rate.0);
    let url = format!("{}#outcomes", Tab::Pipeline.path());
    Some(Reason { topic: "refused", is_bad: false, text, link: Some(Link { url, text: "Outcomes" }) })
}

fn of_schedule(row: &ScheduleRow) -> Option<Reason> {
    let Some(JobResult::Failure { error }) = &row.result else { return None };
    let text = format!("The last run of schedule {} failed: {error}", row.name);
    Some(Reason { topic: "schedule", is_bad: true, text, link: link(Tab::Schedules, "Schedules") })
}

fn of_dead(queues: &[QueueDepth]) -> Option<Reason> {
    let dead: u64 = queues.iter().map(|queue| queue.dead).sum();
    if dead == 0 {
        return None;
    }
    let text = match dead {
        1 => "One job has stopped and waits for a decision.".to_owned(),
        more => format!("{} jobs have stopped and wait for a decision.", count(more)),
    };
    Some(Reason { topic: "dead letters", is_bad: true, text, link: link(Tab::DeadLetters, "Dead letters") })
}
