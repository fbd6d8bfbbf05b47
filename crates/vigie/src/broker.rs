//! Which queue a process works with: the embedded one, owned by one process of the data directory and shared with the
//! others, or a broker elsewhere.

use crate::config::Config;
use crate::host;
use crate::roles::Role;
use anyhow::Context;
use queue::brokers::amqp::{self, Amqp, AmqpConfig};
use queue::brokers::embedded::{self, Durability};
use queue::brokers::member::{self, Member};
use queue::brokers::redis::{About, Redis, RedisConfig};
use queue::{Queue, QueueError, Spool};
use std::sync::Arc;
use std::time::Duration;
use stdx::SystemClock;

/// The address of the queue in the data directory.
const EMBEDDED: &str = "embedded:";
/// The ledger of a queue on RabbitMQ, in the data directory.
pub const LEDGER: &str = "queue.db";

/// What `kind` says of the queue in the data directory.
pub const EMBEDDED_KIND: &str = "embedded";

/// Which Redis was used last, in the data directory.
const MARKER: &str = "redis-marker";

/// Where the queue is.
enum Place {
    Embedded,
    Redis(RedisConfig),
    RabbitMq(AmqpConfig),
}

/// The queue for a process that runs a role.
///
/// # Errors
/// If it cannot be opened.
pub fn of_role(config: &Config, role: Role, node: &str) -> anyhow::Result<Arc<dyn Queue>> {
    // The web role owns the embedded queue if it can: what it accepts then crosses no socket.
    let queue = open(config, node, matches!(role, Role::Web | Role::All))?;
    declare_queues(&*queue)?;
    Ok(queue)
}

/// Says at boot what the broker is, as a step of its own; one that does not answer now is said so and waited for.
///
/// # Errors
/// None of the broker's; only if its address cannot be read.
pub fn look_at_boot(config: &Config) -> anyhow::Result<String> {
    let (name, looked) = match place(config)? {
        Place::Embedded => return Ok("embedded".to_owned()),
        Place::Redis(redis) => {
            let said = |about: &About| {
                let durable = if about.is_durable { "appendonly yes" } else { "appendonly NO" };
                (format!("Redis {}, {durable}", about.version), about.warnings())
            };
            (redis.name(), Redis::probe(redis).map(|about| said(&about)))
        }
        Place::RabbitMq(amqp) => {
            let said = |about: &amqp::About| (said_of_rabbitmq(about), warnings_of_rabbitmq(about));
            (amqp.name(), Amqp::probe(amqp).map(|about| said(&about)))
        }
    };
    match looked {
        Ok((said, warnings)) => {
            for warning in &warnings {
                tracing::warn!(broker = name, "{warning}");
            }
            Ok([format!("{name}: {said}")].into_iter().chain(warnings).collect::<Vec<_>>().join("; "))
        }
        Err(error @ QueueError::Refused { .. }) => Ok(stdx::causes::on_one_line(&error)),
        Err(error) => Ok(format!("{name} does not answer yet: {}", stdx::causes::on_one_line(&error))),
    }
}

/// Where accepted events wait while a broker elsewhere is away; `None` with the embedded one, which is its own disk.
///
/// # Errors
/// If it cannot be opened.
pub fn spool_of_web(config: &Config, far: Arc<dyn Queue>) -> anyhow::Result<Option<Arc<Spool>>> {
    if config.broker_url.expose() == EMBEDDED {
        return Ok(None);
    }
    let spool = embedded::Config {
        folder: config.data_dir.join("spool"),
        bytes_max: config.spool_bytes_max.bytes(),
        ..embedded_config(config)
    };
    let opened = Spool::open(spool, far, Arc::new(SystemClock)).context("open the spool")?;
    Ok(Some(Arc::new(opened)))
}

/// The queue as a command sees it, beside running processes or without any.
///
/// # Errors
/// If it cannot be reached or opened.
pub fn of_command(config: &Config) -> anyhow::Result<Arc<dyn Queue>> {
    let queue = open(config, &format!("command-{}", std::process::id()), false)?;
    // A broker that is full or read-only takes no new name, and must be looked at and relieved all the same.
    if let Err(error) = declare_queues(&*queue) {
        tracing::debug!(error = %format!("{error:#}"), "queues not declared");
    }
    Ok(queue)
}

fn declare_queues(queue: &dyn Queue) -> anyhow::Result<()> {
    declare(queue, pipeline::tasks::QUEUES)
}

/// Makes queues known, those of a broker that does not answer now too, if it can.
///
/// # Errors
/// If it refuses.
pub fn declare(queue: &dyn Queue, names: &[&str]) -> anyhow::Result<()> {
    for name in names {
        match queue.declare(name) {
            // It may come back; until then nothing is accepted, and health says so.
            Err(error @ QueueError::Unreachable { .. }) => {
                tracing::error!(error = %error, "the broker does not answer yet");
                break;
            }
            declared => declared.with_context(|| format!("declare queue {name}"))?,
        }
    }
    Ok(())
}

fn open(config: &Config, node: &str, prefers_to_own: bool) -> anyhow::Result<Arc<dyn Queue>> {
    let clock = Arc::new(SystemClock);
    match place(config)? {
        Place::Redis(redis) => {
            let name = redis.name();
            let opened = Redis::open(redis, clock).with_context(|| format!("open the queue at {name}"))?;
            Ok(Arc::new(opened))
        }
        Place::RabbitMq(amqp) => {
            let name = amqp.name();
            let opened = Amqp::open(amqp, clock).with_context(|| format!("open the queue at {name}"))?;
            Ok(Arc::new(opened))
        }
        Place::Embedded => {
            let member = member::Config {
                embedded: embedded_config(config),
                socket: config.data_dir.join("queue.sock"),
                name: node.to_owned(),
                prefers_to_own,
            };
            let opened = Member::open(member, clock).context("open the queue")?;
            Ok(Arc::new(opened))
        }
    }
}

fn place(config: &Config) -> anyhow::Result<Place> {
    let url = config.broker_url.expose();
    let (jobs_max, bytes_max) = (config.queue_jobs_max, config.queue_bytes_max.bytes());
    if url == EMBEDDED {
        return Ok(Place::Embedded);
    }
    if is_amqp(url) {
        let amqp = AmqpConfig::parse(url, config.data_dir.join(LEDGER)).context("read broker.url")?;
        let own = pipeline::tasks::QUEUES.iter().map(|queue| (*queue).to_owned()).collect();
        let naming = amqp::Naming { own, ..amqp.naming };
        return Ok(Place::RabbitMq(AmqpConfig { jobs_max, bytes_max, naming, ..amqp }));
    }
    let redis = RedisConfig::parse(url).context("read broker.url")?;
    let marker_file = Some(config.data_dir.join(MARKER));
    Ok(Place::Redis(RedisConfig { jobs_max, bytes_max, marker_file, ..redis }))
}

/// Returns what keeps the queue, without a password: `embedded`, or a broker by its name.
///
/// # Errors
/// If its address cannot be read.
pub fn kind(config: &Config) -> anyhow::Result<String> {
    Ok(match place(config)? {
        Place::Embedded => EMBEDDED_KIND.to_owned(),
        Place::Redis(redis) => redis.name(),
        Place::RabbitMq(amqp) => amqp.name(),
    })
}

/// Returns the queues that Python programs may publish to before anybody else does: Celery's own, and those that the
/// address names. The embedded queue is for nobody but Vigie.
///
/// # Errors
/// If the address cannot be read.
pub fn celery_queues(config: &Config) -> anyhow::Result<Vec<String>> {
    Ok(match place(config)? {
        Place::Embedded => Vec::new(),
        Place::Redis(redis) => redis.celery_queues(),
        Place::RabbitMq(amqp) => amqp.celery_queues(),
    })
}

/// Says which jobs only a broker has that is backed up by its own means; `None` = the data directory has all.
pub fn left_to(kind: &str) -> Option<String> {
    let of_its_own = if is_amqp(kind) { "" } else { ", delayed ones and dead letters too" };
    (kind != EMBEDDED_KIND).then(|| format!("the jobs in {kind}{of_its_own}"))
}

fn is_amqp(url: &str) -> bool {
    url.starts_with("amqp:") || url.starts_with("amqps:")
}

/// Connects to a broker elsewhere and says what it is and what an operator should know of it.
///
/// # Errors
/// What is wrong with it.
pub fn describe(config: &Config) -> anyhow::Result<Vec<String>> {
    let (name, said, warnings) = match place(config)? {
        Place::Embedded => return Ok(vec!["broker.url: embedded, in the data directory".to_owned()]),
        Place::Redis(redis) => {
            let name = redis.name();
            let about = Redis::probe(redis).with_context(|| format!("broker.url: connect to {name}"))?;
            (name, format!("Redis {}", about.version), about.warnings())
        }
        Place::RabbitMq(amqp) => {
            let name = amqp.name();
            let about = Amqp::probe(amqp).with_context(|| format!("broker.url: connect to {name}"))?;
            (name, said_of_rabbitmq(&about), warnings_of_rabbitmq(&about))
        }
    };
    let mut lines = vec![format!("broker.url: {name} answers, {said}")];
    lines.extend(warnings.into_iter().map(|warning| format!("  warning: {warning}")));
    Ok(lines)
}

fn said_of_rabbitmq(about: &amqp::About) -> String {
    format!("AMQP 0-9-1, heartbeat {} s", about.heartbeat.as_secs())
}

fn warnings_of_rabbitmq(about: &amqp::About) -> Vec<String> {
    let said = |reason| format!("it takes no more: alarm of its memory or disk: {reason}");
    about.alarm.as_ref().map(said).into_iter().collect()
}

fn embedded_config(config: &Config) -> embedded::Config {
    let disk = config.data_dir.clone();
    embedded::Config {
        folder: config.data_dir.join("queue"),
        durability: if config.durable_against_power_loss { Durability::Power } else { Durability::Process },
        jobs_max: config.queue_jobs_max,
        bytes_max: config.queue_bytes_max.bytes(),
        free_min: config.disk_free_min.bytes(),
        free_space: Arc::new(move || host::free_bytes(&disk)),
        reassert_grace: Duration::ZERO,
    }
}

/// Says what is wrong with a broker's address.
///
/// # Errors
/// Why it cannot be used.
pub fn check_url(text: &str) -> Result<(), String> {
    const TAKEN: &str =
        "this release takes embedded:, redis://, rediss://, redis+socket://, sentinel://, amqp:// and amqps://";
    if text == EMBEDDED {
        return Ok(());
    }
    let scheme = text.split(':').next().unwrap_or_default();
    match scheme {
        "amqp" | "amqps" => {
            AmqpConfig::parse(text, LEDGER.into()).map(|_| ()).map_err(|error| stdx::causes::on_one_line(&error))
        }
        "redis" | "rediss" | "redis+socket" | "sentinel" => {
            RedisConfig::parse(text).map(|_| ()).map_err(|error| stdx::causes::on_one_line(&error))
        }
        // Without a scheme what stands there may be a password.
        _ => Err(format!("unknown scheme; {TAKEN}")),
    }
}
