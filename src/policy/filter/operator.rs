//! A compiled query: operators in a tree, numbered so that each has its place in the state of an evaluation.

use regex::bytes::Regex;
use serde_json::Value;

use super::item::Field;

/// One operator. Those beneath it have the numbers up to `end`.
#[derive(Debug, Clone)]
pub(super) struct Operator {
    pub(super) number: u16,
    pub(super) end: u16,
    /// Whether its children are given one value only, so that what one of them decides needs no other.
    pub(super) once: bool,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Every child has to hold: a query, `$and`, `$all`.
    Every(Vec<Operator>),
    /// The children are given each value that the path leads to.
    Path(Vec<Segment>, Vec<Operator>),
    Or(Vec<Operator>),
    Nor(Vec<Operator>),
    Not(Box<Operator>),
    ElemMatch(Box<Operator>),
    Size(f64),
    Exists(bool),
    Ne(Value),
    In(Values),
    Nin(Values),
    /// Holds from the first value on that passes.
    Test(Test),
}

/// What one value is held against.
#[derive(Debug, Clone)]
pub(super) enum Test {
    Eq(Value),
    Order(Order, Bound),
    /// Divisor, remainder.
    Mod(f64, f64),
    Type(Type),
    Regex(Box<Regex>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Lt,
    Lte,
    Gt,
    Gte,
}

/// What values are compared with; other types never compare.
#[derive(Debug, Clone)]
pub(super) enum Bound {
    Number(f64),
    Text(String),
    Boolean(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Number,
    String,
    Bool,
    Array,
    Null,
}

/// The values of `$in`: found by halving, however many there are.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    pub(super) numbers: Vec<f64>,
    pub(super) texts: Vec<String>,
    pub(super) others: Vec<Value>,
}

/// One key of a path.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) name: Box<str>,
    /// Whether `JavaScript` reads it as a number, so that it is no key of a list's items.
    pub(super) numeric: bool,
    /// The item of a list that it names.
    pub(super) index: Option<usize>,
    /// Which of the names of the filter it is, if it is the first of a path from the object itself.
    pub(super) slot: Option<u16>,
    /// Where the head of an event knows it.
    pub(super) field: Option<Field>,
}

impl Values {
    pub(super) fn new(values: &[Value]) -> Self {
        let mut sorted = Self::default();
        for value in values {
            match value {
                Value::Number(number) => sorted.numbers.extend(number.as_f64()),
                Value::String(text) => sorted.texts.push(text.clone()),
                other => sorted.others.push(other.clone()),
            }
        }
        // There is no NaN in JSON, and no order between the two zeros in JavaScript.
        for number in &mut sorted.numbers {
            *number += 0.0;
        }
        sorted.numbers.sort_by(f64::total_cmp);
        sorted.texts.sort_unstable();
        sorted
    }

    pub(super) fn has_number(&self, number: f64) -> bool {
        self.numbers.binary_search_by(|known| known.total_cmp(&(number + 0.0))).is_ok()
    }

    pub(super) fn has_text(&self, text: &[u8]) -> bool {
        self.texts.binary_search_by(|known| known.as_bytes().cmp(text)).is_ok()
    }
}

/// How often an operator is given a value in one evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    /// Once, and that is the object itself.
    TheObject,
    Once,
    Often,
}

impl Operator {
    pub(super) fn new(kind: Kind) -> Self {
        Self { number: 0, end: 0, once: false, kind }
    }

    pub(super) fn test(test: Test) -> Self {
        Self::new(Kind::Test(test))
    }

    /// Numbers the operators of a condition on the object from `next` on; returns what comes behind them.
    pub(super) fn number_from(&mut self, next: u16) -> u16 {
        self.place(next, Given::TheObject)
    }

    fn place(&mut self, next: u16, given: Given) -> u16 {
        self.number = next;
        self.once = given != Given::Often;
        let mut next = next.saturating_add(1);
        match &mut self.kind {
            Kind::Path(path, children) => {
                let given = if path.is_empty() && given == Given::TheObject { given } else { Given::Often };
                self.once = given != Given::Often;
                next = children.iter_mut().fold(next, |next, child| child.place(next, given));
            }
            Kind::Every(children) | Kind::Or(children) | Kind::Nor(children) => {
                next = children.iter_mut().fold(next, |next, child| child.place(next, given));
            }
            Kind::Not(child) => next = child.place(next, given),
            Kind::ElemMatch(child) => next = child.place(next, Given::Once),
            Kind::Size(_) | Kind::Exists(_) | Kind::Ne(_) | Kind::In(_) | Kind::Nin(_) | Kind::Test(_) => {}
        }
        self.end = next;
        next
    }

    /// How many there are, itself included.
    pub(super) fn count(&self) -> usize {
        1 + match &self.kind {
            Kind::Path(_, children) | Kind::Every(children) | Kind::Or(children) | Kind::Nor(children) => {
                children.iter().map(Self::count).sum()
            }
            Kind::Not(child) | Kind::ElemMatch(child) => child.count(),
            Kind::Size(_) | Kind::Exists(_) | Kind::Ne(_) | Kind::In(_) | Kind::Nin(_) | Kind::Test(_) => 0,
        }
    }

    /// About how much work it is: what the head knows is cheap, what only the text knows and patterns are not.
    pub(super) fn cost(&self) -> usize {
        match &self.kind {
            Kind::Path(path, children) => {
                let known = path.first().is_none_or(|first| first.field.is_some());
                usize::from(!known) * 50 + children.iter().map(Self::cost).sum::<usize>()
            }
            Kind::Every(children) | Kind::Or(children) | Kind::Nor(children) => {
                children.iter().map(Self::cost).sum()
            }
            Kind::Not(child) | Kind::ElemMatch(child) => child.cost(),
            Kind::Test(Test::Regex(_)) => 20,
            Kind::Size(_) | Kind::Exists(_) | Kind::Ne(_) | Kind::In(_) | Kind::Nin(_) | Kind::Test(_) => 1,
        }
    }
}
