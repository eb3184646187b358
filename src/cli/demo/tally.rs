//! Counting, and whether the gateway kept its promises.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::bot::Report;
use super::question::{Part, Verdict};
use super::show::{Screen, milliseconds};
use super::stage::Ended;

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
    /// Events LLOneBot sent for bots.
    pub(super) events: u64,
    /// … and those about what the account itself said.
    pub(super) own_messages: u64,
    /// Connections that LLOneBot saw.
    pub(super) connections: u64,
    /// Deliveries and calls of the user's own bot.
    pub(super) yours: (u64, u64),
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
        let own = witness.own_messages;
        screen.line("")?;
        screen.line(format_args!("Summary of {:.1} s", witness.lasted.as_secs_f64()))?;
        screen.line("")?;
        screen
            .line(format_args!("  events from LLOneBot  {:>6}   and {own} own messages", witness.events))?;
        screen.line(format_args!("  connections it saw    {:>6}", witness.connections))?;
        screen.line("")?;
        screen.line("  bot       events   calls      ok  failed  misdelivered       p50       max")?;
        for score in &self.scores {
            screen.line(score)?;
        }
        if let (events, calls @ 1..) | (events @ 1.., calls) = witness.yours {
            screen.line(format_args!("  yours    {events:>7} {calls:>7}"))?;
        }
        screen.line("")?;
        let promises = self.promises(witness);
        for (promise, kept) in &promises {
            screen.line(format_args!("  {}  {promise}", if *kept { "kept  " } else { "BROKEN" }))?;
        }
        Ok(promises.iter().all(|(_, kept)| *kept))
    }

    fn promises(&self, witness: &Witness) -> [(String, bool); 5] {
        let sum = |count: fn(&Score) -> u64| self.scores.iter().map(count).sum::<u64>();
        let (asked, own) = (sum(|score| score.asked), sum(|score| score.own));
        let (foreign, failed) = (sum(|score| score.foreign), sum(|score| score.failed));
        let first = self.scores.first().map(|score| score.digest);
        let alike =
            self.scores.iter().all(|score| score.heard == witness.events && Some(score.digest) == first);
        let Ended { drained, farewells } = witness.ended;
        let stayed = self.scores.iter().all(|score| !score.left);
        [
            ("LLOneBot saw one connection".to_owned(), witness.connections == 1),
            (
                format!(
                    "every bot heard all {} events, once, in the same order, byte for byte",
                    witness.events
                ),
                alike,
            ),
            (
                format!(
                    "every call got its own answer: {own} of {asked}, {failed} failed, {foreign} misdelivered"
                ),
                own == asked && foreign == 0,
            ),
            ("no bot lost its connection".to_owned(), stayed),
            (
                format!(
                    "at the end {farewells} of {} bots were told goodbye, and nothing was left over",
                    Part::ALL.len()
                ),
                farewells == Part::ALL.len() && drained.tasks_left == 0 && drained.calls_left == 0,
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
