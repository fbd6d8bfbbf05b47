//! One folder of a spool: an embedded queue with one queue in it, and an id that stays with the folder whoever opens it.
//! Only the process that has the folder's lock may speak for it.

use super::QUEUE;
use super::apart::Apart;
use crate::brokers::embedded::{Config, Embedded};
use crate::{Broker, QueueError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use stdx::{Clock, Timestamp};

/// The file with the folder's id. Backups have it, so that a restored folder is the same one.
const ID_FILE: &str = "id";
/// Written first, then renamed.
const ID_FILE_NEW: &str = "id.new";
const ID_BYTES: usize = 16;

/// A folder that this process has, or had and found empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolFolder {
    /// The same for as long as the folder is there.
    pub id: String,
    pub folder: PathBuf,
    pub jobs: u64,
    /// With what its jobs have elsewhere.
    pub bytes: u64,
    pub oldest_age: Option<Duration>,
    /// When it was so.
    pub at: Timestamp,
}

pub(super) struct Kept {
    pub id: String,
    pub folder: PathBuf,
    pub queue: Embedded,
    /// Jobs in it and not yet forwarded.
    held: AtomicU64,
    /// Of them, those that hold nobody up.
    pub apart: Apart,
}

impl Kept {
    /// Opens the folder with a number, and everything that waits in it.
    ///
    /// # Errors
    /// `Owned` if another process has it.
    pub fn open(config: &Config, number: usize, clock: Arc<dyn Clock>) -> Result<Kept, QueueError> {
        let folder = folder_of(config, number);
        let queue = Embedded::open(Config { folder: folder.clone(), ..config.clone() }, clock)?;
        let id = id_of(&folder).map_err(|source| QueueError::Files { folder: folder.clone(), source })?;
        super::forward::revive(&queue);
        queue.declare(QUEUE)?;
        let held = AtomicU64::new(jobs_in(&queue)?);
        Ok(Kept { id, folder, queue, held, apart: Apart::default() })
    }

    pub fn held(&self) -> u64 {
        self.held.load(Ordering::SeqCst)
    }

    /// Jobs behind which whatever is published waits.
    pub fn ahead(&self) -> u64 {
        self.held().saturating_sub(self.apart.count())
    }

    pub fn count_in(&self, jobs: u64) {
        self.held.fetch_add(jobs, Ordering::SeqCst);
    }

    pub fn count_out(&self, jobs: u64) {
        self.held.fetch_sub(jobs, Ordering::SeqCst);
    }

    /// What it holds durably; `None` once somebody removed it.
    pub fn look(&self, at: Timestamp) -> Option<SpoolFolder> {
        let depths = self.queue.depths().ok()?;
        let depth = depths.into_iter().find(|depth| depth.queue == QUEUE).unwrap_or_default();
        let jobs = depth.ready + depth.delayed + depth.leased;
        let (id, folder) = (self.id.clone(), self.folder.clone());
        Some(SpoolFolder { id, folder, jobs, bytes: depth.bytes, oldest_age: depth.oldest_age, at })
    }

    /// Why it takes nothing, if somebody removed it.
    pub fn why_lost(&self) -> Option<String> {
        let is_lost = !self.queue.owns_its_folder();
        is_lost.then(|| format!("somebody removed its folder {}", self.folder.display()))
    }
}

pub(super) fn folder_of(config: &Config, number: usize) -> PathBuf {
    config.folder.join(number.to_string())
}

pub(super) fn jobs_in(queue: &Embedded) -> Result<u64, QueueError> {
    Ok(queue.depths()?.iter().map(|depth| depth.ready + depth.delayed + depth.leased).sum())
}

/// Returns the id, a new one if it has none. Whoever calls has the folder's lock. One that is cut short is made anew.
fn id_of(folder: &Path) -> std::io::Result<String> {
    let path = folder.join(ID_FILE);
    match std::fs::read_to_string(&path) {
        Ok(id) if id.len() == 2 * ID_BYTES && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => return Ok(id),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let id = stdx::random::hex::<ID_BYTES>();
    let new = folder.join(ID_FILE_NEW);
    let mut file = std::fs::File::create(&new)?;
    file.write_all(id.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, &path)?;
    Ok(id)
}
