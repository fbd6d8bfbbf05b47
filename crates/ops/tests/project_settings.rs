//! Settings of projects: stored as they were set, refused when nobody could use them.

use ops::project_settings::{self, ProjectSettings};
use ops::projects::{ProjectRef, UpdateProject};
use ops::{ApiError, Caller};
use testkit::world::{NOON, Stored, World};

async fn ann(world: &World) -> Caller {
    world.person("ann@example.com", 1, "owner", false).await;
    world.caller("ann@example.com", &[]).await
}

fn shop() -> ProjectRef {
    ProjectRef { org: "acme".into(), project: "shop".into() }
}

#[tokio::test]
async fn settings_are_kept_and_their_hash_key_stays() {
    let world = World::new().await;
    let ann = ann(&world).await;
    assert_eq!(project_settings::get(&world.ops, &ann, &shop()).await.unwrap(), ProjectSettings::default());
    let change = |settings: &mut ProjectSettings| {
        settings.scrubbing.sensitive_fields = vec!["badge".to_owned()];
        settings.filters.localhost = true;
        Ok(())
    };
    let changed = project_settings::update(&world.ops, &ann, UpdateProject::of(shop()), change).await.unwrap();
    let found = project_settings::get(&world.ops, &ann, &shop()).await.unwrap();
    assert_eq!((&found, found.scrubbing.hash_key.len()), (&changed, 32));
    let again = project_settings::update(&world.ops, &ann, UpdateProject::of(shop()), |_| Ok(())).await.unwrap();
    assert_eq!(again, found);
}

#[tokio::test]
async fn settings_nobody_could_use_change_nothing() {
    let world = World::new().await;
    let ann = ann(&world).await;
    let wrong: [fn(&mut ProjectSettings); 3] = [
        |settings| settings.scrubbing.rules = "{".to_owned(),
        |settings| settings.scrubbing.rules = r#"{"applications":{"a.":["@ip"]}}"#.to_owned(),
        |settings| settings.filters.ip_addresses = vec!["nowhere".to_owned()],
    ];
    for wrong in wrong {
        let change = move |settings: &mut ProjectSettings| {
            settings.filters.web_crawlers = true;
            wrong(settings);
            Ok(())
        };
        let refused = project_settings::update(&world.ops, &ann, UpdateProject::of(shop()), change).await;
        assert!(matches!(refused, Err(ApiError::Invalid { .. })), "{refused:?}");
    }
    assert_eq!(project_settings::get(&world.ops, &ann, &shop()).await.unwrap(), ProjectSettings::default());
}

#[tokio::test]
async fn a_preview_shows_what_rules_would_take_and_stores_nothing() {
    let world = World::new().await;
    let ann = ann(&world).await;
    let id = world.store(&Stored::new(world.shop, "contract", NOON));
    let event = ops::events::EventRef { project: shop(), event_id: id };
    let change = |settings: &mut ProjectSettings| {
        settings.scrubbing.rules = r#"{"applications":{"$error.value":["@anything:remove"]}}"#.to_owned();
        Ok(())
    };
    let preview = project_settings::preview(&world.ops, &ann, &event, change).await.unwrap();
    assert_eq!(preview.changes.len(), 1, "{:?}", preview.changes);
    assert_eq!(preview.changes[0].path, ["exception", "values", "0", "value"]);
    assert!(String::from_utf8(preview.event).unwrap().contains("@anything:remove"));
    let raw = ops::events::raw_json(&world.ops, &ann, &event).await.unwrap();
    assert!(String::from_utf8(raw).unwrap().contains("contract"));
    assert_eq!(project_settings::get(&world.ops, &ann, &shop()).await.unwrap(), ProjectSettings::default());
}

#[tokio::test]
async fn who_may_not_store_settings_previews_only_those_that_are_stored() {
    let world = World::new().await;
    world.person("bob@example.com", 1, "member", false).await;
    let bob = world.caller("bob@example.com", &["event:read", "project:read"]).await;
    let id = world.store(&Stored::new(world.shop, "contract", NOON));
    let event = ops::events::EventRef { project: shop(), event_id: id };
    let stored = project_settings::preview(&world.ops, &bob, &event, |_| Ok(())).await;
    assert!(stored.unwrap().changes.is_empty());
    let change = |settings: &mut ProjectSettings| {
        settings.scrubbing.rules = r#"{"applications":{"**":["@email"]}}"#.to_owned();
        Ok(())
    };
    let refused = project_settings::preview(&world.ops, &bob, &event, change).await;
    assert!(matches!(refused, Err(ApiError::Forbidden { .. })), "{refused:?}");
}

#[tokio::test]
async fn settings_that_cannot_be_read_are_told_and_never_overwritten() {
    const LATER: &str = r#"{"scrubs_ip":"sometimes"}"#;
    let world = World::new().await;
    let ann = ann(&world).await;
    let shop_id = world.shop;
    let set = |tx: &mut db::Tx<'_>| store::project_options::set(tx, shop_id, "scrubbing", LATER, NOON);
    world.ops.stores.db.write_blocking(set).unwrap();
    let found = project_settings::get(&world.ops, &ann, &shop()).await.unwrap();
    assert_eq!(found.unreadable, ["scrubbing"]);
    let change = |settings: &mut ProjectSettings| {
        settings.filters.localhost = true;
        Ok(())
    };
    let refused = project_settings::update(&world.ops, &ann, UpdateProject::of(shop()), change).await;
    assert!(matches!(refused, Err(ApiError::Conflict { .. })), "{refused:?}");
    let stored = world.ops.stores.db.read_blocking(|tx| store::project_options::all(tx, shop_id)).unwrap();
    assert_eq!(stored, [("scrubbing".to_owned(), LATER.to_owned())]);
}
