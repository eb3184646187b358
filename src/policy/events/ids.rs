//! Sets of ids that are asked for every event.

/// A set of ids: one multiplication and, as a rule, one comparison tell whether an id is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ids {
    /// From the smallest.
    sorted: Box<[i64]>,
    /// Each id in the first free slot from the one that [`slot`](Self::slot) names. At least half are free.
    table: Box<[Option<i64>]>,
}

impl Ids {
    /// Whether `id` is in it.
    #[must_use]
    #[inline]
    pub fn has(&self, id: i64) -> bool {
        let mut slot = self.slot(id);
        while let Some(Some(found)) = self.table.get(slot) {
            if *found == id {
                return true;
            }
            slot = (slot + 1) & (self.table.len() - 1);
        }
        false
    }

    /// From the smallest.
    pub fn iter(&self) -> impl Iterator<Item = i64> {
        self.sorted.iter().copied()
    }

    fn slot(&self, id: i64) -> usize {
        // Fibonacci hashing: its high bits depend on all bits of the id, and neighbours lie apart.
        let spread = id.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (spread >> 32) as usize & self.table.len().wrapping_sub(1)
    }
}

impl FromIterator<i64> for Ids {
    fn from_iter<I: IntoIterator<Item = i64>>(ids: I) -> Self {
        let mut sorted: Vec<i64> = ids.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.is_empty() {
            return Self::default();
        }
        let table = vec![None; (2 * sorted.len()).next_power_of_two()].into_boxed_slice();
        let mut ids = Self { sorted: sorted.into(), table };
        for index in 0..ids.sorted.len() {
            let Some(id) = ids.sorted.get(index).copied() else { break };
            let mut slot = ids.slot(id);
            while ids.table.get(slot).is_some_and(Option::is_some) {
                slot = (slot + 1) & (ids.table.len() - 1);
            }
            if let Some(free) = ids.table.get_mut(slot) {
                *free = Some(id);
            }
        }
        ids
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_has_what_was_put_in_and_nothing_else(
            put in prop::collection::vec(prop_oneof![-40_i64..40, any::<i64>()], 0..60),
            asked in prop::collection::vec(prop_oneof![-50_i64..50, any::<i64>()], 0..60),
        ) {
            let ids: Ids = put.iter().copied().collect();
            let known: BTreeSet<i64> = put.iter().copied().collect();
            prop_assert!(ids.iter().eq(known.iter().copied()));
            for id in put.iter().chain(&asked) {
                prop_assert_eq!(ids.has(*id), known.contains(id));
            }
        }
    }
}
