//! From `[consumer.X.actions]`, `[role.R.actions]` and `roles` to what a consumer may call.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::human::{Ids, List};
use super::problem::Report;
use super::raw;
use crate::policy::acl::{Permissions, Rule, Targets};
use crate::policy::actions::ActionPatterns;
use crate::policy::condition::Condition;
use crate::policy::filter::Filter;
use crate::policy::spelling::closest;

/// `[role.*]`, checked.
pub(super) struct Roles(BTreeMap<String, Role>);

struct Role {
    rule: Option<Rule>,
    includes: Vec<String>,
}

impl Roles {
    pub(super) fn read(raw: BTreeMap<String, raw::Role>, report: &mut Report<'_>) -> Self {
        let mut roles = BTreeMap::new();
        for (name, raw) in raw {
            let includes = raw.roles.map_or_else(Vec::new, |List(names)| names);
            if raw.actions.is_none() && includes.is_empty() {
                let message = format!("permits nothing; add a table [role.{name}.actions]");
                report.missing(&["role", &name], message);
            }
            let rule = rule(&["role", &name, "actions"], raw.actions, !includes.is_empty(), report);
            roles.insert(name, Role { rule, includes });
        }
        let roles = Self(roles);
        for (name, role) in &roles.0 {
            roles.check(&["role", name, "roles"], &role.includes, report);
            if let Some(circle) = roles.circle(name) {
                let message = format!("include each other in a circle, {circle}; take one of them out");
                report.refuse(&["role", name, "roles"], message);
            }
        }
        roles
    }

    /// What the consumer `name` may call: by its own table, and by each of its roles.
    pub(super) fn permissions(
        &self,
        name: &str,
        actions: Option<raw::Actions>,
        roles: Option<List>,
        report: &mut Report<'_>,
    ) -> Permissions {
        let roles = roles.map_or_else(Vec::new, |List(names)| names);
        self.check(&["consumer", name, "roles"], &roles, report);
        let own = rule(&["consumer", name, "actions"], actions, !roles.is_empty(), report);
        let mut tables: Vec<Rule> = own.into_iter().collect();
        let mut seen = BTreeSet::new();
        for role in &roles {
            self.collect(role, &mut seen, &mut tables);
        }
        Permissions::new(tables)
    }

    /// Those that no consumer has, directly or through another role. `direct` are the roles consumers name.
    pub(super) fn unused(&self, direct: &[String]) -> Vec<String> {
        let mut used = BTreeSet::new();
        for role in direct {
            self.collect(role, &mut used, &mut Vec::new());
        }
        self.0.keys().filter(|name| !used.contains(name.as_str())).cloned().collect()
    }

    fn collect<'a>(&'a self, name: &'a str, seen: &mut BTreeSet<&'a str>, tables: &mut Vec<Rule>) {
        let Some(role) = self.0.get(name) else { return };
        if seen.insert(name) {
            tables.extend(role.rule.clone());
            for included in &role.includes {
                self.collect(included, seen, tables);
            }
        }
    }

    fn check(&self, path: &[&str], names: &[String], report: &mut Report<'_>) {
        let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
        for name in names.iter().filter(|name| !self.0.contains_key(*name)) {
            let hint = closest(name, &known).map_or_else(
                || format!("add a table [role.{name}.actions]"),
                |meant| format!("did you mean {meant:?}?"),
            );
            report.refuse(path, format!("there is no role {name:?}; {hint}"));
        }
    }

    /// The way from `start` back to itself, told only of the role that comes first by name.
    fn circle(&self, start: &str) -> Option<String> {
        let mut ways = vec![vec![start]];
        let mut seen = BTreeSet::new();
        while let Some(way) = ways.pop() {
            let includes = way.last().and_then(|last| self.0.get(*last)).map(|role| &role.includes)?;
            for next in includes {
                let mut longer = way.clone();
                longer.push(next);
                if next == start {
                    let is_first = way.iter().all(|name| *name >= start);
                    return is_first.then(|| longer.join(" → "));
                }
                if self.0.contains_key(next) && seen.insert(next) {
                    ways.push(longer);
                }
            }
        }
        None
    }
}

/// The rule of one table; `None` if there is none and `has_roles` stands in for it.
fn rule(
    path: &[&str; 3],
    raw: Option<raw::Actions>,
    has_roles: bool,
    report: &mut Report<'_>,
) -> Option<Rule> {
    if raw.is_none() && has_roles {
        return None;
    }
    let raw = raw.unwrap_or_default();
    let [section, name, table] = *path;
    let key = |key| [section, name, table, key];
    if has_roles && raw.allow.is_none() && raw.bounds_what_it_allows() {
        let message = "bounds what its own `allow` lists, and with `roles` there is none by default; add `allow`, or \
             write this into the roles";
        report.refuse(path, message);
    }
    let allow = match raw.allow {
        None if has_roles => ActionPatterns::default(),
        None => ActionPatterns::all(),
        Some(list) => patterns(&key("allow"), &list.0, report),
    };
    let deny = raw.deny.map_or_else(ActionPatterns::default, |list| patterns(&key("deny"), &list.0, report));
    let ids = |ids: Option<Ids>| ids.map(|Ids(ids)| ids);
    let (groups, users) = (ids(raw.groups), ids(raw.users));
    let except_groups = ids(raw.except_groups).unwrap_or_default();
    let except_users = ids(raw.except_users).unwrap_or_default();
    contradiction(&key("except_groups"), "groups", groups.as_deref(), &except_groups, report);
    contradiction(&key("except_users"), "users", users.as_deref(), &except_users, report);
    let targets = Targets::new(groups, users, except_groups, except_users);
    let conditions = raw.conditions.into_iter().filter_map(|(on, query)| {
        let path = [section, name, table, "where", &on];
        condition(&path, &on, &query, report)
    });
    let conditions = conditions.collect();
    let is_open = allow.is_open() && !targets.are_restricted();
    Some(Rule {
        key: path.join("."),
        local_media: raw.local_media.map_or(is_open, |switch| switch.0),
        allow,
        deny,
        targets,
        conditions,
    })
}

fn patterns(path: &[&str], items: &[String], report: &mut Report<'_>) -> ActionPatterns {
    ActionPatterns::parse(items).unwrap_or_else(|problems| {
        for problem in problems {
            report.refuse(path, problem);
        }
        ActionPatterns::default()
    })
}

fn contradiction(
    path: &[&str],
    list: &str,
    permitted: Option<&[i64]>,
    excepted: &[i64],
    report: &mut Report<'_>,
) {
    for id in excepted.iter().filter(|id| permitted.is_some_and(|permitted| permitted.contains(id))) {
        report.refuse(path, format!("{id} is in `{list}` too; take it out of one of the two"));
    }
}

fn condition(path: &[&str], on: &str, query: &Value, report: &mut Report<'_>) -> Option<Condition> {
    let actions = ActionPatterns::parse(&[on.to_owned()]);
    let filter = Filter::compile(query);
    for problem in actions.as_ref().err().into_iter().flatten() {
        report.refuse(path, problem.as_str());
    }
    for problem in filter.as_ref().err().into_iter().flatten() {
        report.refuse(path, problem.to_string());
    }
    Some(Condition::new(actions.ok()?, filter.ok()?))
}
