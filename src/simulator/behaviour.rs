//! How a simulated LLOneBot treats calls: promptly by default, badly on request.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::random::Random;

/// The longest extra wait of one reply under [`Behaviour::reorder`].
const REORDER_WINDOW: Duration = Duration::from_millis(20);

/// What happens between a call and its reply. The default answers every call at once, in order.
///
/// A call is always carried out, also when its answer is withheld: LLOneBot may have delivered
/// what it never confirmed.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// The wait before a call is carried out and answered, drawn anew for each call.
    pub delay: RangeInclusive<Duration>,
    /// Shuffle the order of completion: every call waits up to 20 ms more.
    pub reorder: bool,
    /// What becomes of a finished reply.
    pub answer: Answer,
    /// Actions that are never answered, whatever `answer` says.
    pub silence: BTreeSet<String>,
    /// The share of replies that are lost, 0.0 to 1.0.
    pub drop: f64,
    /// Actions that are not carried out but answered with these frames instead, in which `$echo`
    /// stands for the JSON text of the call's echo: for implementations other than LLOneBot.
    pub script: BTreeMap<String, Vec<String>>,
}

/// What becomes of a finished reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answer {
    /// It is sent once, with the call's own echo.
    #[default]
    Once,
    /// It is never sent.
    Never,
    /// It is sent two times.
    Twice,
    /// It is sent with an echo nobody used.
    UnknownEcho,
    /// It is sent with `"echo":null`.
    NullEcho,
}

/// What was decided for one call.
pub(crate) struct Plan {
    pub(crate) wait: Duration,
    pub(crate) answer: Answer,
    pub(crate) script: Option<Vec<String>>,
}

impl Behaviour {
    /// Decides about one call of `action` (without its suffix).
    pub(crate) fn plan(&self, action: &str, random: &mut Random) -> Plan {
        let mut wait = between(&self.delay, random);
        if self.reorder {
            wait += between(&(Duration::ZERO..=REORDER_WINDOW), random);
        }
        let lost = self.silence.contains(action) || random.chance(self.drop);
        let answer = if lost { Answer::Never } else { self.answer };
        Plan { wait, answer, script: self.script.get(action).cloned() }
    }
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO..=Duration::ZERO,
            reorder: false,
            answer: Answer::Once,
            silence: BTreeSet::new(),
            drop: 0.0,
            script: BTreeMap::new(),
        }
    }
}

fn between(range: &RangeInclusive<Duration>, random: &mut Random) -> Duration {
    let spread = range.end().saturating_sub(*range.start());
    let micros = u64::try_from(spread.as_micros()).unwrap_or(u64::MAX);
    *range.start() + Duration::from_micros(random.below(micros.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_answers_at_once() {
        let plan = Behaviour::default().plan("get_status", &mut Random::new(1));
        assert_eq!((plan.wait, plan.answer), (Duration::ZERO, Answer::Once));
    }

    #[test]
    fn delays_stay_in_their_range_and_vary() {
        let range = Duration::from_millis(10)..=Duration::from_millis(20);
        let behaviour = Behaviour { delay: range.clone(), ..Behaviour::default() };
        let mut random = Random::new(1);
        let waits: BTreeSet<_> = (0..50).map(|_| behaviour.plan("x", &mut random).wait).collect();
        assert!(waits.iter().all(|wait| range.contains(wait)));
        assert!(waits.len() > 10);
    }

    #[test]
    fn a_silenced_action_is_not_answered_and_others_are() {
        let behaviour =
            Behaviour { silence: BTreeSet::from(["send_like".to_owned()]), ..Behaviour::default() };
        let mut random = Random::new(1);
        assert_eq!(behaviour.plan("send_like", &mut random).answer, Answer::Never);
        assert_eq!(behaviour.plan("get_msg", &mut random).answer, Answer::Once);
    }
}
