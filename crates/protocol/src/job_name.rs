//! The names of the jobs that ingest writes. A job's name tells whose it is and whether the endpoint counted an event for
//! it, also where nothing but the name is at hand.

use crate::event_id::EventId;
use std::fmt;

/// What a job brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Brings {
    /// The event of its name. A second copy has the same name, so that the queue keeps one.
    Event,
    /// A copy that must not be taken for the first, since its body lies elsewhere.
    Copy,
    /// What comes for an event without being it: attachments alone, items that are not kept.
    Loose,
}

/// `<project>-<event id>`, and where a job is not the event's own, what it is and some random text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobName {
    pub project_id: i64,
    pub event_id: EventId,
    pub brings: Brings,
    /// Empty for the event's own.
    pub suffix: String,
}

impl JobName {
    pub fn of_event(project_id: i64, event_id: EventId) -> JobName {
        JobName { project_id, event_id, brings: Brings::Event, suffix: String::new() }
    }

    /// Returns what a name says, or `None` if no endpoint gave it.
    pub fn parse(text: &str) -> Option<JobName> {
        let mut parts = text.split('-');
        let (project_id, event_id) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let (brings, suffix) = match (parts.next(), parts.next()) {
            (None, _) => (Brings::Event, ""),
            (Some("copy"), Some(suffix)) => (Brings::Copy, suffix),
            (Some("loose"), Some(suffix)) => (Brings::Loose, suffix),
            // Of a release whose names did not tell; most are.
            (Some(suffix), None) => (Brings::Loose, suffix),
            (Some(_), Some(_)) => return None,
        };
        parts.next().is_none().then(|| JobName { project_id, event_id, brings, suffix: suffix.to_owned() })
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let JobName { project_id, event_id, brings, suffix } = self;
        match brings {
            Brings::Event => write!(f, "{project_id}-{event_id}"),
            Brings::Copy => write!(f, "{project_id}-{event_id}-copy-{suffix}"),
            Brings::Loose => write!(f, "{project_id}-{event_id}-loose-{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00112233445566778899aabbccddeeff";

    #[test]
    fn a_name_says_what_its_job_brings() {
        let check = |text: &str, expected: Option<Brings>| {
            let read = JobName::parse(text);
            assert_eq!(read.as_ref().map(|name| name.brings), expected, "{text}");
            read
        };
        let rest = ["", "-copy-0a", "-loose-0a"].map(|rest| format!("7-{ID}{rest}"));
        for (text, brings) in rest.iter().zip([Brings::Event, Brings::Copy, Brings::Loose]) {
            let name = check(text, Some(brings)).expect("a name is read");
            assert_eq!((name.project_id, name.event_id.to_string(), &name.to_string()), (7, ID.to_owned(), text));
        }
        check(&format!("7-{ID}-0a1b"), Some(Brings::Loose));
        for strange in ["", "7", "7-", "x-y", ID, "outbox-1-2", &format!("7-{ID}-copy-a-b"), &format!("7-{ID}-odd-a")] {
            check(strange, None);
        }
    }
}
