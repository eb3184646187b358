//! Seeded randomness, so that a simulation can be repeated.

/// `SplitMix64`: eight bytes of state, and the same sequence on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..limit`; 0 if `limit` is 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next().checked_rem(limit).unwrap_or(0)
    }

    /// True with probability `share` (0.0 never, 1.0 always).
    #[expect(clippy::cast_precision_loss, reason = "53 bits are kept, which is all an f64 holds")]
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        ((self.next() >> 11) as f64) < share * (1_u64 << 53) as f64
    }

    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.below(choices.len() as u64) as usize)
    }

    /// A message id as LLOneBot makes them: a hash cut to 32 bits, so negative half of the time.
    pub(crate) const fn message_id(&mut self) -> i32 {
        self.next() as i32
    }

    /// A lower-case UUID, the form of file, folder and file-set ids.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn one_seed_gives_one_sequence() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            [random.next(), random.next(), random.below(10)]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn chance_follows_its_share() {
        let mut random = Random::new(1);
        assert!((0..100).all(|_| random.chance(1.0)));
        assert!(!(0..100).any(|_| random.chance(0.0)));
        let hits = (0..1000).filter(|_| random.chance(0.25)).count();
        assert!((200..300).contains(&hits), "{hits}");
    }
}
