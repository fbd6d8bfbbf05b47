//! Spools of all web processes: what each holds while the broker is away, and whose it is. Superusers look, and act with
//! `queues.admin`; the system does both.

use crate::audit::{self, Note};
use crate::{Actor, ApiError, Caller, Ops, Permission};
use std::time::Duration;
pub use store::spools::SpoolRow;

/// Who holds something says so every few seconds; after this nobody has it.
pub const UNHEARD_AFTER: Duration = Duration::from_secs(30);

/// Processes that one sentence names.
const HOLDERS_NAMED: usize = 5;

/// A folder that holds something, and whether anybody has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSpool {
    pub row: SpoolRow,
    pub is_heard: bool,
    /// Since its process was heard.
    pub silent: Duration,
    /// Age of the oldest event in it.
    pub oldest_age: Option<Duration>,
}

impl HeldSpool {
    /// Whose it is, as pages, commands and health say it.
    pub fn whose(&self) -> String {
        let SpoolRow { holder, folder, .. } = &self.row;
        let silent = self.silent.as_secs();
        match self.is_heard {
            true => format!("{folder} of {holder}, heard {silent} s ago"),
            false => format!(
                "{folder}, last of {holder}, heard {silent} s ago: nobody forwards it until a web process starts on its data folder"
            ),
        }
    }
}

/// What it means that a spool of so many events is forgotten, as pages and commands say it.
pub fn forgotten(folder: &str, jobs: i64) -> String {
    format!("{folder} is forgotten; the ledger misses {jobs} events")
}

/// Says that what is not found may be in spools that this process cannot look into: all but `own`. `None` if there are none.
/// Whose they are is for superusers.
pub(crate) fn elsewhere(rows: &[SpoolRow], own: &[String], names_them: bool) -> Option<String> {
    let others: Vec<&SpoolRow> = rows.iter().filter(|row| row.jobs > 0 && !own.contains(&row.id)).collect();
    let jobs: i64 = others.iter().map(|row| row.jobs).sum();
    let whose = match (others.len(), names_them) {
        (0, _) => return None,
        (_, true) => {
            let named = others.iter().take(HOLDERS_NAMED).map(|row| row.holder.as_str()).collect::<Vec<_>>().join(", ");
            let more = others.len().saturating_sub(HOLDERS_NAMED);
            if more > 0 { format!("{named} and {more} more") } else { named }
        }
        (1, false) => "another web process".to_owned(),
        (more, false) => format!("{more} other web processes"),
    };
    let events = if jobs == 1 { "1 event waits".to_owned() } else { format!("{jobs} events wait") };
    Some(format!("{events} in spools of {whose}, which cannot be looked into from here"))
}

/// Returns the spools that hold something.
///
/// # Errors
/// `SuperuserNeeded` or `PermissionMissing` for anybody else; so for all of this file.
pub async fn list(cx: &Ops, actor: &Actor) -> Result<Vec<HeldSpool>, ApiError> {
    actor.require_superuser()?;
    let now = cx.clock.now();
    let rows = cx.read("list the spools", |tx| Ok(store::spools::list(tx)?)).await?;
    let held = |row: SpoolRow| {
        let silent = now.since(row.heard_at);
        let oldest_age = row.oldest_at.map(|at| now.since(at));
        HeldSpool { is_heard: silent < UNHEARD_AFTER, silent, oldest_age, row }
    };
    Ok(rows.into_iter().map(held).collect())
}

/// Forgets a spool that went with its machine. What was in it is missed by the ledger from then on, and can be written off.
///
/// # Errors
/// `NotFound` if no spool has the id; `Conflict` while a process has it.
pub async fn forget(cx: &Ops, caller: &Caller, id: &str) -> Result<SpoolRow, ApiError> {
    caller.require_permission(Permission::QueuesAdmin)?;
    let (id, now, by) = (id.to_owned(), cx.clock.now(), caller.clone());
    cx.write("forget a spool", move |tx| {
        let row = store::spools::list(tx)?.into_iter().find(|row| row.id == id).ok_or(ApiError::NotFound)?;
        if now.since(row.heard_at) < UNHEARD_AFTER {
            let detail = format!("{} has this spool and forwards it.", row.holder);
            return Err(ApiError::Conflict { detail }.into());
        }
        store::spools::forget(tx, &row.id)?;
        let note = Note::new("spool.forget", &row.folder).detail(&format!("{} events of {}", row.jobs, row.holder));
        audit::note(tx, &by, &note, now)?;
        Ok(row)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::Timestamp;

    #[test]
    fn spools_of_others_are_told_of_and_named_to_superusers_alone() {
        let row = |id: &str, jobs| SpoolRow {
            id: id.to_owned(),
            holder: format!("web@{id} (7)"),
            folder: String::new(),
            jobs,
            bytes: 0,
            oldest_at: None,
            heard_at: Timestamp::EPOCH,
        };
        let check = |rows: &[SpoolRow], names_them, expected: Option<&str>| {
            let expected = expected.map(|text| format!("{text}, which cannot be looked into from here"));
            assert_eq!(elsewhere(rows, &["own".to_owned()], names_them), expected);
        };
        check(&[row("own", 4), row("b", 0)], true, None);
        check(&[row("own", 4), row("b", 1)], true, Some("1 event waits in spools of web@b (7)"));
        check(&[row("b", 1), row("c", 2)], true, Some("3 events wait in spools of web@b (7), web@c (7)"));
        check(&[row("b", 1), row("c", 2)], false, Some("3 events wait in spools of 2 other web processes"));
        check(&[row("b", 2)], false, Some("2 events wait in spools of another web process"));
        let many: Vec<SpoolRow> = (0..7).map(|number| row(&number.to_string(), 1)).collect();
        assert!(elsewhere(&many, &[], true).expect("others").contains("web@4 (7) and 2 more,"));
    }
}
