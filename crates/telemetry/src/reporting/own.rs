//! Which records speak of a report itself. Reporting those would make each report the cause of the next.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

/// Marks, between capture and the multiplexer, what speaks of a report. It does not leave the process.
pub(super) const ABOUT_TAG: &str = "vigie.about";
/// How reports name their client.
pub(super) const CLIENT_NAME: &str = "vigie.self-reporting";
/// No project has this id.
const NONE: i64 = 0;

static INTERNAL_PROJECT: AtomicI64 = AtomicI64::new(NONE);

thread_local! {
    static HANDLED: Cell<About> = const { Cell::new(About::Other) };
    static IS_REPORTING: Cell<bool> = const { Cell::new(false) };
}

/// What a record speaks of, as far as reporting is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum About {
    /// No report.
    Other,
    /// A report that another installation sent here. Sent upstream, it could come back as one.
    Foreign,
    /// A report of this installation. Sent to the relay, it would cause the next.
    Own,
}

/// Says which project's events are reports of this installation.
pub fn set_internal_project(id: Option<i64>) {
    INTERNAL_PROJECT.store(id.unwrap_or(NONE), Ordering::Relaxed);
}

/// Returns whether a project's events are reports of this installation.
pub fn is_internal(project_id: i64) -> bool {
    project_id != NONE && INTERNAL_PROJECT.load(Ordering::Relaxed) == project_id
}

/// Held while something is handled: what goes wrong meanwhile in this thread, panics too, speaks of it.
pub struct Handling {
    before: About,
}

impl About {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            About::Other => "other",
            About::Foreign => "foreign",
            About::Own => "own",
        }
    }

    pub(super) fn parse(text: &str) -> About {
        match text {
            "own" => About::Own,
            "foreign" => About::Foreign,
            _ => About::Other,
        }
    }
}

impl Handling {
    fn of(about: About) -> Handling {
        let before = HANDLED.get();
        HANDLED.set(before.max(about));
        Handling { before }
    }
}

/// Says that jobs are handled; they are reports if they are of the internal project.
pub fn handling<'a>(jobs: impl IntoIterator<Item = &'a str>) -> Handling {
    let is_own = jobs.into_iter().any(is_job_of_internal);
    Handling::of(if is_own { About::Own } else { About::Other })
}

/// Says that an event is handled that a client of this name sent; it is a report if an installation of Vigie did.
pub fn handling_of_client(client: Option<&str>) -> Handling {
    let is_report = client.is_some_and(|client| client.starts_with(CLIENT_NAME));
    Handling::of(if is_report { About::Foreign } else { About::Other })
}

impl Drop for Handling {
    fn drop(&mut self) {
        HANDLED.set(self.before);
    }
}

pub(super) fn handled_here() -> About {
    HANDLED.get()
}

/// Returns whether a text is the id of a job of the internal project: `<project>-…`.
pub(super) fn is_job_of_internal(id: &str) -> bool {
    id.split_once('-').and_then(|(project, _)| project.parse().ok()).is_some_and(is_internal)
}

/// Says that this thread sends reports: what it logs is never reported.
pub(super) fn enter_reporting_thread() {
    IS_REPORTING.set(true);
}

pub(super) fn is_reporting_thread() -> bool {
    IS_REPORTING.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_of_the_internal_project_is_known_by_its_id_and_by_what_handles_it() {
        set_internal_project(Some(7));
        let (own, other) = ("7-0123456789abcdef0123456789abcdef", "77-0123456789abcdef0123456789abcdef");
        assert!(is_job_of_internal(own) && !is_job_of_internal(other) && !is_job_of_internal("7"));
        assert_eq!(handled_here(), About::Other);
        {
            let _outer = handling([other, own]);
            assert_eq!(handled_here(), About::Own);
            {
                let _inner = handling([other]);
                assert_eq!(handled_here(), About::Own, "still inside the outer");
            }
        }
        {
            let _foreign = handling_of_client(Some("vigie.self-reporting/0.1.0"));
            assert_eq!(handled_here(), About::Foreign);
        }
        let _none = handling_of_client(Some("sentry.python/2.0"));
        assert_eq!(handled_here(), About::Other);
        set_internal_project(None);
        assert!(!is_internal(0), "no project is none");
    }
}
