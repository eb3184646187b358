//! The lines on the terminal.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::bot::{Answer, Report};
use super::caption::{caption, fit, pad};
use super::question::{Part, Verdict};

/// Columns of a line, where it can be cut.
const COLUMNS: usize = 92;
const INDENT: usize = 14;
/// Longest wait for a bot before an event is shown without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Writes lines, until whoever reads them has seen enough.
pub(super) struct Screen<'a> {
    out: &'a mut dyn Write,
    closed: bool,
}

impl<'a> Screen<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, closed: false }
    }

    /// Writes a line.
    ///
    /// # Errors
    /// When the output is broken; that nobody reads it any more (`demo | head`) is none, but see
    /// [`Screen::is_closed`].
    pub(super) fn line(&mut self, line: impl Display) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        match writeln!(self.out, "{line}") {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.closed = true,
            other => return other,
        }
        Ok(())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}

/// Shows each event together with what the bots made of it.
pub(super) struct Show {
    started: Instant,
    scenes: BTreeMap<u64, Scene>,
    /// The number of the event that was shown last.
    shown: u64,
}

/// An event that not every bot is done with.
struct Scene {
    since: Instant,
    text: Utf8Bytes,
    heard: Vec<Part>,
    answers: Vec<(Part, Answer)>,
    unanswered: Vec<Part>,
}

impl Show {
    pub(super) fn begin() -> Self {
        Self { started: Instant::now(), scenes: BTreeMap::new(), shown: 0 }
    }

    /// Takes note of what a bot tells.
    pub(super) fn note(&mut self, report: Report) {
        match report {
            Report::Heard { part, number, text, asks, .. } if number > self.shown => {
                let scene = self.scenes.entry(number).or_insert_with(|| Scene::of(text));
                scene.heard.push(part);
                scene.unanswered.extend(asks.then_some(part));
            }
            Report::Answered { part, number, answer, asks } => {
                if let Some(scene) = self.scenes.get_mut(&number) {
                    scene.answers.push((part, answer));
                    if !asks {
                        scene.unanswered.retain(|asking| *asking != part);
                    }
                }
            }
            _ => {}
        }
    }

    /// Shows the events that are complete, or have waited too long for it.
    pub(super) fn catch_up(&mut self, screen: &mut Screen<'_>) -> io::Result<()> {
        while let Some(first) = self.scenes.first_entry()
            && (first.get().is_complete() || first.get().since.elapsed() > PATIENCE)
        {
            let (number, scene) = first.remove_entry();
            self.shown = number;
            scene.show(number, &self.clock(scene.since), screen)?;
        }
        Ok(())
    }

    /// Something that is not an event.
    pub(super) fn aside(&self, who: &str, what: impl Display, screen: &mut Screen<'_>) -> io::Result<()> {
        screen.line(format_args!("{}         {who:8} {what}", self.clock(Instant::now())))
    }

    fn clock(&self, at: Instant) -> String {
        let seconds = at.duration_since(self.started).as_secs();
        format!("{:02}:{:02}", seconds / 60, seconds % 60)
    }
}

impl Scene {
    fn of(text: Utf8Bytes) -> Self {
        Self { since: Instant::now(), text, heard: Vec::new(), answers: Vec::new(), unanswered: Vec::new() }
    }

    fn is_complete(&self) -> bool {
        self.heard.len() == Part::ALL.len() && self.unanswered.is_empty()
    }

    fn show(&self, number: u64, clock: &str, screen: &mut Screen<'_>) -> io::Result<()> {
        let event: Value = serde_json::from_str(&self.text).unwrap_or_default();
        let caption = fit(&caption(&event), COLUMNS - INDENT);
        screen.line(format_args!("{clock}  {:6} {caption}", format!("#{number}")))?;
        let (heard, waiting): (Vec<_>, Vec<_>) =
            Part::ALL.into_iter().partition(|part| self.heard.contains(part));
        let waiting =
            if waiting.is_empty() { String::new() } else { format!("; not to {}", names(&waiting)) };
        screen.line(format_args!("{:INDENT$}→ {}{waiting}", "", names(&heard)))?;
        // In the order of the bots and not of the answers, for a calmer picture.
        for part in Part::ALL {
            for (_, answer) in self.answers.iter().filter(|(asked, _)| *asked == part) {
                screen.line(format_args!("{:INDENT$}{}", "", answer_line(part, answer)))?;
            }
        }
        for part in &self.unanswered {
            screen.line(format_args!("{:INDENT$}{:8} waits for an answer", "", part.name()))?;
        }
        Ok(())
    }
}

fn answer_line(part: Part, answer: &Answer) -> String {
    let outcome = match &answer.verdict {
        Verdict::Own(what) => format!("ok  {what}"),
        Verdict::Failed(why) => format!("failed  {why}"),
        Verdict::Foreign => "MISDELIVERED  this answers another question".to_owned(),
    };
    let outcome = pad(&fit(&outcome, 34), 34);
    format!("{:8} {:22} {outcome} {:>9}", part.name(), answer.action, milliseconds(answer.took))
}

fn names(parts: &[Part]) -> String {
    parts.iter().map(|part| part.name()).collect::<Vec<_>>().join(", ")
}

pub(super) fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
