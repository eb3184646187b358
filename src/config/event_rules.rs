//! `[consumer.NAME.events]`: what is written, as rules over events. What could never match is refused.

use std::sync::Arc;

use serde_json::Value;

use super::human::{self, List, Switch};
use super::problem::Report;
use super::raw;
use crate::onebot::PostType;
use crate::policy::events::{Conditions, EventKey, Ids, SelfMessages};
use crate::policy::filter::Filter;
use crate::policy::spelling::closest;

const POST_TYPES: [PostType; 4] =
    [PostType::Message, PostType::MessageSent, PostType::Notice, PostType::Request];
const MESSAGE_TYPES: [&str; 2] = ["private", "group"];
const REQUEST_TYPES: [&str; 2] = ["friend", "group"];
/// Of the standard and of the implementations this gateway knows.
const NOTICE_TYPES: [&str; 22] = [
    "bot_offline",
    "client_status",
    "essence",
    "friend_add",
    "friend_recall",
    "group_admin",
    "group_ban",
    "group_card",
    "group_decrease",
    "group_dismiss",
    "group_increase",
    "group_msg_emoji_like",
    "group_recall",
    "group_upload",
    "notify",
    "offline_file",
    "online_file_receive",
    "online_file_send",
    "profile_like",
    "reaction",
    "channel_created",
    "channel_destroyed",
];
/// Ids that an event has as numbers.
const ID_KEYS: [&str; 7] =
    ["self_id", "user_id", "group_id", "target_id", "operator_id", "sender_id", "message_id"];

/// The conditions of one consumer; `None` if there are none.
pub(super) fn resolve(
    consumer: &str,
    raw: raw::Events,
    self_messages: SelfMessages,
    report: &mut Report<'_>,
) -> Option<Arc<Conditions>> {
    if raw == raw::Events::default() {
        return None;
    }
    let mut resolver = Resolver { consumer, report };
    let kinds = raw.post_types.map(|list| resolver.post_types(&list, self_messages));
    let details = raw.detail_types.map(|list| resolver.detail_types(list, kinds.as_deref()));
    let mentioned = raw.mentioned.is_some_and(|Switch(mentioned)| mentioned);
    let has_messages = kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|kind| kind.is_message()));
    for (key, given) in [(EventKey::Prefixes, raw.prefixes.is_some()), (EventKey::Mentioned, mentioned)] {
        if given && !has_messages {
            resolver.refuse(key, "is about messages, and `post_types` lists none");
        }
    }
    let conditions = Conditions {
        groups: resolver.listed(EventKey::Groups, raw.groups),
        users: resolver.listed(EventKey::Users, raw.users),
        except_groups: resolver.listed(EventKey::ExceptGroups, raw.except_groups),
        except_users: resolver.listed(EventKey::ExceptUsers, raw.except_users),
        prefixes: raw.prefixes.map(|list| resolver.prefixes(list).iter().collect()),
        mentioned,
        filter: raw.filter.and_then(|table| resolver.filter(table)),
        post_types: kinds.map(|kinds| kinds.into_iter().collect()),
        detail_types: details,
    };
    resolver.contradictions(
        EventKey::ExceptGroups,
        conditions.groups.as_ref(),
        conditions.except_groups.as_ref(),
    );
    resolver.contradictions(
        EventKey::ExceptUsers,
        conditions.users.as_ref(),
        conditions.except_users.as_ref(),
    );
    let only_private = conditions.detail_types.as_ref().is_some_and(|details| {
        !details.is_empty()
            && details.iter().all(|detail| detail == "private" || detail.starts_with("friend"))
    });
    if conditions.groups.is_some() && only_private {
        let message = "can never match: what `detail_types` lists happens in no group";
        resolver.refuse(EventKey::Groups, message);
    }
    Some(Arc::new(conditions))
}

struct Resolver<'a, 'r> {
    consumer: &'a str,
    report: &'a mut Report<'r>,
}

impl Resolver<'_, '_> {
    fn post_types(&mut self, list: &List, self_messages: SelfMessages) -> Vec<PostType> {
        let names = POST_TYPES.map(PostType::name);
        let mut kinds = Vec::new();
        for name in &list.0 {
            if let Some(kind) = POST_TYPES.into_iter().find(|kind| kind.name() == name) {
                kinds.push(kind);
            } else if name == PostType::MetaEvent.name() {
                let message = "lists meta_event, which is no rule's matter: heartbeats and lifecycle are each \
                               session's own; leave it out";
                self.refuse(EventKey::PostTypes, message);
            } else {
                let hint = hint(name, &names);
                self.refuse(EventKey::PostTypes, format!("{name:?} is no kind of events; {hint}"));
            }
        }
        let has_own = kinds.contains(&PostType::MessageSent);
        if list.0.is_empty() {
            self.refuse(EventKey::PostTypes, "is empty, so that nothing can match; leave it out to hear all");
        } else if has_own && self_messages == SelfMessages::None {
            let message = format!(
                "lists message_sent, which only comes with consumer.{}.self_messages; set that, or leave it out",
                self.consumer
            );
            self.refuse(EventKey::PostTypes, message);
        } else if !has_own && self_messages != SelfMessages::None {
            let message = format!(
                "leaves out message_sent, so that consumer.{}.self_messages does nothing; list it too",
                self.consumer
            );
            self.refuse(EventKey::PostTypes, message);
        }
        kinds
    }

    fn detail_types(&mut self, List(list): List, kinds: Option<&[PostType]>) -> Vec<String> {
        if list.is_empty() {
            self.refuse(
                EventKey::DetailTypes,
                "is empty, so that nothing can match; leave it out to hear all",
            );
        }
        let known: Vec<&str> = POST_TYPES.into_iter().flat_map(details_of).copied().collect();
        for name in &list {
            if !known.contains(&name.as_str()) {
                let hint = hint(name, &known);
                let message = format!(
                    "{name:?} is no message_type, notice_type or request_type; {hint} (one that is too new to be \
                     known here can be named in `filter`)"
                );
                self.refuse(EventKey::DetailTypes, message);
            } else if let Some(kinds) = kinds
                && !kinds.iter().any(|kind| details_of(*kind).contains(&name.as_str()))
            {
                let message = format!("{name:?} can never match: `post_types` leaves out its kind of events");
                self.refuse(EventKey::DetailTypes, message);
            }
        }
        let is_listed =
            |kind: &PostType| details_of(*kind).iter().any(|name| list.iter().any(|item| item == name));
        if list.iter().any(|name| known.contains(&name.as_str())) {
            for kind in kinds.into_iter().flatten().filter(|kind| !is_listed(kind)) {
                let name = kind.name();
                let message =
                    format!("lists no kind of {name}, so that none of those in `post_types` matches");
                self.refuse(EventKey::DetailTypes, message);
            }
        }
        list
    }

    fn listed(&mut self, key: EventKey, ids: Option<human::Ids>) -> Option<Ids> {
        let human::Ids(ids) = ids?;
        if ids.is_empty() {
            let consequence = match key {
                EventKey::ExceptGroups | EventKey::ExceptUsers => "excepts nobody; leave it out",
                _ => "so that nothing can match; leave it out to hear all",
            };
            self.refuse(key, format!("is empty, {consequence}"));
        }
        Some(ids.into_iter().collect())
    }

    fn contradictions(&mut self, key: EventKey, listed: Option<&Ids>, excepted: Option<&Ids>) {
        let Some((listed, excepted)) = listed.zip(excepted) else { return };
        for id in excepted.iter().filter(|id| listed.has(*id)) {
            let other = key.name().trim_start_matches("except_");
            self.refuse(key, format!("{id} is in `{other}` too; remove it from one of them"));
        }
        if listed.iter().next().is_some() && !excepted.iter().any(|id| listed.has(id)) {
            let other = key.name().trim_start_matches("except_");
            self.refuse(
                key,
                format!("changes nothing: only what `{other}` lists is heard; remove one of them"),
            );
        }
    }

    fn prefixes(&mut self, List(list): List) -> Vec<String> {
        if list.is_empty() {
            let message = "is empty, so that no message can match; leave it out to hear all";
            self.refuse(EventKey::Prefixes, message);
        }
        for prefix in &list {
            if prefix.is_empty() {
                self.refuse(EventKey::Prefixes, "lists \"\", with which every text begins; leave it out");
            } else if prefix.starts_with(char::is_whitespace) {
                let message = format!("{prefix:?} can never match: blanks before a text are passed over");
                self.refuse(EventKey::Prefixes, message);
            }
        }
        list
    }

    fn filter(&mut self, table: toml::Table) -> Option<Filter> {
        let mut path = Vec::new();
        let query = self.json(toml::Value::Table(table), &mut path);
        self.quoted_ids(&query, &mut path);
        match Filter::compile(&query) {
            Ok(filter) => Some(filter),
            Err(problems) => {
                for problem in problems {
                    self.refuse_filter(&problem.path, problem.message);
                }
                None
            }
        }
    }

    fn json(&mut self, value: toml::Value, path: &mut Vec<String>) -> Value {
        match value {
            toml::Value::String(text) => text.into(),
            toml::Value::Integer(number) => number.into(),
            toml::Value::Float(number) => {
                if number.is_finite() {
                    return number.into();
                }
                self.refuse_filter(&path.join("."), "is a number that no event can have");
                0.into()
            }
            toml::Value::Boolean(value) => value.into(),
            toml::Value::Datetime(time) => time.to_string().into(),
            toml::Value::Array(items) => {
                let mut beneath = |(index, item): (usize, toml::Value)| {
                    path.push(index.to_string());
                    let item = self.json(item, path);
                    path.pop();
                    item
                };
                items.into_iter().enumerate().map(&mut beneath).collect()
            }
            toml::Value::Table(table) => {
                let mut beneath = |(key, item): (String, toml::Value)| {
                    path.push(key.clone());
                    let item = self.json(item, path);
                    path.pop();
                    (key, item)
                };
                Value::Object(table.into_iter().map(&mut beneath).collect())
            }
        }
    }

    /// In events ids are numbers, and a number is never equal to a string.
    fn quoted_ids(&mut self, query: &Value, path: &mut Vec<String>) {
        match query {
            Value::Object(table) => {
                for (key, value) in table {
                    path.push(key.clone());
                    self.quoted_ids(value, path);
                    path.pop();
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    path.push(index.to_string());
                    self.quoted_ids(item, path);
                    path.pop();
                }
            }
            Value::String(text) if text.parse::<i64>().is_ok() => {
                let is_operand = |key: &String| {
                    matches!(key.as_str(), "$eq" | "$ne" | "$in" | "$nin") || key.parse::<usize>().is_ok()
                };
                let compared = path.iter().rev().find(|key| !is_operand(key));
                if compared.is_some_and(|key| ID_KEYS.contains(&key.as_str())) {
                    let message = format!("ids are numbers in events; write {text} without quotes");
                    self.refuse_filter(&path.join("."), message);
                }
            }
            _ => {}
        }
    }

    fn refuse(&mut self, key: EventKey, message: impl Into<String>) {
        self.report.refuse(&["consumer", self.consumer, "events", key.name()], message);
    }

    fn refuse_filter(&mut self, path: &str, message: impl Into<String>) {
        let beneath = path.split('.').filter(|key| !key.is_empty());
        let keys: Vec<&str> =
            ["consumer", self.consumer, "events", "filter"].into_iter().chain(beneath).collect();
        self.report.refuse(&keys, message);
    }
}

fn details_of(kind: PostType) -> &'static [&'static str] {
    match kind {
        PostType::Message | PostType::MessageSent => &MESSAGE_TYPES,
        PostType::Notice => &NOTICE_TYPES,
        PostType::Request => &REQUEST_TYPES,
        PostType::MetaEvent | PostType::Other => &[],
    }
}

fn hint(written: &str, names: &[&str]) -> String {
    match closest(written, names) {
        Some(meant) => format!("did you mean {meant:?}?"),
        None => format!("expected one of {}", names.join(", ")),
    }
}
