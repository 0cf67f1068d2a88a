//! Chance that can be repeated, for tests that look for their own counter-examples.

#![forbid(unsafe_code)]

use crate::util::process_number;
use std::time::{SystemTime, UNIX_EPOCH};

/// The variable with the seed of what is done and asked, else made up.
pub const SEED: &str = "NETNS_ENTER_SOAK_SEED";

/// Returns the seed of this run.
pub fn seed() -> u64 {
    let told = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    told.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (u64::from(now.subsec_nanos()) << 10 ^ u64::from(process_number())) % 1_000_000_000
    })
}

/// xorshift64*, Vigna 2016.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Throws that go on from a seed, another way for each `branch`.
    pub fn new(seed: u64, branch: u64) -> Dice {
        let mut dice = Dice((seed ^ branch.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1);
        for _ in 0..8 {
            dice.next();
        }
        dice
    }

    /// Returns the next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// Returns one of 0 to `end`, without that.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("a small number")
    }

    /// Returns one of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Returns true once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}
