//! Mutations of inputs, from a seed: the same seed makes the same inputs on every machine.

/// Longest input that is made. Parsers have bounds far beyond; short inputs find more a second.
const INPUT_BYTES_MAX: usize = 16 << 10;
/// Mutations of one input.
const MUTATIONS_MAX: usize = 6;
/// Numbers at which lengths and counters go wrong.
const BYTES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'\n', b'\\'];

/// Makes inputs out of others.
pub struct Mutator<'a> {
    state: u64,
    inputs: &'a [Vec<u8>],
    words: &'a [&'a str],
}

impl<'a> Mutator<'a> {
    /// `inputs` and `words` must not be empty.
    pub fn new(seed: u64, inputs: &'a [Vec<u8>], words: &'a [&'a str]) -> Self {
        Mutator { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, inputs, words }
    }

    /// Returns the next input.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.inputs[self.below(self.inputs.len())].clone();
        for _ in 0..=self.below(MUTATIONS_MAX) {
            self.mutate(&mut input);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = (at + 1 + self.below(32)).min(input.len());
        match self.below(8) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = BYTES[self.below(BYTES.len())],
            2 if at < end => drop(input.drain(at..end)),
            3 if at < end => {
                let copied = input[at..end].repeat(1 + self.below(20));
                self.insert(input, &copied);
            }
            4 => {
                let other = &self.inputs[self.below(self.inputs.len())];
                let from = self.below(other.len() + 1);
                let piece = &other[from..(from + 1 + self.below(400)).min(other.len()).max(from)];
                self.insert(input, piece);
            }
            5 => input.truncate(at),
            _ => {
                let word = self.words[self.below(self.words.len())];
                self.insert(input, word.as_bytes());
            }
        }
    }

    fn insert(&mut self, input: &mut Vec<u8>, bytes: &[u8]) {
        let at = self.below(input.len() + 1);
        input.splice(at..at, bytes.iter().copied());
    }

    /// xorshift64*: small, and good enough to choose by.
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_inputs_again() {
        let inputs = [b"first".to_vec(), b"second".to_vec()];
        let make = |seed| {
            let mut mutator = Mutator::new(seed, &inputs, &["word"]);
            (0..50).map(|_| mutator.next_input()).collect::<Vec<_>>()
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
    }
}
