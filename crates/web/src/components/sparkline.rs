//! A small line of bars: how often, over a period, without axes.

use crate::format::{counted, grouped};
use askama::Template;
use std::time::Duration;
use stdx::Timestamp;

const HEIGHT: i64 = 24;
/// Width of a bar and of the gap after it.
const BAR: i64 = 3;
const STEP: i64 = 4;
/// Bars of a line of samples.
const SAMPLE_BARS_MAX: usize = 40;

#[derive(Clone, Debug, Template)]
#[template(path = "components/sparkline.html")]
pub struct Sparkline {
    title: String,
    width: i64,
    bars: Vec<Bar>,
}

impl askama::filters::HtmlSafe for Sparkline {}

#[derive(Clone, Debug)]
struct Bar {
    x: i64,
    y: i64,
    height: i64,
}

impl Sparkline {
    /// `period` names the span, as in `24 h`.
    pub fn of(series: &[(Timestamp, i64)], period: &str) -> Sparkline {
        let highest = series.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
        let total = series.iter().map(|(_, count)| *count).fold(0, i64::saturating_add);
        let title = format!("{} in {period}, at most {highest} in one step", counted(total, "event", "events"));
        Sparkline::draw(series, title)
    }

    /// Of levels rather than counts: `what` names their unit.
    pub fn of_levels(series: &[(Timestamp, i64)], what: &str, period: &str) -> Sparkline {
        let highest = series.iter().map(|(_, level)| *level).max().unwrap_or(0);
        Sparkline::draw(series, format!("at most {} {what} in the last {period}", grouped(highest)))
    }

    /// Of levels seen `every` so often; more than there are bars for are thinned, and a bar is the highest of its own.
    pub fn of_samples(levels: &[u64], what: &str, every: Duration) -> Sparkline {
        let of_a_bar = levels.len().div_ceil(SAMPLE_BARS_MAX).max(1);
        let highest = |levels: &[u64]| i64::try_from(levels.iter().copied().max().unwrap_or(0)).unwrap_or(i64::MAX);
        let bars: Vec<(Timestamp, i64)> =
            levels.chunks(of_a_bar).map(|levels| (Timestamp::EPOCH, highest(levels))).collect();
        let minutes = (every.as_secs() * levels.len() as u64).div_ceil(60);
        Sparkline::of_levels(&bars, what, &format!("{minutes} min"))
    }

    fn draw(series: &[(Timestamp, i64)], title: String) -> Sparkline {
        let highest = series.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
        let bars = (0i64..).zip(series).filter(|(_, (_, count))| *count > 0).map(|(place, (_, count))| {
            let height = bar_height(*count, highest, HEIGHT);
            Bar { x: place * STEP, y: HEIGHT - height, height }
        });
        Sparkline { title, width: i64::try_from(series.len()).unwrap_or(0).max(1) * STEP, bars: bars.collect() }
    }
}

/// Returns the height of a bar: in proportion, but never invisible.
pub fn bar_height(count: i64, highest: i64, height_max: i64) -> i64 {
    let scaled = i128::from(count) * i128::from(height_max) / i128::from(highest.max(1));
    i64::try_from(scaled).unwrap_or(height_max).clamp(2.min(height_max), height_max)
}
