//! Vigie's own series: what processes write adds up, and what is old goes by policy.

use super::{NOW, in_fresh_store};
use stdx::Hour;
use store::expiry::{self, Aged};
use store::internal_series::{self, HourRow};

#[test]
fn what_processes_write_adds_up_and_what_is_old_goes() {
    in_fresh_store(|tx| {
        let now = NOW.hour();
        let row = |hour: Hour, count| HourRow { hour, series: "a_total{b=\"c\"}".to_owned(), count, sum: 0.5 };
        let old = Hour(now.0 - 1);
        internal_series::add(tx, &[row(now, 3), row(old, 9)])?;
        assert_eq!(internal_series::since(tx, Hour(0))?.len(), 2);
        internal_series::add(tx, &[row(now, 4)])?;
        assert_eq!(expiry::count(tx, Aged::Internal, now.start(), None)?, [(0, 1)]);
        assert_eq!(expiry::delete(tx, Aged::Internal, now.start(), None, 10)?.len(), 1);
        let kept = internal_series::since(tx, Hour(0))?;
        assert_eq!(kept, [HourRow { sum: 1.0, ..row(now, 7) }]);
        assert_eq!(internal_series::since(tx, Hour(now.0 + 1))?, []);
        Ok(())
    });
}
