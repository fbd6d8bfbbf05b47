//! `/system/itself/`: how this process started, what became of reports on Vigie's own errors, and its own metrics.

use super::{Tab, count};
use crate::components::sparkline::Sparkline;
use crate::error::PageError;
use crate::format::{absolute, grouped};
use crate::pages::html;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use ops::itself::{self, Destination, HOURS_SHOWN, Itself, Series, Step};
use stdx::Timestamp;

/// Series on the page, the busiest; the API has all.
const SERIES_MAX: usize = 100;

#[derive(Template)]
#[template(path = "system/itself.html")]
pub struct ItselfPage {
    pub shell: Shell,
    pub took: String,
    pub steps: Vec<StepView>,
    pub reporting: String,
    pub destinations: Vec<DestinationView>,
    pub hours: i64,
    pub series: Vec<SeriesView>,
    pub series_left_out: usize,
    pub seen: String,
}

pub struct StepView {
    pub name: String,
    pub took: String,
    pub outcome: String,
    pub is_bad: bool,
}

pub struct DestinationView {
    pub name: String,
    pub captured: String,
    pub sent: String,
    pub refused: String,
    pub dropped: String,
    pub waiting: String,
    pub kept_self: String,
    pub kept_rate: String,
    pub is_bad: bool,
}

pub struct SeriesView {
    pub name: String,
    pub count: String,
    /// Of a histogram; else empty.
    pub mean: String,
    pub line: Sparkline,
}

/// `GET /system/itself/`
pub async fn show(State(state): State<WebState>, viewer: Viewer) -> Result<Response, PageError> {
    let seen = itself::get(&state.ops, &viewer.caller).await?;
    html(&ItselfPage::of(Shell::of(&state, &viewer, Nav::System, "Vigie itself"), seen))
}

impl ItselfPage {
    pub fn of(shell: Shell, seen: Itself) -> ItselfPage {
        let Itself { seen_at, process, mut series } = seen;
        let took: f64 = process.boot.iter().map(|step| step.ms).sum();
        let series_left_out = series.len().saturating_sub(SERIES_MAX);
        if series_left_out > 0 {
            series.sort_by_key(|series| std::cmp::Reverse(series.count));
            series.truncate(SERIES_MAX);
            series.sort_by(|left, right| left.name.cmp(&right.name));
        }
        ItselfPage {
            shell,
            took: milliseconds(took),
            steps: process.boot.into_iter().map(StepView::of).collect(),
            reporting: process.reporting,
            destinations: process.destinations.into_iter().map(DestinationView::of).collect(),
            hours: HOURS_SHOWN,
            series: series.into_iter().map(SeriesView::of).collect(),
            series_left_out,
            seen: absolute(seen_at),
        }
    }

    fn tab(&self) -> Tab {
        Tab::Itself
    }
}

impl StepView {
    fn of(step: Step) -> StepView {
        let is_bad = step.outcome.starts_with("failed");
        StepView { name: step.name, took: milliseconds(step.ms), outcome: step.outcome, is_bad }
    }
}

impl DestinationView {
    fn of(destination: Destination) -> DestinationView {
        DestinationView {
            is_bad: destination.dropped > 0 || destination.refused > 0,
            captured: count(destination.captured),
            sent: count(destination.sent),
            refused: count(destination.refused),
            dropped: count(destination.dropped),
            waiting: count(destination.waiting),
            kept_self: count(destination.kept_self),
            kept_rate: count(destination.kept_rate),
            name: destination.name,
        }
    }
}

impl SeriesView {
    fn of(series: Series) -> SeriesView {
        let hours: Vec<(Timestamp, i64)> =
            series.hours.iter().map(|(hour, count)| (Timestamp::from_seconds(hour.0 * 3_600), *count)).collect();
        let is_time = series.name.contains("_seconds");
        let mean = series.sum / (series.count.max(1) as f64);
        SeriesView {
            count: grouped(series.count),
            mean: match series.sum > 0.0 {
                true if is_time => milliseconds(mean * 1_000.0),
                true => format!("{mean:.1}"),
                false => String::new(),
            },
            line: Sparkline::of_levels(&hours, "an hour", &format!("{HOURS_SHOWN} h")),
            name: series.name,
        }
    }
}

fn milliseconds(ms: f64) -> String {
    if ms >= 10.0 { format!("{ms:.0} ms") } else { format!("{ms:.1} ms") }
}
