//! Which place holds the job of an id: an open table of places only, four bytes each; the hashes are in the entries. The
//! standard map would spend 70 bytes a job on what the entries know already.

/// A cell without a place.
const EMPTY: u32 = u32::MAX;
const CELLS_MIN: usize = 64;

#[derive(Default)]
pub struct Ids {
    cells: Vec<u32>,
    count: usize,
}

impl Ids {
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns the place of a hash; `hash_of` says the hash of each place that is in the table.
    pub fn find(&self, hash: u128, hash_of: impl Fn(u32) -> u128) -> Option<u32> {
        if self.cells.is_empty() {
            return None;
        }
        let mut cell = self.home(hash);
        while self.cells[cell] != EMPTY {
            if hash_of(self.cells[cell]) == hash {
                return Some(self.cells[cell]);
            }
            cell = self.after(cell);
        }
        None
    }

    /// Takes a place in. Its hash must not be there.
    pub fn insert(&mut self, place: u32, hash_of: impl Fn(u32) -> u128) {
        if (self.count + 1) * 4 > self.cells.len() * 3 {
            let cells = vec![EMPTY; (self.cells.len() * 2).max(CELLS_MIN)];
            let before = std::mem::replace(&mut self.cells, cells);
            for place in before.into_iter().filter(|place| *place != EMPTY) {
                self.put(place, hash_of(place));
            }
        }
        self.put(place, hash_of(place));
        self.count += 1;
    }

    /// Forgets a place and closes the gap, so that no search ends early.
    pub fn remove(&mut self, place: u32, hash_of: impl Fn(u32) -> u128) {
        let mut gap = self.home(hash_of(place));
        while self.cells[gap] != place {
            assert!(self.cells[gap] != EMPTY, "the place is in the table");
            gap = self.after(gap);
        }
        self.count -= 1;
        let mut cell = self.after(gap);
        while self.cells[cell] != EMPTY {
            let home = self.home(hash_of(self.cells[cell]));
            // A cell may move into the gap if its home is not between the gap and itself, going round.
            let from_home = cell.wrapping_sub(home) & (self.cells.len() - 1);
            let from_gap = cell.wrapping_sub(gap) & (self.cells.len() - 1);
            if from_home >= from_gap {
                self.cells[gap] = self.cells[cell];
                gap = cell;
            }
            cell = self.after(cell);
        }
        self.cells[gap] = EMPTY;
    }

    fn put(&mut self, place: u32, hash: u128) {
        let mut cell = self.home(hash);
        while self.cells[cell] != EMPTY {
            cell = self.after(cell);
        }
        self.cells[cell] = place;
    }

    /// The number of cells is a power of two.
    fn home(&self, hash: u128) -> usize {
        hash as usize & (self.cells.len() - 1)
    }

    fn after(&self, cell: usize) -> usize {
        (cell + 1) & (self.cells.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn the_table_answers_as_a_map_does(steps in prop::collection::vec((any::<bool>(), 0u32..200), 0..600)) {
            // Few homes, so that runs of cells are long and go round the end.
            let hash_of = |place: u32| u128::from(place % 7 + 60) | u128::from(place) << 64;
            let (mut ids, mut model) = (Ids::default(), HashMap::new());
            for (is_insert, place) in steps {
                match (is_insert, model.contains_key(&place)) {
                    (true, false) => {
                        ids.insert(place, hash_of);
                        model.insert(place, ());
                    }
                    (false, true) => {
                        ids.remove(place, hash_of);
                        model.remove(&place);
                    }
                    _ => {}
                }
                prop_assert_eq!(ids.len(), model.len());
            }
            for place in 0..200 {
                let expected = model.contains_key(&place).then_some(place);
                prop_assert_eq!(ids.find(hash_of(place), hash_of), expected);
            }
        }
    }
}
