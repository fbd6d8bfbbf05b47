//! The table of configuration keys: name, default, kind and one line of help, and how a change takes effect. Everything
//! that lists keys (the parser, suggestions, the commands, the file of `init`, `docs/reference/config.md`) reads it.

use super::kind::Kind;

/// One configuration key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub name: &'static str,
    /// Empty = not set.
    pub default: &'static str,
    pub kind: Kind,
    pub help: &'static str,
    /// A runtime option: it may stand in the store too, below file and environment.
    pub is_runtime: bool,
    /// Running processes take a change up: of the file on SIGHUP, of a runtime option by themselves.
    pub is_live: bool,
    /// Never shown.
    pub is_secret: bool,
}

const fn key(name: &'static str, default: &'static str, kind: Kind, help: &'static str) -> Key {
    Key { name, default, kind, help, is_runtime: false, is_live: false, is_secret: false }
}

impl Key {
    const fn runtime(self) -> Key {
        Key { is_runtime: true, ..self }
    }

    const fn live(self) -> Key {
        Key { is_live: true, ..self }
    }

    const fn secret(self) -> Key {
        Key { is_secret: true, ..self }
    }
}

/// Returns the key of that name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// What a storage role takes: an engine, or to follow the address of its store.
const ROLE: Kind = Kind::Store { built: &["follow", "sqlite"], later: &["postgres", "clickhouse"] };

pub const KEYS: &[Key] = &[
    key(
        "system.url-prefix",
        "",
        Kind::Url,
        "public address, in DSNs and links; without it the address follows web.listen",
    ).runtime().live(),
    key("system.data-dir", "./vigie-data", Kind::Text, "folder of all embedded stores"),
    key(
        "system.event-retention-days",
        "90",
        Kind::Number { min: 1, max: 36_500 },
        "days that events are kept; a project may set less",
    ).runtime().live(),
    key(
        "system.secret-key",
        "",
        Kind::Text,
        "signs what leaves the house and comes back; sessions and tokens live in the store, so nothing is signed in this \
         release",
    )
    .secret(),
    key("log.level", "info", Kind::Level, "which log lines are written to standard error").runtime().live(),
    key("log.format", "human", Kind::Choice(&["human", "json"]), "how they look"),
    key("web.listen", "127.0.0.1:9000", Kind::Address, "address and port the web role listens on"),
    key(
        "web.trusted-proxies",
        "",
        Kind::Networks,
        "addresses and networks whose X-Forwarded-For says who the client is; none: the peer is",
    ).live(),
    key(
        "broker.url",
        "embedded:",
        Kind::Broker,
        "where jobs are queued: embedded:, redis://[user:password@]host:port/db, rediss://…, sentinel://…, \
         amqp://user:password@host:port/vhost, amqps://…",
    ),
    key(
        "database.url",
        "sqlite:",
        Kind::Store { built: &["sqlite:"], later: &["postgres:", "postgresql:"] },
        "metadata: organizations, issues, counters",
    ),
    key(
        "events.url",
        "sqlite:",
        Kind::Store { built: &["sqlite:"], later: &["postgres:", "postgresql:", "clickhouse+http:"] },
        "stored events, in day partitions",
    ),
    key(
        "storage.bodies",
        "follow",
        ROLE,
        "engine that event bodies are read from; follow: the one of events.url",
    ),
    key("storage.search", "follow", ROLE, "engine that issues are found in; follow: the one of database.url"),
    key("storage.series", "follow", ROLE, "engine that counts by hour are read from; follow: the one of database.url"),
    key("storage.tags", "follow", ROLE, "engine that tags are read from; follow: the one of database.url"),
    key("storage.stream", "follow", ROLE, "engine that the digest writes facts to; follow: the one of database.url"),
    key("blobs.url", "file:", Kind::Store { built: &["file:"], later: &["s3:"] }, "attachments"),
    key(
        "worker.concurrency",
        "0",
        Kind::Number { min: 0, max: 256 },
        "runs at once: threads, or child processes; 0 = as many as the machine has cores",
    ).runtime(),
    key(
        "worker.shutdown-grace",
        "30s",
        Kind::Duration,
        "how long running work may finish after SIGTERM before the process ends",
    ).runtime(),
    key(
        "worker.pool",
        "threads",
        Kind::Choice(&["threads", "processes"]),
        "processes: each run in a child process, so that a crash or a hang costs one run; threads: in the worker",
    ),
    key(
        "worker.max-tasks-per-child",
        "0",
        Kind::Number { min: 0, max: 1_000_000_000 },
        "jobs after which a child process is replaced; 0 = never for their number",
    ).runtime(),
    key(
        "worker.max-memory-per-child",
        "1GiB",
        Kind::Bytes,
        "resident memory beyond which a child process is replaced after its run, and killed at half as much again; 0 = any",
    ).runtime(),
    key(
        "worker.remote-control",
        "on",
        Kind::Switch,
        "whether Celery's tools (celery status, inspect, control, Flower) reach workers; only over a broker they know",
    ),
    key(
        "worker.send-events",
        "off",
        Kind::Switch,
        "events of tasks from the start; off: once Flower or celery control enable_events asks for them",
    ),
    key(
        "worker.slow-share",
        "0.8",
        Kind::Fraction,
        "share of its time limit beyond which a run is an error that is reported; 1: none is",
    )
    .runtime()
    .live(),
    key(
        "worker.metrics-listen",
        "",
        Kind::AddressOrNone,
        "address and port where run worker and run cron show /metrics and /health/live, each its own; without it nowhere",
    ),
    key(
        "queue.durability",
        "power",
        Kind::Choice(&["power", "process"]),
        "power: on disk (fsync) before an event is accepted; process: survives a killed process, not a power loss",
    ),
    key("queue.max-bytes", "2GB", Kind::Bytes, "bytes of waiting jobs beyond which events are refused with 429; in the data directory with their large bodies").runtime(),
    key(
        "queue.spool-max-bytes",
        "2GB",
        Kind::Bytes,
        "bytes of jobs and their large bodies kept in the data directory while broker.url cannot be reached; beyond, events are refused with 503",
    ).runtime(),
    key(
        "queue.max-jobs",
        "1000000",
        Kind::Number { min: 1, max: 100_000_000 },
        "waiting jobs beyond which events are refused with 429",
    ).runtime(),
    key("disk.min-free", "1GB", Kind::Bytes, "free disk space below which events are refused with 503").runtime(),
    key(
        "ingest.max-envelope-bytes",
        "200MiB",
        Kind::Bytes,
        "decoded size of one envelope beyond which it is refused with 413",
    )
    .runtime(),
    key(
        "metrics.backends",
        "prometheus",
        Kind::Choices(&["prometheus", "statsd", "dogstatsd", "logging", "none"]),
        "where metrics go, several at once: prometheus at /metrics, statsd and dogstatsd by UDP, logging to the log",
    ),
    key(
        "metrics.tags",
        "",
        Kind::Labels,
        "labels of every metric, such as region=eu; instance=NAME tells one process from another",
    ),
    key("metrics.prefix", "vigie.", Kind::Text, "stands before every name but at /metrics"),
    key(
        "metrics.sample-rate",
        "1.0",
        Kind::Fraction,
        "share of samples of timings and distributions that is sent; counts and levels are exact",
    ),
    key("metrics.statsd-address", "127.0.0.1:8125", Kind::Server, "host and UDP port of the statsd server"),
    key(
        "self-reporting.enabled",
        "on",
        Kind::Switch,
        "whether what goes wrong in Vigie itself becomes events; never more than ten a minute and destination",
    ),
    key(
        "self-reporting.upstream-dsn",
        "",
        Kind::Dsn,
        "where such events go first, best another installation; none: nowhere",
    )
    .secret(),
    key(
        "self-reporting.relay-dsn",
        "",
        Kind::Dsn,
        "where they go second; none: the project 'internal' of this installation, which the first of them makes",
    )
    .secret(),
    key("self-reporting.sample-rate", "1.0", Kind::Fraction, "share of them that is sent"),
    key(
        "self-reporting.upstream-metrics-rate",
        "0.0",
        Kind::Fraction,
        "share of envelopes whose metric items go upstream too; the relay gets them all",
    ),
    key(
        "self-reporting.traces-sample-rate",
        "0.0",
        Kind::Fraction,
        "share of runs whose trace goes upstream; never more than sixty a minute",
    ),
    key("self-reporting.traces-by-task", "", Kind::Shares, "the same for single tasks, such as ingest.digest=0.01"),
    key("self-reporting.environment", "production", Kind::Text, "environment that they are of"),
];
