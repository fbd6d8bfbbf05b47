//! The console's facts for scripts: the pipeline, its ledger, queues, workers, dead letters and schedules. Paths of ours,
//! not Sentry's; for superusers.

use super::request::{Answer, ApiRequest};
use ops::conservation::{self, BalanceRow};
use ops::dead_letters::{self, DeadLetter, Selection};
use ops::page::PageLink;
use ops::pulse::{self, Tendency};
use ops::storage::{self, Forecast, Said};
use ops::{ApiError, Page, itself, queues, schedules, shapes, spools, workers};
use serde_json::{Value, json};
use stdx::Timestamp;

/// Rates of the last minute, as the first page of the console shows them.
pub(super) async fn pipeline(request: ApiRequest) -> Result<Answer, ApiError> {
    let pulse = pulse::get(&request.ops, &request.caller).await?;
    let flow = &pulse.flow;
    let by_project = |(id, rate): &(i64, pulse::Rate)| json!({"project": pulse.project_name(*id), "accepted": rate.0});
    let refusal = |(reason, rate): &(String, pulse::Rate)| json!({"reason": reason, "refused": rate.0});
    Ok(Answer::ok(json!({
        "over_s": flow.over.as_secs(),
        "per_second": {
            "accepted": flow.accepted.0, "refused": flow.refused.0, "stored": flow.stored.0,
            "filtered": flow.filtered.0, "duplicate": flow.duplicate.0, "expired": flow.expired.0,
            "dead": flow.dead.0, "jobs_finished": flow.finished.map(|rate| rate.0),
        },
        "backlog": match flow.tendency {
            Tendency::Growing => "growing",
            Tendency::Draining => "draining",
            Tendency::Steady => "steady",
            Tendency::Unknown => "unknown",
        },
        "refusals": flow.refusals.iter().map(refusal).collect::<Vec<Value>>(),
        "projects": flow.accepted_by_project.iter().map(by_project).collect::<Vec<Value>>(),
        "missing": pulse.balance.missing(),
        "queue_error": pulse.unheard,
        "spool": pulse.spool.as_ref().map(spool),
    })))
}

fn spool(state: &pulse::SpoolState) -> Value {
    json!({
        "jobs": state.jobs, "bytes": state.bytes, "oldest_age_s": state.oldest_age.map(|age| age.as_secs()),
        "forwarded": state.forwarded, "refused": state.refused,
        "away_since": state.away_since.map(|since| since.to_rfc3339()), "why": state.why,
    })
}

/// The conservation ledger, a row for each project and hour of receipt.
pub(super) async fn ledger(request: ApiRequest) -> Result<Answer, ApiError> {
    let balance = conservation::balance(&request.ops, &request.caller).await?;
    let row = |row: &BalanceRow| {
        json!({
            "hour": stdx::Timestamp::from_seconds(row.hour.0 * 3_600).to_rfc3339(), "project": row.project,
            "accepted": row.accepted, "stored": row.stored, "filtered": row.filtered, "duplicate": row.duplicate,
            "expired": row.expired, "dead": row.dead, "in_flight": row.in_flight(),
            "dead_letters": row.letters, "unwitnessed": row.unwitnessed(),
        })
    };
    Ok(Answer::ok(json!({
        "rows": balance.rows.iter().map(row).collect::<Vec<Value>>(),
        "queued": balance.queued, "spooled": balance.spooled, "unnamed_dead_letters": balance.unnamed_letters,
        "withdrawn": balance.withdrawn, "missing": balance.missing(),
    })))
}

pub(super) async fn queues(request: ApiRequest) -> Result<Answer, ApiError> {
    let rows = queues::list(&request.ops, &request.caller).await?;
    Ok(Answer::list(&rows, shapes::queue))
}

/// What the spools of all web processes hold.
pub(super) async fn spools(request: ApiRequest) -> Result<Answer, ApiError> {
    let rows = spools::list(&request.ops, &request.caller).await?;
    Ok(Answer::list(&rows, shapes::spool))
}

/// Of a spool that went with its machine.
pub(super) async fn forget_spool(request: ApiRequest) -> Result<Answer, ApiError> {
    spools::forget(&request.ops, &request.caller, request.param("id")).await?;
    Ok(Answer::Nothing)
}

/// What no worker knows, by queue and task.
pub(super) async fn parked(request: ApiRequest) -> Result<Answer, ApiError> {
    let rows = workers::parked(&request.ops, &request.caller).await?;
    Ok(Answer::list(&rows, shapes::parked))
}

/// Counts as lost what the ledger misses.
pub(super) async fn write_off(request: ApiRequest) -> Result<Answer, ApiError> {
    let written = conservation::write_off(&request.ops, &request.caller).await?;
    Ok(Answer::ok(shapes::written_off(&written)))
}

/// `{"paused": true|false}`
pub(super) async fn update_queue(request: ApiRequest) -> Result<Answer, ApiError> {
    let name = request.param("queue");
    match request.json()?.get("paused") {
        Some(Value::Bool(true)) => queues::pause(&request.ops, &request.caller, name).await?,
        Some(Value::Bool(false)) => queues::resume(&request.ops, &request.caller, name).await?,
        Some(_) | None => return Err(ApiError::invalid("paused: a boolean is expected.")),
    }
    let rows = queues::list(&request.ops, &request.caller).await?;
    let row = rows.iter().find(|row| row.queue == name).ok_or(ApiError::NotFound)?;
    Ok(Answer::ok(shapes::queue(row)))
}

pub(super) async fn purge_queue(request: ApiRequest) -> Result<Answer, ApiError> {
    let name = request.param("queue");
    let purged = queues::purge(&request.ops, &request.caller, name).await?;
    Ok(Answer::ok(json!({"queue": name, "purged": purged})))
}

pub(super) async fn workers(request: ApiRequest) -> Result<Answer, ApiError> {
    let rows = workers::list(&request.ops, &request.caller).await?;
    Ok(Answer::list(&rows, shapes::worker))
}

/// A page, the oldest first, of all or those of one `queue`. There is no way back: letters go while they are read.
pub(super) async fn dead_letters(request: ApiRequest) -> Result<Answer, ApiError> {
    let wanted = request.page()?;
    let (queue, cursor) = (request.first("queue"), wanted.cursor.as_deref());
    let page = dead_letters::page(&request.ops, &request.caller, queue, cursor, wanted.limit()).await?;
    let link = |cursor: Option<String>| PageLink { has_results: cursor.is_some(), cursor: cursor.unwrap_or_default() };
    let next = link(page.next.map(|next| next.to_string()));
    Ok(request.answer_page(&Page { items: page.letters, previous: link(None), next }, letter))
}

pub(super) async fn dead_letter(request: ApiRequest) -> Result<Answer, ApiError> {
    let found = dead_letters::get(&request.ops, &request.caller, request.param("id")).await?;
    Ok(Answer::ok(letter(&found)))
}

pub(super) async fn retry_dead_letter(request: ApiRequest) -> Result<Answer, ApiError> {
    let retried = dead_letters::retry(&request.ops, &request.caller, &one(&request)).await?;
    match retried.stays.first() {
        None => Ok(Answer::Nothing),
        Some(letter) => Err(ApiError::invalid(format!("It stays: {}.", letter.why))),
    }
}

pub(super) async fn discard_dead_letter(request: ApiRequest) -> Result<Answer, ApiError> {
    dead_letters::discard(&request.ops, &request.caller, &one(&request)).await?;
    Ok(Answer::Nothing)
}

pub(super) async fn schedules(request: ApiRequest) -> Result<Answer, ApiError> {
    let rows = schedules::list(&request.ops, &request.caller).await?;
    Ok(Answer::list(&rows, shapes::schedule))
}

/// Sizes in bytes by store, table, project and day, the forecast, and the last sweeps of retention.
pub(super) async fn storage(request: ApiRequest) -> Result<Answer, ApiError> {
    let seen = storage::get(&request.ops, &request.caller).await?;
    let sized = |(name, bytes): (&str, &u64)| json!({"name": name, "bytes": bytes});
    let project = |row: &storage::ProjectSize| json!({"project": row.name, "events": row.events, "bytes": row.bytes, "days": row.days});
    let removed = |sum: &storage::Removed| json!({"model": sum.model, "project": sum.project, "rows": sum.rows, "bytes": sum.bytes});
    let sweep = |row: &storage::Sweep| {
        json!({
            "origin": row.origin, "state": row.state, "started": row.started_at.to_rfc3339(),
            "took_s": row.took.map(|took| took.as_secs_f64()), "rows": row.rows, "bytes": row.bytes,
            "models": row.models.iter().map(removed).collect::<Vec<Value>>(),
            "returned_bytes": row.returned_bytes, "retried": row.retried, "skipped": row.skipped,
        })
    };
    let governor = |said: Said| {
        json!({
            "at": said.at.to_rfc3339(), "verdict": said.verdict, "detail": said.verdict.text(),
            "free_bytes": said.free_bytes, "free_min_bytes": said.free_min_bytes,
        })
    };
    Ok(Answer::ok(json!({
        "at": seen.seen_at.to_rfc3339(), "event_days": seen.event_days,
        "free_bytes": seen.free_bytes, "free_min_bytes": seen.free_min_bytes, "growth_bytes_per_day": seen.growth_bytes,
        "governor": seen.governor.map(governor),
        "clock_doubt": seen.leap.map(|leap| json!({
            "from": leap.from.to_rfc3339(), "to": leap.to.to_rfc3339(), "until": leap.doubted_until().to_rfc3339(),
            "detail": leap.text(),
        })),
        "days_left": match seen.forecast {
            Forecast::Days(days) => json!(days),
            Forecast::Unknown | Forecast::Lasting => Value::Null,
        },
        "stores": seen.stores.iter().map(|(name, bytes)| sized((name, bytes))).collect::<Vec<Value>>(),
        "tables": seen.tables.iter().map(|(name, bytes)| sized((name, bytes))).collect::<Vec<Value>>(),
        "projects": seen.projects.iter().map(project).collect::<Vec<Value>>(),
        "days": seen.days.iter().map(|size| json!({"day": size.day.to_string(), "bytes": size.bytes})).collect::<Vec<Value>>(),
        "sweeps": seen.sweeps.iter().map(sweep).collect::<Vec<Value>>(),
    })))
}

/// How this process started, what became of reports on Vigie's own errors, and its own metrics by hour.
pub(super) async fn itself(request: ApiRequest) -> Result<Answer, ApiError> {
    let seen = itself::get(&request.ops, &request.caller).await?;
    let step = |step: &itself::Step| json!({"name": step.name, "ms": step.ms, "outcome": step.outcome});
    let destination = |destination: &itself::Destination| {
        json!({
            "destination": destination.name, "captured": destination.captured, "sent": destination.sent,
            "refused": destination.refused, "dropped": destination.dropped, "waiting": destination.waiting,
            "uncaptured_self": destination.kept_self, "uncaptured_rate": destination.kept_rate,
        })
    };
    let series = |series: &itself::Series| {
        let hours = series
            .hours
            .iter()
            .map(|(hour, count)| json!([Timestamp::from_seconds(hour.0 * 3_600).to_rfc3339(), count]));
        json!({"series": series.name, "count": series.count, "sum": series.sum, "hours": hours.collect::<Vec<Value>>()})
    };
    Ok(Answer::ok(json!({
        "at": seen.seen_at.to_rfc3339(),
        "boot": seen.process.boot.iter().map(step).collect::<Vec<Value>>(),
        "self_reporting": {
            "said": seen.process.reporting,
            "destinations": seen.process.destinations.iter().map(destination).collect::<Vec<Value>>(),
        },
        "series": seen.series.iter().map(series).collect::<Vec<Value>>(),
    })))
}

fn one(request: &ApiRequest) -> Selection {
    Selection::Ids(vec![request.param("id").to_owned()])
}

fn letter(letter: &DeadLetter) -> Value {
    serde_json::to_value(letter).unwrap_or_default()
}
