//! Do the stores give back what is written to them? Settings that disagree are refused when the configuration is read;
//! here a probe record goes through the writers and the readers themselves, at every start.

use anyhow::Context;
use stdx::Timestamp;
use store::Stores;
use store::probe::{self, ProbeError};

/// The stores do not give back what they took; exit code 78.
#[derive(Debug, thiserror::Error)]
#[error("{0}; it reads another store than the digest writes: let storage.* follow database.url and events.url")]
pub struct Disagreement(#[source] pub ProbeError);

/// Writes a probe record and reads it back, by each storage role. Returns what came of it.
///
/// # Errors
/// If a role does not find it, or a store is damaged. One that cannot be written now (a full disk) is waited for: health
/// says so, and what is stored can be read meanwhile.
pub fn validate(stores: &Stores, now: Timestamp) -> anyhow::Result<String> {
    match probe::run(stores, now) {
        Ok(roles) => Ok(format!("probe record found by {}", roles.join(", "))),
        Err(ProbeError::Store { role, source }) if source.is_unwritable() => {
            let why = stdx::causes::on_one_line(&*source);
            tracing::warn!(role, error = why, "probe record not written");
            Ok(format!("not proved: {why}"))
        }
        Err(error @ ProbeError::Lost { .. }) => Err(Disagreement(error).into()),
        Err(error @ ProbeError::Store { .. }) => Err(error).context("prove that the stores agree"),
    }
}
