//! The conservation ledger holds whatever an operator takes out of the queue, on a real queue and a real store.

use ops::conservation::{self, Balance, BalanceRow};
use ops::dead_letters::{self, Selection};
use ops::events::EventRef;
use ops::{Actor, Caller, Ops, pulse, queues, receipts, spools};
use protocol::accepted::{AcceptedBody, AcceptedJob, Endpoint};
use protocol::job_name::JobName;
use protocol::{Encoding, EventId};
use queue::brokers::embedded::{Config, Durability, Embedded};
use queue::{Broker, ClaimRequest, Claimed, DeadReason, Finish, JobId, Ledger, NewJob, QueueBounds};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use stdx::{Clock, Timestamp};
use store::conservation::AcceptedRow;
use testkit::world::{NOON, World};

const HOUR: Duration = Duration::from_secs(3_600);

/// A world with a queue that keeps what it is given.
struct House {
    world: World,
    queue: Arc<Embedded>,
    ops: Ops,
    _folder: tempfile::TempDir,
}

impl House {
    async fn new() -> House {
        let (world, folder) = (World::new().await, tempfile::tempdir().unwrap());
        let config = Config {
            folder: folder.path().to_owned(),
            durability: Durability::Process,
            jobs_max: 1_000,
            bytes_max: 1 << 30,
            free_min: 0,
            free_space: Arc::new(|| Ok(u64::MAX)),
            reassert_grace: Duration::ZERO,
        };
        let queue = Arc::new(Embedded::open(config, Arc::new(world.clock.clone())).unwrap());
        let clock = Arc::new(world.clock.clone());
        let ops =
            Ops::new(world.ops.stores.clone(), queue.clone(), clock, "http://vigie.test").with_event_queues(&["q"]);
        House { world, queue, ops, _folder: folder }
    }

    /// Accepts an event as the endpoint does: its job is durable, and a second witness has seen it.
    async fn accept(&self, project_id: i64, number: u8, received_at: Timestamp, body: AcceptedBody<'_>) {
        let event_id = EventId::from_bytes([number; 16]);
        let job = AcceptedJob {
            org_id: 1,
            project_id,
            key_id: 7,
            event_id,
            received_at,
            sent_at: None,
            client_ip: None,
            auth_client: None,
            user_agent: None,
            endpoint: Endpoint::Envelope,
            content_encoding: Encoding::Identity,
            body,
        };
        let id = JobId::new(&JobName::of_event(project_id, event_id).to_string());
        let job = NewJob { enqueued_at: Some(received_at), ..NewJob::new(id, "t", "q", job.encode().into()) };
        self.queue.publish(vec![job]).await.unwrap();
        let row = AcceptedRow { project_id, hour: received_at.hour(), quantity: 1 };
        self.ops.stores.db.write_blocking(|tx| store::conservation::add_accepted(tx, &[row])).unwrap();
    }

    /// Events that were accepted and are nowhere.
    fn lose(&self, project_id: i64, at: Timestamp, quantity: i64) {
        let row = AcceptedRow { project_id, hour: at.hour(), quantity };
        self.ops.stores.db.write_blocking(|tx| store::conservation::add_accepted(tx, &[row])).unwrap();
    }

    async fn until_somebody_writes_off(&self) {
        loop {
            let lease = self.ops.stores.db.read_blocking(|tx| store::settings::with_prefix(tx, "lease.conservation"));
            if !lease.unwrap().is_empty() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    fn claim(&self) -> Claimed {
        let bounds = QueueBounds { queue: "q".to_owned(), jobs_max: 1, bytes_max: usize::MAX, lease: HOUR };
        self.queue.claim(&ClaimRequest { queues: vec![bounds] }).unwrap().remove(0)
    }

    fn bury_one(&self) {
        let dead = Finish::Dead { reason: DeadReason::Rejected, error: "no".to_owned() };
        self.queue.finish(vec![(self.claim().lease, dead)]).unwrap();
    }

    async fn balance(&self) -> Balance {
        conservation::balance(&self.ops, &Actor::System).await.unwrap()
    }

    async fn row(&self, project_id: i64, at: Timestamp) -> BalanceRow {
        let rows = self.balance().await.rows;
        rows.into_iter().find(|row| row.project_id == project_id && row.hour == at.hour()).unwrap()
    }

    /// What became of events, by reason.
    fn outcomes(&self) -> Vec<(String, i64)> {
        let rows = self.ops.stores.db.read_blocking(|tx| {
            tx.query::<(String, i64)>(
                "SELECT reason, SUM(quantity) FROM outcome_hour WHERE outcome = 'dead' GROUP BY reason",
                &[],
            )
        });
        rows.unwrap()
    }

    /// Details of an action's entries, the latest first.
    async fn audit(&self, action: &str) -> Vec<String> {
        let page = ops::audit::list(&self.ops, &Actor::System, None, &ops::PageRequest::default()).await.unwrap();
        page.items.into_iter().filter(|entry| entry.action == action).map(|entry| entry.detail).collect()
    }

    async fn receipt(&self, project: &str, number: u8) -> (String, Option<String>) {
        let event = EventRef {
            project: ops::projects::ProjectRef { org: "acme".to_owned(), project: project.to_owned() },
            event_id: EventId::from_bytes([number; 16]).to_string(),
        };
        let receipt = receipts::get(&self.ops, &Actor::System, &event).await.unwrap();
        (receipt.state.as_str().to_owned(), receipt.reason)
    }
}

fn inline() -> AcceptedBody<'static> {
    AcceptedBody::Inline(b"{}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_purged_is_dead_under_its_own_project_and_hour() {
    let house = House::new().await;
    let (shop, site) = (house.world.shop, house.world.site);
    let earlier = Timestamp::from_micros(NOON.micros() - 3 * HOUR.as_micros() as i64);
    house.accept(shop, 1, earlier, inline()).await;
    house.accept(shop, 2, NOON, inline()).await;
    house.accept(site, 3, NOON, AcceptedBody::Blob { key: Cow::Borrowed("large"), raw_bytes: 9 }).await;
    let running = house.claim();
    let caller = Caller::of_task("test");
    assert_eq!(queues::purge(&house.ops, &caller, "q").await.unwrap(), 2);
    house.queue.finish(vec![(running.lease, Finish::GiveBack { after: Duration::ZERO })]).unwrap();
    assert_eq!(queues::purge(&house.ops, &caller, "q").await.unwrap(), 1);
    for (project, at) in [(shop, earlier), (shop, NOON), (site, NOON)] {
        let row = house.row(project, at).await;
        assert_eq!((row.accepted, row.dead, row.in_flight()), (1, 1, 0), "{row:?}");
    }
    let balance = house.balance().await;
    assert_eq!((balance.missing(), balance.withdrawn, balance.queued), (Some(0), 0, Some(0)));
    let told = ("dead".to_owned(), Some("purged by an operator".to_owned()));
    assert_eq!(house.receipt("shop", 1).await, told);
    assert_eq!(house.receipt("site", 3).await, told);
    let waiting = house.ops.stores.db.read_blocking(|tx| store::outbox::oldest(tx, 9)).unwrap();
    assert_eq!(waiting.iter().map(|row| row.payload.as_slice()).collect::<Vec<_>>(), [&br#"["large"]"#[..]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_that_died_before_the_job_went_counts_it_once_when_it_is_made_again() {
    let house = House::new().await;
    let shop = house.world.shop;
    house.accept(shop, 1, NOON, inline()).await;
    let waits = house.claim();
    let again = NewJob { enqueued_at: Some(waits.enqueued_at), ..NewJob::new(waits.id, "t", "q", waits.payload) };
    house.queue.finish(vec![(waits.lease, Finish::GiveBack { after: Duration::ZERO })]).unwrap();
    let caller = Caller::of_task("test");
    queues::purge(&house.ops, &caller, "q").await.unwrap();
    // The job as it stands in the log of a process that was killed between the two.
    house.queue.publish(vec![again]).await.unwrap();
    assert_eq!(house.balance().await.missing(), Some(0), "nothing is lost in between");
    queues::purge(&house.ops, &caller, "q").await.unwrap();
    let row = house.row(shop, NOON).await;
    assert_eq!((row.accepted, row.dead, row.unwitnessed()), (1, 1, 0));
    assert_eq!(house.balance().await.missing(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_letter_is_dead_under_its_own_project_and_hour() {
    let house = House::new().await;
    let shop = house.world.shop;
    house.accept(shop, 1, NOON, inline()).await;
    house.bury_one();
    house.world.clock.advance(HOUR);
    assert_eq!(house.row(shop, NOON).await.in_flight(), 1, "a letter is in flight until it is discarded");
    dead_letters::discard(&house.ops, &Caller::of_task("test"), &Selection::All).await.unwrap();
    let row = house.row(shop, NOON).await;
    assert_eq!((row.dead, row.in_flight()), (1, 0));
    let balance = house.balance().await;
    assert_eq!((balance.missing(), balance.rows.len()), (Some(0), 1), "nothing stands under the hour of the discard");
    assert_eq!(house.receipt("shop", 1).await, ("dead".to_owned(), Some("discarded by an operator".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_letter_hides_no_loss_of_another_project_or_hour() {
    let house = House::new().await;
    let (shop, site) = (house.world.shop, house.world.site);
    let earlier = Timestamp::from_micros(NOON.micros() - 3 * HOUR.as_micros() as i64);
    house.accept(shop, 1, earlier, inline()).await;
    house.bury_one();
    // Older than the hours that are compared: its acceptance is not among them, nor is it.
    let old = Timestamp::from_micros(NOON.micros() - 72 * HOUR.as_micros() as i64);
    house.accept(site, 2, old, inline()).await;
    house.bury_one();
    assert_eq!(house.balance().await.missing(), Some(0));
    house.lose(site, earlier, 1);
    assert_eq!(house.balance().await.missing(), Some(1), "of another project in the letter's hour");
    house.lose(shop, NOON, 1);
    assert_eq!(house.balance().await.missing(), Some(2), "of the letter's project in another hour");
    assert_eq!(house.row(shop, earlier).await.letters, 1);
    let caller = Caller::of_task("test");
    let written_off = conservation::write_off(&house.ops, &caller).await.unwrap();
    assert_eq!(written_off.events, 2);
    let findings = store::check::check(&house.ops.stores, &|_, _| true).unwrap();
    let outcomes = findings.iter().find(|finding| finding.name == "outcomes").unwrap();
    assert_eq!((outcomes.compared, outcomes.disagreeing), (2, 0), "they were accepted, too");
    assert_eq!(house.row(shop, earlier).await.dead, 0, "what is a letter is not written off");
    assert_eq!(house.balance().await.missing(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_events_of_one_id_have_a_letter_each_and_an_account_each() {
    let house = House::new().await;
    let shop = house.world.shop;
    let later = Timestamp::from_micros(NOON.micros() + 1);
    for at in [NOON, later] {
        house.accept(shop, 1, at, inline()).await;
        house.bury_one();
    }
    assert_eq!(house.row(shop, NOON).await.letters, 2);
    assert_eq!(house.balance().await.missing(), Some(0), "neither took the other's place");
    dead_letters::discard(&house.ops, &Caller::of_task("test"), &Selection::All).await.unwrap();
    let row = house.row(shop, NOON).await;
    assert_eq!((row.accepted, row.dead, row.letters, house.balance().await.missing()), (2, 2, 0, Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_goes_by_age_is_dead_under_its_own_project_and_hour_once() {
    let house = House::new().await;
    let shop = house.world.shop;
    for number in 1..=3 {
        house.accept(shop, number, NOON, inline()).await;
        house.bury_one();
    }
    assert_eq!(dead_letters::let_go(&house.ops).await.unwrap(), 0, "they are young");
    house.world.clock.advance(queue::LETTERS_KEPT);
    house.accept(shop, 4, Clock::now(&house.world.clock), inline()).await;
    house.bury_one();
    assert_eq!(dead_letters::let_go(&house.ops).await.unwrap(), 3);
    assert_eq!(house.outcomes(), [("14 days among the dead letters".to_owned(), 3)]);
    let told = ("dead".to_owned(), Some("14 days among the dead letters".to_owned()));
    assert_eq!(house.receipt("shop", 1).await, told);
    // One as it stands in the log of a process that was killed after it was accounted for and before it was dropped.
    let id = JobName::of_event(shop, EventId::from_bytes([1; 16])).to_string();
    house.accept(shop, 1, NOON, inline()).await;
    house.bury_one();
    house.world.clock.advance(queue::LETTERS_KEPT);
    assert_eq!(dead_letters::let_go(&house.ops).await.unwrap(), 2, "it and the fourth");
    assert!(house.queue.dead_letter(&id).unwrap().is_none());
    assert_eq!(house.outcomes(), [("14 days among the dead letters".to_owned(), 4)], "each counts once");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_cannot_be_accounted_for_stay_however_old() {
    let house = House::new().await;
    house.accept(house.world.shop, 1, NOON, inline()).await;
    house.bury_one();
    house.world.clock.advance(queue::LETTERS_KEPT * 2);
    let break_it = |sql: &'static str| {
        house.ops.stores.db.write_blocking(|tx| tx.execute_script(sql)).unwrap();
    };
    break_it("ALTER TABLE withdrawn RENAME TO away");
    let refused = dead_letters::let_go(&house.ops).await;
    assert!(refused.is_err(), "{refused:?}");
    let refused = dead_letters::discard(&house.ops, &Caller::of_task("test"), &Selection::All).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(house.queue.dead_letters().unwrap().len(), 1);
    break_it("ALTER TABLE away RENAME TO withdrawn");
    assert_eq!(dead_letters::let_go(&house.ops).await.unwrap(), 1);
    let noted = house.audit("dead-letter.discard").await;
    let [ended, begins] = &noted[..] else { panic!("{noted:?}") };
    assert!(begins.starts_with("begins: 1-") && ended.starts_with("stopped after 0 of 1: "), "{noted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_to_a_group_is_noted_before_it_begins_and_when_it_has_ended() {
    let house = House::new().await;
    for number in 1..=2 {
        house.accept(house.world.shop, number, NOON, inline()).await;
        house.bury_one();
    }
    let caller = Caller::of_task("test");
    let retried = dead_letters::retry(&house.ops, &caller, &Selection::All).await.unwrap();
    assert_eq!(retried.gone_back.len(), 2);
    let noted = house.audit("dead-letter.retry").await;
    assert!(noted[1].starts_with("begins: 1-") && noted[0] == "done: 2 of 2", "{noted:?}");
    dead_letters::discard(&house.ops, &caller, &Selection::All).await.unwrap();
    assert!(house.audit("dead-letter.discard").await.is_empty(), "nothing was meant");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_accepted_is_purged_without_a_word_in_the_ledger() {
    let house = House::new().await;
    let strange = NewJob::new(JobId::new("sent-by-hand"), "t", "q", bytes_of("{}").into());
    house.queue.publish(vec![strange]).await.unwrap();
    assert_eq!(queues::purge(&house.ops, &Caller::of_task("test"), "q").await.unwrap(), 1);
    let balance = house.balance().await;
    assert!(balance.rows.is_empty() && balance.withdrawn == 0, "{balance:?}");
}

fn bytes_of(text: &'static str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_the_spool_of_any_web_is_in_flight_until_it_is_forgotten() {
    let house = House::new().await;
    let shop = house.world.shop;
    let row = |jobs| store::spools::SpoolRow {
        id: "a".to_owned(),
        holder: "web@elsewhere (7)".to_owned(),
        folder: "/elsewhere/spool/0".to_owned(),
        jobs,
        bytes: 10,
        oldest_at: Some(NOON),
        heard_at: NOON,
    };
    let accepted = AcceptedRow { project_id: shop, hour: NOON.hour(), quantity: 5 };
    let say = |jobs| house.ops.stores.db.write_blocking(|tx| store::spools::say(tx, &row(jobs))).unwrap();
    house.ops.stores.db.write_blocking(|tx| store::conservation::add_accepted(tx, &[accepted])).unwrap();
    say(4);
    let balance = house.balance().await;
    assert_eq!((balance.missing(), balance.spooled, balance.queued), (Some(1), 4, Some(4)), "one is lost all the same");
    say(5);
    assert_eq!(house.balance().await.missing(), Some(0));
    let elsewhere =
        "not known here; 5 events wait in spools of web@elsewhere (7), which cannot be looked into from here";
    assert_eq!(house.receipt("shop", 1).await, ("unknown".to_owned(), Some(elsewhere.to_owned())));
    let search = receipts::search(&house.ops, &Actor::System, &"01".repeat(16)).await.unwrap();
    assert_eq!((search.found.len(), search.unseen.as_deref()), (0, Some(elsewhere)));
    let caller = Caller::of_task("test");
    let refused = spools::forget(&house.ops, &caller, "a").await.unwrap_err().to_string();
    assert!(refused.contains("web@elsewhere (7) has this spool"), "{refused}");
    house.world.clock.advance(spools::UNHEARD_AFTER);
    let held = spools::list(&house.ops, &Actor::System).await.unwrap();
    assert!(held[0].whose().contains("nobody forwards it"), "{held:?}");
    spools::forget(&house.ops, &caller, "a").await.unwrap();
    assert_eq!(house.balance().await.missing(), Some(5));
    let written = conservation::write_off(&house.ops, &caller).await.unwrap();
    assert_eq!((written.events, house.balance().await.missing()), (5, Some(0)));
    assert_eq!(house.receipt("shop", 1).await, ("unknown".to_owned(), None), "it is nowhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_write_off_at_once_one_counts_the_events() {
    let house = House::new().await;
    house.lose(house.world.shop, NOON, 2);
    let caller = Caller::of_task("test");
    let (one, other) =
        tokio::join!(conservation::write_off(&house.ops, &caller), conservation::write_off(&house.ops, &caller));
    let (done, refused) = if one.is_ok() { (one, other) } else { (other, one) };
    assert_eq!((done.unwrap().events, refused.unwrap_err().status()), (2, 409));
    let row = house.row(house.world.shop, NOON).await;
    assert_eq!((row.dead, row.unwitnessed()), (2, 0));
    assert_eq!(conservation::write_off(&house.ops, &caller).await.unwrap().events, 0, "the next need not wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_the_lease_while_looking_writes_nothing_off() {
    let house = House::new().await;
    house.lose(house.world.shop, NOON, 2);
    let caller = Caller::of_task("test");
    let too_late = async {
        house.until_somebody_writes_off().await;
        house.world.clock.advance(HOUR);
    };
    let (slow, ()) = tokio::join!(conservation::write_off(&house.ops, &caller), too_late);
    assert_eq!(slow.unwrap_err().status(), 409);
    assert_eq!(house.row(house.world.shop, NOON).await.dead, 0);
    assert_eq!(conservation::write_off(&house.ops, &caller).await.unwrap().events, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_that_balance_are_read_again_after_a_minute_and_others_at_each_look() {
    let house = House::new().await;
    let shop = house.world.shop;
    let [old, older] = [3, 5].map(|hours| NOON.minus(HOUR * hours));
    house.lose(shop, older, 1);
    assert_eq!(house.balance().await.missing(), Some(1));
    house.lose(shop, older, 1);
    assert_eq!(house.balance().await.missing(), Some(2), "an hour that does not balance");
    house.lose(shop, old, 1);
    assert_eq!(house.balance().await.missing(), Some(2), "an old hour that balanced just now");
    house.lose(shop, NOON.minus(HOUR), 1);
    assert_eq!(house.balance().await.missing(), Some(3), "the hour before this one may always change");
    house.world.clock.advance(Duration::from_secs(60));
    assert_eq!(house.balance().await.missing(), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn as_missing_is_said_what_three_looks_in_a_row_missed_at_least() {
    let house = House::new().await;
    for (lost, said) in [(7, 0), (1, 0), (1, 7), (1, 8)] {
        house.lose(house.world.shop, NOON, lost);
        pulse::sample(&house.ops, &Actor::System).await.unwrap();
        assert_eq!(pulse::missing(&house.ops), said, "after {lost} more");
    }
    conservation::write_off(&house.ops, &Caller::of_task("test")).await.unwrap();
    let shown = pulse::get(&house.ops, &Actor::System).await.unwrap();
    assert_eq!(shown.balance.missing(), Some(0), "a page does not show what was before");
    assert_eq!(shown.balance.rows[0].project, "acme/shop");
    pulse::sample(&house.ops, &Actor::System).await.unwrap();
    assert_eq!(pulse::missing(&house.ops), 0);
}
