//! Bytes of request bodies that may be in memory at once. A request reserves before it reads; what does not fit is
//! refused with 429 before anything is accepted (promise G7).

use crate::metrics;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// All bodies together. 4,096 connections with small events fit; 64 bodies of the inline limit do too.
pub const BYTES_IN_FLIGHT_MAX: usize = 64 << 20;

#[derive(Clone, Default)]
pub struct Budget(Arc<AtomicUsize>);

/// Reserved bytes, given back on drop.
pub struct Reservation {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// Returns `None` when the bytes do not fit now.
    pub fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let mut reservation = Reservation { budget: self.clone(), bytes: 0 };
        reservation.grow(bytes).then_some(reservation)
    }

    pub fn in_flight(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Reservation {
    /// Reserves more; returns false, with nothing changed, when it does not fit.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let before = self.budget.0.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > BYTES_IN_FLIGHT_MAX {
            self.budget.0.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes += bytes;
        metrics::set_bytes_in_flight(before + bytes);
        true
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let before = self.budget.0.fetch_sub(self.bytes, Ordering::Relaxed);
        metrics::set_bytes_in_flight(before - self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_and_given_back_on_drop() {
        let budget = Budget::default();
        let mut all = budget.reserve(BYTES_IN_FLIGHT_MAX).expect("an empty budget has room");
        assert!(budget.reserve(1).is_none());
        assert!(!all.grow(1));
        drop(all);
        assert_eq!(budget.in_flight(), 0);
        assert!(budget.reserve(1).is_some());
    }
}
