//! Takes events that repeat others out of a day: of each group so many stay, the newest of the day, and always the group's
//! first and last stored one. Each step is bounded, and exact through any death (`store::thinning`).

use super::conduct::Origin;
use super::work::{Bench, EVENTS_AT_ONCE};
use super::{Freed, Model, told};
use store::days::{self, OpenDay};
use store::events::{EventWeight, ListQuery};
use store::thinning::{self, Crowd, Noted, Remover, Removing, Victim};
use store::{StoreError, Stores};

/// Groups looked at in one step.
const GROUPS_AT_ONCE: usize = 500;

/// So much room a removed event may take at most until the log is folded: pages of the day's two files and of metadata.
const ROOM_OF_EVENT: u64 = 128 << 10;
/// With less room than this, logs are folded after each change, and changes are smaller.
const ROOM_TIGHT: u64 = 64 << 20;
/// A change is never smaller, or there would be no end.
const EVENTS_AT_ONCE_MIN: usize = 8;

/// What a step is about.
pub(super) struct Thinning<'a> {
    pub(super) day: &'a OpenDay,
    /// Of each group so many events stay.
    pub(super) keep: i64,
    /// Bytes that may be written meanwhile: what removes events must not fill the disk.
    pub(super) room: u64,
}

impl Thinning<'_> {
    fn events_at_once(&self) -> usize {
        let fitting = usize::try_from(self.room / ROOM_OF_EVENT).unwrap_or(EVENTS_AT_ONCE);
        fitting.clamp(EVENTS_AT_ONCE_MIN, EVENTS_AT_ONCE)
    }

    fn is_tight(&self) -> bool {
        self.room < ROOM_TIGHT
    }
}

/// How far a day has been gone through: the last group of which nothing is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(i64, i64);

impl Place {
    pub(super) const BEGINNING: Place = Place(i64::MIN, i64::MIN);
}

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Thinned {
    pub returned_bytes: u64,
    pub is_done: bool,
}

/// Carries out what an earlier sweep noted and did not live to do. To be called under the lock of sweeps.
pub(super) fn finish_noted(stores: &Stores) -> Result<(), StoreError> {
    let noted = stores.db.read_blocking(thinning::removing)?;
    noted.iter().try_for_each(|removing| carry_out(stores, removing))
}

pub(super) fn carry_out(stores: &Stores, removing: &Removing) -> Result<(), StoreError> {
    for (project_id, event_ids) in removing.events() {
        stores.events.remove_events(&removing.day(), project_id, &event_ids)?;
    }
    stores.db.write_blocking(|tx| thinning::forget(tx, removing))
}

/// Victims of one step.
#[derive(Default)]
struct Chosen {
    victims: Vec<Victim>,
    /// The last group that gives all it has to.
    reached: Option<Place>,
    looked_at: Option<Place>,
}

impl Bench<'_> {
    /// Takes some events out of a day that has more than `keep` of their groups, and gives their disk back.
    pub(super) fn thin(&self, thinning: &Thinning<'_>, place: &mut Place) -> Result<Thinned, StoreError> {
        let Thinning { day, keep, .. } = *thinning;
        let after = (place.0, place.1);
        let crowds = self.stores.db.read_blocking(|tx| thinning::crowds(tx, day.day, keep, after, GROUPS_AT_ONCE))?;
        let Chosen { victims, reached, looked_at } = self.choose(day, &crowds, thinning.events_at_once())?;
        if victims.is_empty() {
            *place = crowds.last().map_or(*place, place_of);
            return Ok(Thinned { is_done: crowds.len() < GROUPS_AT_ONCE, ..Thinned::default() });
        }
        let (now, before) = (self.clock.now(), self.stores.events.size_bytes(day)?);
        let noted = self.write(|tx| {
            if !days::is_current(tx, day)? {
                return Ok(None);
            }
            let noted = thinning::note(tx, Remover::Governor, day, &victims, now)?;
            self.tell_thinned(tx, &noted)?;
            Ok(Some(noted))
        })?;
        let Some(noted) = noted else { return Ok(Thinned { is_done: true, ..Thinned::default() }) };
        carry_out(self.stores, &noted.removing)?;
        // Groups of which nothing could go, because nothing of them is counted yet, are passed over.
        let gone_through = if noted.sums.is_empty() { looked_at } else { reached };
        *place = gone_through.unwrap_or(*place);
        self.compact(thinning)?;
        let of_day = before.saturating_sub(self.stores.events.size_bytes(day)?);
        let returned_bytes = of_day + self.collect(&noted.blobs)?.bytes;
        Ok(Thinned {
            returned_bytes,
            is_done: crowds.len() < GROUPS_AT_ONCE && gone_through == crowds.last().map(place_of),
        })
    }

    fn tell_thinned(&self, tx: &mut db::Tx<'_>, noted: &Noted) -> Result<(), StoreError> {
        let mut add = |model, project_id, (rows, bytes)| {
            told::add(tx, self.sweep, Origin::Governor.name(), Freed { model, project_id, rows, bytes })
        };
        noted.sums.iter().try_for_each(|(project_id, sum)| add(Model::Event, *project_id, *sum))?;
        noted.attachments.iter().try_for_each(|(project_id, sum)| add(Model::Attachment, *project_id, *sum))
    }

    /// Returns as many victims as one step takes, the oldest of each group.
    fn choose(&self, day: &OpenDay, crowds: &[Crowd], limit: usize) -> Result<Chosen, StoreError> {
        let mut chosen = Chosen::default();
        for crowd in crowds {
            let room = limit - chosen.victims.len();
            if room == 0 {
                break;
            }
            let wanted = usize::try_from(crowd.surplus).unwrap_or(usize::MAX);
            chosen.victims.extend(self.oldest(day, crowd, wanted.min(room))?);
            chosen.looked_at = Some(place_of(crowd));
            if wanted <= room {
                chosen.reached = chosen.looked_at;
            }
        }
        Ok(chosen)
    }

    fn oldest(&self, day: &OpenDay, crowd: &Crowd, limit: usize) -> Result<Vec<Victim>, StoreError> {
        let Crowd { project_id, group_key, holds_first, .. } = *crowd;
        let passed_over = usize::from(holds_first);
        let keys = [group_key];
        let limit = limit + passed_over;
        let query = ListQuery { project_id, group_keys: Some(&keys), bound: None, newest_first: false, limit };
        let weights = self.stores.events.weigh(day, &query)?;
        Ok(weights.iter().skip(passed_over).map(|weight| victim(project_id, weight)).collect())
    }

    /// Gives all free pages of a day back.
    fn compact(&self, thinning: &Thinning<'_>) -> Result<(), StoreError> {
        loop {
            if thinning.is_tight() {
                self.stores.checkpoint_truncate()?;
            }
            if !self.stores.events.compact_step(thinning.day)?.has_more {
                return Ok(());
            }
        }
    }
}

pub(super) fn victim(project_id: i64, weight: &EventWeight) -> Victim {
    let EventWeight { event_id, group_key, body_bytes, seq: _ } = *weight;
    Victim { project_id, group_key, event_id, body_bytes }
}

fn place_of(crowd: &Crowd) -> Place {
    Place(crowd.project_id, crowd.group_key)
}
