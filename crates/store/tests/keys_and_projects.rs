//! Organizations, projects, client keys: found by id, by slug and by what they were once called.

use super::{NOW, in_fresh_store, shop};
use db::Val;
use stdx::{Hour, Timestamp};
use store::projects::NewProject;
use store::{StoreError, keys, organizations, projects};

#[test]
fn organizations_are_found_and_their_slugs_are_theirs() {
    in_fresh_store(|tx| {
        let acme = organizations::create(tx, "acme", "Acme", NOW)?;
        assert_eq!(organizations::by_slug(tx, "acme")?.as_ref(), Some(&acme));
        assert_eq!(organizations::by_id(tx, acme.id)?.as_ref(), Some(&acme));
        assert_eq!(organizations::by_slug(tx, "none")?, None);
        let taken = organizations::create(tx, "acme", "Other", NOW);
        assert!(matches!(taken, Err(StoreError::Taken { .. })), "{taken:?}");
        organizations::create(tx, "aaa", "First", NOW)?;
        let slugs: Vec<String> = organizations::list(tx)?.into_iter().map(|row| row.slug).collect();
        assert_eq!(slugs, ["aaa", "acme"]);
        Ok(())
    });
}

#[test]
fn projects_are_found_by_id_slug_and_former_slug() {
    in_fresh_store(|tx| {
        let (org, project) = shop(tx)?;
        assert_eq!(projects::by_id(tx, project.id)?.as_ref(), Some(&project));
        assert_eq!(projects::by_slug(tx, org.id, "shop")?.as_ref(), Some(&project));
        assert_eq!(projects::by_slug(tx, org.id + 1, "shop")?, None);
        tx.execute(
            "INSERT INTO slug_history (org_id, kind, slug, target_id, retired_at) VALUES ($1, 'project', 'old', $2, 0)",
            &[Val::Int(org.id), Val::Int(project.id)],
        )?;
        assert_eq!(projects::by_slug(tx, org.id, "old")?.as_ref(), Some(&project));
        let again = NewProject { org_id: org.id, slug: "shop", name: "Shop", platform: None };
        assert!(matches!(projects::create(tx, &again, NOW), Err(StoreError::Taken { .. })));
        Ok(())
    });
}

#[test]
fn short_prefixes_are_unique_in_an_organization() {
    in_fresh_store(|tx| {
        let org = organizations::create(tx, "acme", "Acme", NOW)?;
        let mut prefixes = Vec::new();
        for slug in ["shop", "SHOP", "sHop", "日本"] {
            let new = NewProject { org_id: org.id, slug, name: slug, platform: None };
            prefixes.push(projects::create(tx, &new, NOW)?.short_prefix);
        }
        assert_eq!(prefixes, ["SHOP", "SHOP2", "SHOP3", "PROJECT"]);
        Ok(())
    });
}

#[test]
fn a_deleted_project_is_out_of_sight_and_a_disabled_one_is_not() {
    in_fresh_store(|tx| {
        let (org, project) = shop(tx)?;
        projects::set_status(tx, project.id, "disabled")?;
        assert!(!projects::by_id(tx, project.id)?.expect("still there").is_active());
        projects::set_status(tx, project.id, "deleted")?;
        assert_eq!(projects::by_id(tx, project.id)?, None);
        assert_eq!(projects::by_slug(tx, org.id, "shop")?, None);
        assert!(projects::list(tx, org.id)?.is_empty());
        assert!(projects::set_status(tx, project.id, "nonsense").is_err(), "the schema knows three states");
        Ok(())
    });
}

#[test]
fn what_a_project_has_seen_is_listed() {
    in_fresh_store(|tx| {
        let (_, project) = shop(tx)?;
        for (name, at) in [("production", 1), ("dev", 2)] {
            let row = [Val::Int(project.id), Val::Text(name), Val::Int(at)];
            tx.execute("INSERT INTO project_environment (project_id, name, first_seen) VALUES ($1, $2, $3)", &row)?;
            tx.execute(
                "INSERT INTO project_release (project_id, version, first_seen, last_seen, event_count)
                 VALUES ($1, $2, $3, $3, 1)",
                &row,
            )?;
            tx.execute("INSERT INTO project_hour (project_id, hour, event_count) VALUES ($1, $3, length($2))", &row)?;
        }
        assert_eq!(projects::environments(tx, project.id, 10)?, ["dev", "production"]);
        assert_eq!(projects::environments(tx, project.id, 1)?, ["dev"]);
        assert_eq!(projects::releases(tx, project.id, 10)?, ["dev", "production"], "the last seen first");
        assert_eq!(projects::hours(tx, project.id, Hour(0))?, [(Hour(1), 10), (Hour(2), 3)]);
        assert_eq!(projects::hours(tx, project.id, Hour(2))?, [(Hour(2), 3)]);
        Ok(())
    });
}

#[test]
fn keys_are_random_listed_changed_and_deleted_through_their_project() {
    in_fresh_store(|tx| {
        let (org, project) = shop(tx)?;
        let key = keys::create(tx, org.id, project.id, "Default", NOW)?;
        let other = keys::create(tx, org.id, project.id, "Second", Timestamp::EPOCH)?;
        assert_eq!((key.public_key.len(), key.secret_key.len(), key.is_active), (32, 32, true));
        assert_ne!(key.public_key, other.public_key);
        assert_eq!(keys::list(tx, project.id)?, [key.clone(), other.clone()]);
        assert!(!keys::update(tx, project.id + 1, key.id, "Mine", true)?, "another project's key");
        assert!(!keys::delete(tx, project.id + 1, key.id)?, "another project's key");
        assert!(keys::update(tx, project.id, key.id, "Mine", false)?);
        assert_eq!(keys::list(tx, project.id)?[0].label, "Mine");
        let active = |tx: &mut db::Tx<'_>| -> Result<Vec<bool>, StoreError> {
            let mut rows = keys::snapshot(tx)?;
            rows.sort_by_key(|row| row.key_id);
            Ok(rows.iter().map(|row| row.is_active).collect())
        };
        assert_eq!(active(tx)?, [false, true]);
        projects::set_status(tx, project.id, "disabled")?;
        assert_eq!(active(tx)?, [false, false], "a project's state counts for its keys");
        assert!(keys::delete(tx, project.id, key.id)?);
        assert_eq!(active(tx)?, [false]);
        Ok(())
    });
}
