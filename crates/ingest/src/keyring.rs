//! Who may send: a snapshot of all keys in memory, looked at without a lock on each request and refreshed when the
//! store changed, within `REFRESH_EVERY` also when another process changed it.

use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stdx::component::ComponentError;
use stdx::{Shutdown, Timestamp};
use store::{StoreError, Stores};

/// A new or disabled key is known to every process within this time.
pub const REFRESH_EVERY: Duration = Duration::from_secs(2);
/// Lookups of unknown keys in a second: guessing keys must not load the store.
const LOOKUPS_PER_SECOND: u32 = 200;

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
    /// The second that is counted, and the lookups in it.
    asked: Mutex<(Timestamp, u32)>,
}

impl Keyring {
    /// Loads all keys.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn load(stores: Arc<Stores>) -> Result<Self, StoreError> {
        let keys = stores.db.read_blocking(snapshot)?;
        Ok(Keyring { keys: ArcSwap::from_pointee(keys), stores, asked: Mutex::default() })
    }

    pub fn find(&self, public_key: &str) -> Option<KeyEntry> {
        self.keys.load().get(public_key).copied()
    }

    /// Returns the key, asking the store for one that is not in the snapshot: it may have been made a moment ago by
    /// another process. Strangers' guesses reach the store at most `LOOKUPS_PER_SECOND` times.
    pub async fn find_or_ask(&self, public_key: &str, now: Timestamp) -> Option<KeyEntry> {
        if let Some(found) = self.find(public_key) {
            return Some(found);
        }
        if !self.may_ask(now) {
            return None;
        }
        let text = public_key.to_owned();
        match self.stores.db.read(move |tx| store::keys::find(tx, &text)).await {
            Ok(row) => row.map(entry_of),
            Err(error) => {
                let error: StoreError = error;
                tracing::warn!(error = %error, "unknown key not looked up");
                None
            }
        }
    }

    fn may_ask(&self, now: Timestamp) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(asked.0) >= Duration::from_secs(1) {
            *asked = (now, 0);
        }
        asked.1 += 1;
        asked.1 <= LOOKUPS_PER_SECOND
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
    Ok(rows.into_iter().map(|row| (row.public_key.clone(), entry_of(row))).collect())
}

fn entry_of(row: store::keys::SnapshotRow) -> KeyEntry {
    KeyEntry { key_id: row.key_id, org_id: row.org_id, project_id: row.project_id, is_active: row.is_active }
}
