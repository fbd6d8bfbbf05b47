//! Removal of single events of a day that goes on, exact through any death: what goes is noted first, in one transaction
//! with the counts that speak of it, then removed from its day, then forgotten. Whoever finds such a note carries it out.

use crate::days::OpenDay;
use crate::removals::DAY_REMOVED;
use crate::{StoreError, removals, settings};
use db::{FromRow, Row, Tx, Val};
use std::collections::{BTreeMap, HashSet};
use stdx::{Day, Timestamp, hex};

/// Notes are settings under this name and, where several are at work, of names that begin with it.
const SETTING: &str = "retention.removing";

/// A group's stored events of a day, more than are to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd {
    pub project_id: i64,
    pub group_key: i64,
    /// How many may go, of the oldest, passing over the first where it is the group's.
    pub surplus: i64,
    pub holds_first: bool,
}

impl FromRow for Crowd {
    fn from_row(row: &Row<'_>) -> Result<Self, db::DbError> {
        let (count, spared, holds_first): (i64, i64, i64) = (row.get(2)?, row.get(3)?, row.get(4)?);
        Ok(Crowd {
            project_id: row.get(0)?,
            group_key: row.get(1)?,
            surplus: count - spared - holds_first,
            holds_first: holds_first != 0,
        })
    }
}

/// Returns groups with more than `keep` stored events on a day, in order of project and key behind `after`. The first and
/// the last stored event of a group are kept whatever `keep` is. A range of `group_day_by_day`, two looks into the
/// primary key for each of its groups.
///
/// # Errors
/// If the database fails.
pub fn crowds(tx: &mut Tx<'_>, day: Day, keep: i64, after: (i64, i64), limit: usize) -> Result<Vec<Crowd>, StoreError> {
    Ok(tx.query(
        "SELECT project_id, group_key, event_count, spared, holds_first FROM (
             SELECT g.project_id AS project_id, g.group_key AS group_key, g.event_count AS event_count,
                    MAX($2, NOT EXISTS (
                        SELECT 1 FROM group_day o JOIN event_day d ON d.day = o.day AND d.state = 'open'
                        WHERE o.project_id = g.project_id AND o.group_key = g.group_key AND o.day > g.day)) AS spared,
                    NOT EXISTS (
                        SELECT 1 FROM group_day o JOIN event_day d ON d.day = o.day AND d.state = 'open'
                        WHERE o.project_id = g.project_id AND o.group_key = g.group_key AND o.day < g.day) AS holds_first
             FROM group_day g
             WHERE g.day = $1 AND (g.project_id, g.group_key) > ($3, $4) AND g.event_count > $2) crowd
         WHERE event_count > spared + holds_first
         ORDER BY project_id, group_key LIMIT $5",
        &[Val::from(day), Val::Int(keep), Val::Int(after.0), Val::Int(after.1), Val::Int(limit as i64)],
    )?)
}

/// A stored event that is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Victim {
    pub project_id: i64,
    pub group_key: i64,
    pub event_id: [u8; 16],
    pub body_bytes: u64,
}

/// Events of a day that are noted as removed, and whose rows may be there still.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Removing {
    /// Where it is noted.
    slot: String,
    day: Day,
    generation: i64,
    /// Hexadecimal ids by project.
    events: BTreeMap<i64, Vec<String>>,
}

impl Removing {
    pub fn day(&self) -> OpenDay {
        OpenDay { day: self.day, generation: self.generation }
    }

    pub fn events(&self) -> impl Iterator<Item = (i64, Vec<[u8; 16]>)> {
        self.events.iter().map(|(project_id, ids)| (*project_id, ids.iter().filter_map(|id| hex::decode(id)).collect()))
    }

    fn text(&self) -> String {
        serde_json::to_string(self).expect("plain data is JSON")
    }
}

/// Whose removal it is: each notes one lot at a time, and carries it out before it notes the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remover<'a> {
    /// The disk governor; attachments go with their events.
    Governor,
    /// The sweep of a project's part of a day; attachments have a policy of their own.
    Project(&'a OpenDay, i64),
}

impl Remover<'_> {
    fn slot(&self) -> String {
        match self {
            Remover::Governor => SETTING.to_owned(),
            Remover::Project(day, project_id) => format!("{SETTING}.{}.g{}.{project_id}", day.day, day.generation),
        }
    }
}

/// What was noted, and the content of attachments that went with it.
#[derive(Clone, Debug)]
pub struct Noted {
    pub removing: Removing,
    /// Events and bytes of bodies, by project.
    pub sums: BTreeMap<i64, (u64, u64)>,
    /// Attachments and bytes of their content, by project.
    pub attachments: BTreeMap<i64, (u64, u64)>,
    pub blobs: Vec<String>,
}

/// Notes those of the victims as removed that are counted: with their day's counts by group, and their attachments. A row
/// that is not counted yet, or that the deletion of its issue has noted as removed, is somebody's work in progress, and
/// stays.
///
/// # Errors
/// If the database fails.
pub fn note(
    tx: &mut Tx<'_>,
    remover: Remover<'_>,
    day: &OpenDay,
    victims: &[Victim],
    now: Timestamp,
) -> Result<Noted, StoreError> {
    let (slot, events) = (remover.slot(), BTreeMap::new());
    let mut removing = Removing { slot, day: day.day, generation: day.generation, events };
    let (mut sums, mut groups) = (BTreeMap::new(), BTreeMap::new());
    let (mut attachments, mut blobs): (BTreeMap<i64, (u64, u64)>, _) = (BTreeMap::new(), Vec::new());
    for victim in counted(tx, day.day, victims)? {
        let Victim { project_id, group_key, event_id, body_bytes } = victim;
        removing.events.entry(project_id).or_default().push(hex::encode(&event_id));
        let sum: &mut (u64, u64) = sums.entry(project_id).or_default();
        *sum = (sum.0 + 1, sum.1 + body_bytes);
        *groups.entry((project_id, group_key)).or_insert(0_i64) += 1;
        if remover == Remover::Governor {
            for (key, bytes) in delete_attachments(tx, day.day, project_id, &event_id)? {
                let sum = attachments.entry(project_id).or_default();
                *sum = (sum.0 + 1, sum.1 + bytes.unsigned_abs());
                blobs.push(key);
            }
        }
    }
    for ((project_id, group_key), count) in groups {
        move_count(tx, day.day, (project_id, group_key), count)?;
    }
    for (project_id, (events, _)) in &sums {
        removals::note(tx, day.day, *project_id, *events as i64, now)?;
    }
    if !sums.is_empty() {
        settings::set(tx, &removing.slot, &removing.text(), now)?;
    }
    Ok(Noted { removing, sums, attachments, blobs })
}

/// Returns what was noted and not forgotten yet, by whomever.
///
/// # Errors
/// If the database fails.
pub fn removing(tx: &mut Tx<'_>) -> Result<Vec<Removing>, StoreError> {
    let noted = settings::with_prefix(tx, SETTING)?;
    Ok(noted.iter().filter_map(|(_, text)| serde_json::from_str(text).ok()).collect())
}

/// Returns what this one noted, and nobody forgot yet.
///
/// # Errors
/// If the database fails.
pub fn removing_by(tx: &mut Tx<'_>, remover: Remover<'_>) -> Result<Option<Removing>, StoreError> {
    Ok(settings::get(tx, &remover.slot())?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Forgets what was noted: its rows are gone. A later note in its place stays.
///
/// # Errors
/// If the database fails.
pub fn forget(tx: &mut Tx<'_>, removing: &Removing) -> Result<(), StoreError> {
    settings::delete_if(tx, &removing.slot, &removing.text())
}

fn counted(tx: &mut Tx<'_>, day: Day, victims: &[Victim]) -> Result<Vec<Victim>, StoreError> {
    let ids: Vec<(i64, [u8; 16])> = tx.query_many(
        "SELECT project_id, event_id FROM digested
         WHERE day = $1 AND project_id = $2 AND event_id = $3
             AND NOT EXISTS (
                 SELECT 1 FROM issue_deletion_event e WHERE e.project_id = $2 AND e.day = $1 AND e.event_id = $3)",
        victims.iter().map(|victim| [Val::from(day), Val::Int(victim.project_id), Val::Blob(&victim.event_id)]),
    )?;
    let ids: HashSet<(i64, [u8; 16])> = ids.into_iter().collect();
    Ok(victims.iter().filter(|victim| ids.contains(&(victim.project_id, victim.event_id))).copied().collect())
}

fn delete_attachments(
    tx: &mut Tx<'_>,
    day: Day,
    project_id: i64,
    event_id: &[u8; 16],
) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(tx.query(
        "DELETE FROM attachment WHERE project_id = $1 AND event_id = $2 AND day = $3 RETURNING blob_key, size_bytes",
        &[Val::Int(project_id), Val::Blob(event_id), Val::from(day)],
    )?)
}

/// Moves a part of a group's count of a day to where no page looks for events; sums stay. The deletion of an issue has
/// moved the counts of its events already, where they are not noted yet: then there is less, and nothing of it moves twice.
fn move_count(tx: &mut Tx<'_>, day: Day, group: (i64, i64), count: i64) -> Result<(), StoreError> {
    let (project_id, group_key) = group;
    let place = [Val::Int(project_id), Val::Int(group_key), Val::from(day)];
    let there: Option<(i64,)> = tx
        .query_opt("SELECT event_count FROM group_day WHERE project_id = $1 AND group_key = $2 AND day = $3", &place)?;
    let Some((there,)) = there else { return Ok(()) };
    if there <= count {
        tx.execute("DELETE FROM group_day WHERE project_id = $1 AND group_key = $2 AND day = $3", &place)?;
    } else {
        let [project_id, group_key, day] = place;
        tx.execute(
            "UPDATE group_day SET event_count = event_count - $4 WHERE project_id = $1 AND group_key = $2 AND day = $3",
            &[project_id, group_key, day, Val::Int(count)],
        )?;
    }
    tx.execute(
        "INSERT INTO group_day (project_id, group_key, day, event_count) VALUES ($1, $2, $3, $4)
         ON CONFLICT (project_id, group_key, day) DO UPDATE
         SET event_count = group_day.event_count + excluded.event_count",
        &[Val::Int(project_id), Val::Int(group_key), Val::from(DAY_REMOVED), Val::Int(count.min(there))],
    )?;
    Ok(())
}
