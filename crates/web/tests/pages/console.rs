//! What an operator does on the console to a loss: a spool that went with its machine, and jobs that the broker lost.

use super::browser::Browser;
use axum::http::StatusCode;
use ops::{Actor, Caller, conservation, permissions, spools};
use store::conservation::AcceptedRow;
use store::spools::SpoolRow;
use testkit::world::{NOON, World};

/// Five events were accepted by a machine and are in its spool; it was not heard since.
async fn lost_machine() -> World {
    let world = World::new().await;
    let spool = SpoolRow {
        id: "a1".to_owned(),
        holder: "web@gone (7)".to_owned(),
        folder: "/gone/spool/0".to_owned(),
        jobs: 5,
        bytes: 10,
        oldest_at: Some(NOON),
        heard_at: NOON,
    };
    let accepted = AcceptedRow { project_id: world.shop, hour: NOON.hour(), quantity: 5 };
    let said = world.ops.stores.db.write_blocking(|tx| {
        store::conservation::add_accepted(tx, &[accepted])?;
        store::spools::say(tx, &spool)
    });
    said.expect("a spool is said");
    world.clock.advance(spools::UNHEARD_AFTER);
    world
}

async fn audit(world: &World, action: &str) -> Vec<String> {
    let page = ops::audit::list(&world.ops, &Actor::System, None, &ops::PageRequest::default()).await.expect("a log");
    page.items.into_iter().filter(|entry| entry.action == action).map(|entry| entry.detail).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_spool_is_forgotten_and_written_off_on_the_page_that_shows_it() {
    let world = lost_machine().await;
    let member = Browser::of_member(&world).await;
    let root = Browser::of_superuser(&world).await;
    let (forget, write_off) = ("/system/spools/forget/", "/system/write-off/");
    let (meant, sure) = ([("id", "a1"), ("sure", "yes")], [("sure", "yes")]);
    assert_eq!(member.post(forget, &meant).await.status, StatusCode::FORBIDDEN);
    assert_eq!(member.post(write_off, &sure).await.status, StatusCode::FORBIDDEN);
    assert_eq!(root.post_from("cross-site", forget, &meant).await.status, StatusCode::FORBIDDEN);
    assert_eq!(root.post_from("cross-site", write_off, &sure).await.status, StatusCode::FORBIDDEN);
    assert_eq!(root.post(forget, &meant[..1]).await.status, StatusCode::BAD_REQUEST, "it must be meant");
    assert_eq!(root.post(write_off, &[]).await.status, StatusCode::BAD_REQUEST, "it must be meant");
    let page = root.read("/system/").await;
    let looked_up = root.read(&format!("/system/events/?event={}", "01".repeat(16))).await;
    let elsewhere = "not known here; 5 events wait in spools of web@gone (7), which cannot be looked into from here";
    assert!(looked_up.contains(elsewhere) && !looked_up.contains("No project knows"), "{looked_up}");
    assert!(page.contains("Forget /gone/spool/0") && !page.contains(write_off), "nothing is missed yet");

    let answer = root.post(forget, &meant).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/system/?forgotten=5"));
    let page = root.read("/system/?forgotten=5").await;
    assert!(page.contains("The spool is forgotten; the ledger misses 5 events."), "{page}");
    assert!(page.contains("does not balance") && page.contains(write_off) && !page.contains(forget));
    assert_eq!(audit(&world, "spool.forget").await, ["5 events of web@gone (7)"]);
    assert_eq!(root.post(forget, &meant).await.status, StatusCode::NOT_FOUND);

    let answer = root.post(write_off, &sure).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/system/?lost=5#ledger"));
    let page = root.read("/system/?lost=5").await;
    assert!(page.contains("5 events are counted as lost.") && page.contains("balances"), "{page}");
    assert!(!page.contains(write_off));
    assert_eq!(audit(&world, "queue.write-off").await, ["5 events are counted as lost", "begins: 5 events"]);
    let balance = conservation::balance(&world.ops, &Actor::System).await.expect("a ledger");
    assert_eq!(balance.missing(), Some(0));
}

#[tokio::test]
async fn who_may_only_look_gets_no_buttons_and_is_refused() {
    let world = lost_machine().await;
    let root = Browser::of_superuser(&world).await;
    let caller = Caller::of_task("test");
    permissions::remove(&world.ops, &caller, "root@acme.test", "queues.admin").await.expect("a permission");
    let page = root.read("/system/").await;
    assert!(page.contains("/gone/spool/0") && !page.contains("action=\"/system/spools/forget/\""), "{page}");
    assert!(page.contains("which needs the permission <code>queues.admin</code>"));
    for path in ["/system/spools/forget/", "/system/write-off/"] {
        assert_eq!(root.post(path, &[("id", "a1"), ("sure", "yes")]).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}
