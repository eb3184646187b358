//! `[limit.NAME]`, and what a consumer has of it: `priority`, `daily`, `in_flight`, `max_frame`.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::human::{Count, Interval, Rate};
use super::raw;
use super::resolve::Resolver;
use crate::call::pace;
use crate::policy::actions::{ActionPatterns, SETS};
use crate::policy::bucket::{Breaker, Pacing};
use crate::policy::budget::Allowance;
use crate::policy::limit::{Excess, Limit, Per};
use crate::policy::spelling::closest;

/// Long enough for most bursts, shorter than bots wait for an answer.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// What a limit that lets calls wait does after the link came up.
const RAMP: Duration = Duration::from_secs(30);
const BREAKER: Breaker = Breaker { failures: 5, hold: Duration::from_mins(1) };

impl Resolver<'_, '_> {
    /// `consumers` are the names there are.
    pub(super) fn pace(
        &mut self,
        limits: BTreeMap<String, raw::Limit>,
        time_zone: Option<&str>,
        consumers: &[String],
    ) -> pace::Config {
        let limits = limits.into_iter().map(|(name, raw)| self.limit(&name, raw, consumers)).collect();
        pace::Config { limits, time_zone: self.time_zone(time_zone) }
    }

    fn limit(&mut self, name: &str, raw: raw::Limit, consumers: &[String]) -> Limit {
        self.name(&["limit", name], name);
        let key = |key| ["limit", name, key];
        let excess = match raw.excess.unwrap_or(raw::Excess::Wait) {
            raw::Excess::Wait => Excess::Wait(self.interval(&key("max_wait"), raw.max_wait, MAX_WAIT)),
            raw::Excess::Reject => {
                if raw.max_wait.is_some() {
                    let message = "is of no use with excess = \"reject\", with which no call waits";
                    self.report.refuse(&key("max_wait"), message);
                }
                Excess::Reject
            }
        };
        if raw.rate.is_none() {
            let message = "missing; say how many calls in which time, such as rate = \"30/1m\"";
            self.report.missing(&key("rate"), message);
        }
        let burst = self.count(&key("burst"), raw.burst, 1, 1..=10_000, "must be from 1 to 10000");
        let pacing = Pacing {
            interval: raw.rate.map_or(Duration::ZERO, |Rate { times, each }| each / times),
            burst: u32::try_from(burst).unwrap_or(u32::MAX),
            jitter: raw.jitter.map_or(Duration::ZERO, |Interval(time)| time),
            ramp: raw
                .ramp
                .map_or(if excess == Excess::Reject { Duration::ZERO } else { RAMP }, |Interval(time)| time),
            breaker: self.breaker(name, raw.breaker),
        };
        if let Excess::Wait(max_wait) = excess
            && pacing.interval > max_wait
        {
            let message = format!(
                "at this rate a call may have to wait {:?} for the one before it, longer than limit.{name}.max_wait \
                 ({max_wait:?}); raise one of the two",
                pacing.interval
            );
            self.report.refuse(&key("rate"), message);
        }
        let actions = raw.actions.map_or_else(|| vec!["@send".to_owned()], |list| list.0);
        let actions = self.limited_actions(name, &actions);
        Limit {
            name: name.into(),
            actions,
            consumers: self.limited_consumers(name, raw.consumers.map(|list| list.0), consumers),
            per: match raw.per.unwrap_or(raw::Per::Account) {
                raw::Per::Account => Per::Account,
                raw::Per::Consumer => Per::Consumer,
                raw::Per::Group => Per::Group,
                raw::Per::Target => Per::Target,
            },
            pacing,
            excess,
        }
    }

    fn breaker(&mut self, limit: &str, raw: Option<raw::Breaker>) -> Option<Breaker> {
        let Some(raw) = raw else { return Some(BREAKER) };
        let key = |key| ["limit", limit, "breaker", key];
        // No breaker at all is a choice.
        if raw.failures == Some(Count(0)) {
            return None;
        }
        let failures = self.count(
            &key("failures"),
            raw.failures,
            BREAKER.failures as usize,
            1..=1000,
            "must be from 0, which means never, to 1000",
        );
        let hold = self.interval(&key("hold"), raw.hold, BREAKER.hold);
        Some(Breaker { failures: u32::try_from(failures).unwrap_or(u32::MAX), hold })
    }

    fn limited_actions(&mut self, limit: &str, written: &[String]) -> ActionPatterns {
        let path = ["limit", limit, "actions"];
        if written.is_empty() {
            self.report.refuse(&path, "is empty, so that the limit would never apply; remove the limit");
        }
        ActionPatterns::parse(written).unwrap_or_else(|problems| {
            for problem in problems {
                self.report.refuse(&path, problem);
            }
            ActionPatterns::default()
        })
    }

    fn limited_consumers(
        &mut self,
        limit: &str,
        written: Option<Vec<String>>,
        consumers: &[String],
    ) -> Option<Vec<String>> {
        let written = written?;
        let path = ["limit", limit, "consumers"];
        if written.is_empty() {
            self.report.refuse(&path, "is empty, so that the limit would never apply; [\"*\"] is everybody");
        }
        let known: Vec<&str> = consumers.iter().map(String::as_str).collect();
        for name in written.iter().filter(|name| *name != "*" && !consumers.contains(name)) {
            let hint = closest(name, &known).map_or_else(
                || "the names are those of the tables [consumer.NAME]".to_owned(),
                |meant| format!("did you mean {meant:?}?"),
            );
            self.report.refuse(&path, format!("there is no consumer {name:?}; {hint}"));
        }
        (!written.iter().any(|name| name == "*")).then_some(written)
    }

    /// `consumer.NAME.daily`: keys are actions, patterns or sets, which may be written without the `@`.
    pub(super) fn daily(&mut self, consumer: &str, raw: BTreeMap<String, Count>) -> Vec<Allowance> {
        let mut allowances = Vec::new();
        for (key, Count(most)) in raw {
            let set = format!("@{key}");
            let means_set = SETS.iter().any(|known| known.name == set);
            let written = if means_set { set } else { key.clone() };
            match ActionPatterns::parse(&[written]) {
                Ok(actions) => allowances.push(Allowance { key, actions, most }),
                Err(problems) => {
                    for problem in problems {
                        self.report.refuse(&["consumer", consumer, "daily", &key], problem);
                    }
                }
            }
        }
        allowances
    }

    fn time_zone(&mut self, written: Option<&str>) -> TimeZone {
        let Some(name) = written else { return TimeZone::system() };
        TimeZone::get(name).unwrap_or_else(|_| {
            let message = format!(
                "there is no time zone {name:?}; expected a name such as \"Asia/Shanghai\" or \"UTC\""
            );
            self.report.refuse(&["calls", "time_zone"], message);
            TimeZone::UTC
        })
    }
}
