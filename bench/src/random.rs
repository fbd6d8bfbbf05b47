//! A small seeded generator (SplitMix64), so that a run can be repeated. Not for secrets.

/// A sequence that depends on its seed alone.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound
    }

    /// Returns one of `items`.
    pub fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[usize::try_from(self.below(items.len() as u64)).expect("an index fits")]
    }

    /// Returns 32 hexadecimal digits of a version 4 UUID.
    pub fn event_id(&mut self) -> String {
        let high = self.next_u64() & !0xf000 | 0x4000;
        let low = self.next_u64() & !(3 << 62) | (2 << 62);
        format!("{high:016x}{low:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence_and_ids_are_uuids() {
        let (mut a, mut b) = (Random::new(7), Random::new(7));
        let id = a.event_id();
        assert_eq!(id, b.event_id());
        assert_ne!(id, a.event_id());
        assert_eq!((id.len(), &id[12..13]), (32, "4"));
        assert!("89ab".contains(&id[16..17]));
    }
}
