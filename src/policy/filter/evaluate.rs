//! One object against one condition.
//!
//! Where a path leads to one value, an operator is true of it or not, and that is all. Where lists are on the way
//! there are several, and then the steps are those of `sift`, in its order: every operator keeps two bits of
//! state, is given each value in turn, and may say that it has seen enough. That order is what `MongoDB`'s
//! semantics of lists are made of there, and what users' filters rely on.

use std::cmp::Ordering;

use serde_json::Value;

use super::item::{Item, Subject};
use super::operator::{Bound, Kind, Operator, Order, Segment, Test, Values};
use super::{MAX_OPERATORS, MAX_SUBJECT, MAX_WORK, Unevaluable};
use crate::onebot::{Json, JsonType};

/// The state of one evaluation.
pub(super) struct Evaluation<'a, 's> {
    subject: &'s Subject<'a>,
    keep: Bits,
    done: Bits,
    work: usize,
    failure: Option<Unevaluable>,
}

/// A value on its way through the operators.
#[derive(Clone, Copy)]
struct Place<'a> {
    item: Item<'a>,
    owner: Owner,
    /// Whether the owner has it, be it null.
    own: bool,
    /// Whether it is a key asked of a list that has none.
    foreign: bool,
    /// Whether it is what the path was to lead to, and not where it broke off.
    leaf: bool,
}

/// What a value was found in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Nothing,
    Object,
    Array,
    Other,
}

impl<'a, 's> Evaluation<'a, 's> {
    pub(super) fn of(subject: &'s Subject<'a>) -> Self {
        Self { subject, keep: Bits::default(), done: Bits::default(), work: MAX_WORK, failure: None }
    }

    /// Why what was said so far counts for nothing.
    #[inline]
    pub(super) fn failure(&self) -> Option<Unevaluable> {
        self.failure
    }

    /// Whether the object fulfils what is said about itself. It is one value, so that no state is needed. If there
    /// is a [`failure`](Self::failure) then, the answer is none.
    pub(super) fn of_the_object(&mut self, operator: &Operator) -> bool {
        match &operator.kind {
            Kind::Path(path, children) if !path.is_empty() => {
                if operator.is_plain
                    && let Some(place) = self.find(path)
                {
                    return children.iter().all(|child| self.of_a_value(child, place));
                }
                self.by_steps(operator)
            }
            Kind::Path(_, children) | Kind::Every(children) => {
                children.iter().all(|child| self.of_the_object(child))
            }
            Kind::Or(children) => children.iter().any(|child| self.of_the_object(child)),
            Kind::Nor(children) => !children.iter().any(|child| self.of_the_object(child)),
            Kind::Not(child) => !self.of_the_object(child),
            _ => self.by_steps(operator),
        }
    }

    /// The value at `path`, or what is in its way; `None` if there are several because a list is.
    #[inline]
    fn find(&mut self, path: &[Segment]) -> Option<Place<'a>> {
        let mut place = Place::OBJECT;
        for segment in path {
            if !place.item.is_something() {
                return Some(Place { leaf: false, ..place });
            }
            place = self.step(place.item, segment);
            if place.item.array().is_some() {
                return None;
            }
        }
        Some(place)
    }

    /// Whether a value that is no list fulfils `operator`.
    fn of_a_value(&mut self, operator: &Operator, place: Place<'a>) -> bool {
        match &operator.kind {
            Kind::Path(_, children) | Kind::Every(children) => {
                children.iter().all(|child| self.of_a_value(child, place))
            }
            Kind::Or(children) => children.iter().any(|child| self.of_a_value(child, place)),
            Kind::Nor(children) => !children.iter().any(|child| self.of_a_value(child, place)),
            Kind::Not(child) => !self.of_a_value(child, place),
            Kind::ElemMatch(_) | Kind::Size(_) => false,
            Kind::Exists(wanted) => (place.leaf && place.own) == *wanted,
            Kind::Ne(value) => !self.equal(value, place.item),
            Kind::In(values) => self.is_in(values, place.item),
            Kind::Nin(values) => !self.is_in(values, place.item),
            Kind::Test(test) => self.passes(test, place.item),
        }
    }

    #[inline(never)]
    fn by_steps(&mut self, operator: &Operator) -> bool {
        self.reset(operator);
        self.next(operator, Place::OBJECT);
        self.keep.get(operator)
    }

    fn reset(&mut self, operator: &Operator) {
        self.done.set(operator, false);
        self.keep.set(operator, matches!(operator.kind, Kind::Ne(_) | Kind::Nin(_) | Kind::Exists(false)));
        match &operator.kind {
            Kind::Every(children) | Kind::Path(_, children) | Kind::Or(children) | Kind::Nor(children) => {
                for child in children {
                    self.reset(child);
                }
            }
            Kind::Not(child) | Kind::ElemMatch(child) => self.reset(child),
            _ => {}
        }
    }

    fn next(&mut self, operator: &Operator, place: Place<'a>) {
        if !self.afford(0) {
            return;
        }
        match &operator.kind {
            Kind::Every(children) => self.every(operator, children, place),
            Kind::Path(path, children) => {
                self.walk(operator, path, children, place, true);
            }
            Kind::Or(children) => {
                let found = self.or(children, place);
                self.settle(operator, found, found);
            }
            Kind::Nor(children) => {
                let found = self.or(children, place);
                self.settle(operator, !found, found);
            }
            Kind::Not(child) => {
                self.next(child, place);
                self.settle(operator, !self.keep.get(child), self.done.get(child));
            }
            Kind::ElemMatch(child) => self.elem_match(operator, child, place),
            Kind::Size(size) => {
                if place.item.array().is_some_and(|array| same(array.items().count(), *size)) {
                    self.settle(operator, true, true);
                }
            }
            Kind::Exists(wanted) => {
                let exists = place.leaf
                    && if place.owner == Owner::Nothing { place.item.kind().is_some() } else { place.own };
                if exists {
                    self.settle(operator, *wanted, true);
                }
            }
            Kind::Ne(value) => {
                if !place.foreign && self.equal(value, place.item) {
                    self.settle(operator, false, true);
                }
            }
            Kind::In(values) => {
                if !place.foreign {
                    let found = self.is_in(values, place.item);
                    self.settle(operator, found, found);
                }
            }
            Kind::Nin(values) => {
                if !place.foreign && self.is_in(values, place.item) {
                    self.settle(operator, false, true);
                }
            }
            Kind::Test(test) => {
                if (place.owner != Owner::Array || place.own) && self.passes(test, place.item) {
                    self.settle(operator, true, true);
                }
            }
        }
    }

    fn settle(&mut self, operator: &Operator, keep: bool, done: bool) {
        self.keep.set(operator, keep);
        self.done.set(operator, done);
    }

    fn every(&mut self, operator: &Operator, children: &[Operator], place: Place<'a>) {
        let (mut keep, mut done) = (true, true);
        for child in children {
            if !self.done.get(child) {
                self.next(child, place);
            }
            keep &= self.keep.get(child);
            if self.done.get(child) {
                if !self.keep.get(child) {
                    break;
                }
            } else {
                done = false;
            }
        }
        self.settle(operator, keep, done);
    }

    fn or(&mut self, children: &[Operator], place: Place<'a>) -> bool {
        children.iter().any(|child| {
            self.next(child, place);
            self.keep.get(child)
        })
    }

    fn elem_match(&mut self, operator: &Operator, child: &Operator, place: Place<'a>) {
        let Some(array) = place.item.array() else {
            self.settle(operator, false, false);
            return;
        };
        let mut keep = self.keep.get(operator);
        for item in array.items() {
            if !self.afford(item.text().len()) {
                return;
            }
            self.reset(child);
            self.next(child, Place::item(item));
            keep |= self.keep.get(child);
        }
        self.settle(operator, keep, keep || place.owner != Owner::Object);
    }

    /// Gives the children each value that `path` leads to from `place`, until they have seen enough; whether
    /// they want more.
    fn walk(
        &mut self,
        operator: &Operator,
        path: &[Segment],
        children: &[Operator],
        place: Place<'a>,
        at_start: bool,
    ) -> bool {
        let segment = path.first();
        if let Some(array) = place.item.array().filter(|_| segment.is_none_or(is_inside)) {
            for item in array.items() {
                let item = Place { leaf: place.leaf, ..Place::item(item) };
                if !self.afford(item.item.len()) || !self.walk(operator, path, children, item, at_start) {
                    return false;
                }
            }
        }
        match (segment, path.get(1..)) {
            (Some(segment), Some(rest)) if place.item.is_something() => {
                let found = self.step(place.item, segment);
                self.walk(operator, rest, children, found, false)
            }
            _ => {
                let leaf = segment.is_none() && (!at_start || place.leaf);
                self.every(operator, children, Place { leaf, ..place });
                !self.done.get(operator) && self.failure.is_none()
            }
        }
    }

    #[inline]
    fn step(&mut self, item: Item<'a>, segment: &Segment) -> Place<'a> {
        let found = if matches!(item, Item::Subject) {
            let (found, looked_at) = self.subject.member(segment);
            self.afford(looked_at);
            found
        } else {
            self.afford(item.len());
            item.property(segment)
        };
        let own = !matches!(found, Item::Missing);
        let owner = match item.kind() {
            Some(JsonType::Object) => Owner::Object,
            Some(JsonType::Array) => Owner::Array,
            _ => Owner::Other,
        };
        let foreign = owner == Owner::Array && !own && !segment.numeric;
        Place { item: found, owner, own, foreign, leaf: true }
    }

    fn passes(&mut self, test: &Test, item: Item<'a>) -> bool {
        match test {
            Test::Eq(value) => self.equal(value, item),
            Test::Order(wanted, bound) => {
                let compared = match bound {
                    Bound::Number(bound) => item.number().and_then(|number| number.partial_cmp(bound)),
                    Bound::Text(bound) => {
                        item.string().map(|found| by_units(&String::from_utf8_lossy(&found), bound))
                    }
                    Bound::Boolean(bound) => item.boolean().map(|value| value.cmp(bound)),
                };
                compared.is_some_and(|found| match wanted {
                    Order::Lt => found == Ordering::Less,
                    Order::Lte => found != Ordering::Greater,
                    Order::Gt => found == Ordering::Greater,
                    Order::Gte => found != Ordering::Less,
                })
            }
            #[expect(clippy::float_cmp, reason = "as JavaScript does")]
            Test::Mod(divisor, remainder) => item.as_operand() % divisor == *remainder,
            Test::Type(kind) => item.is_a(*kind),
            Test::Regex(pattern) => {
                if item.kind() != Some(JsonType::String) || !self.afford(item.len()) {
                    return false;
                }
                if item.len() > MAX_SUBJECT {
                    self.failure = Some(Unevaluable::TooLong);
                    return false;
                }
                item.string().is_some_and(|text| pattern.is_match(&text))
            }
        }
    }

    fn is_in(&mut self, values: &Values, item: Item<'a>) -> bool {
        match item.kind() {
            Some(JsonType::Number) => item.number().is_some_and(|number| values.has_number(number)),
            Some(JsonType::String) => {
                !values.texts.is_empty() && item.string().is_some_and(|text| values.has_text(&text))
            }
            _ => values.others.iter().any(|value| self.equal(value, item)),
        }
    }

    /// As `sift` has it: null equals what is absent, and tables are equal if they have equally many keys and
    /// equal values at those of the query.
    #[inline]
    fn equal(&mut self, value: &Value, item: Item<'a>) -> bool {
        match value {
            Value::Null => !item.is_something(),
            Value::Bool(value) => item.boolean() == Some(*value),
            Value::Number(number) => item.number().is_some_and(|item| number.as_f64() == Some(item)),
            Value::String(text) => item.string().is_some_and(|item| *item == *text.as_bytes()),
            Value::Array(_) | Value::Object(_) => self.equal_throughout(value, item),
        }
    }

    #[inline(never)]
    fn equal_throughout(&mut self, value: &Value, item: Item<'a>) -> bool {
        match value {
            Value::Array(values) => {
                let Some(array) = item.array().filter(|array| self.afford(array.text().len())) else {
                    return false;
                };
                let mut items = array.items();
                values
                    .iter()
                    .all(|value| items.next().is_some_and(|item| self.equal(value, Item::Json(item))))
                    && items.next().is_none()
            }
            Value::Object(map) => {
                let object = match item {
                    Item::Subject => self.subject.json(),
                    Item::Json(json) if json.kind() == JsonType::Object => json,
                    _ => return false,
                };
                if !self.afford(object.text().len()) {
                    return false;
                }
                let mut members: Vec<_> = object.members().collect();
                // Of equal keys the last counts; sorting keeps their order.
                members.sort_by(|(one, _), (other, _)| one.cmp(other));
                members.reverse();
                members.dedup_by(|(one, _), (other, _)| one == other);
                members.reverse();
                members.len() == map.len()
                    && map.iter().all(|(key, value)| {
                        let found = members.binary_search_by(|(name, _)| (**name).cmp(key.as_bytes()));
                        let found = found.ok().and_then(|at| members.get(at));
                        self.equal(value, found.map_or(Item::Missing, |(_, json)| Item::Json(*json)))
                    })
            }
            scalar => self.equal(scalar, item),
        }
    }

    /// Takes one step, and one more for each 64 of `bytes`; false if that is too much.
    #[inline]
    fn afford(&mut self, bytes: usize) -> bool {
        match self.work.checked_sub(1 + bytes / 64) {
            Some(left) => self.work = left,
            None => self.failure = self.failure.or(Some(Unevaluable::TooMuchWork)),
        }
        self.failure.is_none()
    }
}

impl<'a> Place<'a> {
    const OBJECT: Self =
        Self { item: Item::Subject, owner: Owner::Nothing, own: true, foreign: false, leaf: true };

    /// An item of a list.
    fn item(item: Json<'a>) -> Self {
        Self { item: Item::Json(item), owner: Owner::Array, own: true, foreign: false, leaf: true }
    }
}

/// Whether `key` is to be looked for in the items of a list, and not only in the list itself.
fn is_inside(key: &Segment) -> bool {
    !key.numeric && &*key.name != "length"
}

fn same(count: usize, size: f64) -> bool {
    #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "no list is so long")]
    let same = count as f64 == size;
    same
}

/// `JavaScript` compares texts by their UTF-16 units.
fn by_units(one: &str, other: &str) -> Ordering {
    one.encode_utf16().cmp(other.encode_utf16())
}

/// One bit for each operator.
#[derive(Default)]
struct Bits([u64; MAX_OPERATORS / 64]);

impl Bits {
    fn get(&self, operator: &Operator) -> bool {
        let number = usize::from(operator.number);
        self.0.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    fn set(&mut self, operator: &Operator, value: bool) {
        let number = usize::from(operator.number);
        if let Some(word) = self.0.get_mut(number / 64) {
            *word = *word & !(1 << (number % 64)) | u64::from(value) << (number % 64);
        }
    }
}
