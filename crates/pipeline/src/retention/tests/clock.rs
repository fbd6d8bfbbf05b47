//! A clock that leaps ahead makes everything due: sweeps wait until somebody agrees, or the new time has lasted.

use super::*;
use store::clock_leaps;

fn days(count: u64) -> Duration {
    Duration::from_secs(count * 86_400)
}

impl House {
    /// Opens the store's day of a time, as its first event does.
    fn lives_at(&self, at: Timestamp) {
        let opened = self.stores.db.write_blocking(|tx| days::open_or_create(tx, at.day(), at));
        opened.unwrap().unwrap();
    }

    fn leap(&self, now: Timestamp) -> Option<clock_leaps::Leap> {
        self.stores.db.read_blocking(|tx| clock_leaps::find(tx, now)).unwrap()
    }

    fn refusal(&self, now: Timestamp) -> bool {
        let ask = Ask { installation_days: 90, ..Ask::default() };
        conduct::refusal(&self.stores, &ask, now).unwrap().is_some()
    }
}

#[test]
fn a_leap_is_doubted_until_the_new_time_has_lasted() {
    let mut house = House::new(&["shop"]);
    assert_eq!(house.leap(NOW.plus(days(400))), None, "nothing is known of a fresh installation");
    house.fill(house.projects[0], 0, 10);
    for quiet in [0, 1, 13] {
        assert_eq!(house.leap(NOW.plus(days(quiet))), None, "{quiet} days without a sign are no leap");
    }
    let leapt = NOW.plus(days(100));
    let leap = house.leap(leapt).expect("a hundred days are one");
    assert_eq!((leap.from, leap.to), (NOW, leapt));
    assert!(house.refusal(leapt));
    // Events come under the new clock and prove nothing; nor do other refusals.
    for later in [1, 2] {
        house.lives_at(leapt.plus(days(later)));
        assert!(house.refusal(leapt.plus(days(later))), "{later} days later");
    }
    assert_eq!(house.leap(leapt.plus(days(3))), None, "somebody has seen it by then");
    assert_eq!(house.leap(leapt.plus(days(15))), None);
}

#[test]
fn a_quiet_installation_is_believed_after_its_first_refusal() {
    let mut house = House::new(&["shop"]);
    house.fill(house.projects[0], 0, 10);
    let leapt = NOW.plus(days(200));
    assert!(house.refusal(leapt));
    assert!(house.refusal(leapt.plus(days(2))));
    assert!(!house.refusal(leapt.plus(days(3))), "the refusal itself is a sign of life");
}

#[test]
fn a_clock_that_came_back_is_believed_and_another_leap_is_not() {
    let mut house = House::new(&["shop"]);
    house.fill(house.projects[0], 0, 10);
    let leapt = NOW.plus(days(300));
    assert!(house.refusal(leapt));
    house.lives_at(leapt);
    let back = NOW.plus(days(1));
    assert_eq!(house.leap(back), None, "what lies ahead is no sign");
    house.lives_at(back);
    assert!(house.refusal(leapt.plus(days(1))));
}

#[test]
fn who_says_that_the_clock_is_right_is_asked_no_more() {
    let mut house = House::new(&["shop"]);
    house.fill(house.projects[0], 0, 10);
    let leapt = NOW.plus(days(100));
    assert!(house.refusal(leapt));
    let leap = house.leap(leapt).unwrap();
    house.stores.db.write_blocking(|tx| clock_leaps::settle(tx, &leap, leapt)).unwrap();
    for later in [0, 1, 2, 4] {
        assert!(!house.refusal(leapt.plus(days(later))), "{later} days later");
    }
    assert!(house.refusal(leapt.plus(days(60))), "the next leap is another");
}

#[test]
fn where_nothing_is_due_nothing_is_refused() {
    let mut house = House::new(&["shop"]);
    house.fill(house.projects[0], 0, 10);
    assert!(house.leap(NOW.plus(days(20))).is_some());
    assert!(!house.refusal(NOW.plus(days(20))));
    assert_eq!(house.listed(house.projects[0]), [(0, 10)]);
}
