//! `/system/queues/`: how deep each queue is, who serves it; pause, resume, purge.

use super::pipeline::a_second;
use super::{Tab, count};
use crate::components::sparkline::Sparkline;
use crate::error::PageError;
use crate::format::{absolute, grouped, percent, query_string, span};
use crate::pages::html;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use ops::ApiError;
use ops::pulse::{self, Pulse, SAMPLE_EVERY};
use ops::queues::{self, QueueDepth};
use ops::workers::{self, Parked, Worker};
use serde::Deserialize;
use std::time::Duration;

/// Projects that are named under a queue of events.
const SHARES_MAX: usize = 3;

#[derive(Template)]
#[template(path = "system/queues.html")]
pub struct QueuesPage {
    pub shell: Shell,
    pub queues: Vec<QueueView>,
    pub parked: Vec<ParkedView>,
    pub said: Option<String>,
}

pub struct QueueView {
    pub name: String,
    pub ready: String,
    pub delayed: String,
    pub leased: String,
    pub dead: String,
    pub has_dead: bool,
    pub dead_url: String,
    pub parked: String,
    pub oldest: String,
    pub is_paused: bool,
    /// Ready, delayed and parked: what a purge removes.
    pub waiting: String,
    pub holds_events: bool,
    pub served_by: String,
    pub is_unserved: bool,
    pub line: Sparkline,
    /// A second; `None` while the queue does not say.
    pub rates: Option<RatesView>,
    /// Whose events wait in it.
    pub shares: Vec<ShareView>,
}

pub struct RatesView {
    pub inward: String,
    pub outward: String,
}

pub struct ShareView {
    pub name: String,
    pub url: Option<String>,
    pub percent: i64,
    pub events: String,
}

pub struct ParkedView {
    pub task: String,
    pub queue: String,
    pub jobs: String,
    pub since: String,
}

#[derive(Default, Deserialize)]
pub struct QueuesQuery {
    /// How many jobs a purge has just removed.
    purged: Option<u64>,
}

#[derive(Deserialize)]
pub struct PauseForm {
    queue: String,
    act: String,
}

#[derive(Deserialize)]
pub struct PurgeForm {
    queue: String,
    #[serde(default)]
    sure: String,
}

/// `GET /system/queues/`
pub async fn show(
    State(state): State<WebState>,
    viewer: Viewer,
    Query(query): Query<QueuesQuery>,
) -> Result<Response, PageError> {
    let depths = queues::list(&state.ops, &viewer.caller).await?;
    let parked = workers::parked(&state.ops, &viewer.caller).await?;
    let pulse = pulse::get(&state.ops, &viewer.caller).await?;
    let said = query.purged.map(|jobs| format!("{} jobs removed.", count(jobs)));
    let shell = Shell::of(&state, &viewer, Nav::System, "Queues");
    html(&QueuesPage::of(shell, &depths, &parked, &pulse, said))
}

/// `POST /system/queues/pause/` with `queue` and `act` (pause or resume).
pub async fn pause(
    State(state): State<WebState>,
    viewer: Viewer,
    Form(form): Form<PauseForm>,
) -> Result<Response, PageError> {
    match form.act.as_str() {
        "pause" => queues::pause(&state.ops, &viewer.caller, &form.queue).await?,
        "resume" => queues::resume(&state.ops, &viewer.caller, &form.queue).await?,
        _ => return Err(ApiError::invalid("The form says neither pause nor resume.").into()),
    }
    Ok(Redirect::to(Tab::Queues.path()).into_response())
}

/// `POST /system/queues/purge/` with `queue` and `sure`.
pub async fn purge(
    State(state): State<WebState>,
    viewer: Viewer,
    Form(form): Form<PurgeForm>,
) -> Result<Response, PageError> {
    if form.sure != "yes" {
        return Err(ApiError::invalid("A purge removes jobs for good: tick the box to say that it is meant.").into());
    }
    let purged = queues::purge(&state.ops, &viewer.caller, &form.queue).await?;
    let query = query_string(&[("purged", &purged.to_string())]);
    Ok(Redirect::to(&format!("{}{query}", Tab::Queues.path())).into_response())
}

impl QueuesPage {
    pub fn of(
        shell: Shell,
        depths: &[QueueDepth],
        parked: &[Parked],
        pulse: &Pulse,
        said: Option<String>,
    ) -> QueuesPage {
        QueuesPage {
            shell,
            queues: depths.iter().map(|depth| QueueView::of(depth, pulse)).collect(),
            parked: parked.iter().map(ParkedView::of).collect(),
            said,
        }
    }

    fn tab(&self) -> Tab {
        Tab::Queues
    }
}

impl QueueView {
    fn of(queue: &QueueDepth, pulse: &Pulse) -> QueueView {
        let serves = |worker: &&Worker| worker.is_alive && worker.row.queues.contains(&queue.queue);
        let servers: Vec<&str> = pulse.workers.iter().filter(serves).map(|worker| worker.row.name.as_str()).collect();
        let holds_events = pulse.event_queues.contains(&queue.queue);
        QueueView {
            name: queue.queue.clone(),
            ready: count(queue.ready),
            delayed: count(queue.delayed),
            leased: count(queue.leased),
            dead: count(queue.dead),
            has_dead: queue.dead > 0,
            dead_url: format!("{}{}", Tab::DeadLetters.path(), query_string(&[("queue", &queue.queue)])),
            parked: count(queue.parked),
            oldest: queue.oldest_age_s.map(|age| span(Duration::from_secs(age))).unwrap_or_else(|| "–".to_owned()),
            is_paused: queue.paused,
            waiting: count(queue.ready + queue.delayed + queue.parked),
            holds_events,
            served_by: match servers.as_slice() {
                [] => "–".to_owned(),
                [one] => (*one).to_owned(),
                more => format!("{} workers", grouped(i64::try_from(more.len()).unwrap_or(i64::MAX))),
            },
            is_unserved: servers.is_empty() && queue.ready > 0,
            line: Sparkline::of_samples(&pulse.ready_of(&queue.queue), "jobs", SAMPLE_EVERY),
            rates: pulse
                .flow_of(&queue.queue)
                .map(|flow| RatesView { inward: a_second(flow.inward), outward: a_second(flow.outward) }),
            shares: if holds_events { shares(pulse) } else { Vec::new() },
        }
    }
}

/// Whose events wait, the most first; a queue does not know it, the ledger does.
fn shares(pulse: &Pulse) -> Vec<ShareView> {
    let in_flight = pulse.in_flight_by_project();
    let all: i64 = in_flight.iter().map(|(_, events)| events).sum();
    let share = |(project, events): (String, i64)| ShareView {
        url: (!project.is_empty()).then(|| format!("/projects/{project}/")),
        name: if project.is_empty() { "(deleted)".to_owned() } else { project },
        percent: percent(events, all),
        events: grouped(events),
    };
    in_flight.into_iter().take(SHARES_MAX).map(share).collect()
}

impl ParkedView {
    fn of(parked: &Parked) -> ParkedView {
        ParkedView {
            task: parked.task.clone(),
            queue: parked.queue.clone(),
            jobs: count(parked.jobs),
            since: absolute(parked.since),
        }
    }
}
