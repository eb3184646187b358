//! The filter language of LLOneBot: a `MongoDB` query, as the npm package `sift` evaluates it.
//!
//! A filter is compiled once, when the configuration is read, and then holds an event, or the parameters of
//! a call, against its conditions. Nothing is parsed into a tree: of an event the [`Head`] answers what it
//! can, and the rest is looked up in the text, only as far as the query names it.
//!
//! It answers what `sift` 17.1.4 answers (`tests/filter` holds it to vectors that `sift` itself has made),
//! but for these decisions:
//!
//! * What can never match or is no query to `sift` either is refused by [`Filter::compile`]: unknown
//!   operators, `$options` alone, `$gt` and its like against `null`, lists or tables, `$where`.
//! * Only what stands in the text is there: `constructor` or `__proto__` find nothing of `JavaScript`'s own.
//! * In an event, the ids that its head knows count as numbers also if they are written as strings.
//! * Patterns are `JavaScript`'s, run by the `regex` crate: always in time linear in the text. It has neither
//!   look-around nor back-references, and a pattern with them is refused. Characters are whole ones, as with
//!   the flag `u`; `m` knows only `\n` as the end of a line; a lone surrogate reads as U+FFFD.
//!
//! Its cost is bounded: by [`MAX_OPERATORS`] and [`MAX_NESTING`] in the query and 1 MiB for a compiled
//! pattern, refused when compiled; by [`MAX_SUBJECT`] bytes of one text that a pattern searches and
//! [`MAX_WORK`] for one evaluation, beyond which it is [`Unevaluable`].

mod compile;
mod evaluate;
mod item;
mod number;
mod operator;
mod pattern;

use std::fmt;

use serde_json::Value;

use self::compile::Compiler;
use self::evaluate::Evaluation;
use self::item::Subject;
use self::operator::Operator;
use crate::onebot::{Head, Malformed, scan};

/// Operators in one query, those that are implied (equality, a path) included.
pub const MAX_OPERATORS: usize = 256;
/// Tables and lists within each other in a query.
pub const MAX_NESTING: usize = 32;
/// Bytes of one text that a pattern searches.
pub const MAX_SUBJECT: usize = 64 << 10;
/// Steps of one evaluation. Looking at a value takes one, and one more for each 64 bytes of it.
pub const MAX_WORK: usize = 1 << 18;

/// A compiled query.
#[derive(Debug, Clone)]
pub struct Filter {
    source: Value,
    /// All of them have to hold; the cheapest first.
    parts: Box<[Part]>,
    /// The members of the object that the query names, each once.
    names: Box<[Box<str>]>,
}

/// One condition at the top level of a query.
#[derive(Debug, Clone)]
struct Part {
    /// The key of the query, such as `group_id` or `$or`.
    key: Box<str>,
    operator: Operator,
}

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterProblem {
    /// The keys that lead there, joined by dots, such as `$or.1.raw_message.$regex`; empty for the whole.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Why a filter gives no answer for an object. Whoever asks takes that for a refusal, and counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unevaluable {
    /// The text is no JSON object.
    #[error("the text is {0}")]
    NotAnObject(Malformed),
    /// A pattern would have to search more than [`MAX_SUBJECT`] bytes.
    #[error("a text is longer than the {} KiB that a pattern searches", MAX_SUBJECT >> 10)]
    TooLong,
    /// It would take more than [`MAX_WORK`] steps.
    #[error("the event is too large for this filter")]
    TooMuchWork,
    /// The event does not say what the rule asks about.
    #[error("the event does not say {0}")]
    Missing(&'static str),
}

impl Filter {
    /// Compiles `query`, which has to be a table.
    ///
    /// # Errors
    /// Everything that is wrong with it, not only the first thing.
    pub fn compile(query: &Value) -> Result<Self, Vec<FilterProblem>> {
        Compiler::default().filter(query)
    }

    /// The query it was made of.
    #[must_use]
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// Whether the JSON object `object` matches. The whole text is checked to be one.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn matches(&self, object: &[u8]) -> Result<bool, Unevaluable> {
        scan(object).map_err(Unevaluable::NotAnObject)?;
        self.matches_scanned(object)
    }

    /// As [`matches`](Self::matches), for a text that was scanned before.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn matches_scanned(&self, object: &[u8]) -> Result<bool, Unevaluable> {
        Ok(self.first_mismatch(&Subject::new(object, None, &self.names))?.is_none())
    }

    /// Whether an event matches: `text` is scanned, and `head` is its head.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn matches_event(&self, text: &[u8], head: &Head) -> Result<bool, Unevaluable> {
        Ok(self.mismatch_in_event(text, head)?.is_none())
    }

    /// The key of a condition at the top level of the query that does not hold for an event.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn mismatch_in_event(&self, text: &[u8], head: &Head) -> Result<Option<&str>, Unevaluable> {
        self.first_mismatch(&Subject::new(text, Some(head), &self.names))
    }

    fn first_mismatch(&self, subject: &Subject<'_>) -> Result<Option<&str>, Unevaluable> {
        let mut evaluation = Evaluation::of(subject);
        for part in &self.parts {
            if !evaluation.of_the_object(&part.operator) {
                return evaluation.failure().map_or(Ok(Some(&part.key)), Err);
            }
        }
        evaluation.failure().map_or(Ok(None), Err)
    }
}

/// Equal queries.
impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Filter {}

impl fmt::Display for FilterProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests;
