//! When a suspect, a job whose worker died, is claimed, and what starts beside it: nothing, so that it is known whose fault
//! the next death is. Redis and RabbitMQ decide alike.

use crate::LeaseId;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use stdx::Timestamp;

/// So long a suspect waits for other runs to end before it runs beside them after all.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// So long nothing new starts beside a suspect, doubled with each of its deaths in company.
const ALONE_BASE: Duration = Duration::from_secs(1);
const ALONE_DOUBLINGS_MAX: u32 = 10;

/// What one process claims now, as far as suspects go.
#[derive(Default)]
pub(super) struct Turn {
    /// The lease beside which nothing starts before the time.
    pub alone: Option<(LeaseId, Timestamp)>,
    /// Since when a suspect waits for other runs to end.
    draining_since: Option<Timestamp>,
    /// Claims that are being answered, and whether one of them may bring a suspect.
    asking: usize,
    is_exclusive: bool,
}

impl AsMut<Turn> for Turn {
    fn as_mut(&mut self) -> &mut Turn {
        self
    }
}

impl Turn {
    /// Whether a claim is being answered beside which none may be.
    pub fn is_exclusive(&self) -> bool {
        self.is_exclusive
    }

    /// A suspect waits. Returns whether it may be asked for at once.
    pub fn drain(&mut self, has_no_leases: bool, now: Timestamp) -> bool {
        let since = *self.draining_since.get_or_insert(now);
        self.asking == 0 && has_no_leases || now.since(since) >= DRAIN_MAX
    }

    /// No suspect waits.
    pub fn has_drained(&mut self) {
        self.draining_since = None;
    }

    /// A suspect runs that has died so often in company.
    pub fn runs_alone(&mut self, lease: LeaseId, company_deaths: u32, now: Timestamp) {
        let window = ALONE_BASE * (1 << company_deaths.min(ALONE_DOUBLINGS_MAX));
        self.alone = Some((lease, now.plus(window)));
        self.draining_since = None;
    }
}

/// A claim that is being answered. It ends when this goes, with a panic too: one that never ended would keep every later
/// claim of its process from starting.
pub(super) struct Asking<'a, C: AsMut<Turn>> {
    claims: &'a Mutex<C>,
    /// Nothing else is claimed beside it then.
    pub may_run_suspect: bool,
}

impl<'a, C: AsMut<Turn>> Asking<'a, C> {
    /// Enters `entered`, which `claims` holds.
    pub fn enter(claims: &'a Mutex<C>, entered: &mut C, has_no_leases: bool, now: Timestamp) -> Asking<'a, C> {
        let turn = entered.as_mut();
        let is_quiet = has_no_leases && turn.asking == 0;
        let may_run_suspect = turn.draining_since.is_some_and(|since| is_quiet || now.since(since) >= DRAIN_MAX);
        turn.asking += 1;
        turn.is_exclusive = may_run_suspect;
        Asking { claims, may_run_suspect }
    }
}

impl<C: AsMut<Turn>> Drop for Asking<'_, C> {
    fn drop(&mut self) {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = claims.as_mut();
        turn.asking -= 1;
        if self.may_run_suspect {
            turn.is_exclusive = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_panics_lets_others_claim() {
        let claims = Mutex::new(Turn::default());
        let now = Timestamp::from_seconds(1_000);
        assert!(claims.lock().expect("nobody panicked").drain(true, now));
        let panicked = std::panic::catch_unwind(|| {
            let asking = Asking::enter(&claims, &mut claims.lock().expect("nobody panicked"), true, now);
            assert!(asking.may_run_suspect);
            panic!("on purpose");
        });
        assert!(panicked.is_err());
        let claims = claims.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!((claims.asking, claims.is_exclusive), (0, false));
    }
}
