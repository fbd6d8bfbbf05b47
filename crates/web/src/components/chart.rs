//! Events by hour or by day as bars, each with its title, and the same numbers as a table.

use super::sparkline::bar_height;
use crate::format::{absolute, counted, grouped};
use askama::Template;
use ops::issues::SeriesPeriod;
use stdx::Timestamp;

const HEIGHT: i64 = 88;
const STEP: i64 = 20;
const BAR: i64 = 17;

#[derive(Clone, Debug, Template)]
#[template(path = "components/chart.html")]
pub struct Chart {
    width: i64,
    highest: String,
    total: String,
    period: SeriesPeriod,
    bars: Vec<ChartBar>,
    /// This page with each period.
    links: Vec<PeriodLink>,
}

impl askama::filters::HtmlSafe for Chart {}

#[derive(Clone, Debug)]
struct PeriodLink {
    name: &'static str,
    url: String,
    is_current: bool,
}

#[derive(Clone, Debug)]
struct ChartBar {
    x: i64,
    y: i64,
    height: i64,
    label: String,
    count: String,
}

impl Chart {
    /// `path` is the page the chart stands on; its query is only the period.
    pub fn of(series: &[(Timestamp, i64)], period: SeriesPeriod, path: &str) -> Chart {
        let highest = series.iter().map(|(_, count)| *count).max().unwrap_or(0);
        let total = series.iter().map(|(_, count)| *count).fold(0, i64::saturating_add);
        let bars = (0i64..).zip(series).map(|(place, (at, count))| {
            let height = if *count > 0 { bar_height(*count, highest, HEIGHT) } else { 1 };
            ChartBar { x: place * STEP, y: HEIGHT - height, height, label: label(*at, period), count: grouped(*count) }
        });
        let link = |other: SeriesPeriod| PeriodLink {
            name: other.as_str(),
            url: format!("{path}?period={}", other.as_str()),
            is_current: other == period,
        };
        Chart {
            width: i64::try_from(series.len()).unwrap_or(0).max(1) * STEP - (STEP - BAR),
            highest: grouped(highest),
            total: counted(total, "event", "events"),
            period,
            bars: bars.collect(),
            links: [SeriesPeriod::Day, SeriesPeriod::Fortnight].map(link).to_vec(),
        }
    }

    /// The same where there is only one period.
    pub fn without_links(series: &[(Timestamp, i64)], period: SeriesPeriod, path: &str) -> Chart {
        Chart { links: Vec::new(), ..Chart::of(series, period, path) }
    }

    fn first(&self) -> &str {
        self.bars.first().map(|bar| bar.label.as_str()).unwrap_or_default()
    }

    fn step_name(&self) -> &'static str {
        match self.period {
            SeriesPeriod::Day => "Hour",
            SeriesPeriod::Fortnight => "Day",
        }
    }
}

fn label(at: Timestamp, period: SeriesPeriod) -> String {
    let text = absolute(at);
    let range = match period {
        SeriesPeriod::Day => 5..16,
        SeriesPeriod::Fortnight => 0..10,
    };
    text.get(range).unwrap_or(&text).to_owned()
}
