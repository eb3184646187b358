//! What is wrong, where, and what would be right.

use std::fmt;

use super::source::{Sources, Spot};

/// Everything that is wrong with a configuration, in the order of the file. Its `Display` is one line for
/// each problem and shows no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it was written.
    pub location: Location,
    /// The key it is about, such as `consumer.nonebot.token`; empty if it is about the file.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Where a problem was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// Nowhere in particular in this file.
    File(String),
    /// A place in the file; both numbers count from 1, columns in characters.
    Line {
        /// The file.
        file: String,
        /// Its line.
        line: usize,
        /// The character in the line.
        column: usize,
    },
    /// An environment variable.
    Variable(String),
}

impl Problems {
    /// The problems, in the order of the file, the environment last.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// One problem of a whole file.
    pub(super) fn of_file(name: &str, message: &str) -> Self {
        let location = Location::File(name.to_owned());
        Self(vec![Problem { location, key: String::new(), message: message.to_owned() }])
    }

    /// `None` without a problem.
    pub(super) fn some(mut problems: Vec<Problem>) -> Option<Self> {
        problems.sort();
        (!problems.is_empty()).then_some(Self(problems))
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.location)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => f.write_str(file),
            Self::Line { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// Collects problems and finds where each was written.
pub(super) struct Report<'a> {
    sources: &'a Sources<'a>,
    problems: Vec<Problem>,
    faults: Vec<Vec<String>>,
}

impl<'a> Report<'a> {
    pub(super) fn new(sources: &'a Sources<'a>) -> Self {
        Self { sources, problems: Vec::new(), faults: Vec::new() }
    }

    /// The text at `path` could not be read as what the key is, and was left out.
    pub(super) fn fault(&mut self, path: &[&str], spot: Spot, message: impl Into<String>) {
        self.faults.push(path.iter().map(|&key| key.to_owned()).collect());
        self.problems.push(self.sources.problem(path, spot, message));
    }

    /// The value at `path` is not allowed.
    pub(super) fn refuse(&mut self, path: &[&str], message: impl Into<String>) {
        self.problems.push(self.sources.problem(path, Spot::Value, message));
    }

    /// Nothing is at `path`. Says nothing if that is told already, or something was there or beneath it
    /// that could not be read.
    pub(super) fn missing(&mut self, path: &[&str], message: impl Into<String>) {
        let told = |fault: &Vec<String>| path.iter().zip(fault).all(|(ours, theirs)| ours == theirs);
        if !self.faults.iter().any(told) {
            self.fault(path, Spot::Value, message);
        }
    }

    /// `config` if nothing was wrong.
    pub(super) fn finish<T>(self, config: Option<T>) -> Result<T, Problems> {
        match (config, Problems::some(self.problems)) {
            (Some(config), None) => Ok(config),
            (_, problems) => Err(problems.unwrap_or(Problems(Vec::new()))),
        }
    }
}
