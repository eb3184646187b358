//! From a query to operators; everything that is wrong with it is told.

use serde_json::{Map, Value};

use super::item::{Field, NAMES};
use super::operator::{Bound, Kind, Operator, Order, Segment, Test, Type, Values};
use super::{Filter, FilterProblem, MAX_NESTING, MAX_OPERATORS, Part, number, pattern};
use crate::policy::spelling::closest;

const OPERATORS: &[&str] = &[
    "$all",
    "$and",
    "$elemMatch",
    "$eq",
    "$exists",
    "$gt",
    "$gte",
    "$in",
    "$lt",
    "$lte",
    "$mod",
    "$ne",
    "$nin",
    "$nor",
    "$not",
    "$options",
    "$or",
    "$regex",
    "$size",
    "$type",
];
const TYPES: &[&str] = &["number", "string", "bool", "array", "null"];

/// Where a query stands: these change what its keys may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// It is about the object, or about what `$not`, `$elemMatch` and the like are given.
    Query,
    /// It says what holds for the value at a path.
    Value,
}

#[derive(Debug, Default)]
pub(super) struct Compiler {
    path: Vec<String>,
    problems: Vec<FilterProblem>,
    names: Vec<Box<str>>,
    /// Whether the keys at hand are those of the object itself.
    beneath: usize,
}

impl Compiler {
    pub(super) fn filter(mut self, query: &Value) -> Result<Filter, Vec<FilterProblem>> {
        let mut parts = Vec::new();
        if depth(query) > MAX_NESTING {
            self.refuse(format!("is nested deeper than {MAX_NESTING} levels"));
        } else if let Value::Object(table) = query {
            self.parts(table, &mut parts);
        } else {
            self.refuse("expected a table of conditions, such as { post_type = \"message\" }");
        }
        parts.sort_by_key(|part| part.operator.cost());
        let count: usize = parts.iter().map(|part| part.operator.count()).sum();
        if count > MAX_OPERATORS {
            self.refuse(format!(
                "has {count} operators, more than {MAX_OPERATORS}; one $in with a list takes the place of many \
                 alternatives"
            ));
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        parts.iter_mut().fold(0, |next, part: &mut Part| part.operator.number_from(next));
        Ok(Filter { source: query.clone(), parts: parts.into(), names: self.names.into() })
    }

    /// The conditions on the object itself. Those of `$and` are conditions like any other.
    fn parts(&mut self, table: &Map<String, Value>, parts: &mut Vec<Part>) {
        for (key, value) in table {
            self.path.push(key.clone());
            if key == "$and" {
                for (index, query) in self.group(value).iter().enumerate() {
                    self.path.push(index.to_string());
                    match query {
                        Value::Object(table) => self.parts(table, parts),
                        _ => self.refuse("expected a table of conditions"),
                    }
                    self.path.pop();
                }
            } else {
                let operator = match key.strip_prefix('$') {
                    Some(_) => {
                        let operator = self.operator(key, value, table, Scope::Query);
                        operator.map(|operator| Operator::new(Kind::Path(Vec::new(), vec![operator])))
                    }
                    None => Some(self.property(key, value)),
                };
                let key = self.path.join(".").into();
                parts.extend(operator.map(|operator| Part { key, operator }));
            }
            self.path.pop();
        }
    }

    /// What holds for a value, or for the items of a list.
    fn query(&mut self, query: &Value) -> Operator {
        let (mut own, mut nested) = (Vec::new(), Vec::new());
        match query {
            Value::Object(table) => {
                for (key, value) in table {
                    self.path.push(key.clone());
                    if key.starts_with('$') {
                        own.extend(self.operator(key, value, table, Scope::Query));
                    } else {
                        nested.push(self.property(key, value));
                    }
                    self.path.pop();
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.path.push(index.to_string());
                    nested.push(self.property(&index.to_string(), item));
                    self.path.pop();
                }
            }
            value => own.push(Operator::test(Test::Eq(value.clone()))),
        }
        if !own.is_empty() {
            nested.insert(0, Operator::new(Kind::Path(Vec::new(), own)));
        }
        if nested.len() == 1
            && let Some(only) = nested.pop()
        {
            return only;
        }
        Operator::new(Kind::Every(nested))
    }

    /// A query that is given other things than the object itself.
    fn inner(&mut self, query: &Value) -> Operator {
        self.beneath += 1;
        let operator = self.query(query);
        self.beneath -= 1;
        operator
    }

    fn property(&mut self, key: &str, value: &Value) -> Operator {
        let path: Vec<Segment> =
            key.split('.').enumerate().map(|(at, name)| self.segment(name, at == 0)).collect();
        let children = match value {
            Value::Object(table) if table.keys().any(|key| key.starts_with('$')) => {
                self.beneath += 1;
                let operators = self.value_operators(table);
                self.beneath -= 1;
                operators
            }
            value => vec![Operator::test(Test::Eq(value.clone()))],
        };
        Operator::new(Kind::Path(path, children))
    }

    fn value_operators(&mut self, table: &Map<String, Value>) -> Vec<Operator> {
        let mut operators = Vec::new();
        for (key, value) in table {
            self.path.push(key.clone());
            if key.starts_with('$') {
                operators.extend(self.operator(key, value, table, Scope::Value));
            } else {
                self.refuse(
                    "stands beside operators; a table has either operators only or the keys of a value that is \
                     compared as a whole",
                );
            }
            self.path.pop();
        }
        operators
    }

    fn segment(&mut self, name: &str, first: bool) -> Segment {
        let of_the_object = first && self.beneath == 0;
        let slot = of_the_object.then(|| self.slot(name)).flatten();
        let index = name.parse().ok().filter(|index: &usize| index.to_string() == name);
        Segment {
            name: name.into(),
            numeric: !number::of_text(name).is_nan(),
            index,
            slot,
            field: of_the_object.then(|| Field::named(name)).flatten(),
        }
    }

    /// The place of the object's member `name` among those that are found together, while there is room.
    fn slot(&mut self, name: &str) -> Option<usize> {
        let known = self.names.iter().position(|known| **known == *name);
        if known.is_none() && self.names.len() < NAMES {
            self.names.push(name.into());
            return Some(self.names.len() - 1);
        }
        known
    }

    /// The operator `name` with its `value`, one of the keys of `table`. `None` if it is wrong, or says
    /// something about another one.
    fn operator(
        &mut self,
        name: &str,
        value: &Value,
        table: &Map<String, Value>,
        scope: Scope,
    ) -> Option<Operator> {
        let kind = match name {
            "$and" | "$or" | "$nor" if scope == Scope::Value => {
                self.refuse(format!(
                    "{name} combines whole conditions and cannot stand beneath a key; write it around them, \
                     or use $in or $not here"
                ));
                return None;
            }
            "$and" => Kind::Every(self.queries(value)),
            "$or" => Kind::Or(self.queries(value)),
            "$nor" => Kind::Nor(self.queries(value)),
            "$all" => {
                let queries = self.list(value, "the values that all have to be in the list")?;
                Kind::Every(self.each(queries, Self::inner))
            }
            "$not" => Kind::Not(Box::new(self.query(value))),
            "$elemMatch" if value.is_object() || value.is_array() => {
                Kind::ElemMatch(Box::new(self.inner(value)))
            }
            "$elemMatch" => return self.wrong("a table of conditions on one item"),
            "$eq" => Kind::Test(Test::Eq(value.clone())),
            "$ne" => Kind::Ne(value.clone()),
            "$in" => Kind::In(self.values(value)?),
            "$nin" => Kind::Nin(self.values(value)?),
            "$lt" => self.order(Order::Lt, value)?,
            "$lte" => self.order(Order::Lte, value)?,
            "$gt" => self.order(Order::Gt, value)?,
            "$gte" => self.order(Order::Gte, value)?,
            "$exists" => match value {
                Value::Bool(wanted) => Kind::Exists(*wanted),
                Value::Number(number) => Kind::Exists(number.as_f64() != Some(0.0)),
                _ => return self.wrong("true or false"),
            },
            "$size" => match value.as_f64().filter(|size| *size >= 0.0 && size.fract() == 0.0) {
                Some(size) => Kind::Size(size),
                None => return self.wrong("how many items the list has, a whole number"),
            },
            "$mod" => match value.as_array().map(Vec::as_slice) {
                Some([divisor, remainder]) => match (divisor.as_f64(), remainder.as_f64()) {
                    (Some(divisor), Some(remainder)) if divisor != 0.0 => {
                        Kind::Test(Test::Mod(divisor, remainder))
                    }
                    _ => return self.wrong("[divisor, remainder], two numbers, the first not 0"),
                },
                _ => return self.wrong("[divisor, remainder]"),
            },
            "$type" => Kind::Test(Test::Type(self.type_name(value)?)),
            "$regex" => self.regex(value, table.get("$options"))?,
            "$options" => {
                if !table.contains_key("$regex") {
                    self.refuse("says how $regex searches, and there is no $regex beside it");
                }
                return None;
            }
            "$where" => {
                self.refuse("runs JavaScript, which the gateway does not; say it with the other operators");
                return None;
            }
            unknown => {
                let hint = closest(unknown, OPERATORS).map_or_else(
                    || format!("the operators are {}", OPERATORS.join(" ")),
                    |meant| format!("did you mean `{meant}`?"),
                );
                self.refuse(format!("unknown operator; {hint}"));
                return None;
            }
        };
        Some(Operator::new(kind))
    }

    fn group<'v>(&mut self, value: &'v Value) -> &'v [Value] {
        self.list(value, "the conditions, a list of tables").unwrap_or_default()
    }

    fn queries(&mut self, value: &Value) -> Vec<Operator> {
        let queries = self.group(value);
        self.each(queries, |compiler, query| {
            if compiler.beneath == 0 && !query.is_object() {
                compiler.refuse("expected a table of conditions");
            }
            compiler.query(query)
        })
    }

    fn each(&mut self, values: &[Value], compile: impl Fn(&mut Self, &Value) -> Operator) -> Vec<Operator> {
        let compiled = values.iter().enumerate().map(|(index, value)| {
            self.path.push(index.to_string());
            let operator = compile(self, value);
            self.path.pop();
            operator
        });
        compiled.collect()
    }

    fn list<'v>(&mut self, value: &'v Value, what: &str) -> Option<&'v [Value]> {
        match value {
            Value::Array(items) if !items.is_empty() => Some(items),
            Value::Array(_) => {
                self.refuse(format!("is empty; expected {what}"));
                None
            }
            _ => {
                self.refuse(format!("expected {what}"));
                None
            }
        }
    }

    fn values(&mut self, value: &Value) -> Option<Values> {
        let items = match value {
            Value::Array(items) => items.as_slice(),
            single => std::slice::from_ref(single),
        };
        let has_operator =
            |item: &Value| item.as_object().is_some_and(|table| table.keys().any(|key| key.starts_with('$')));
        if items.iter().any(has_operator) {
            self.refuse("lists values, not operators; for alternatives of conditions use $or around them");
            return None;
        }
        Some(Values::new(items))
    }

    fn order(&mut self, order: Order, value: &Value) -> Option<Kind> {
        let bound = match value {
            Value::Number(number) => number.as_f64().map(Bound::Number),
            Value::String(text) => Some(Bound::Text(text.clone())),
            Value::Bool(value) => Some(Bound::Boolean(*value)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        match bound {
            Some(bound) => Some(Kind::Test(Test::Order(order, bound))),
            None => self.wrong("a number or a string to compare with"),
        }
    }

    fn type_name(&mut self, value: &Value) -> Option<Type> {
        let name = value.as_str().unwrap_or_default();
        match name {
            "number" => Some(Type::Number),
            "string" => Some(Type::String),
            "bool" => Some(Type::Bool),
            "array" => Some(Type::Array),
            "null" => Some(Type::Null),
            "timestamp" => {
                self.refuse("can never match: JSON has no timestamps; times are numbers");
                None
            }
            unknown => {
                let hint = closest(unknown, TYPES).map_or_else(
                    || format!("the types are {}", TYPES.join(", ")),
                    |meant| format!("did you mean \"{meant}\"?"),
                );
                self.refuse(format!("names no type; {hint}"));
                None
            }
        }
    }

    fn regex(&mut self, value: &Value, options: Option<&Value>) -> Option<Kind> {
        let Value::String(text) = value else {
            return self.wrong("a pattern, a string such as \"^/help\"");
        };
        let options = match options {
            None => "",
            Some(Value::String(options)) => options,
            Some(_) => return self.wrong("$options beside it to be a string such as \"i\""),
        };
        match pattern::compile(text, options) {
            Ok(pattern) => Some(Kind::Test(Test::Regex(pattern))),
            Err(message) => {
                self.refuse(message);
                None
            }
        }
    }

    fn wrong<T>(&mut self, expected: &str) -> Option<T> {
        self.refuse(format!("expected {expected}"));
        None
    }

    fn refuse(&mut self, message: impl Into<String>) {
        self.problems.push(FilterProblem { path: self.path.join("."), message: message.into() });
    }
}

/// Levels of tables and lists; those of the deepest branch.
fn depth(value: &Value) -> usize {
    let mut deepest = 0;
    let mut open = vec![(value, 1)];
    while let Some((value, depth)) = open.pop() {
        deepest = deepest.max(depth);
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(table) => open.extend(table.values().map(|item| (item, depth + 1))),
            _ => {}
        }
    }
    deepest
}
