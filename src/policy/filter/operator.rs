//! A compiled query: operators in a tree, numbered so that each has its place in the state of an evaluation.

use serde_json::Value;

use super::item::Field;
use super::pattern::Pattern;

/// One operator.
#[derive(Debug, Clone)]
pub(super) struct Operator {
    /// Its place in the state.
    pub(super) number: u16,
    /// Whether those beneath it ask for nothing within the values they are given.
    pub(super) is_plain: bool,
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
    Regex(Pattern),
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
    pub(super) slot: Option<usize>,
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

impl Operator {
    pub(super) fn new(kind: Kind) -> Self {
        Self { number: 0, is_plain: false, kind }
    }

    pub(super) fn test(test: Test) -> Self {
        Self::new(Kind::Test(test))
    }

    /// Numbers it and those beneath it from `next` on; returns what comes behind them.
    pub(super) fn number_from(&mut self, next: u16) -> u16 {
        self.number = next;
        let is_plain = self.children().all(Self::asks_no_further);
        self.is_plain = is_plain;
        let next = next.saturating_add(1);
        match &mut self.kind {
            Kind::Path(_, children) | Kind::Every(children) | Kind::Or(children) | Kind::Nor(children) => {
                children.iter_mut().fold(next, |next, child| child.number_from(next))
            }
            Kind::Not(child) | Kind::ElemMatch(child) => child.number_from(next),
            _ => next,
        }
    }

    /// Whether it is about the value it is given, and nothing within that. A list's items are, but for lists only.
    fn asks_no_further(&self) -> bool {
        match &self.kind {
            Kind::Path(path, _) if !path.is_empty() => false,
            Kind::ElemMatch(_) => true,
            _ => self.children().all(Self::asks_no_further),
        }
    }

    fn children(&self) -> impl Iterator<Item = &Self> {
        let children = match &self.kind {
            Kind::Path(_, children) | Kind::Every(children) | Kind::Or(children) | Kind::Nor(children) => {
                children.as_slice()
            }
            Kind::Not(child) | Kind::ElemMatch(child) => std::slice::from_ref(&**child),
            _ => &[],
        };
        children.iter()
    }

    /// How many there are, itself included.
    pub(super) fn count(&self) -> usize {
        1 + self.children().map(Self::count).sum::<usize>()
    }

    /// About how much work it is: what the head knows is cheap, what only the text knows and patterns are not.
    pub(super) fn cost(&self) -> usize {
        let own = match &self.kind {
            Kind::Path(path, _) => 50 * usize::from(path.first().is_some_and(|first| first.field.is_none())),
            Kind::Test(Test::Regex(_)) => 20,
            _ => 1,
        };
        own + self.children().map(Self::cost).sum::<usize>()
    }
}
