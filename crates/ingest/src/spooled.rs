//! What this process's spool holds, for all who ask: which folders changed since the store was told.

use queue::{Spool, SpoolFolder};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use stdx::Timestamp;
use store::spools::SpoolRow;

/// Who holds something says so at least this often; who holds nothing is silent.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// What was said last, by folder. One for the process.
pub struct Spooled {
    spool: Option<Arc<Spool>>,
    holder: String,
    told: HashMap<String, SpoolRow>,
}

impl Spooled {
    /// `holder` names the process, as people find it.
    pub fn new(spool: Option<Arc<Spool>>, holder: String) -> Spooled {
        Spooled { spool, holder, told: HashMap::new() }
    }

    /// Returns what is to be told.
    pub(crate) fn news(&self) -> Vec<SpoolRow> {
        let folders = self.spool.as_ref().map(|spool| spool.folders()).unwrap_or_default();
        let rows: Vec<SpoolRow> = folders.into_iter().map(|folder| self.row(folder)).collect();
        let gone: Vec<SpoolRow> = self.gone(&rows).collect();
        rows.into_iter().filter(|row| is_news(row, self.told.get(&row.id))).chain(gone).collect()
    }

    /// A folder that somebody removed holds nothing any more; the ledger must miss what it held.
    fn gone(&self, rows: &[SpoolRow]) -> impl Iterator<Item = SpoolRow> {
        let is_gone = |told: &&SpoolRow| told.jobs > 0 && !rows.iter().any(|row| row.id == told.id);
        self.told.values().filter(is_gone).map(|told| SpoolRow { jobs: 0, ..told.clone() })
    }

    pub(crate) fn were_told(&mut self, rows: Vec<SpoolRow>) {
        self.told.extend(rows.into_iter().map(|row| (row.id.clone(), row)));
    }

    fn row(&self, SpoolFolder { id, folder, jobs, bytes, oldest_age, at }: SpoolFolder) -> SpoolRow {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        SpoolRow {
            id,
            holder: self.holder.clone(),
            folder: folder.display().to_string(),
            jobs: number(jobs),
            bytes: number(bytes),
            oldest_at: oldest_age.map(|age: Duration| at.minus(age)),
            heard_at: at,
        }
    }
}

/// A clock that stepped back is told of at once.
fn is_news(row: &SpoolRow, told: Option<&SpoolRow>) -> bool {
    let Some(told) = told else { return true };
    let due: Timestamp = told.heard_at.plus(SAY_EVERY);
    row.jobs != told.jobs || row.jobs > 0 && (row.heard_at >= due || row.heard_at < told.heard_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_nothing_says_so_once_and_who_holds_something_goes_on_saying_it() {
        let row = |jobs, second| SpoolRow {
            id: "a".to_owned(),
            holder: "web".to_owned(),
            folder: "spool/0".to_owned(),
            jobs,
            bytes: 0,
            oldest_at: None,
            heard_at: Timestamp::from_seconds(second),
        };
        assert!(is_news(&row(0, 100), None), "another may have said something of the folder");
        assert!(!is_news(&row(0, 900), Some(&row(0, 100))));
        assert!(is_news(&row(1, 101), Some(&row(0, 100))) && is_news(&row(0, 101), Some(&row(1, 100))));
        assert!(!is_news(&row(1, 104), Some(&row(1, 100))));
        assert!(is_news(&row(1, 105), Some(&row(1, 100))) && is_news(&row(1, 99), Some(&row(1, 100))));
        let mut spooled = Spooled::new(None, "web".to_owned());
        spooled.were_told(vec![row(3, 100)]);
        assert_eq!(spooled.news(), [row(0, 100)], "somebody removed the folder");
        spooled.were_told(spooled.news());
        assert_eq!(spooled.news(), []);
    }
}
