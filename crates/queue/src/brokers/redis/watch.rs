//! What is known of the server: looked at each second, for bounds that cannot be counted at each publish.

use super::leases::SEPARATOR;
use super::link::{Link, info_field};
use super::scripts::Script;
use super::{Shared, TimeSource, lock};
use crate::QueueError;
use crate::broker::WORKER_DEAD_AFTER;
use std::time::{Duration, Instant};
use stdx::Timestamp;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause between two looks at what the server does with what it took.
const POLICY_EVERY: Duration = Duration::from_secs(60);
/// The thread looks this often whether it should stop.
const STOP_LOOK: Duration = Duration::from_millis(50);
/// Percent of the server's own bound of memory, beyond which publishers are refused before the server does it.
const MEMORY_PERCENT_MAX: u64 = 95;
/// What was seen longer ago counts for nothing.
const STALE_AFTER: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Watched {
    seen_at: Option<Instant>,
    jobs: u64,
    /// By us since then.
    published: u64,
    memory: u64,
    memory_max: u64,
    /// Since the server started.
    uptime: Duration,
    /// Lists of queues that hold something else.
    foul: Vec<String>,
    policy: Policy,
}

/// What the server does with what it took, and when that was looked at.
#[derive(Clone, Default)]
struct Policy {
    seen_at: Option<Timestamp>,
    warnings: Vec<String>,
}

/// What a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub server: String,
    pub version: String,
    /// Whether what it took survives its end (`appendonly`).
    pub is_durable: bool,
    /// What it does when memory ends; anything but `noeviction` forgets jobs.
    pub eviction: String,
    /// `master` or `slave`.
    pub role: String,
    pub memory: u64,
    /// 0 for none.
    pub memory_max: u64,
}

impl About {
    /// Returns what an operator should know before trusting this server with jobs.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.is_durable {
            warnings.push("appendonly is off: jobs accepted since its last snapshot are lost when it ends".to_owned());
        }
        if self.eviction != "noeviction" {
            let policy = &self.eviction;
            warnings.push(format!("maxmemory-policy is {policy}: jobs are forgotten when its memory is full"));
        }
        if self.role != "master" {
            warnings.push(format!("its role is {}: it takes no writes", self.role));
        }
        warnings
    }
}

pub(super) fn about(link: &Link) -> Result<About, QueueError> {
    let info: String = link.with(|open| redis::cmd("INFO").query(&mut open.connection))?;
    let text = |name| info_field(&info, name).unwrap_or_default().to_owned();
    Ok(About {
        server: link.name().to_owned(),
        version: text("redis_version"),
        is_durable: info_field(&info, "aof_enabled") == Some("1"),
        eviction: text("maxmemory_policy"),
        role: text("role"),
        memory: number(&info, "used_memory"),
        memory_max: number(&info, "maxmemory"),
    })
}

fn number(info: &str, name: &str) -> u64 {
    info_field(info, name).and_then(|text| text.parse().ok()).unwrap_or(0)
}

impl Shared {
    pub(super) fn about(&self) -> Result<About, QueueError> {
        about(&self.link)
    }

    /// Runs until the broker is closed.
    pub(super) fn watch(&self) {
        let mut looked = Instant::now();
        let mut was_away = false;
        while !self.is_closed() {
            std::thread::sleep(STOP_LOOK);
            if looked.elapsed() < LOOK_EVERY {
                continue;
            }
            looked = Instant::now();
            let look = self.look().and_then(|()| self.say_alive());
            match (&look, was_away) {
                (Err(error), false) => tracing::warn!(error = %error, "the broker was lost"),
                (Ok(()), true) => tracing::info!(broker = self.link.name(), "the broker was found again"),
                (Err(_), true) | (Ok(()), false) => {}
            }
            was_away = look.is_err();
        }
    }

    /// Looks at counts and memory.
    pub(super) fn look(&self) -> Result<(), QueueError> {
        let (info, server): (String, String) = self.link.with(|open| {
            let mut pipeline = redis::pipe();
            pipeline.cmd("INFO").arg("memory").cmd("INFO").arg("server").query(&mut open.connection)
        })?;
        let (jobs, foul) = self.count_jobs()?;
        let policy = self.look_at_policy()?;
        // A server that takes no writes is told of by others.
        match self.look_for_marker() {
            Err(error @ QueueError::Unreachable { .. }) => return Err(error),
            Err(error) => tracing::debug!(error = %error, "the broker's marker not looked for"),
            Ok(()) => {}
        }
        *lock(&self.watched) = Watched {
            foul,
            policy,
            seen_at: Some(Instant::now()),
            jobs,
            published: 0,
            memory: number(&info, "used_memory"),
            memory_max: number(&info, "maxmemory"),
            uptime: Duration::from_secs(number(&server, "uptime_in_seconds")),
        };
        Ok(())
    }

    fn count_jobs(&self) -> Result<(u64, Vec<String>), QueueError> {
        self.link.run(Script::Total, &self.words().0)
    }

    /// Looks each minute; the first look is of whoever opens the broker, and says by itself what it saw.
    fn look_at_policy(&self) -> Result<Policy, QueueError> {
        let (last, now) = (lock(&self.watched).policy.clone(), self.clock.now());
        if last.seen_at.is_some_and(|seen_at| seen_at <= now && now.since(seen_at) < POLICY_EVERY) {
            return Ok(last);
        }
        let warnings = self.about()?.warnings();
        if last.seen_at.is_some() && warnings != last.warnings {
            let broker = self.link.name();
            if warnings.is_empty() {
                tracing::info!(broker, "the broker's policy is right again");
            } else {
                tracing::error!(broker, policy = warnings.join("; "), "the broker's policy was changed");
            }
        }
        Ok(Policy { seen_at: Some(now), warnings })
    }

    pub(super) fn troubles(&self) -> Vec<String> {
        let foul = lock(&self.watched).foul.clone();
        let emptied = lock(&self.marker).emptied_since().map(|since| {
            format!(
                "the broker was emptied (noticed at {since}): jobs, delays, dead letters and pauses that were in it are \
                 gone; `vigie queues write-off` counts its events as lost and ends this"
            )
        });
        let foul = foul.into_iter().map(|list| {
            let list = list.replace(SEPARATOR, "\\x06\\x16");
            format!(
                "the key '{list}' holds something else where a queue has a list: its jobs wait; rename or delete it"
            )
        });
        emptied.into_iter().chain(foul).collect()
    }

    pub(super) fn remarks(&self) -> Vec<String> {
        lock(&self.watched).policy.warnings.clone()
    }

    /// Who holds leases says each second that it lives: what it holds is freed when it does not.
    fn say_alive(&self) -> Result<(), QueueError> {
        if lock(&self.leases).is_empty() {
            return Ok(());
        }
        let words = self.words().with(self.session.as_str());
        self.link.run::<redis::Value>(Script::Extend, &words.0).map(drop)
    }

    /// Whether silence means nothing: the server was away or has just started, and nobody could be heard. Taking that for
    /// deaths would free all that runs, and blame it.
    pub(super) fn is_hearing_again(&self) -> bool {
        let has_started = |watched: &Watched| watched.seen_at.is_some() && watched.uptime < WORKER_DEAD_AFTER;
        let owns_time = self.config.time == TimeSource::Server;
        self.link.was_away_within(WORKER_DEAD_AFTER) || owns_time && has_started(&lock(&self.watched))
    }

    pub(super) fn note_published(&self, jobs: u64) {
        lock(&self.watched).published += jobs;
    }

    /// Returns the bound of jobs where it may be met by so many more, 0 where it is far away: only then the server counts.
    pub(super) fn jobs_max_if_near(&self, more: u64) -> Result<u64, QueueError> {
        let watched = lock(&self.watched);
        check_memory(&watched, self.config.bytes_max)?;
        let is_stale = watched.seen_at.is_none_or(|seen_at| seen_at.elapsed() > STALE_AFTER);
        let estimate = watched.jobs.saturating_add(watched.published).saturating_add(more);
        let is_near = is_stale || estimate.saturating_mul(2) >= self.config.jobs_max;
        Ok(if is_near { self.config.jobs_max.min(1 << 50) } else { 0 })
    }

    pub(super) fn accepting(&self) -> Result<(), QueueError> {
        let jobs_max = self.jobs_max_if_near(0)?;
        let is_fresh = lock(&self.watched).seen_at.is_some_and(|seen_at| seen_at.elapsed() < LOOK_EVERY * 2);
        if is_fresh && jobs_max == 0 {
            return Ok(());
        }
        let (jobs, _) = self.count_jobs()?;
        if jobs >= self.config.jobs_max { Err(QueueError::Full { bound: "queue.max-jobs" }) } else { Ok(()) }
    }
}

fn check_memory(watched: &Watched, bytes_max: u64) -> Result<(), QueueError> {
    if watched.memory >= bytes_max {
        return Err(QueueError::Full { bound: "queue.max-bytes" });
    }
    if watched.memory_max > 0 && watched.memory >= watched.memory_max / 100 * MEMORY_PERCENT_MAX {
        return Err(QueueError::Full { bound: "the server's maxmemory" });
    }
    Ok(())
}
