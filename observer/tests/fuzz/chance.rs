//! Numbers that look like chance, and changes made with them.

/// Numbers that follow from a name and a number: xorshift64*.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(target: &str, input: u64) -> Self {
        let seed = u64::from(crc32fast::hash(target.as_bytes())) << 32 ^ input;
        let mut chance = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        // Neighbouring seeds begin alike.
        for _ in 0..4 {
            chance.any();
        }
        chance
    }

    /// Any number.
    pub(crate) fn any(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below this one; zero if there is none.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { ((self.any() >> 11) % bound as u64) as usize }
    }

    /// True once in so many times.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    pub(crate) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// A number at which things go wrong, or any.
    pub(crate) fn edge(&mut self) -> u64 {
        match self.below(8) {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => i64::MAX as u64,
            4 => u64::from(u32::MAX),
            5 => 1 << self.below(64),
            6 => self.below(256) as u64,
            _ => self.any(),
        }
    }

    /// Changes some bytes: bits, bytes, words, pieces left out, doubled or moved.
    pub(crate) fn change(&mut self, bytes: &mut Vec<u8>, most: usize) {
        for _ in 0..=self.below(most) {
            if bytes.is_empty() {
                bytes.push(self.any() as u8);
                continue;
            }
            let at = self.below(bytes.len());
            let length = 1 + self.below(16.min(bytes.len() - at));
            match self.below(7) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = self.any() as u8,
                2 => {
                    let word = self.edge().to_le_bytes();
                    bytes.iter_mut().skip(at).zip(word).for_each(|(byte, with)| *byte = with);
                }
                3 => drop(bytes.drain(at..at + length)),
                4 => {
                    let piece = bytes[at..at + length].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
                5 => bytes.truncate(at),
                _ => {
                    let other = self.below(bytes.len());
                    bytes.swap(at, other);
                }
            }
        }
    }

    /// Changes some text as bytes, or puts a piece into it at which parsers go wrong.
    pub(crate) fn change_text(&mut self, text: &mut Vec<u8>, pieces: &[&str], most: usize) {
        for _ in 0..=self.below(most) {
            if self.once_in(2) {
                let at = self.below(text.len() + 1);
                let until = at + self.below(8.min(text.len() - at + 1));
                let piece = self.one_of(pieces).as_bytes().to_vec();
                text.splice(at..until, piece);
            } else {
                self.change(text, 1);
            }
        }
    }
}
