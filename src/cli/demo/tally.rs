//! Counting, and whether the gateway kept its promises.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::bot::Report;
use super::question::{Part, Verdict};
use super::show::{Screen, milliseconds};
use super::stage::Ended;
use super::yours::{YOURS, Yours};

/// Latest waits of a bot that the median is taken of.
const WAITS: usize = 10_000;

/// What the bots have told so far.
pub(super) struct Tally {
    scores: [Score; Part::ALL.len()],
}

/// One bot.
struct Score {
    part: Part,
    heard: u64,
    /// Stands for the texts heard, in their order.
    digest: u64,
    asked: u64,
    own: u64,
    failed: u64,
    /// Answers to somebody else's question, or to none.
    foreign: u64,
    left: bool,
    waits: VecDeque<Duration>,
    longest: Duration,
}

/// What others say: the gateway's metrics, the simulator.
pub(super) struct Witness {
    /// Events that were made to happen.
    pub(super) told: u64,
    /// Events from LLOneBot that are for every bot; more than `told` if the user's own bot caused some.
    pub(super) events: u64,
    /// Events about what the account itself said, which no bot here has asked for.
    pub(super) own_messages: u64,
    /// Connections that LLOneBot saw.
    pub(super) connections: u64,
    pub(super) yours: Yours,
    /// How long it all took.
    pub(super) lasted: Duration,
    pub(super) ended: Ended,
}

impl Tally {
    pub(super) fn begin() -> Self {
        Self { scores: Part::ALL.map(Score::of) }
    }

    pub(super) fn note(&mut self, report: &Report) {
        let (Report::Ready(part)
        | Report::Heard { part, .. }
        | Report::Answered { part, .. }
        | Report::Stray(part)
        | Report::Left(part)) = report;
        if let Some(score) = self.scores.iter_mut().find(|score| score.part == *part) {
            score.note(report);
        }
    }

    /// Whether every bot has heard `events` events and waits for nothing.
    pub(super) fn is_settled(&self, events: u64) -> bool {
        self.scores.iter().all(|score| score.heard == events && score.unanswered() == 0)
    }

    /// Writes the summary, and returns whether every promise was kept.
    pub(super) fn conclude(&self, witness: &Witness, screen: &mut Screen<'_>) -> io::Result<bool> {
        screen.line(format_args!("\nSummary of {:.1} s\n", witness.lasted.as_secs_f64()))?;
        screen.line(format_args!("  events from LLOneBot {:>5}", witness.events))?;
        screen.line(format_args!(
            "  own messages         {:>5}  only for bots with `self_messages = true`; none here",
            witness.own_messages
        ))?;
        screen.line(format_args!("  connections it saw   {:>5}\n", witness.connections))?;
        screen.line("  bot       events   calls      ok  failed  misdelivered       p50       max")?;
        for score in &self.scores {
            screen.line(score)?;
        }
        let Yours { events, calls, ok, .. } = witness.yours;
        if events + calls > 0 {
            let failed = calls - ok;
            screen.line(format_args!("  {YOURS:8} {events:>7} {calls:>7} {ok:>7} {failed:>7}"))?;
        }
        screen.line("")?;
        let promises = self.promises(witness);
        for (promise, kept) in &promises {
            screen.line(format_args!("  {}  {promise}", if *kept { "kept  " } else { "BROKEN" }))?;
        }
        Ok(promises.iter().all(|(_, kept)| *kept))
    }

    fn promises(&self, witness: &Witness) -> [(String, bool); 5] {
        let bots = Part::ALL.len();
        let sum = |count: fn(&Score) -> u64| self.scores.iter().map(count).sum::<u64>();
        let (asked, own) = (sum(|score| score.asked), sum(|score| score.own));
        let (foreign, failed) = (sum(|score| score.foreign), sum(|score| score.failed));
        let Witness { events, told, connections, ended: Ended { drained, farewells }, .. } = *witness;
        let first = self.scores.first().map(|score| score.digest);
        let alike = self.scores.iter().all(|score| score.heard == events && Some(score.digest) == first);
        [
            ("LLOneBot saw one connection".to_owned(), connections == 1),
            (
                format!("every bot heard all {events} events, once, in the same order, byte for byte"),
                alike && events >= told,
            ),
            (
                format!(
                    "every call got its own answer: {own} of {asked}, {failed} failed, {foreign} misdelivered"
                ),
                own == asked && foreign == 0,
            ),
            ("no bot lost its connection".to_owned(), self.scores.iter().all(|score| !score.left)),
            (
                format!("at the end {farewells} of {bots} bots were told goodbye, and nothing was left over"),
                farewells == bots && drained.tasks_left == 0 && drained.calls_left == 0,
            ),
        ]
    }
}

impl Score {
    fn of(part: Part) -> Self {
        Self {
            part,
            heard: 0,
            digest: 0,
            asked: 0,
            own: 0,
            failed: 0,
            foreign: 0,
            left: false,
            waits: VecDeque::new(),
            longest: Duration::ZERO,
        }
    }

    fn note(&mut self, report: &Report) {
        match report {
            Report::Ready(_) => {}
            Report::Heard { number, digest, asks, .. } => {
                self.heard = *number;
                self.digest = *digest;
                self.asked += u64::from(*asks);
            }
            Report::Answered { answer, asks, .. } => {
                match answer.verdict {
                    Verdict::Own(_) => self.own += 1,
                    Verdict::Failed(_) => self.failed += 1,
                    Verdict::Foreign => self.foreign += 1,
                }
                self.asked += u64::from(*asks);
                self.longest = self.longest.max(answer.took);
                self.waits.push_back(answer.took);
                if self.waits.len() > WAITS {
                    self.waits.pop_front();
                }
            }
            Report::Stray(_) => self.foreign += 1,
            Report::Left(_) => self.left = true,
        }
    }

    fn unanswered(&self) -> u64 {
        self.asked.saturating_sub(self.own + self.failed + self.foreign)
    }

    fn median(&self) -> Option<Duration> {
        let mut waits: Vec<_> = self.waits.iter().copied().collect();
        waits.sort_unstable();
        waits.get(waits.len() / 2).copied()
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), milliseconds);
        let median = self.median();
        write!(
            f,
            "  {:8} {:>7} {:>7} {:>7} {:>7} {:>13} {:>9} {:>9}",
            self.part.name(),
            self.heard,
            self.asked,
            self.own,
            self.failed,
            self.foreign,
            time(median),
            time(median.map(|_| self.longest)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Drained;
    use crate::cli::demo::bot::Answer;

    fn heard(part: Part, number: u64, digest: u64) -> Report {
        Report::Heard { part, number, digest, text: "{}".into(), asks: part == Part::Echo }
    }

    fn answered(verdict: Verdict) -> Report {
        let answer = Answer { action: "get_msg", took: Duration::from_millis(2), verdict };
        Report::Answered { part: Part::Echo, number: 1, answer, asks: false }
    }

    /// One event that everybody heard, and one call.
    fn tally(verdict: Verdict) -> Tally {
        let mut tally = Tally::begin();
        for part in Part::ALL {
            tally.note(&heard(part, 1, 42));
        }
        tally.note(&answered(verdict));
        tally
    }

    fn own() -> Verdict {
        Verdict::Own("hello".to_owned())
    }

    fn witness() -> Witness {
        Witness {
            told: 1,
            events: 1,
            own_messages: 0,
            connections: 1,
            yours: Yours::default(),
            lasted: Duration::from_secs(1),
            ended: Ended { drained: Drained { tasks_left: 0, calls_left: 0 }, farewells: 4 },
        }
    }

    fn broken(tally: &Tally, witness: &Witness) -> Vec<String> {
        let mut out = Vec::new();
        let kept = tally.conclude(witness, &mut Screen::new(&mut out)).unwrap();
        let text = String::from_utf8(out).unwrap();
        let broken: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("  BROKEN  ")).collect();
        assert_eq!(kept, broken.is_empty());
        broken.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn promises_are_kept_when_all_went_well() {
        assert!(tally(own()).is_settled(1));
        assert_eq!(broken(&tally(own()), &witness()), Vec::<String>::new());
    }

    #[test]
    fn each_broken_promise_is_told() {
        let foreign = tally(Verdict::Foreign);
        assert!(broken(&foreign, &witness())[0].ends_with("0 of 1, 0 failed, 1 misdelivered"));
        let failed = tally(Verdict::Failed("retcode 1502".to_owned()));
        assert!(broken(&failed, &witness())[0].ends_with("0 of 1, 1 failed, 0 misdelivered"));

        let mut repeated = tally(own());
        repeated.note(&Report::Stray(Part::Greeter));
        assert!(broken(&repeated, &witness())[0].ends_with("1 of 1, 0 failed, 1 misdelivered"));

        let mut changed = tally(own());
        changed.note(&heard(Part::Archive, 1, 43));
        assert!(broken(&changed, &witness())[0].starts_with("every bot heard all 1 events"));
        let lost = Witness { told: 2, ..witness() };
        assert!(broken(&tally(own()), &lost)[0].starts_with("every bot heard all 1 events"));

        let twice = Witness { connections: 2, ..witness() };
        assert_eq!(broken(&tally(own()), &twice), ["LLOneBot saw one connection"]);
        let mut left = tally(own());
        left.note(&Report::Left(Part::Reverse));
        assert_eq!(broken(&left, &witness()), ["no bot lost its connection"]);
        let drained = Drained { tasks_left: 1, calls_left: 0 };
        let hard = Witness { ended: Ended { drained, farewells: 3 }, ..witness() };
        assert!(broken(&tally(own()), &hard)[0].starts_with("at the end 3 of 4 bots"));
    }

    #[test]
    fn an_open_question_is_waited_for() {
        let mut tally = Tally::begin();
        for part in Part::ALL {
            tally.note(&heard(part, 1, 42));
        }
        assert!(!tally.is_settled(1));
        tally.note(&answered(own()));
        assert!(tally.is_settled(1) && !tally.is_settled(2));
    }
}
