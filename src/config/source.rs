//! The file and the environment: merged, and where each key was written.

use std::collections::BTreeMap;
use std::ops::Range;

use config::{Environment, File, FileFormat};
use toml::de::{DeTable, DeValue};

use super::problem::{Location, Problem, Problems};

const PREFIX: &str = "ONEBOT_GATEWAY";
const SEPARATOR: &str = "__";

/// No key lies deeper than `consumer.NAME.reverse_ws.url`; the merge recurses.
const DEEPEST: usize = 8;

/// What the configuration is made of.
pub(super) struct Sources<'a> {
    name: &'a str,
    text: &'a str,
    document: DeTable<'a>,
    /// Key path joined by dots → the variable that sets it and its value.
    variables: BTreeMap<String, (&'a str, &'a str)>,
}

/// Which of the two ends of `key = value` a problem is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spot {
    Key,
    Value,
}

impl<'a> Sources<'a> {
    /// Reads the syntax of both.
    ///
    /// # Errors
    /// All syntax errors of `text`, all names of variables that can be no key.
    pub(super) fn new(
        name: &'a str,
        text: &'a str,
        environment: &'a BTreeMap<String, String>,
    ) -> Result<Self, Problems> {
        let (document, errors) = DeTable::parse_recoverable(text);
        let sources = Self { name, text, document: document.into_inner(), variables: BTreeMap::new() };
        let mut problems: Vec<Problem> = errors.iter().map(|error| sources.syntax(error)).collect();
        sources.unmergeable(&mut problems);
        let variables = variables(environment, &mut problems);
        match Problems::some(problems) {
            Some(problems) => Err(problems),
            None => Ok(Self { variables, ..sources }),
        }
    }

    /// The file overridden by the environment.
    ///
    /// # Errors
    /// What the two cannot be merged for; [`Sources::new`] has excluded every known reason.
    pub(super) fn merge(&self) -> Result<toml::Table, Problems> {
        let variables =
            self.variables.values().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        // `try_parsing` stays off: it would turn a token `007` into `7`.
        let environment = Environment::with_prefix(PREFIX)
            .prefix_separator(SEPARATOR)
            .separator(SEPARATOR)
            .source(Some(variables));
        config::Config::builder()
            .add_source(File::from_str(self.text, FileFormat::Toml))
            .add_source(environment)
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(|_| Problems::of_file(self.name, "does not go together with the environment"))
    }

    /// A problem with the key at `path`, or with the deepest table on the way there that exists.
    pub(super) fn problem(&self, path: &[&str], spot: Spot, message: impl Into<String>) -> Problem {
        Problem { location: self.locate(path, spot), key: path.join("."), message: message.into() }
    }

    fn syntax(&self, error: &toml::de::Error) -> Problem {
        let span = error.span().unwrap_or_default();
        // `level = info` reads as a broken `inf`.
        let is_word = self.text.split_at_checked(span.start).is_some_and(|(before, text)| {
            before.trim_end_matches(' ').ends_with('=') && text.starts_with(char::is_alphabetic)
        });
        let advice = if is_word { "; text goes in quotes" } else { "" };
        let message = format!("not TOML: {}{advice}", error.message());
        Problem { location: self.line(&span), key: String::new(), message }
    }

    fn locate(&self, path: &[&str], spot: Spot) -> Location {
        let mut rest = path;
        while let Some((_, above)) = rest.split_last() {
            let key = rest.join(".");
            let beneath = format!("{key}.");
            let found = self
                .variable(|set| set == key)
                .or_else(|| self.span(rest, spot).map(|span| self.line(&span)))
                .or_else(|| self.variable(|set| set.starts_with(&beneath)));
            if let Some(location) = found {
                return location;
            }
            rest = above;
        }
        Location::File(self.name.to_owned())
    }

    fn variable(&self, is_ours: impl Fn(&str) -> bool) -> Option<Location> {
        let (_, (name, _)) = self.variables.iter().find(|(key, _)| is_ours(key))?;
        Some(Location::Variable((*name).to_owned()))
    }

    fn span(&self, path: &[&str], spot: Spot) -> Option<Range<usize>> {
        let (last, above) = path.split_last()?;
        let mut table = &self.document;
        for key in above {
            let DeValue::Table(next) = table.get(*key)?.get_ref() else { return None };
            table = next;
        }
        let (key, value) = table.get_key_value(*last)?;
        // A `[table]` has no value of its own to point at, `{ … }` has.
        let is_inline = self.text.get(value.span()).is_some_and(|text| text.starts_with('{'));
        let is_table = matches!(value.get_ref(), DeValue::Table(_)) && !is_inline;
        Some(if spot == Spot::Key || is_table { key.span() } else { value.span() })
    }

    fn line(&self, span: &Range<usize>) -> Location {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Location::Line {
            file: self.name.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).map_or(0, |text| text.chars().count()) + 1,
        }
    }

    /// What TOML allows and the merge does not.
    fn unmergeable(&self, problems: &mut Vec<Problem>) {
        for key in self.document.keys() {
            // The merge would read a path, even an index, out of such a key.
            if !key.get_ref().chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                problems.push(Problem {
                    location: self.line(&key.span()),
                    key: key.get_ref().to_string(),
                    message: "unknown key; keys are made of a-z, 0-9 and _".to_owned(),
                });
            }
        }
        self.numbers(&self.document, &mut Vec::new(), problems);
    }

    fn numbers<'b>(&self, table: &'b DeTable<'_>, path: &mut Vec<&'b str>, problems: &mut Vec<Problem>) {
        for (key, value) in table {
            path.push(key.get_ref());
            match value.get_ref() {
                DeValue::Table(inner) => self.numbers(inner, path, problems),
                DeValue::Array(items) if items.iter().any(|item| is_too_large(item.get_ref())) => {
                    problems.push(self.problem(path, Spot::Value, "a number in it is too large"));
                }
                number if is_too_large(number) => {
                    problems.push(self.problem(path, Spot::Value, "is too large a number"));
                }
                _ => {}
            }
            path.pop();
        }
    }
}

fn is_too_large(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).is_err(),
        DeValue::Float(number) => {
            !number.as_str().contains("inf") && number.as_str().parse::<f64>().is_ok_and(f64::is_infinite)
        }
        _ => false,
    }
}

/// The variables that are ours, by the key they set.
fn variables<'a>(
    environment: &'a BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, (&'a str, &'a str)> {
    let prefix = format!("{PREFIX}{SEPARATOR}");
    let mut variables = BTreeMap::new();
    for (name, value) in environment {
        let Some((start, key)) = name.split_at_checked(prefix.len()) else { continue };
        // Compose files leave variables empty to say "not set".
        if !start.eq_ignore_ascii_case(&prefix) || value.is_empty() {
            continue;
        }
        let key = key.to_lowercase().replace(SEPARATOR, ".");
        let mut problem = |message: String| {
            problems.push(Problem { location: Location::Variable(name.clone()), key: key.clone(), message });
        };
        let is_key =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !key.split('.').all(is_key) || key.split('.').count() > DEEPEST {
            problem(format!("names no key; expected {prefix}SECTION{SEPARATOR}KEY"));
        } else if let Some((first, _)) = variables.get(key.as_str()) {
            problem(format!("sets the same key as {first}; remove one of them"));
        } else {
            variables.insert(key, (name.as_str(), value.as_str()));
        }
    }
    variables
}
