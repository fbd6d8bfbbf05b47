//! Who may send: a snapshot of all keys in memory, looked at without a lock on each request and refreshed when the
//! store changed, within `REFRESH_EVERY` also when another process changed it.

use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use stdx::component::ComponentError;
use stdx::{Shutdown, Timestamp};
use store::{StoreError, Stores};

/// A new or disabled key is known to every process within this time.
pub const REFRESH_EVERY: Duration = Duration::from_secs(2);
/// Unknown keys lead to the store at most this often: guessing keys must not load it.
const ASK_AGAIN_EVERY: Duration = Duration::from_secs(1);

/// What a request needs to know of its key.
#[derive(Clone, Copy, Debug)]
pub struct KeyEntry {
    pub key_id: i64,
    pub org_id: i64,
    pub project_id: i64,
    /// The key and its project are active.
    pub is_active: bool,
}

pub struct Keyring {
    stores: Arc<Stores>,
    keys: ArcSwap<HashMap<String, KeyEntry>>,
    asked_at: AtomicI64,
}

impl Keyring {
    /// Loads all keys.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn load(stores: Arc<Stores>) -> Result<Self, StoreError> {
        let keys = stores.db.read_blocking(snapshot)?;
        Ok(Keyring { keys: ArcSwap::from_pointee(keys), stores, asked_at: AtomicI64::new(0) })
    }

    pub fn find(&self, public_key: &str) -> Option<KeyEntry> {
        self.keys.load().get(public_key).copied()
    }

    /// Tells whether an unknown key may lead to the store now; true at most once in `ASK_AGAIN_EVERY`.
    pub fn may_ask_again(&self, now: Timestamp) -> bool {
        let asked = self.asked_at.load(Ordering::Relaxed);
        let is_due = now.since(Timestamp::from_micros(asked)) >= ASK_AGAIN_EVERY;
        is_due && self.asked_at.compare_exchange(asked, now.micros(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Reads the keys again. A key made a moment ago by another process is looked for this way before it is refused.
    ///
    /// # Errors
    /// If the store cannot be read; the old snapshot stays.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let keys = self.stores.db.read(snapshot).await?;
        self.keys.store(Arc::new(keys));
        Ok(())
    }

    /// Refreshes until the shutdown.
    ///
    /// # Errors
    /// None: a failed refresh is logged and tried again.
    pub async fn keep_fresh(self: Arc<Self>, shutdown: Shutdown) -> Result<(), ComponentError> {
        loop {
            tokio::select! {
                () = shutdown.triggered() => return Ok(()),
                () = tokio::time::sleep(REFRESH_EVERY) => {}
            }
            if let Err(error) = self.refresh().await {
                tracing::warn!(error = %error, "keys not refreshed");
            }
        }
    }
}

fn snapshot(tx: &mut db::Tx<'_>) -> Result<HashMap<String, KeyEntry>, StoreError> {
    let rows = store::keys::snapshot(tx)?;
    let entry = |row: store::keys::SnapshotRow| {
        let entry =
            KeyEntry { key_id: row.key_id, org_id: row.org_id, project_id: row.project_id, is_active: row.is_active };
        (row.public_key, entry)
    };
    Ok(rows.into_iter().map(entry).collect())
}
