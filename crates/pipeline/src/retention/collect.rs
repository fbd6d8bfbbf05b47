//! Blobs that nothing refers to. A digest puts a blob, and confirms in the transaction that refers to it that it is there;
//! here references are looked for in a transaction that excludes that one, and a blob that was put or confirmed since is
//! left alone (`Blobs::collect`).

use super::policies::Model;
use super::report::Freed;
use super::told;
use super::work::{Bench, Step, Unit};
use std::collections::VecDeque;
use std::time::Duration;
use stdx::Timestamp;
use store::blobs::BlobFile;
use store::{StoreError, Stores, attachments, spent_bodies};

/// Blobs looked up in one transaction.
const BLOBS_AT_ONCE: usize = 500;
/// A file's time is the kernel's coarse one, and so much behind the clock at most.
const COARSE_TIME: Duration = Duration::from_millis(50);

/// What may be collected.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Blobs that were last put before.
    pub orphans_before: Timestamp,
    /// Bodies that nobody knows to be spent: those put before. `None` = none, the queue could not be asked.
    pub bodies_before: Option<Timestamp>,
}

impl Bounds {
    /// Tells whether a blob that no row refers to is nobody's. A body that a job names has a key of its own, and goes when
    /// it is known that its content is in the stores; what is named by its content is an attachment.
    fn covers(&self, stores: &Stores, file: &BlobFile) -> Result<bool, StoreError> {
        if file.put_at >= self.orphans_before {
            return Ok(false);
        }
        if stores.db.read_blocking(|tx| spent_bodies::is_spent(tx, &file.key))? {
            return Ok(true);
        }
        if self.bodies_before.is_some_and(|before| file.put_at < before) {
            return Ok(true);
        }
        match stores.blobs.is_named_by_content(&file.key) {
            // It was collected half, and its name is gone: it is nobody's.
            Err(StoreError::Missing { .. }) => Ok(true),
            named => named,
        }
    }
}

/// Blobs that went, and the bytes that came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Collected {
    pub(super) blobs: u64,
    pub(super) bytes: u64,
}

/// Returns the blobs of a folder that nothing refers to.
pub(super) fn orphans(stores: &Stores, folder: u8, bounds: Bounds) -> Result<Vec<BlobFile>, StoreError> {
    let mut found = Vec::new();
    for files in old_files(stores, folder, bounds)?.chunks(BLOBS_AT_ONCE) {
        found.extend(orphans_of(stores, files, bounds)?);
    }
    Ok(found)
}

fn old_files(stores: &Stores, folder: u8, bounds: Bounds) -> Result<Vec<BlobFile>, StoreError> {
    Ok(stores.blobs.list(folder)?.into_iter().filter(|file| file.put_at < bounds.orphans_before).collect())
}

fn orphans_of(stores: &Stores, files: &[BlobFile], bounds: Bounds) -> Result<Vec<BlobFile>, StoreError> {
    let keys: Vec<String> = files.iter().map(|file| file.key.clone()).collect();
    let unreferenced = stores.db.read_blocking(|tx| attachments::unreferenced(tx, &keys))?;
    let mut found = Vec::new();
    for file in files.iter().filter(|file| unreferenced.contains(&file.key)) {
        if bounds.covers(stores, file)? {
            found.push(file.clone());
        }
    }
    Ok(found)
}

impl Bench<'_> {
    /// Collects, of the next blobs of a folder, those that nothing refers to.
    pub(super) fn collect_orphans(
        &self,
        unit: &Unit,
        (folder, bounds): (u8, Bounds),
        left: &mut Option<VecDeque<BlobFile>>,
    ) -> Result<Step, StoreError> {
        let left = match left {
            Some(left) => left,
            None => left.insert(old_files(self.stores, folder, bounds)?.into()),
        };
        let files: Vec<BlobFile> = left.drain(..left.len().min(BLOBS_AT_ONCE)).collect();
        let keys: Vec<String> = orphans_of(self.stores, &files, bounds)?.into_iter().map(|file| file.key).collect();
        let Collected { blobs: rows, bytes } = self.collect(&keys)?;
        let freed = Freed { model: Model::Blob, project_id: 0, rows, bytes };
        self.write(|tx| told::add(tx, self.sweep, &unit.name(), freed))?;
        Ok(Step { returned_bytes: bytes, is_done: left.is_empty() })
    }

    /// Collects those of the blobs that nothing refers to any more. Returns how many went.
    pub(super) fn collect(&self, keys: &[String]) -> Result<Collected, StoreError> {
        let mut collected = Collected::default();
        for keys in keys.chunks(BLOBS_AT_ONCE) {
            let (unreferenced, put_before) = self.stores.db.write_blocking(|tx| {
                let unreferenced = attachments::unreferenced(tx, keys)?;
                Ok::<_, StoreError>((unreferenced, self.clock.now().minus(COARSE_TIME)))
            })?;
            for key in unreferenced {
                if let Some(bytes) = self.stores.blobs.collect(&key, put_before)? {
                    collected.blobs += 1;
                    collected.bytes += bytes;
                }
            }
        }
        Ok(collected)
    }
}
