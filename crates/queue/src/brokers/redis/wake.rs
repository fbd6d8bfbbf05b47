//! How claims wait. One thread watches the lists of all queues that claims wait for: the server tells when one of them
//! changes (decision 0021). Nothing is popped while waiting, so nothing can be lost.

use super::leases::SEPARATOR;
use super::link::Open;
use super::{Shared, lock};
use crate::broker::POLL_MAX;
use redis::RedisResult;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Pause between two looks where the server does not tell.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Pause after a connection was lost.
const LOST_PAUSE: Duration = Duration::from_millis(200);

#[derive(Default)]
struct Waiting {
    /// How many claims wait for each queue.
    queues: BTreeMap<String, usize>,
    /// Counts the wake-ups.
    wakes: u64,
    is_stopped: bool,
}

#[derive(Default)]
pub(super) struct Waker {
    waiting: Mutex<Waiting>,
    /// Signalled when claims begin to wait, and when they should look again.
    changed: Condvar,
}

impl Waker {
    pub fn seen(&self) -> u64 {
        lock(&self.waiting).wakes
    }

    /// Waits until a list changes, at most so long. A wake-up since `seen` counts too.
    pub fn wait(&self, seen: u64, queues: Vec<String>, at_most: Duration) {
        let until = Instant::now() + at_most;
        let mut waiting = lock(&self.waiting);
        for queue in &queues {
            *waiting.queues.entry(queue.clone()).or_default() += 1;
        }
        self.changed.notify_all();
        while waiting.wakes == seen && !waiting.is_stopped {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            waiting = self.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        for queue in queues {
            if let Some(count) = waiting.queues.get_mut(&queue) {
                *count -= 1;
                if *count == 0 {
                    waiting.queues.remove(&queue);
                }
            }
        }
    }

    fn wake(&self) {
        lock(&self.waiting).wakes += 1;
        self.changed.notify_all();
    }

    pub fn stop(&self) {
        lock(&self.waiting).is_stopped = true;
        self.changed.notify_all();
    }

    /// Waits until claims wait and returns for which queues, `None` after the stop.
    fn wanted(&self) -> Option<BTreeSet<String>> {
        let mut waiting = lock(&self.waiting);
        while waiting.queues.is_empty() && !waiting.is_stopped {
            waiting = self.changed.wait_timeout(waiting, POLL_MAX).unwrap_or_else(PoisonError::into_inner).0;
        }
        (!waiting.is_stopped).then(|| waiting.queues.keys().cloned().collect())
    }
}

impl Shared {
    /// Runs until the broker is closed. Claims look by themselves after `POLL_MAX`, whatever becomes of this thread.
    pub(super) fn wake_claims(&self) {
        while let Some(queues) = self.waker.wanted() {
            let watched = self.link.open().and_then(|listener| {
                let tracker = self.link.open()?;
                self.watch_lists(listener, tracker, &queues).map_err(|error| self.link.error(&error))
            });
            if let Err(error) = watched {
                tracing::debug!(error = %error, "lists not watched, tried again");
                std::thread::sleep(LOST_PAUSE);
            }
        }
    }

    /// One connection is told which lists changed, the other says which lists that concerns: the client's blocking half
    /// cannot wait on a connection that also asks.
    fn watch_lists(&self, mut listener: Open, mut tracker: Open, first: &BTreeSet<String>) -> RedisResult<()> {
        let id: i64 = redis::cmd("CLIENT").arg("ID").query(&mut listener.connection)?;
        let tracking =
            redis::cmd("CLIENT").arg("TRACKING").arg("ON").arg("REDIRECT").arg(id).exec(&mut tracker.connection);
        let is_told = match tracking {
            Ok(()) => true,
            Err(error) if error.is_io_error() => return Err(error),
            Err(_) => false,
        };
        let mut told = listener.connection.as_pubsub();
        if is_told {
            told.subscribe("__redis__:invalidate")?;
        }
        let mut queues = first.clone();
        loop {
            if self.has_any(&mut tracker, &queues)? {
                self.waker.wake();
                // The claims that were woken take what there is; whoever waits next makes us look again.
                std::thread::yield_now();
            } else if !is_told {
                std::thread::sleep(LOOK_EVERY);
            } else {
                told.set_read_timeout(Some(POLL_MAX / 2))?;
                match told.get_message() {
                    Ok(_) => self.waker.wake(),
                    Err(error) if error.is_timeout() => {}
                    Err(error) => return Err(error),
                }
            }
            match self.waker.wanted() {
                Some(wanted) => queues = wanted,
                None => return Ok(()),
            }
        }
    }

    /// Whether one of the lists holds anything; asking makes the server tell of the next change.
    fn has_any(&self, tracker: &mut Open, queues: &BTreeSet<String>) -> RedisResult<bool> {
        let mut command = redis::cmd("EXISTS");
        for queue in queues {
            for lane in std::iter::once(String::new()).chain((0..8).map(|lane| format!("{SEPARATOR}f{lane}"))) {
                for step in ["", "3", "6", "9"] {
                    let gap = if step.is_empty() { "" } else { SEPARATOR };
                    command.arg(format!("{}{queue}{lane}{gap}{step}", self.config.prefix));
                }
            }
        }
        let found: u64 = command.query(&mut tracker.connection)?;
        Ok(found > 0)
    }
}
