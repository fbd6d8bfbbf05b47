//! Dead letters of events, each counted under the project and hour of its receipt: a letter explains why that event is in
//! flight, and no other.

use protocol::job_name::{Brings, JobName};
use queue::{DeadName, DeadNames, QueueError};
use std::collections::{BTreeMap, HashSet};
use stdx::Hour;

/// Letters of the hours that are compared.
#[derive(Debug, Default)]
pub(super) struct Letters {
    /// By hour and project.
    pub by_row: BTreeMap<(Hour, i64), i64>,
    /// Of jobs that the disk has lost, name and all: nobody can tell whose they are.
    pub unnamed: i64,
    /// Those that were seen: a broker may name one twice, and each is looked for twice.
    pub seen: HashSet<String>,
}

impl Letters {
    /// Adds the letters in queues of events that were not seen before, however many batches they come in.
    pub fn see(
        &mut self,
        names: &mut impl FnMut(Option<&str>) -> Result<DeadNames, QueueError>,
        event_queues: &[String],
    ) -> Result<(), QueueError> {
        let mut from: Option<String> = None;
        loop {
            let some = names(from.as_deref())?;
            for name in some.names.into_iter().filter(|name| event_queues.contains(&name.queue)) {
                if !self.seen.contains(&name.id) {
                    self.add(&name);
                    self.seen.insert(name.id);
                }
            }
            from = some.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    fn add(&mut self, letter: &DeadName) {
        match JobName::parse(letter.job_id()) {
            Some(JobName { project_id, brings: Brings::Event | Brings::Copy, .. }) => {
                *self.by_row.entry((letter.enqueued_at.hour(), project_id)).or_default() += 1;
            }
            // What comes for an event without being it was not counted when it was accepted.
            Some(JobName { brings: Brings::Loose, .. }) => {}
            None if is_lost_name(letter.job_id()) => self.unnamed += 1,
            None => {}
        }
    }
}

/// How a broker calls a job whose name cannot be read any more.
fn is_lost_name(id: &str) -> bool {
    stdx::hex::decode::<16>(id).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::Timestamp;

    #[test]
    fn a_letter_counts_for_the_event_that_it_is_of_and_for_no_other() {
        let event = "00112233445566778899aabbccddeeff";
        let mut letters = Letters::default();
        let mut add = |id: &str, hour: i64| {
            let enqueued_at = Timestamp::from_seconds(hour * 3_600 + 7);
            letters.add(&DeadName { id: id.to_owned(), queue: "q".to_owned(), enqueued_at });
        };
        add(&format!("7-{event}"), 5);
        add(&format!("7-{event}~21600000000"), 6);
        add(&format!("7-{event}-copy-0a"), 5);
        add(&format!("8-{event}"), 5);
        add(&format!("8-{event}-loose-0a"), 5);
        add("sent-by-hand", 5);
        add(event, 5);
        let rows: Vec<((i64, i64), i64)> = letters.by_row.iter().map(|((hour, id), n)| ((hour.0, *id), *n)).collect();
        assert_eq!((rows, letters.unnamed), (vec![((5, 7), 2), ((5, 8), 1), ((6, 7), 1)], 1));
    }
}
