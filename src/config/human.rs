//! Values as people write them. From the environment everything comes as a string.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

use crate::policy::events::SelfMessages;

/// A time such as `500ms`, `10s`, `10m` or `1h`, up to 365 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval(pub(super) Duration);

/// A number of bytes such as `1024 B`, `10 KB` (10,000), `64 KiB`, `48MiB` or `1 GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) usize);

/// How often, such as `30/1m` or `1/2s`: a number of times in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) times: u32,
    pub(super) each: Duration,
}

/// A whole number that is not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count(pub(super) u64);

impl Count {
    /// As a number of things in memory.
    pub(super) fn get(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Switch(pub(super) bool);

/// Which messages of the account itself; once that was only `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnMessages(pub(super) SelfMessages);

/// A list of strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List(pub(super) Vec<String>);

/// A list of QQ numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ids(pub(super) Vec<i64>);

/// A QQ number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Id(i64);

const LONGEST: Duration = Duration::from_hours(365 * 24);

impl Human for Interval {
    const EXPECTED: &str = "a time such as \"500ms\", \"10s\", \"10m\" or \"1h\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let (number, unit) = number_and_unit(text, Self::EXPECTED)?;
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "" => return Err(format!("{text:?} has no unit; write \"{number}s\" or \"{number}ms\"")),
            _ => return Err(format!("{text:?} has an unknown unit; the units are ms, s, m and h")),
        };
        number
            .checked_mul(milliseconds)
            .map(Duration::from_millis)
            .filter(|interval| *interval <= LONGEST)
            .map(Self)
            .ok_or_else(|| format!("{text:?} is too long; at most \"8760h\""))
    }

    fn from_number(number: i64) -> Result<Self, String> {
        Err(format!("{number} has no unit; write \"{number}s\" or \"{number}ms\""))
    }
}

impl Human for Size {
    const EXPECTED: &str = "a size such as \"1024 B\", \"10 KB\" or \"64 MiB\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let (number, unit) = number_and_unit(text, Self::EXPECTED)?;
        let bytes: u64 = match unit.to_ascii_lowercase().as_str() {
            "b" => 1,
            "kb" => 1000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            "" => return Err(format!("{text:?} has no unit; write \"{number} B\" or \"{number} MiB\"")),
            _ => {
                return Err(format!(
                    "{text:?} has an unknown unit; the units are B, KiB, MiB, GiB, KB, MB and GB"
                ));
            }
        };
        number
            .checked_mul(bytes)
            .and_then(|bytes| usize::try_from(bytes).ok())
            .map(Self)
            .ok_or_else(|| format!("{text:?} is too large"))
    }

    fn from_number(number: i64) -> Result<Self, String> {
        Err(format!("{number} has no unit; write \"{number} B\" or \"{number} MiB\""))
    }
}

impl Human for Rate {
    const EXPECTED: &str = "a number of calls in a time, such as \"30/1m\" or \"1/2s\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').map(|(times, each)| (times.trim().parse().ok(), each.trim()));
        let (Some(times), each) = parts.ok_or_else(|| format!("{text:?} is not {}", Self::EXPECTED))? else {
            return Err(format!("{text:?} is not {}", Self::EXPECTED));
        };
        // `30/m` is one minute.
        let each =
            if each.starts_with(|c: char| c.is_ascii_alphabetic()) { &*format!("1{each}") } else { each };
        let Interval(each) = Interval::from_text(each).map_err(|problem| format!("{text:?}: {problem}"))?;
        if times == 0 || each.is_zero() {
            return Err(format!("{text:?} would let nothing through; to forbid actions, use actions.deny"));
        }
        Ok(Self { times, each })
    }

    fn from_number(number: i64) -> Result<Self, String> {
        Err(format!("{number} says not in which time; write \"{number}/1m\""))
    }
}

impl Human for Count {
    const EXPECTED: &str = "a whole number";

    fn from_text(text: &str) -> Result<Self, String> {
        text.trim().parse().map(Self).map_err(|_| format!("{text:?} is not {}", Self::EXPECTED))
    }

    fn from_number(number: i64) -> Result<Self, String> {
        u64::try_from(number).map(Self).map_err(|_| format!("{number} is negative"))
    }
}

impl Human for Switch {
    const EXPECTED: &str = "true or false";

    fn from_text(text: &str) -> Result<Self, String> {
        text.trim().parse().map(Self).map_err(|_| format!("{text:?} is not {}", Self::EXPECTED))
    }

    fn from_boolean(value: bool) -> Result<Self, String> {
        Ok(Self(value))
    }
}

impl Human for OwnMessages {
    const EXPECTED: &str = "\"none\", \"own\", \"siblings\", \"all\", false or true";

    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "none" | "false" => Ok(Self(SelfMessages::None)),
            "own" => Ok(Self(SelfMessages::Own)),
            "siblings" => Ok(Self(SelfMessages::Siblings)),
            "all" | "true" => Ok(Self(SelfMessages::All)),
            _ => Err(format!("{text:?} is not {}", Self::EXPECTED)),
        }
    }

    fn from_boolean(value: bool) -> Result<Self, String> {
        Ok(Self(if value { SelfMessages::All } else { SelfMessages::None }))
    }
}

impl Human for Id {
    const EXPECTED: &str = "a QQ number, such as 10001";

    fn from_text(text: &str) -> Result<Self, String> {
        let number = text.trim().parse().map_err(|_| format!("{text:?} is not {}", Self::EXPECTED))?;
        Self::from_number(number)
    }

    fn from_number(number: i64) -> Result<Self, String> {
        if number > 0 { Ok(Self(number)) } else { Err(format!("{number} is not {}", Self::EXPECTED)) }
    }
}

fn number_and_unit<'a>(text: &'a str, expected: &str) -> Result<(u64, &'a str), String> {
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at_checked(digits).unwrap_or((trimmed, ""));
    if number.is_empty() || unit.starts_with('.') {
        return Err(format!("{text:?} is not {expected}"));
    }
    let number = number.parse().map_err(|_| format!("{text:?} is too large"))?;
    Ok((number, unit.trim_start()))
}

/// A value that can be written as a string, and perhaps as TOML's own number or boolean.
trait Human: Sized {
    /// Completes "expected …".
    const EXPECTED: &str;

    fn from_text(text: &str) -> Result<Self, String>;

    fn from_number(_: i64) -> Result<Self, String> {
        Err(format!("is a number; expected {}", Self::EXPECTED))
    }

    fn from_boolean(_: bool) -> Result<Self, String> {
        Err(format!("is true or false; expected {}", Self::EXPECTED))
    }
}

struct Reading<T>(PhantomData<T>);

impl<T: Human> Visitor<'_> for Reading<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        T::from_number(number).map_err(E::custom)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<T, E> {
        T::from_boolean(value).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading(PhantomData))
    }
}

impl<'de> Deserialize<'de> for OwnMessages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading(PhantomData))
    }
}

/// Reads a list of what `expected` names.
struct Items<T> {
    expected: &'static str,
    item: PhantomData<T>,
}

impl<T> Items<T> {
    fn of(expected: &'static str) -> Self {
        Self { expected, item: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}, in the file: the environment cannot set lists", self.expected)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element()? {
            read.push(item);
        }
        Ok(read)
    }
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Items::of("strings")).map(Self)
    }
}

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ids: Vec<Id> = deserializer.deserialize_any(Items::of("QQ numbers"))?;
        Ok(Self(ids.into_iter().map(|Id(id)| id).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals() {
        let cases = [
            ("500ms", Duration::from_millis(500)),
            ("10s", Duration::from_secs(10)),
            (" 10 m ", Duration::from_mins(10)),
            ("1h", Duration::from_hours(1)),
            ("0s", Duration::ZERO),
        ];
        for (text, expected) in cases {
            assert_eq!(Interval::from_text(text), Ok(Interval(expected)), "{text}");
        }
    }

    #[test]
    fn sizes() {
        let cases = [
            ("1024 B", 1024),
            ("10 KB", 10_000),
            ("64 MiB", 64 << 20),
            ("48MiB", 48 << 20),
            ("1 gib", 1 << 30),
        ];
        for (text, expected) in cases {
            assert_eq!(Size::from_text(text), Ok(Size(expected)), "{text}");
        }
    }

    #[test]
    fn rates() {
        let minute = Duration::from_mins(1);
        for (text, times, each) in
            [("30/1m", 30, minute), ("30/m", 30, minute), (" 1 / 2s ", 1, Duration::from_secs(2))]
        {
            assert_eq!(Rate::from_text(text), Ok(Rate { times, each }), "{text}");
        }
        for text in ["30", "x/1m", "0/1m", "1/0s", "1/5", "-1/1m", "1/1m/2", ""] {
            assert!(Rate::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_interval_says_what_would_be() {
        let cases = [
            ("30", r#""30" has no unit; write "30s" or "30ms""#),
            ("30 sec", r#""30 sec" has an unknown unit; the units are ms, s, m and h"#),
            ("1.5s", r#""1.5s" is not a time such as "500ms", "10s", "10m" or "1h""#),
            ("-1s", r#""-1s" is not a time such as "500ms", "10s", "10m" or "1h""#),
            ("", r#""" is not a time such as "500ms", "10s", "10m" or "1h""#),
            ("8761h", r#""8761h" is too long; at most "8760h""#),
            ("18446744073709551615h", r#""18446744073709551615h" is too long; at most "8760h""#),
            ("18446744073709551616s", r#""18446744073709551616s" is too large"#),
        ];
        for (text, expected) in cases {
            assert_eq!(Interval::from_text(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_says_what_would_be() {
        let cases = [
            ("64", r#""64" has no unit; write "64 B" or "64 MiB""#),
            ("64 M", r#""64 M" has an unknown unit; the units are B, KiB, MiB, GiB, KB, MB and GB"#),
            ("big", r#""big" is not a size such as "1024 B", "10 KB" or "64 MiB""#),
            ("18446744073709551615 GiB", r#""18446744073709551615 GiB" is too large"#),
        ];
        for (text, expected) in cases {
            assert_eq!(Size::from_text(text), Err(expected.to_owned()), "{text}");
        }
    }
}
