//! All series in Prometheus' text format, version 0.0.4.

use super::hub::Hub;
use super::series::{Series, Total};
use super::{Kind, Metric};
use std::fmt::Write;

/// `tags` stand on every series, after its own labels.
pub(super) fn render(hub: &Hub, tags: &[(String, String)]) -> String {
    let mut text = String::new();
    let mut last = String::new();
    for series in hub.series() {
        let name = exposed(series.key.name());
        if name != last {
            head(&mut text, &name, series.kind, hub.declaration(series.key.name()));
            last.clone_from(&name);
        }
        let labels = labels(&series, tags);
        match series.kind {
            Kind::Counter => line(&mut text, &name, "", &labels, &series.total().count.to_string()),
            Kind::Gauge => {
                if let Some(level) = series.level.get() {
                    line(&mut text, &name, "", &labels, &number(level));
                }
            }
            Kind::Histogram => histogram(&mut text, &name, &labels, series.bounds, &series.total()),
        }
    }
    text
}

/// Returns a series's name with its own labels.
pub(super) fn name(series: &Series) -> String {
    let (name, labels) = (exposed(series.key.name()), labels(series, &[]));
    if labels.is_empty() { name } else { format!("{name}{{{}}}", labels.join(",")) }
}

fn head(text: &mut String, name: &str, kind: Kind, declared: Option<&Metric>) {
    if let Some(metric) = declared {
        let help = metric.help.replace('\\', "\\\\").replace('\n', "\\n");
        line_of(text, format_args!("# HELP {name} {help}"));
    }
    line_of(text, format_args!("# TYPE {name} {}", kind.name()));
}

fn histogram(text: &mut String, name: &str, labels: &[String], bounds: &[f64], total: &Total) {
    let mut below = 0;
    let ends = bounds.iter().map(|bound| number(*bound)).chain(std::iter::once("+Inf".to_owned()));
    for (end, count) in ends.zip(&total.counts) {
        below += count;
        let labels: Vec<String> = labels.iter().cloned().chain(std::iter::once(format!("le=\"{end}\""))).collect();
        line(text, name, "_bucket", &labels, &below.to_string());
    }
    line(text, name, "_sum", labels, &number(total.sum));
    line(text, name, "_count", labels, &below.to_string());
}

fn line(text: &mut String, name: &str, suffix: &str, labels: &[String], value: &str) {
    if labels.is_empty() {
        return line_of(text, format_args!("{name}{suffix} {value}"));
    }
    line_of(text, format_args!("{name}{suffix}{{{}}} {value}", labels.join(",")));
}

fn line_of(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = writeln!(text, "{words}");
}

fn labels(series: &Series, tags: &[(String, String)]) -> Vec<String> {
    let own = series.key.labels();
    let of_all = tags.iter().map(|(label, value)| (label.as_str(), value.as_str()));
    let of_all = of_all.filter(|(label, _)| series.key.labels().all(|(own, _)| own != *label));
    own.chain(of_all).map(|(label, value)| format!("{}=\"{}\"", exposed(label), escaped(value))).collect()
}

/// Names in the words of Sentry have dots.
fn exposed(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}
