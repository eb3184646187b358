//! `[cache]`: which answers are given again.

use std::collections::BTreeMap;

use super::human::Interval;
use super::raw;
use super::resolve::Resolver;
use crate::call::cache::Config;
use crate::onebot::catalogue::{self, Cacheable};

impl Resolver<'_, '_> {
    pub(super) fn cache(&mut self, raw: raw::Cache) -> Config {
        let defaults = Config::default();
        let mut ttl = BTreeMap::new();
        for (action, Interval(time)) in raw.ttl {
            let path = ["cache", "ttl", &action];
            self.action(&path, &action);
            if catalogue::find(&action).is_some_and(|action| action.cacheable == Cacheable::No) {
                let message = format!(
                    "an answer to `{action}` cannot be kept: it changes something, or its answer changes without notice"
                );
                self.report.refuse(&path, message);
            }
            ttl.insert(action, time);
        }
        Config {
            all: raw.all.map_or(defaults.all, |switch| switch.0),
            ttl,
            max_bytes: self.size(
                &["cache", "max_bytes"],
                raw.max_bytes,
                defaults.max_bytes,
                64 << 10..=4 << 30,
                "must be from 64 KiB to 4 GiB",
            ),
        }
    }
}
