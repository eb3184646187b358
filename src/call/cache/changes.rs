//! What has changed since a question was asked.

use std::collections::HashMap;

use tokio::time::Instant;

use crate::onebot::catalogue::changes::Subjects;

/// When a question was asked. What changed at the same moment or later may not be in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Changes known by then.
    changes: u64,
    at: Instant,
}

/// What an answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) subjects: Subjects,
    /// `None`: in all groups and outside of them.
    pub(super) group: Option<i64>,
}

/// The last change of each subject. It grows with the groups in which something happens, to a bound.
#[derive(Debug, Default)]
pub(super) struct Changes {
    count: u64,
    /// The last one that may concern every group.
    everywhere: [Option<Change>; Subjects::COUNT],
    /// The last one in any group: what an answer about all groups goes by.
    anywhere: [Option<Change>; Subjects::COUNT],
    in_group: HashMap<i64, [Option<Change>; Subjects::COUNT]>,
}

#[derive(Debug, Clone, Copy)]
struct Change {
    number: u64,
    /// Until when answers may still show what was before it.
    settled: Instant,
}

impl Changes {
    /// Groups of which is remembered what changed in them.
    const GROUPS: usize = 4096;

    pub(super) fn moment(&self, now: Instant) -> Moment {
        Moment { changes: self.count, at: now }
    }

    /// Something changes, and answers to what is asked before `settled` may not show it.
    pub(super) fn note(&mut self, scope: Scope, settled: Instant) {
        if scope.subjects.is_empty() {
            return;
        }
        self.count += 1;
        let change = Change { number: self.count, settled };
        if self.in_group.len() >= Self::GROUPS {
            // From then on it counts as changed everywhere, which forgets too much and nothing too little.
            self.everywhere = self.anywhere;
            self.in_group.clear();
        }
        let changed = match scope.group {
            Some(group) => self.in_group.entry(group).or_default(),
            None => &mut self.everywhere,
        };
        for number in scope.subjects.numbers() {
            note(changed, number, change);
            note(&mut self.anywhere, number, change);
        }
    }

    /// Whether an answer to what was asked at `asked` is still true.
    pub(super) fn hold(&self, scope: Scope, asked: Moment) -> bool {
        let in_group = scope.group.map(|group| self.in_group.get(&group));
        scope.subjects.numbers().all(|number| {
            let of = |changes: &[Option<Change>; Subjects::COUNT]| changes.get(number).copied().flatten();
            let (first, second) = match in_group {
                None => (of(&self.anywhere), None),
                Some(in_group) => (of(&self.everywhere), in_group.and_then(of)),
            };
            let before = |change: Option<Change>| {
                change.is_none_or(|change| change.number <= asked.changes && change.settled <= asked.at)
            };
            before(first) && before(second)
        })
    }
}

fn note(changes: &mut [Option<Change>; Subjects::COUNT], number: usize, change: Change) {
    if let Some(last) = changes.get_mut(number) {
        let settled = last.map_or(change.settled, |last| last.settled.max(change.settled));
        *last = Some(Change { settled, ..change });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn members(group: Option<i64>) -> Scope {
        Scope { subjects: Subjects::MEMBERS, group }
    }

    #[test]
    fn a_change_concerns_its_group_and_what_is_about_all_groups() {
        let (mut changes, now) = (Changes::default(), Instant::now());
        let asked = changes.moment(now);
        changes.note(members(Some(1)), now);
        assert!(!changes.hold(members(Some(1)), asked));
        assert!(changes.hold(members(Some(2)), asked));
        assert!(!changes.hold(members(None), asked));
        assert!(changes.hold(Scope { subjects: Subjects::FILES, group: Some(1) }, asked));
        assert!(changes.hold(members(Some(1)), changes.moment(now)), "asked afterwards");
        changes.note(members(None), now);
        assert!(!changes.hold(members(Some(2)), asked));
    }

    #[test]
    fn what_is_asked_before_a_change_has_settled_does_not_hold() {
        let (mut changes, now) = (Changes::default(), Instant::now());
        let settled = now + Duration::from_secs(30);
        changes.note(members(Some(1)), settled);
        changes.note(members(Some(1)), now);
        assert!(!changes.hold(members(Some(1)), changes.moment(now)));
        assert!(changes.hold(members(Some(1)), changes.moment(settled)));
    }

    #[test]
    fn groups_are_forgotten_without_forgetting_a_change() {
        let (mut changes, now) = (Changes::default(), Instant::now());
        let asked = changes.moment(now);
        let last = i64::try_from(Changes::GROUPS).unwrap();
        for group in 0..=last {
            changes.note(members(Some(group)), now);
        }
        assert!(changes.in_group.len() <= Changes::GROUPS);
        for group in [0, 1, last] {
            assert!(!changes.hold(members(Some(group)), asked), "{group}");
        }
        assert!(changes.hold(members(Some(0)), changes.moment(now)));
    }
}
