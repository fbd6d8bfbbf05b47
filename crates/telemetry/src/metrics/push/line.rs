//! A value as a line of statsd's protocol. Names are `<prefix><area>.<noun>`; labels are tags for dogstatsd, and part of
//! the name for statsd, which knows none: series that differ must not fall into one.

use super::{PushConfig, Value};
use crate::metrics::key::Key;

/// Which of the two a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Statsd,
    /// With tags: Datadog's agent, Telegraf, Vector.
    DogStatsd,
}

pub(super) fn render(dialect: Dialect, config: &PushConfig, key: &Key, value: &Value) -> String {
    let mut line = format!("{}{}", config.prefix, dotted(key.name()));
    if dialect == Dialect::Statsd {
        for (_, value) in key.labels() {
            line.push('.');
            line.push_str(&plain(value));
        }
    }
    let is_time = key.name().ends_with("_seconds");
    match value {
        Value::Count(count) => line.push_str(&format!(":{count}|c")),
        // A sign would make a statsd server add; ours that go below zero are told from zero on.
        Value::Level(level) if *level < 0.0 && dialect == Dialect::Statsd => {
            line = format!("{line}:0|g\n{line}:{level}|g");
        }
        Value::Level(level) => line.push_str(&format!(":{level}|g")),
        Value::Sample(seconds) if is_time => line.push_str(&format!(":{}|ms", seconds * 1_000.0)),
        Value::Sample(sample) => match dialect {
            Dialect::Statsd => line.push_str(&format!(":{sample}|ms")),
            Dialect::DogStatsd => line.push_str(&format!(":{sample}|d")),
        },
    }
    if matches!(value, Value::Sample(_)) && config.sample_rate < 1.0 {
        line.push_str(&format!("|@{}", config.sample_rate));
    }
    if dialect == Dialect::DogStatsd {
        let of_all = config.tags.iter().map(|(label, value)| (label.as_str(), value.as_str()));
        let tags: Vec<String> =
            key.labels().chain(of_all).map(|(label, value)| format!("{}:{}", plain(label), plain(value))).collect();
        if !tags.is_empty() {
            line.push_str(&format!("|#{}", tags.join(",")));
        }
    }
    line
}

/// `vigie_queue_jobs` is `queue.jobs`, `vigie_events_stored_total` `events.stored`; names with dots are as they are.
fn dotted(name: &str) -> String {
    if name.contains('.') {
        return plain(name);
    }
    let name = name.strip_prefix("vigie_").unwrap_or(name);
    plain(&name.strip_suffix("_total").unwrap_or(name).replacen('_', ".", 1))
}

/// What the protocol keeps for itself becomes an underscore.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c.is_whitespace() || ":|@#,".contains(c) { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(prefix: &str, sample_rate: f64, tags: &[(&str, &str)]) -> PushConfig {
        let tags = tags.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
        let (prefix, address) = (prefix.to_owned(), String::new());
        PushConfig { targets: Vec::new(), prefix, sample_rate, address, tags }
    }

    #[test]
    fn values_are_written_in_both_dialects() {
        let key = |name: &'static str, labels: &[(&'static str, &str)]| {
            let labels = labels.iter().map(|(label, value)| ((*label).into(), (*value).to_owned())).collect();
            Key::new(name.into(), labels)
        };
        let jobs = key("vigie_queue_jobs", &[("queue", "a:b"), ("state", "ready")]);
        let took = key("vigie_digest_batch_seconds", &[]);
        let stored = key("vigie_events_stored_total", &[("task", "ingest.digest")]);
        let captured = key("internal.captured.events.upstream", &[]);
        for (key, value, rate, statsd, dogstatsd) in [
            (&jobs, Value::Level(3.0), 1.0, "queue.jobs.a_b.ready:3|g", "queue.jobs:3|g|#queue:a_b,state:ready"),
            (&took, Value::Sample(0.25), 0.5, "digest.batch_seconds:250|ms|@0.5", "digest.batch_seconds:250|ms|@0.5"),
            (&stored, Value::Count(7), 0.5, "events.stored.ingest.digest:7|c", "events.stored:7|c|#task:ingest.digest"),
            (
                &captured,
                Value::Count(1),
                1.0,
                "internal.captured.events.upstream:1|c",
                "internal.captured.events.upstream:1|c",
            ),
        ] {
            let config = config("vigie.", rate, &[]);
            assert_eq!(render(Dialect::Statsd, &config, key, &value), format!("vigie.{statsd}"));
            assert_eq!(render(Dialect::DogStatsd, &config, key, &value), format!("vigie.{dogstatsd}"));
        }
        let tagged = config("", 1.0, &[("region", "eu")]);
        let line = render(Dialect::DogStatsd, &tagged, &stored, &Value::Count(7));
        assert_eq!(line, "events.stored:7|c|#task:ingest.digest,region:eu");
        assert_eq!(
            render(Dialect::Statsd, &tagged, &captured, &Value::Count(1)),
            "internal.captured.events.upstream:1|c"
        );
        let below = render(Dialect::Statsd, &config("", 1.0, &[]), &took, &Value::Level(-1.5));
        assert_eq!(below, "digest.batch_seconds:0|g\ndigest.batch_seconds:-1.5|g");
    }
}
