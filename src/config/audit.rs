//! `[audit]`: the audit log.

use super::raw;
use super::resolve::Resolver;
use crate::telemetry::audit::Config;

impl Resolver<'_, '_> {
    /// `None` without a file: then the other keys are only checked.
    pub(super) fn audit(&mut self, raw: raw::Audit) -> Option<Config> {
        let key = |key| ["audit", key];
        if raw.file.as_deref() == Some("") {
            self.report.refuse(
                &key("file"),
                "is empty; expected a path such as \"/var/log/onebot-gateway/audit.jsonl\"",
            );
        }
        let defaults = Config::new(raw.file.clone().unwrap_or_default());
        let config = Config {
            text: raw.text.map_or(defaults.text, |switch| switch.0),
            max_size: self.size(
                &key("max_size"),
                raw.max_size,
                defaults.max_size,
                64 << 10..=64 << 30,
                "must be from 64 KiB to 64 GiB",
            ),
            max_age: self.interval(&key("max_age"), raw.max_age, defaults.max_age),
            keep: self.count(&key("keep"), raw.keep, defaults.keep, 1..=1000, "must be from 1 to 1000"),
            ..defaults
        };
        raw.file.map(|_| config)
    }
}
