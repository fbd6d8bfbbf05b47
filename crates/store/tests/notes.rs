//! Outcomes, attachments, settings: additive or written once.

use super::{NOW, event_id, in_fresh_store};
use db::Val;
use std::time::Duration;
use store::expiry::{self, Aged};
use store::outcomes::OutcomeRow;
use store::{attachments, leases, outbox, outcomes, settings, spent_bodies};

#[test]
fn outcomes_add_up() {
    in_fresh_store(|tx| {
        let row = OutcomeRow {
            project_id: 1,
            key_id: 2,
            hour: NOW.hour(),
            category: "error".to_owned(),
            outcome: "accepted".to_owned(),
            reason: String::new(),
            quantity: 3,
        };
        let other =
            OutcomeRow { project_id: 0, outcome: "refused".to_owned(), reason: "no_key".to_owned(), ..row.clone() };
        outcomes::add(tx, &[row.clone(), other, row.clone()])?;
        outcomes::add(tx, std::slice::from_ref(&row))?;
        let (error, accepted) = ("error".to_owned(), "accepted".to_owned());
        let mine = (error.clone(), accepted, String::new(), 9);
        assert_eq!(outcomes::sums(tx, Some(1), NOW.hour())?, std::slice::from_ref(&mine));
        let refused = (error, "refused".to_owned(), "no_key".to_owned(), 3);
        assert_eq!(outcomes::sums(tx, None, NOW.hour())?, [mine, refused]);
        assert!(outcomes::sums(tx, None, stdx::Hour(NOW.hour().0 + 1))?.is_empty());
        let unknown = OutcomeRow { outcome: "vanished".to_owned(), ..row };
        assert!(outcomes::add(tx, &[unknown]).is_err());
        Ok(())
    });
}

#[test]
fn spent_bodies_are_told_from_others_until_their_day_expires() {
    in_fresh_store(|tx| {
        spent_bodies::note(tx, NOW.day(), "a")?;
        spent_bodies::note(tx, NOW.day(), "a")?;
        assert!(spent_bodies::is_spent(tx, "a")?);
        assert!(!spent_bodies::is_spent(tx, "b")?);
        assert_eq!(expiry::delete(tx, Aged::SpentBody, NOW, None, 9)?.len(), 0);
        assert_eq!(expiry::delete(tx, Aged::SpentBody, NOW.plus(Duration::from_secs(86_400)), None, 9)?.len(), 1);
        assert!(!spent_bodies::is_spent(tx, "a")?);
        Ok(())
    });
}

#[test]
fn attachments_are_found_through_their_event() {
    in_fresh_store(|tx| {
        for name in ["a.txt", "b.txt", "a.txt"] {
            tx.execute(
                "INSERT INTO attachment (day, project_id, event_id, name, content_type, attachment_type, size_bytes,
                                         blob_key, created_at)
                 VALUES ($1, 1, $2, $3, 'text/plain', 'event.attachment', 5, 'key', $4) ON CONFLICT DO NOTHING",
                &[Val::from(NOW.day()), Val::Blob(&event_id(1)), Val::Text(name), Val::from(NOW)],
            )?;
        }
        let rows = attachments::list(tx, 1, &event_id(1))?;
        assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["a.txt", "b.txt"]);
        assert_eq!(attachments::get(tx, 1, &event_id(1), rows[1].id)?.as_ref(), Some(&rows[1]));
        assert_eq!(attachments::get(tx, 2, &event_id(1), rows[1].id)?, None);
        assert_eq!(attachments::get(tx, 1, &event_id(2), rows[1].id)?, None);
        Ok(())
    });
}

#[test]
fn a_setting_has_its_last_value() {
    in_fresh_store(|tx| {
        assert_eq!(settings::get(tx, "system.url")?, None);
        settings::set(tx, "system.url", "http://one", NOW)?;
        settings::set(tx, "system.url", "http://two", NOW)?;
        assert_eq!(settings::get(tx, "system.url")?.as_deref(), Some("http://two"));
        Ok(())
    });
}

#[test]
fn an_outbox_gives_its_rows_in_order_until_they_are_removed() {
    in_fresh_store(|tx| {
        for task in ["a", "b", "c"] {
            outbox::add(tx, task, task.as_bytes(), NOW)?;
        }
        let rows = outbox::oldest(tx, 2)?;
        let seen: Vec<(&str, &[u8])> = rows.iter().map(|row| (row.task.as_str(), row.payload.as_slice())).collect();
        assert_eq!(seen, [("a", &b"a"[..]), ("b", b"b")]);
        outbox::remove(tx, &[rows[0].id, rows[1].id])?;
        assert_eq!(outbox::oldest(tx, 10)?.iter().map(|row| row.task.as_str()).collect::<Vec<_>>(), ["c"]);
        Ok(())
    });
}

#[test]
fn a_lease_is_one_holders_until_it_ends_whatever_the_clock_does() {
    const LENGTH: Duration = Duration::from_secs(10);
    in_fresh_store(|tx| {
        assert!(leases::take(tx, "upkeep", "a", NOW, LENGTH)?);
        assert!(leases::take(tx, "upkeep", "a", NOW.plus(LENGTH / 2), LENGTH)?, "its holder extends it");
        assert!(!leases::take(tx, "upkeep", "b", NOW.plus(LENGTH), LENGTH)?, "it holds");
        assert!(leases::take(tx, "other", "b", NOW, LENGTH)?);
        assert!(leases::take(tx, "upkeep", "b", NOW.plus(LENGTH * 2), LENGTH)?, "it ended");
        assert!(leases::take(tx, "upkeep", "a", NOW, LENGTH)?, "one from the future does not hold for ever");
        assert!(!leases::give_back(tx, "upkeep", "b", NOW)?, "it is not its");
        assert!(leases::give_back(tx, "upkeep", "a", NOW)?);
        assert!(!leases::give_back(tx, "upkeep", "a", NOW)?, "it was given back");
        assert!(leases::take(tx, "upkeep", "b", NOW, LENGTH)?, "at once");
        assert!(!leases::give_back(tx, "upkeep", "b", NOW.plus(LENGTH))?, "it ended before");
        Ok(())
    });
}
