//! A set of frames of one stack, as bits: rules are evaluated on all frames at once.

/// Frames a set can hold. Normalised stacks have at most 250; frames beyond are never in a set.
pub const FRAMES_MAX: usize = WORDS * 64;
const WORDS: usize = 4;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bits([u64; WORDS]);

impl Bits {
    /// Returns the set of the first `count` frames.
    pub fn first(count: usize) -> Bits {
        let mut bits = Bits::default();
        (0..count.min(FRAMES_MAX)).for_each(|index| bits.set(index, true));
        bits
    }

    pub fn set(&mut self, index: usize, on: bool) {
        if let Some(word) = self.0.get_mut(index / 64) {
            let bit = 1 << (index % 64);
            *word = if on { *word | bit } else { *word & !bit };
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    pub fn and(self, other: Bits) -> Bits {
        Bits(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    pub fn or(self, other: Bits) -> Bits {
        Bits(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    /// Returns the frames of `all` that are not in this set.
    pub fn not_in(self, all: Bits) -> Bits {
        Bits(std::array::from_fn(|word| !self.0[word] & all.0[word]))
    }

    /// Returns the frames whose caller, the frame before them, is in this set.
    pub fn one_later(self) -> Bits {
        let carry = |word: usize| if word == 0 { 0 } else { self.0[word - 1] >> 63 };
        Bits(std::array::from_fn(|word| self.0[word] << 1 | carry(word)))
    }

    /// Returns the frames whose callee, the frame after them, is in this set.
    pub fn one_earlier(self) -> Bits {
        let carry = |word: usize| self.0.get(word + 1).map_or(0, |next| next << 63);
        Bits(std::array::from_fn(|word| self.0[word] >> 1 | carry(word)))
    }

    /// Returns the places of the frames, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(word, bits)| {
            let mut left = bits;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(word * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Bits;

    #[test]
    fn sets_shift_across_words_and_forget_what_leaves() {
        let mut bits = Bits::default();
        [0, 63, 64, 255].into_iter().for_each(|index| bits.set(index, true));
        bits.set(256, true);
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 63, 64, 255]);
        assert_eq!(bits.one_later().iter().collect::<Vec<_>>(), [1, 64, 65]);
        assert_eq!(bits.one_earlier().iter().collect::<Vec<_>>(), [62, 63, 254]);
        assert_eq!(bits.not_in(Bits::first(3)).iter().collect::<Vec<_>>(), [1, 2]);
    }
}
