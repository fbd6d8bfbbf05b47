//! Keeps the names of jobs that live for long. Ids and unique keys end by themselves, since nobody tells us the end of a job
//! that a Python worker ran; those of jobs that still wait or run are lengthened, some at each upkeep, all four times
//! within the time they last.

use super::leases::SEPARATOR;
use super::scripts::Script;
use super::{ID_KEPT, Shared, lock};
use crate::QueueError;
use std::collections::VecDeque;
use std::time::Duration;

/// Between the beginnings of two walks.
const WALK_EVERY: Duration = Duration::from_secs(ID_KEPT.as_secs() / 4);
/// Messages of one call: the server copies them.
const SLICE: usize = 20;
/// Calls of one upkeep.
const SLICES_MAX: usize = 50;

#[derive(Default)]
pub(super) struct Walk(VecDeque<Stretch>);

/// What is left of one key.
struct Stretch {
    kind: &'static str,
    key: String,
    cursor: String,
}

impl Shared {
    /// Goes on with this process's walk, or begins one if it is time and nobody else did. One that ends with its process
    /// is made up for by the next.
    pub(super) fn renew_names(&self) -> Result<(), QueueError> {
        let mut walk = std::mem::take(&mut *lock(&self.walk));
        if walk.0.is_empty() && self.begins_walk()? {
            walk.0 = self.stretches()?;
        }
        let walked = self.walk_on(&mut walk);
        *lock(&self.walk) = walk;
        walked
    }

    fn begins_walk(&self) -> Result<bool, QueueError> {
        let key = self.key("renewed");
        let begun: Option<String> = self.link.with(|open| {
            let mut command = redis::cmd("SET");
            command.arg(&key).arg(&self.session).arg("NX").arg("EX").arg(WALK_EVERY.as_secs());
            command.query(&mut open.connection)
        })?;
        Ok(begun.is_some())
    }

    fn stretches(&self) -> Result<VecDeque<Stretch>, QueueError> {
        let queues: Vec<String> =
            self.link.with(|open| redis::cmd("SMEMBERS").arg(self.key("queues")).query(&mut open.connection))?;
        let stretch = |kind, key| Stretch { kind, key, cursor: "0".to_owned() };
        let mut stretches = VecDeque::from([stretch("hash", format!("{}unacked", self.config.prefix))]);
        for queue in &queues {
            stretches.push_back(stretch("hash", self.key(&format!("room:{queue}"))));
            for lane in std::iter::once(String::new()).chain((0..8).map(|lane| format!("{SEPARATOR}f{lane}"))) {
                for step in ["", "3", "6", "9"] {
                    let gap = if step.is_empty() { "" } else { SEPARATOR };
                    stretches.push_back(stretch("list", format!("{}{queue}{lane}{gap}{step}", self.config.prefix)));
                }
            }
        }
        Ok(stretches)
    }

    fn walk_on(&self, walk: &mut Walk) -> Result<(), QueueError> {
        for _ in 0..SLICES_MAX {
            let Some(stretch) = walk.0.front_mut() else { return Ok(()) };
            let words = self.words().with(stretch.kind).with(stretch.key.as_str()).with(stretch.cursor.as_str());
            let words = words.with(SLICE.to_string()).with(ID_KEPT.as_secs().to_string());
            let (next, _seen): (String, u64) = self.link.run(Script::Renew, &words.0)?;
            if next.is_empty() {
                walk.0.pop_front();
            } else {
                stretch.cursor = next;
            }
        }
        Ok(())
    }
}
