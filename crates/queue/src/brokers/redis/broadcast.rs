//! kombu's fanout exchanges are channels that nobody need declare, its reply queues lists that a set of bindings names. No
//! binding of ours is left behind: a channel reaches its listeners without one.
//!
//! Source: kombu 5.7 `transport/redis.py` and captured traffic.

use super::leases::SEPARATOR;
use super::{Place, Shared, seconds, time};
use crate::QueueError;
use crate::broadcast::{
    Broadcast, CONTROL_EXCHANGE, EVENT_EXCHANGE, NOTICE_BYTES_MAX, Notice, REPLY_EXCHANGE, REPLY_KEPT, REVOKED_KEPT,
    REVOKED_MAX, Scheduled,
};
use crate::broker::POLL_MAX;
use crate::celery::{self, Transient};
use redis::{Connection, RedisResult};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A silent connection is asked this often whether it still is one, and must answer within the other.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_ANSWER_MAX: Duration = Duration::from_secs(5);
/// Replies to one question; more workers than that are not met.
const REPLIES_MAX: usize = 1_000;
/// Ids of one command.
const CALL_MAX: usize = 1_000;

pub(super) struct RedisBroadcast(pub Arc<Shared>);

impl Broadcast for RedisBroadcast {
    fn listen(&self, _node: &str, hear: &mut dyn FnMut(Option<Notice>) -> bool) -> Result<(), QueueError> {
        let mut open = self.0.link.open()?;
        self.hear_all(&mut open.connection, hear).map_err(|error| self.0.link.error(&error))
    }

    fn ask(&self, key: &str, request: &Notice, within: Duration) -> Result<Vec<Notice>, QueueError> {
        let (bindings, queue) = (self.bindings(), self.reply_queue(key));
        let binding = format!("{key}{SEPARATOR}{SEPARATOR}{key}.{REPLY_EXCHANGE}");
        let message = celery::encode_transient(request, &Transient { exchange: CONTROL_EXCHANGE, routing_key: "" });
        let channel = self.channel(CONTROL_EXCHANGE, "");
        let asked: Result<(usize,), QueueError> = self.0.link.with(|open| {
            let mut pipeline = redis::pipe();
            pipeline.cmd("SADD").arg(&bindings).arg(&binding).ignore();
            pipeline.cmd("PUBLISH").arg(&channel).arg(&message).query(&mut open.connection)
        });
        // Every listener answers, so nobody need wait longer than for the last of them.
        let replies = asked.and_then(|(listeners,)| self.collect(&queue, listeners.min(REPLIES_MAX), within));
        self.0.link.with(|open| {
            let mut pipeline = redis::pipe();
            pipeline.cmd("SREM").arg(&bindings).arg(&binding).ignore();
            pipeline.cmd("DEL").arg(&queue).ignore().exec(&mut open.connection)
        })?;
        replies
    }

    fn reply(&self, key: &str, reply: &Notice) -> Result<(), QueueError> {
        let bindings = self.bindings();
        let bound: Vec<Vec<u8>> =
            self.0.link.with(|open| redis::cmd("SMEMBERS").arg(&bindings).query(&mut open.connection))?;
        // The asker names its queue; where it is gone nothing is left for nobody.
        let of_key = |binding: &Vec<u8>| {
            let mut parts = std::str::from_utf8(binding).ok()?.split(SEPARATOR);
            (parts.next() == Some(key)).then(|| parts.nth(1)).flatten().map(str::to_owned)
        };
        let Some(queue) = bound.iter().find_map(of_key) else { return Ok(()) };
        let list = format!("{}{queue}", self.0.config.prefix);
        let message = celery::encode_transient(reply, &Transient { exchange: REPLY_EXCHANGE, routing_key: key });
        self.0.link.with(|open| {
            let mut pipeline = redis::pipe();
            pipeline.atomic().cmd("LPUSH").arg(&list).arg(&message).ignore();
            pipeline.cmd("EXPIRE").arg(&list).arg(REPLY_KEPT.as_secs()).ignore().exec(&mut open.connection)
        })
    }

    fn tell(&self, key: &str, events: &Notice) -> Result<(), QueueError> {
        let message = celery::encode_transient(events, &Transient { exchange: EVENT_EXCHANGE, routing_key: key });
        let channel = self.channel(EVENT_EXCHANGE, key);
        self.0.link.with(|open| redis::cmd("PUBLISH").arg(&channel).arg(&message).exec(&mut open.connection))
    }

    fn scheduled(&self, queues: &[String], at_most: usize) -> Result<Vec<Scheduled>, QueueError> {
        let mut all = Vec::new();
        for queue in queues {
            all.extend(self.scheduled_of(queue, at_most)?);
        }
        all.sort_by_key(|job| job.due);
        all.truncate(at_most);
        Ok(all)
    }

    fn keep_revoked(&self, ids: &[String]) -> Result<(), QueueError> {
        let (key, now) = (self.0.key("revoked"), seconds(self.0.now()?));
        let forgotten = seconds(self.0.now()?.minus(REVOKED_KEPT));
        for some in ids.chunks(CALL_MAX) {
            self.0.link.with(|open| {
                let mut add = redis::cmd("ZADD");
                add.arg(&key);
                for id in some {
                    add.arg(&now).arg(id);
                }
                let mut pipeline = redis::pipe();
                pipeline.add_command(add).ignore();
                pipeline.cmd("ZREMRANGEBYSCORE").arg(&key).arg("-inf").arg(&forgotten).ignore();
                pipeline.cmd("ZREMRANGEBYRANK").arg(&key).arg(0).arg(-(REVOKED_MAX as i64) - 1).ignore();
                pipeline.cmd("EXPIRE").arg(&key).arg(REVOKED_KEPT.as_secs()).ignore();
                pipeline.exec(&mut open.connection)
            })?;
        }
        Ok(())
    }

    fn kept_revoked(&self) -> Result<Vec<String>, QueueError> {
        let (key, forgotten) = (self.0.key("revoked"), seconds(self.0.now()?.minus(REVOKED_KEPT)));
        let ids: Vec<Vec<u8>> = self.0.link.with(|open| {
            redis::cmd("ZRANGEBYSCORE").arg(&key).arg(&forgotten).arg("+inf").query(&mut open.connection)
        })?;
        Ok(ids.into_iter().filter_map(|id| String::from_utf8(id).ok()).collect())
    }

    fn about(&self) -> Value {
        let Some(server) = self.0.config.servers.first() else { return Value::Null };
        let (host, port) = match &server.place {
            Place::Tcp { host, port } => (host.clone(), Some(*port)),
            Place::Socket(path) => (path.display().to_string(), None),
            Place::Sentinels { hosts, .. } => (hosts.first().map_or_else(String::new, |first| first.0.clone()), None),
        };
        json!({
            "hostname": host, "userid": server.user, "virtual_host": server.database.to_string(), "port": port,
            "insist": false, "ssl": server.tls.is_some(), "transport": "redis", "connect_timeout": 3,
            "transport_options": {}, "login_method": null, "uri_prefix": null, "heartbeat": 0,
            "failover_strategy": "round-robin", "alternates": [],
        })
    }
}

impl RedisBroadcast {
    fn bindings(&self) -> String {
        format!("{}_kombu.binding.{REPLY_EXCHANGE}", self.0.config.prefix)
    }

    fn reply_queue(&self, key: &str) -> String {
        format!("{}{key}.{REPLY_EXCHANGE}", self.0.config.prefix)
    }

    /// Channels are of the whole server, so kombu puts the database into their names.
    fn channel(&self, exchange: &str, key: &str) -> String {
        let database = self.0.config.servers.first().map_or(0, |server| server.database);
        let gap = if key.is_empty() { "" } else { "/" };
        format!("{}/{database}.{exchange}{gap}{key}", self.0.config.prefix)
    }

    fn hear_all(&self, connection: &mut Connection, hear: &mut dyn FnMut(Option<Notice>) -> bool) -> RedisResult<()> {
        let mut heard = connection.as_pubsub();
        heard.subscribe(self.channel(CONTROL_EXCHANGE, ""))?;
        let mut last = Instant::now();
        while !self.0.is_closed() {
            heard.set_read_timeout(Some(POLL_MAX))?;
            let notice = match heard.get_message() {
                Ok(message) => {
                    last = Instant::now();
                    read(message.get_payload_bytes())
                }
                Err(error) if error.is_timeout() => None,
                Err(error) => return Err(error),
            };
            if !hear(notice) {
                break;
            }
            // A network that swallows everything looks like nobody who asks.
            if last.elapsed() >= PING_EVERY {
                heard.set_read_timeout(Some(PING_ANSWER_MAX))?;
                heard.ping::<redis::Value>()?;
                last = Instant::now();
            }
        }
        Ok(())
    }

    fn collect(&self, queue: &str, at_most: usize, within: Duration) -> Result<Vec<Notice>, QueueError> {
        let until = Instant::now() + within;
        let mut replies = Vec::new();
        while replies.len() < at_most {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // Zero would wait for ever.
            let seconds = format!("{:.3}", left.as_secs_f64().max(0.01));
            let popped: Option<(String, Vec<u8>)> =
                self.0.link.with(|open| redis::cmd("BRPOP").arg(queue).arg(&seconds).query(&mut open.connection))?;
            replies.extend(popped.and_then(|(_, message)| read(&message)));
        }
        Ok(replies)
    }

    fn scheduled_of(&self, queue: &str, at_most: usize) -> Result<Vec<Scheduled>, QueueError> {
        let (delayed, room) = (self.0.key(&format!("delayed:{queue}")), self.0.key(&format!("room:{queue}")));
        let due: Vec<(String, String)> = self.0.link.with(|open| {
            let mut command = redis::cmd("ZRANGE");
            command.arg(&delayed).arg(0).arg(at_most).arg("WITHSCORES").query(&mut open.connection)
        })?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let tags: Vec<&str> = due.iter().map(|(tag, _)| tag.as_str()).collect();
        let texts: Vec<Option<Vec<u8>>> =
            self.0.link.with(|open| redis::cmd("HMGET").arg(&room).arg(&tags).query(&mut open.connection))?;
        let read = |((_, score), text): (&(String, String), Option<Vec<u8>>)| {
            let text = text?;
            let start = text.iter().position(|byte| *byte == b'\n')? + 1;
            let job = celery::decode(&text[start..]).ok()?;
            Some(Scheduled { due: time(score), id: job.id, task: job.task, queue: queue.into(), attempt: job.attempt })
        };
        Ok(due.iter().zip(texts).filter_map(read).collect())
    }
}

/// The envelope is a third larger than what it holds.
fn read(message: &[u8]) -> Option<Notice> {
    if message.len() > NOTICE_BYTES_MAX / 2 * 3 {
        tracing::debug!(bytes = message.len(), "a notice was passed over, it is too large");
        return None;
    }
    let notice = celery::decode_transient(message);
    if let Err(why) = &notice {
        tracing::debug!(why, "a notice was passed over");
    }
    notice.ok()
}
