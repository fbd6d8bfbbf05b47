//! Who is charged when a batch does not end well: the guilty one, and nobody who was in its company.

use super::*;

/// Lets the metadata refuse issues of a title, as a fault of ours about one event would.
fn poison(house: &House) {
    let trigger = "CREATE TRIGGER poison BEFORE INSERT ON issue WHEN NEW.title = 'poison'
        BEGIN SELECT RAISE(ABORT, 'poisoned'); END";
    house.stores.db.write_blocking(|tx| tx.execute(trigger, &[])).unwrap();
}

fn id_of(number: u8) -> [u8; 16] {
    protocol::EventId::random([number; 16]).bytes()
}

#[test]
fn one_event_that_cannot_be_written_fails_alone() {
    let mut house = House::new();
    poison(&house);
    let titles = ["a", "b", "c", "poison", "d", "[]", "e"];
    let json = |title: &str| if title == "[]" { "[]".to_owned() } else { format!(r#"{{"message":"{title}"}}"#) };
    let jobs: Vec<Claimed> = titles.iter().map(|title| house.event(&json(title))).collect();
    for _ in 0..2 {
        let outcomes = house.run(&jobs);
        for (title, outcome) in titles.iter().zip(&outcomes) {
            match *title {
                "poison" => {
                    assert!(matches!(outcome, Outcome::Retry { error } if error.contains("poisoned")), "{outcome:?}")
                }
                _ => assert_eq!(*outcome, Outcome::Done, "{title}"),
            }
        }
    }
    assert!(house.body(&id_of(3)).is_some());
    let count = house.stores.db.read_blocking(|tx| tx.query_one::<(i64,)>("SELECT SUM(event_count) FROM issue", &[]));
    assert_eq!(count.unwrap().0, 5, "each is counted once");
}

#[test]
fn what_was_not_begun_when_time_is_up_is_given_back() {
    let mut house = House::new();
    let jobs: Vec<Claimed> = ["a", "b", "c"].map(|title| house.event(&format!(r#"{{"message":"{title}"}}"#))).into();
    let asked = std::cell::Cell::new(0);
    let is_second = || asked.replace(asked.get() + 1) > 0;
    let back = Outcome::Snooze { after: Duration::ZERO };
    assert_eq!(house.digest.run(&jobs, &is_second), [Outcome::Done, Outcome::Done, back.clone()]);
    assert_eq!(house.digest.run(&jobs, &|| true), [Outcome::Done, back.clone(), back]);
    assert!(house.body(&id_of(2)).is_some() && house.body(&id_of(3)).is_none());
}
