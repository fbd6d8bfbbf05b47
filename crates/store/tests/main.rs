//! The stores on real files: every aggregate, the conformance of event stores, compression, opening.

mod blobs;
mod days;
mod deleting;
mod dictionaries;
mod digest;
mod events;
mod internal_series;
mod keys_and_projects;
mod merging;
mod notes;
mod opening;
mod people;
mod withdrawing;

use db::Tx;
use std::path::Path;
use stdx::Timestamp;
use store::organizations::OrganizationRow;
use store::projects::{NewProject, ProjectRow};
use store::{StoreError, Stores, organizations, projects};

/// 2026-11-21T04:06:00Z.
const NOW: Timestamp = Timestamp::from_seconds(1_795_233_960);

fn open(folder: &Path) -> Stores {
    Stores::open(folder, NOW).expect("the stores open")
}

/// Runs `work` in one transaction of fresh stores; it must succeed.
fn in_fresh_store<T>(work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>) -> T {
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path()).db.write_blocking(work).expect("the work succeeds")
}

fn shop(tx: &mut Tx<'_>) -> Result<(OrganizationRow, ProjectRow), StoreError> {
    let org = organizations::create(tx, "acme", "Acme", NOW)?;
    let new = NewProject { org_id: org.id, slug: "shop", name: "Shop", platform: Some("python") };
    let project = projects::create(tx, &new, NOW)?;
    Ok((org, project))
}

fn event_id(number: u128) -> [u8; 16] {
    number.to_be_bytes()
}
