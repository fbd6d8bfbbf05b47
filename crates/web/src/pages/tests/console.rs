//! The pages of the console, with a stranger's text wherever one can be.

use super::fixtures::{self, now, shell};
use super::templates::render;
use crate::components::receipt::Receipt;
use crate::pages::system::{
    audit, config, dead_letters, events, itself, pipeline, queues, schedules, storage, workers,
};
use ops::Page;
use ops::audit::Entry;
use ops::conservation::{Balance, BalanceRow};
use ops::dead_letters::DeadLetter;
use ops::itself::{Destination, Itself, Process, Series, Step};
use ops::options::{KnownOption, OnDisk, OptionView};
use ops::page::PageLink;
use ops::pulse::{Flow, Heard, Pulse, Rate, Sample, SpoolState, Tendency};
use ops::queues::QueueDepth;
use ops::schedules::ScheduleRow;
use ops::spools::{HeldSpool, SpoolRow};
use ops::status::{OutcomeCount, Status};
use ops::storage::{DaySize, Forecast, Leap, ProjectSize, Said, Storage, Sweep, Verdict};
use ops::workers::{ChildRow, Parked, PoolRow, RateLimitRow, RunningRow, Worker, WorkerRow};
use std::time::Duration;
use stdx::Timestamp;
use store::options::OptionRow;

/// Returns every page of the console, by the name of its template.
pub fn pages(text: &str) -> Vec<(&'static str, String)> {
    let letters = [letter(text)];
    let workers = [worker(text)];
    let parked = [Parked { queue: text.to_owned(), task: text.to_owned(), jobs: 3, since: now() }];
    let found = events::FoundEvent {
        project: text.to_owned(),
        url: Some("/issues/17/".to_owned()),
        receipt: Receipt::of(&fixtures::receipt(text)),
    };
    let shown = dead_letters::Shown { queue: Some(text.to_owned()), ..dead_letters::Shown::default() };
    let said = Some(text.to_owned());
    vec![
        ("system/pipeline.html", render(&pipeline::PipelinePage::of(shell(true), facts(text), said.clone()))),
        (
            "system/queues.html",
            render(&queues::QueuesPage::of(shell(true), &[depth(text)], &parked, &pulse(text), said.clone())),
        ),
        ("system/workers.html", render(&workers::WorkersPage::of(shell(true), &workers, now()))),
        ("system/dead_letters.html", render(&dead_letters::DeadLettersPage::of(shell(true), &shown, &letters, said))),
        (
            "system/dead_letters.html",
            render(&dead_letters::DeadLettersPage::of(shell(true), &dead_letters::Shown::default(), &[], None)),
        ),
        ("system/dead_letter.html", render(&dead_letters::DeadLetterPage::of(shell(true), &letters[0]))),
        ("system/schedules.html", render(&schedules::SchedulesPage::of(shell(true), &[schedule(text)], &workers))),
        ("system/storage.html", render(&storage::StoragePage::of(shell(true), &stored(text)))),
        ("system/itself.html", render(&itself::ItselfPage::of(shell(true), process(text)))),
        ("system/itself.html", render(&itself::ItselfPage::of(shell(true), empty_process()))),
        ("system/audit.html", render(&audit::AuditPage::of(shell(true), log(text)))),
        (
            "system/events.html",
            render(&events::EventsPage {
                shell: shell(true),
                event_id: text.to_owned(),
                found: vec![found],
                unseen: None,
            }),
        ),
        (
            "system/events.html",
            render(&events::EventsPage {
                shell: shell(true),
                event_id: text.to_owned(),
                found: Vec::new(),
                unseen: Some(text.to_owned()),
            }),
        ),
        (
            "system/config.html",
            render(&config::ConfigPage { shell: shell(true), rows: keys(text), said: Some(text.to_owned()) }),
        ),
    ]
}

/// One that is set in the store, one that a file says, a secret one.
fn keys(text: &str) -> Vec<config::KeyView> {
    let known = |is_secret: bool, on_disk| KnownOption {
        name: "log.level",
        takes: text.to_owned(),
        help: "which log lines are written",
        default: "info",
        is_runtime: true,
        is_live: !is_secret,
        is_secret,
        on_disk,
    };
    let row = OptionRow {
        name: "log.level".to_owned(),
        value: text.to_owned(),
        changed_at: now(),
        changed_by: text.to_owned(),
        channel: "cli".to_owned(),
    };
    let view = |known: KnownOption, stored: Option<OptionRow>| {
        config::KeyView::of(&OptionView { known, value: text.to_owned(), source: text.to_owned(), stored })
    };
    let on_disk = OnDisk { value: text.to_owned(), place: text.to_owned() };
    vec![view(known(false, None), Some(row)), view(known(false, Some(on_disk)), None), view(known(true, None), None)]
}

fn stored(text: &str) -> Storage {
    let sweep = Sweep {
        origin: text.to_owned(),
        state: "incomplete".to_owned(),
        started_at: now(),
        took: Some(Duration::from_millis(1_234)),
        rows: 500_000,
        bytes: 700 << 20,
        models: Vec::new(),
        returned_bytes: 690 << 20,
        retried: 1,
        skipped: vec![text.to_owned()],
    };
    let said = Said { verdict: Verdict::Exhausted, at: now(), free_bytes: 5 << 20, free_min_bytes: 1 << 30 };
    Storage {
        seen_at: now(),
        stores: vec![("metadata", 20 << 20), ("events", 900 << 20), ("blobs", 0), ("queue and the rest", 4_096)],
        tables: vec![(text.to_owned(), 9 << 20)],
        projects: vec![ProjectSize { name: text.to_owned(), events: 12_000, bytes: 900 << 20, days: 30 }],
        days: vec![DaySize { day: now().day(), bytes: 12_345 }],
        event_days: 90,
        free_bytes: Some(5 << 30),
        free_min_bytes: 1 << 30,
        governor: Some(said),
        leap: Some(Leap { from: now().minus(Duration::from_secs(100 * 86_400)), to: now() }),
        growth_bytes: 10 << 20,
        forecast: Forecast::Days(9),
        sweeps: vec![sweep],
    }
}

fn empty_process() -> Itself {
    Itself { seen_at: now(), process: Process::default(), series: Vec::new() }
}

fn process(text: &str) -> Itself {
    let step = |outcome: String| Step { name: text.to_owned(), ms: 12.3, outcome };
    let destination = Destination {
        name: text.to_owned(),
        captured: 12,
        sent: 7,
        refused: 1,
        dropped: 3,
        waiting: 2,
        kept_self: 40,
        kept_rate: 90,
    };
    let series = |name: String, sum| Series { name, count: 1_234, sum, hours: vec![(now().hour(), 1_234)] };
    Itself {
        seen_at: now(),
        process: Process {
            boot: vec![step(text.to_owned()), step(format!("failed: {text}"))],
            reporting: text.to_owned(),
            destinations: vec![destination],
        },
        series: vec![series(text.to_owned(), 0.0), series(format!("a_seconds{{task=\"{text}\"}}"), 2.5)],
    }
}

fn log(text: &str) -> Page<Entry> {
    let entry = Entry {
        id: 1,
        at: now(),
        actor: text.to_owned(),
        actor_id: None,
        channel: "api".to_owned(),
        request_id: text.to_owned(),
        org_id: None,
        action: text.to_owned(),
        target: text.to_owned(),
        detail: text.to_owned(),
    };
    let link = || PageLink { cursor: "0:1:0".to_owned(), has_results: true };
    Page { items: vec![entry], previous: link(), next: link() }
}

fn depth(text: &str) -> QueueDepth {
    QueueDepth { queue: text.to_owned(), ready: 3, dead: 1, paused: true, ..Default::default() }
}

fn facts(text: &str) -> pipeline::Facts {
    let status = Status {
        now: now(),
        public_url: text.to_owned(),
        queues: Some(vec![depth(text)]),
        organizations: 1,
        projects: 2,
        event_days: vec!["2026-11-21".to_owned(), "2026-11-22".to_owned()],
    };
    let outcome =
        OutcomeCount { category: text.to_owned(), outcome: text.to_owned(), reason: text.to_owned(), quantity: 12_000 };
    pipeline::Facts { status, pulse: pulse(text), outcomes: vec![outcome], schedules: vec![schedule(text)] }
}

fn pulse(text: &str) -> Pulse {
    let row = BalanceRow {
        project_id: 1,
        project: text.to_owned(),
        accepted: 500,
        stored: 20,
        dead: 1,
        ..Default::default()
    };
    Pulse {
        now: now(),
        samples: Vec::new(),
        flow: Flow {
            accepted: Rate(120.0),
            refused: Rate(3.0),
            stored: Rate(20.0),
            refusals: vec![(text.to_owned(), Rate(3.0))],
            accepted_by_project: vec![(1, Rate(119.0)), (2, Rate(1.0))],
            tendency: Tendency::Growing,
            over: Duration::from_secs(60),
            ..Flow::default()
        },
        workers: vec![worker(text)],
        balance: Balance { rows: vec![row], queued: Some(1), spooled: 0, unnamed_letters: 0, withdrawn: 0 },
        event_queues: vec![text.to_owned()],
        unheard: Some(text.to_owned()),
        spool: Some(SpoolState {
            jobs: 7,
            away_since: Some(fixtures::minutes_ago(3)),
            why: Some(text.to_owned()),
            ..SpoolState::default()
        }),
        spools: vec![spool(text)],
    }
}

fn spool(text: &str) -> HeldSpool {
    let row = SpoolRow {
        id: text.to_owned(),
        holder: text.to_owned(),
        folder: text.to_owned(),
        jobs: 7,
        bytes: 9,
        oldest_at: None,
        heard_at: fixtures::minutes_ago(3),
    };
    HeldSpool { row, is_heard: false, silent: Duration::from_secs(180), oldest_age: None }
}

fn worker(text: &str) -> Worker {
    let since = fixtures::minutes_ago(5);
    let running = RunningRow { task: text.to_owned(), job: text.to_owned(), jobs: 2, since };
    let row = WorkerRow {
        name: text.to_owned(),
        host: text.to_owned(),
        pid: 1,
        version: text.to_owned(),
        started_at: now(),
        heard_at: now(),
        slots: 2,
        queues: vec![text.to_owned()],
        tasks: vec![text.to_owned()],
        running: vec![running],
        finished: 1,
        failed: 1,
        dead: 1,
        finished_by_queue: Default::default(),
        last_error: Some(text.to_owned()),
        rate_limits: vec![RateLimitRow { task: text.to_owned(), rate: text.to_owned(), holds_jobs: true }],
        is_stopping: false,
        fallen: Vec::new(),
        pool: PoolRow {
            kind: text.to_owned(),
            children: vec![ChildRow { pid: 7, jobs: 12, resident_bytes: 50_000_000 }; 2],
            died: 3,
            replaced: 1,
        },
    };
    Worker { row, is_alive: true }
}

fn letter(text: &str) -> DeadLetter {
    DeadLetter {
        id: text.to_owned(),
        queue: text.to_owned(),
        task: text.to_owned(),
        reason: text.to_owned(),
        attempts: 1,
        deaths: 0,
        error: text.to_owned(),
        at: now(),
        enqueued_at: now(),
    }
}

fn schedule(text: &str) -> ScheduleRow {
    ScheduleRow {
        name: text.to_owned(),
        when: text.to_owned(),
        task: text.to_owned(),
        queue: text.to_owned(),
        last: None,
        lateness: None,
        result: Some(ops::schedules::JobResult::Failure { error: text.to_owned() }),
        state: None,
        last_failure: Some(letter(text)),
        next: Some(now()),
    }
}

/// What an operator must find on the first page, in words.
#[test]
fn the_first_page_names_what_is_wrong_and_where_to_look() {
    let page = render(&pipeline::PipelinePage::of(shell(true), facts("events"), None));
    for reason in [
        "workers: none was heard",
        "The broker has taken nothing for 3 min. Events are accepted into the spool: 7 wait there",
        "Queue events is paused; 3 jobs wait in it.",
        "The backlog grows: 120 events come in a second, 20.0 go out.",
        "100 % of the events that wait are of events.",
        "Job events of task events has run for 5 min on events.",
        "3.0 requests a second are refused, most for: events",
        "The last run of schedule events failed: events",
        "One job has stopped and waits for a decision.",
        "does not balance",
    ] {
        assert!(page.contains(reason), "{reason}");
    }
}

#[test]
fn a_backlog_behind_jobs_that_hold_all_slots_is_not_blamed_on_too_few_workers() {
    let said = |ages: [i64; 2]| {
        let mut facts = facts("events");
        let running = ages.map(|age| RunningRow {
            task: format!("task-{age}"),
            job: "job".to_owned(),
            jobs: 1,
            since: Timestamp::from_micros(now().micros() - age * 1_000_000),
        });
        facts.pulse.workers[0].row.running = running.into();
        render(&pipeline::PipelinePage::of(shell(true), facts, None))
    };
    assert!(said([0, 1]).contains("All 2 slots of the workers are busy: more workers would help."));
    let held = said([1, 20]);
    assert!(held.contains("All 2 slots of the workers are busy with jobs that take long."));
    assert!(held.contains("of task task-20 has run for 20 s"), "{held}");
}

#[test]
fn what_a_silent_queue_holds_is_not_shown_as_nothing() {
    let mut facts = facts("events");
    facts.status.queues = None;
    facts.pulse.flow = Flow { finished: None, tendency: Tendency::Unknown, ..facts.pulse.flow };
    let page = render(&pipeline::PipelinePage::of(shell(true), facts, None));
    assert_eq!(page.matches("not known, the queue does not answer").count(), 2, "{page}");
}

#[test]
fn the_project_whose_flood_has_ended_and_still_waits_stands_first() {
    let mut facts = facts("events");
    let row = |project_id, accepted| BalanceRow {
        project_id,
        project: format!("o/p{project_id}"),
        accepted,
        ..BalanceRow::default()
    };
    // Thirty that send, each with an event on its way, and one that sent a hundred thousand and has stopped.
    facts.pulse.balance.rows = (1..=30).map(|id| row(id, 1)).chain([row(99, 100_000)]).collect();
    facts.pulse.flow.accepted_by_project = (1..=30).map(|id| (id, Rate(31.0 - id as f64))).collect();
    let names = |facts| pipeline::PipelinePage::of(shell(true), facts, None).projects.into_iter().map(|row| row.name);
    let first: Vec<String> = names(facts).take(2).collect();
    assert_eq!(first, ["o/p99", "o/p1"]);
}

#[test]
fn a_worker_says_where_it_runs_jobs_and_a_queue_whose_events_wait_and_how_fast() {
    let page = render(&workers::WorkersPage::of(shell(true), &[worker("w")], now()));
    for said in ["2 children, 100.0 MB", "3 died", "1 replaced", "pid 7: 50.0 MB, 12 jobs"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let mut pulse = pulse("events");
    let heard = |finished, ready| {
        let queues = vec![QueueDepth { queue: "events".to_owned(), ready, ..QueueDepth::default() }];
        Some(Heard { finished, finished_by_queue: [("events".to_owned(), finished)].into(), queues })
    };
    let sample = |ago, finished, ready| {
        let at = now().minus(Duration::from_secs(ago));
        Sample { at, counters: Default::default(), heard: heard(finished, ready) }
    };
    pulse.samples = vec![sample(40, 0, 0), sample(0, 100, 60)];
    let page = render(&queues::QueuesPage::of(shell(true), &[depth("events")], &[], &pulse, None));
    for said in [r#""In/s" class="num">4.0<"#, r#""Out/s" class="num">2.5<"#, "events</a> 100 %"] {
        assert!(page.contains(said), "{said}: {page}");
    }
}

#[test]
fn nothing_that_waits_has_no_age_and_what_has_no_end_yet_is_not_said_to_be_missing() {
    let mut facts = facts("events");
    facts.outcomes.clear();
    facts.status.queues = Some(vec![QueueDepth { ready: 0, oldest_age_s: Some(181), ..depth("events") }]);
    let page = render(&pipeline::PipelinePage::of(shell(true), facts, None));
    let wait = page.split("<h3>Wait</h3>").nth(1).and_then(|rest| rest.split("</li>").next()).expect("the stage");
    assert!(wait.contains("<dt>oldest</dt><dd>–</dd>"), "{wait}");
    assert!(page.contains("No item has come to its end") && !page.contains("Nothing has been received"));
}
