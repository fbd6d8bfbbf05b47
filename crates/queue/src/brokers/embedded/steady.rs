//! A clock that never goes back: what the machine's clock loses at a step backward is added from then on, so that leases
//! and delays end when they would have. Times it gives are ahead of the machine's by that much until the next start.

use std::sync::{Arc, Mutex, PoisonError};
use stdx::{Clock, Timestamp};

pub struct Steady {
    clock: Arc<dyn Clock>,
    seen: Mutex<Seen>,
}

struct Seen {
    last: Timestamp,
    ahead: std::time::Duration,
}

impl Steady {
    /// Begins at the latest time that is known to have been.
    pub fn over(clock: Arc<dyn Clock>, latest: Timestamp) -> Steady {
        let last = clock.now();
        Steady { clock, seen: Mutex::new(Seen { last, ahead: latest.since(last) }) }
    }
}

impl Clock for Steady {
    fn now(&self) -> Timestamp {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let lost = seen.last.since(now);
        seen.ahead += lost;
        seen.last = now;
        now.plus(seen.ahead)
    }
}
