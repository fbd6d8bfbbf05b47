//! Which queues of RabbitMQ carry one of ours. A queue that Python may touch is one queue of its own name, declared as
//! Celery does; of the others each is a few queues, its lanes, by fairness key and priority (decision 0022).

use super::super::redis::lane_number;
use crate::NewJob;
use std::sync::Arc;

/// Queues that Python programs touch on every installation.
const SHARED: [&str; 3] = ["celery", "default", "debug"];
/// Before the names of queues that are ours alone.
const PREFIX: &str = "vigie.";
/// Jobs of the default priority are in this class; 0 is served first.
const CLASS_DEFAULT: u8 = 1;

/// Of a queue's name before what says which lane it is.
const NAME_BYTES_MAX: usize = 240;

/// How queues are named on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// Before the names of queues that no Celery app declares.
    pub prefix: String,
    /// Queues declared as Celery does, beside those that always are.
    pub shared: Vec<String>,
    /// Queues of our own tasks. What bears such a name on the server is somebody else's, whoever was there first.
    pub own: Vec<String>,
}

impl Naming {
    pub(super) fn new(shared: Vec<String>) -> Naming {
        Naming { prefix: PREFIX.to_owned(), shared, own: Vec::new() }
    }

    pub(super) fn is_always_shared(&self, queue: &str) -> bool {
        SHARED.contains(&queue) || self.shared.iter().any(|shared| shared == queue)
    }

    /// Whether a queue is ours alone, whatever bears its name on the server.
    pub(super) fn is_own(&self, queue: &str) -> bool {
        !self.is_always_shared(queue) && self.own.iter().any(|own| own == queue)
    }

    /// Returns the name of a lane on the server.
    pub(super) fn lane(&self, queue: &str, is_shared: bool, seat: Seat) -> String {
        if is_shared {
            return queue.to_owned();
        }
        // A colon begins what we add.
        let mut name = format!("{}{}", self.prefix, queue.replace('%', "%25").replace(':', "%3A"));
        // AMQP takes 255 bytes, and what escapes make longer is told apart by its hash.
        if name.len() > NAME_BYTES_MAX {
            let hash = xxhash_rust::xxh3::xxh3_128(name.as_bytes());
            name.truncate(name.floor_char_boundary(NAME_BYTES_MAX - 33));
            name.push_str(&format!(":{hash:032x}"));
        }
        if seat.lane > 0 {
            name.push_str(&format!(":f{}", seat.lane - 1));
        }
        if seat.class != CLASS_DEFAULT {
            name.push_str(&format!(":p{}", seat.class));
        }
        name
    }
}

/// Where among the jobs of its queue one waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Seat {
    /// 0 is served before all others.
    pub class: u8,
    pub lane: u8,
}

/// Lanes of one queue that take turns: one for jobs without a key, eight for hashes of keys.
pub(super) const LANES: u8 = 9;

impl Seat {
    /// Where a job's message goes.
    pub fn of(job: &NewJob, is_shared: bool) -> Seat {
        if is_shared {
            return Seat { class: (9 - job.priority.min(9)), lane: 0 };
        }
        let lane = if job.fairness_key == 0 { 0 } else { lane_number(job.fairness_key) as u8 + 1 };
        Seat { class: (9 - job.priority.min(9)) / 3, lane }
    }

    /// The seat of jobs that say nothing.
    pub const PLAIN: Seat = Seat { class: CLASS_DEFAULT, lane: 0 };

    pub fn number(self) -> i64 {
        i64::from(self.class) * i64::from(LANES) + i64::from(self.lane)
    }

    pub fn from_number(number: i64) -> Seat {
        let number = number.clamp(0, 9 * i64::from(LANES) + 8) as u8;
        Seat { class: number / LANES, lane: number % LANES }
    }
}

/// One queue of RabbitMQ's that carries a queue of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub name: Arc<str>,
    pub queue: Arc<str>,
    pub is_shared: bool,
    /// Of its messages; in a shared queue each has its own class.
    pub seat: Seat,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_has_a_name_no_celery_app_declares() {
        let naming = Naming::new(vec!["mail".to_owned()]);
        let name = |queue, seat| naming.lane(queue, naming.is_always_shared(queue), seat);
        assert_eq!(name("events", Seat::PLAIN), "vigie.events");
        assert_eq!(name("events", Seat { class: 1, lane: 3 }), "vigie.events:f2");
        assert_eq!(name("a:f2", Seat { class: 0, lane: 1 }), "vigie.a%3Af2:f0:p0");
        let (longest, other) = (":".repeat(120), ":".repeat(119));
        let long = name(&longest, Seat { class: 0, lane: 1 });
        assert!(long.len() <= 255 && long != name(&other, Seat { class: 0, lane: 1 }), "{long}");
        assert_eq!(name("mail", Seat { class: 0, lane: 1 }), "mail");
        for number in 0..90 {
            assert_eq!(Seat::from_number(number).number(), number);
        }
    }
}
