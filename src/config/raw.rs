//! What may be written: the keys, each optional. What they mean and must be is `resolve`'s matter.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::human::{Count, Ids, Interval, List, OwnMessages, Rate, Size, Switch};
use super::secret::RawSecret;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) server: Server,
    pub(super) admin: Admin,
    pub(super) upstream: BTreeMap<String, Upstream>,
    pub(super) calls: Calls,
    pub(super) cache: Cache,
    pub(super) journal: Journal,
    pub(super) consumer: BTreeMap<String, Consumer>,
    pub(super) limit: BTreeMap<String, Limit>,
    pub(super) role: BTreeMap<String, Role>,
    pub(super) audit: Audit,
    pub(super) log: Log,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Server {
    pub(super) listen: Option<String>,
    pub(super) workers: Option<Count>,
    pub(super) drain: Option<Interval>,
    pub(super) max_frame: Option<Size>,
    pub(super) max_connections: Option<Count>,
    pub(super) handshake_timeout: Option<Interval>,
    pub(super) max_header: Option<Size>,
    pub(super) ping: Option<Interval>,
    pub(super) write_timeout: Option<Interval>,
    pub(super) origins: Option<List>,
    pub(super) tls: Option<Tls>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Admin {
    pub(super) listen: Option<String>,
    pub(super) token: Option<RawSecret>,
    pub(super) tls: Option<Tls>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) cert: Option<String>,
    pub(super) key: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Upstream {
    pub(super) dial: Option<String>,
    pub(super) accept: Option<String>,
    pub(super) ca: Option<String>,
    pub(super) token: Option<RawSecret>,
    pub(super) self_id: Option<Count>,
    pub(super) max_frame: Option<Size>,
    pub(super) ping: Option<Interval>,
    pub(super) silence: Option<Interval>,
    pub(super) max_backoff: Option<Interval>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Calls {
    pub(super) timeout: Option<Interval>,
    pub(super) timeouts: BTreeMap<String, Interval>,
    pub(super) wait_for_link: Option<Interval>,
    pub(super) in_flight: Option<Count>,
    pub(super) rate_limited_interval: Option<Interval>,
    pub(super) queue_bytes: Option<Size>,
    pub(super) time_zone: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Cache {
    pub(super) all: Option<Switch>,
    pub(super) ttl: BTreeMap<String, Interval>,
    pub(super) max_bytes: Option<Size>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Journal {
    pub(super) events: Option<Count>,
    pub(super) bytes: Option<Size>,
    pub(super) age: Option<Interval>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Consumer {
    pub(super) token: Option<RawSecret>,
    pub(super) reverse_ws: Option<ReverseWs>,
    pub(super) webhook: Option<Webhook>,
    pub(super) heartbeat: Option<Interval>,
    pub(super) message_format: Option<MessageFormat>,
    pub(super) self_messages: Option<OwnMessages>,
    pub(super) lagging: Option<Lagging>,
    pub(super) priority: Option<Count>,
    pub(super) in_flight: Option<Count>,
    pub(super) max_frame: Option<Size>,
    pub(super) daily: BTreeMap<String, Count>,
    pub(super) roles: Option<List>,
    pub(super) events: Events,
    pub(super) actions: Option<Actions>,
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Events {
    pub(super) post_types: Option<List>,
    pub(super) detail_types: Option<List>,
    pub(super) groups: Option<Ids>,
    pub(super) users: Option<Ids>,
    pub(super) except_groups: Option<Ids>,
    pub(super) except_users: Option<Ids>,
    pub(super) prefixes: Option<List>,
    pub(super) mentioned: Option<Switch>,
    pub(super) filter: Option<toml::Table>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ReverseWs {
    pub(super) url: Option<String>,
    pub(super) api_url: Option<String>,
    pub(super) event_url: Option<String>,
    pub(super) max_backoff: Option<Interval>,
    pub(super) ca: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Webhook {
    pub(super) url: Option<String>,
    pub(super) secret: Option<RawSecret>,
    pub(super) timeout: Option<Interval>,
    pub(super) concurrency: Option<Count>,
    pub(super) attempts: Option<Count>,
    pub(super) max_backoff: Option<Interval>,
    pub(super) heartbeat: Option<Switch>,
    pub(super) ca: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum MessageFormat {
    Array,
    String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Lagging {
    Skip,
    Disconnect,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Role {
    pub(super) roles: Option<List>,
    pub(super) actions: Option<Actions>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Actions {
    pub(super) allow: Option<List>,
    pub(super) deny: Option<List>,
    pub(super) groups: Option<Ids>,
    pub(super) users: Option<Ids>,
    pub(super) except_groups: Option<Ids>,
    pub(super) except_users: Option<Ids>,
    #[serde(rename = "where")]
    pub(super) conditions: BTreeMap<String, serde_json::Value>,
    pub(super) local_media: Option<Switch>,
}

impl Actions {
    /// Whether there is anything that makes `allow` smaller or larger.
    pub(super) fn bounds_what_it_allows(&self) -> bool {
        let lists = [&self.groups, &self.users, &self.except_groups, &self.except_users];
        lists.iter().any(|list| list.is_some()) || !self.conditions.is_empty() || self.local_media.is_some()
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limit {
    pub(super) actions: Option<List>,
    pub(super) consumers: Option<List>,
    pub(super) per: Option<Per>,
    pub(super) rate: Option<Rate>,
    pub(super) burst: Option<Count>,
    pub(super) excess: Option<Excess>,
    pub(super) max_wait: Option<Interval>,
    pub(super) jitter: Option<Interval>,
    pub(super) ramp: Option<Interval>,
    pub(super) breaker: Option<Breaker>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Per {
    Account,
    Consumer,
    Group,
    Target,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Excess {
    Wait,
    Reject,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Breaker {
    pub(super) failures: Option<Count>,
    pub(super) hold: Option<Interval>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Audit {
    pub(super) file: Option<String>,
    pub(super) text: Option<Switch>,
    pub(super) max_size: Option<Size>,
    pub(super) max_age: Option<Interval>,
    pub(super) keep: Option<Count>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    pub(super) level: Option<String>,
    pub(super) format: Option<Format>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    Text,
    Json,
}
