//! Which records speak of a report itself. Reporting those would make each report the cause of the next.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

/// Marks, between capture and the multiplexer, what speaks of a report. It does not leave the process.
pub(super) const OWN_TAG: &str = "vigie.own";
/// No project has this id.
const NONE: i64 = 0;

static INTERNAL_PROJECT: AtomicI64 = AtomicI64::new(NONE);

thread_local! {
    static IS_HANDLING: Cell<bool> = const { Cell::new(false) };
    static IS_REPORTING: Cell<bool> = const { Cell::new(false) };
}

pub(super) fn set_internal_project(id: Option<i64>) {
    INTERNAL_PROJECT.store(id.unwrap_or(NONE), Ordering::Relaxed);
}

/// Returns whether a project's events are reports of this installation.
pub fn is_internal(project_id: i64) -> bool {
    project_id != NONE && INTERNAL_PROJECT.load(Ordering::Relaxed) == project_id
}

/// Held while a report is handled: what goes wrong meanwhile in this thread, panics too, is not reported to the relay.
pub struct Own {
    was_handling: bool,
}

/// Says whether what follows in this thread handles a job of one of `projects`.
pub fn handling(projects: impl IntoIterator<Item = i64>) -> Own {
    let is_own = projects.into_iter().any(is_internal);
    Own { was_handling: IS_HANDLING.replace(IS_HANDLING.get() || is_own) }
}

impl Drop for Own {
    fn drop(&mut self) {
        IS_HANDLING.set(self.was_handling);
    }
}

pub(super) fn is_handled_here() -> bool {
    IS_HANDLING.get()
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
        assert!(is_job_of_internal("7-0123456789abcdef0123456789abcdef"));
        assert!(!is_job_of_internal("77-0123456789abcdef0123456789abcdef") && !is_job_of_internal("7"));
        assert!(!is_handled_here());
        {
            let _outer = handling([3, 7]);
            assert!(is_handled_here());
            {
                let _inner = handling([3]);
                assert!(is_handled_here(), "still inside the outer");
            }
        }
        assert!(!is_handled_here());
        set_internal_project(None);
        assert!(!is_internal(0), "no project is none");
    }
}
