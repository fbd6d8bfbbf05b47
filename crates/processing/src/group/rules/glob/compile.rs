//! From the text of a glob to its alternatives: braces and the two meanings of a whole `**` component are written out,
//! so that matching knows runs and single bytes only.

use super::Mode;

/// Alternatives one glob may stand for. A hostile `{a,b}{a,b}…` doubles with every pair.
const ALTERNATIVES_MAX: usize = 64;
/// The longest glob, in bytes.
const BYTES_MAX: usize = 4_096;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Byte(u8),
    /// One byte, a slash too.
    Any,
    /// One byte, no slash.
    AnyWithin,
    Class {
        is_negated: bool,
        ranges: Vec<(u8, u8)>,
    },
    /// Any bytes.
    Run,
    /// Any bytes but slashes.
    RunWithin,
}

impl Token {
    /// Returns whether the byte is one that this single-byte token takes.
    pub fn takes(&self, byte: u8) -> bool {
        match self {
            Token::Byte(wanted) => *wanted == byte,
            Token::Any => true,
            Token::AnyWithin => byte != b'/',
            Token::Class { is_negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&byte)) != *is_negated
            }
            Token::Run | Token::RunWithin => false,
        }
    }
}

type Sequences = Vec<Vec<Token>>;

/// Returns the token sequences the pattern stands for; nothing if it is malformed or there are too many.
pub fn alternatives(pattern: &[u8], mode: Mode) -> Option<Sequences> {
    if pattern.len() > BYTES_MAX {
        return None;
    }
    let mut reader = Reader { pattern, at: 0, mode };
    let sequences = reader.sequences(0)?;
    (reader.at == pattern.len()).then_some(sequences)
}

struct Reader<'p> {
    pattern: &'p [u8],
    at: usize,
    mode: Mode,
}

impl Reader<'_> {
    /// Reads up to the end, or to the `,` or `}` that ends an alternative of a brace.
    fn sequences(&mut self, depth: usize) -> Option<Sequences> {
        let mut sequences: Sequences = vec![Vec::new()];
        while let Some(byte) = self.pattern.get(self.at).copied() {
            match byte {
                b'}' | b',' if depth > 0 => return Some(sequences),
                b'}' => return None,
                b'{' => {
                    let inner = self.braces(depth)?;
                    sequences = product(&sequences, &inner)?;
                }
                b'*' if self.pattern.get(self.at + 1) == Some(&b'*') => self.stars(&mut sequences)?,
                b'/' if self.is_inner_component() => {
                    self.at += b"/**/".len();
                    let slash = vec![Token::Byte(b'/')];
                    let between = vec![Token::Byte(b'/'), Token::Run, Token::Byte(b'/')];
                    sequences = product(&sequences, &[slash, between])?;
                }
                _ => {
                    let token = self.single(byte)?;
                    sequences.iter_mut().for_each(|sequence| sequence.push(token.clone()));
                }
            }
        }
        (depth == 0).then_some(sequences)
    }

    fn braces(&mut self, depth: usize) -> Option<Sequences> {
        let mut all = Vec::new();
        loop {
            self.at += 1;
            all.extend(self.sequences((depth < ALTERNATIVES_MAX).then_some(depth + 1)?)?);
            match self.pattern.get(self.at)? {
                b',' => {}
                _ => {
                    self.at += 1;
                    return Some(all);
                }
            }
        }
    }

    /// `/**/` stands for one slash or for components between two.
    fn is_inner_component(&self) -> bool {
        self.pattern[self.at..].starts_with(b"/**/")
    }

    /// Reads two stars: a whole component at either end means components, anywhere else they are two single stars.
    fn stars(&mut self, sequences: &mut Sequences) -> Option<()> {
        let before = self.at.checked_sub(1).map(|at| self.pattern[at]);
        let after = self.pattern.get(self.at + 2).copied();
        let starts = matches!(before, None | Some(b'{' | b','));
        let ends = matches!(after, None | Some(b'}' | b','));
        self.at += 2;
        match (before, after) {
            // A slash before and after is what an inner component left: another one follows it.
            (before, Some(b'/')) if starts || before == Some(b'/') => {
                self.at += 1;
                *sequences = product(sequences, &[vec![], vec![Token::Run, Token::Byte(b'/')]])?;
            }
            (_, _) if starts && ends => sequences.iter_mut().for_each(|sequence| sequence.push(Token::Run)),
            (Some(b'/'), _) if ends => sequences.iter_mut().for_each(|sequence| sequence.push(Token::Run)),
            _ => {
                let run = self.run();
                sequences.iter_mut().for_each(|sequence| sequence.push(run.clone()));
            }
        }
        Some(())
    }

    fn run(&self) -> Token {
        match self.mode {
            Mode::Name => Token::Run,
            Mode::Path => Token::RunWithin,
        }
    }

    fn single(&mut self, byte: u8) -> Option<Token> {
        self.at += 1;
        Some(match byte {
            b'*' => self.run(),
            b'?' if self.mode == Mode::Path => Token::AnyWithin,
            b'?' => Token::Any,
            b'[' => self.class()?,
            b'\\' => match self.pattern.get(self.at).copied() {
                Some(escaped) => {
                    self.at += 1;
                    Token::Byte(escaped)
                }
                None => Token::Byte(b'\\'),
            },
            literal => Token::Byte(literal),
        })
    }

    fn class(&mut self) -> Option<Token> {
        let is_negated = matches!(self.pattern.get(self.at), Some(b'!' | b'^'));
        self.at += usize::from(is_negated);
        let mut ranges = Vec::new();
        let first = self.at;
        loop {
            let low = *self.pattern.get(self.at)?;
            self.at += 1;
            if low == b']' && self.at - 1 > first {
                return Some(Token::Class { is_negated, ranges });
            }
            let high = match self.pattern.get(self.at..self.at + 2) {
                Some([b'-', high]) if *high != b']' => {
                    self.at += 2;
                    *high
                }
                _ => low,
            };
            if high < low {
                return None;
            }
            ranges.push((low, high));
        }
    }
}

fn product(heads: &[Vec<Token>], tails: &[Vec<Token>]) -> Option<Sequences> {
    if heads.len() * tails.len() > ALTERNATIVES_MAX {
        return None;
    }
    let join = |head: &Vec<Token>, tail: &Vec<Token>| head.iter().chain(tail).cloned().collect();
    Some(heads.iter().flat_map(|head| tails.iter().map(move |tail| join(head, tail))).collect())
}
