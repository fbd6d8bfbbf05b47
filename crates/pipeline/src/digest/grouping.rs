//! How an event was grouped, in the store's words: its hashes, and beside its payload by what they were made.

use processing::group::{self, GroupConfig, Grouper, Grouping, Hash16};
use protocol::event::Event;
use serde_json::{Value, json};
use stdx::Timestamp;
use store::digest::GroupHash;
use store::{StoreError, Stores, issues};

/// Returns what is stored with the event: the hashes, the versions of everything they depend on, and the title if a rule
/// gave it, since pages show events without asking rules.
pub fn record(grouper: &Grouper, grouping: &Grouping) -> Value {
    let GroupConfig { name, .. } = &grouper.config;
    let mut record = json!({
        "config": name.as_str(),
        "rules": name.rules_version(),
        "patterns": name.patterns_version(),
        "normaliser": processing::normalise::VERSION,
        "revision": grouper.revision,
        "hashes": grouping.hashes.iter().map(|hash| stdx::hex::encode(hash)).collect::<Vec<_>>(),
    });
    if let Some(title) = &grouping.title {
        record["title"] = Value::from(title.as_str());
    }
    record
}

/// Returns the hashes beside the primary one.
pub fn others(grouping: &Grouping) -> Vec<GroupHash> {
    grouping.hashes.iter().skip(1).map(group_hash).collect()
}

fn group_hash(hash: &Hash16) -> GroupHash {
    GroupHash { key: group::key_of(hash), hash: stdx::hex::encode(hash) }
}

/// Returns the keys of the hashes that the project's configuration before made, where one is to be asked: while that
/// lasts, and only for an event of which no hash is known, for it costs a second grouping. What is found here is only
/// asked in the transaction that counts the event, so it does not matter if another batch makes the hash known meanwhile.
///
/// # Errors
/// If the metadata cannot be read.
pub fn former_keys(
    stores: &Stores,
    grouper: &Grouper,
    (project_id, received_at): (i64, Timestamp),
    event: &Event<'_>,
    grouping: &Grouping,
) -> Result<Vec<i64>, StoreError> {
    let Some(former) = grouper.former_at(received_at) else { return Ok(Vec::new()) };
    let keys: Vec<i64> = grouping.hashes.iter().map(group::key_of).collect();
    let is_known = stores.db.read_blocking(|tx| {
        for key in &keys {
            if issues::id_by_group(tx, project_id, *key)?.is_some() {
                return Ok(true);
            }
        }
        Ok::<_, StoreError>(false)
    })?;
    if is_known {
        return Ok(Vec::new());
    }
    Ok(group::group(event, former).hashes.iter().map(group::key_of).collect())
}

/// The hashes a stored body says it was grouped by, the primary one first; none where an earlier release wrote it.
pub fn recorded(body: &[u8]) -> Vec<GroupHash> {
    let header = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let header: Value = serde_json::from_slice(header).unwrap_or_default();
    let hashes = header["grouping"]["hashes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    hashes.filter_map(stdx::hex::decode).map(|hash: Hash16| group_hash(&hash)).collect()
}
