//! What a configuration says that has no effect. It is no mistake that keeps a gateway from running, but
//! hardly what was meant.

use std::collections::BTreeSet;

use super::Config;
use crate::downstream::Consumer;
use crate::onebot::ActionName;
use crate::onebot::catalogue::{self, Action, Risk, Target};
use crate::policy::acl::Permissions;
use crate::policy::actions::ActionPatterns;
use crate::policy::limit::{Limit, Per};

/// One sentence each, with the key it is about.
pub(super) fn of(config: &Config, unused_roles: &[String]) -> Vec<String> {
    let mut warnings: Vec<String> =
        config.pace.limits.iter().filter_map(|limit| unreached(limit, &config.consumers)).collect();
    for consumer in &config.consumers {
        warnings.extend(idle_rules(consumer));
        warnings.extend(idle_allowances(consumer));
    }
    let idle = unused_roles.iter().map(|role| {
        format!("role.{role}: no bot has this role; name it in consumer.NAME.roles, or remove it")
    });
    warnings.extend(idle);
    // What is wrong with a role is found with each bot that has it.
    let mut told = BTreeSet::new();
    warnings.retain(|warning| told.insert(warning.clone()));
    warnings
}

fn unreached(limit: &Limit, consumers: &[Consumer]) -> Option<String> {
    let concerns = |action: &Action| match limit.per {
        Per::Account | Per::Consumer => true,
        Per::Group => !matches!(action.target, Target::Account | Target::User),
        Per::Target => action.target != Target::Account,
    };
    let reaches = |consumer: &Consumer| {
        any(|name, action| {
            concerns(action) && limit.actions.matches(name) && may_call(&consumer.actions, name, action)
        })
    };
    let name = &limit.name;
    let is_reached = consumers.iter().filter(|consumer| limit.covers(&consumer.name)).any(reaches);
    (!is_reached).then(|| {
        format!("limit.{name}: no call reaches it: no bot it is about may call any of its actions; remove it")
    })
}

/// The tables of a role are told of once for each bot that has it.
fn idle_rules(consumer: &Consumer) -> Vec<String> {
    let mut warnings = Vec::new();
    for rule in consumer.actions.rules() {
        let (key, allow) = (&rule.key, &rule.allow);
        let is_denied =
            |name: &ActionName| consumer.actions.rules().iter().any(|other| other.deny.matches(name));
        if !allow.is_empty() && !any(|name, _| allow.matches(name) && !is_denied(name)) {
            warnings.push(format!("{key}.allow: everything on it is denied, so that it allows nothing"));
        }
        for condition in &rule.conditions {
            let on = condition.on();
            let only = ActionPatterns::parse(&[on.to_owned()]).unwrap_or_default();
            if !any(|name, _| only.matches(name) && allow.matches(name)) {
                warnings.push(format!(
                    "{key}.where.{on}: {key}.allow allows no such action, so that nothing has to meet it"
                ));
            }
        }
        let is_allowed =
            |name: &ActionName| consumer.actions.rules().iter().any(|other| other.allow.matches(name));
        if !rule.deny.is_empty() && !any(|name, _| rule.deny.matches(name) && is_allowed(name)) {
            warnings.push(format!("{key}.deny: nothing on it would be allowed anyway"));
        }
    }
    warnings
}

fn idle_allowances(consumer: &Consumer) -> Vec<String> {
    let idle = consumer.daily.iter().filter(|allowance| {
        !any(|name, action| allowance.actions.matches(name) && may_call(&consumer.actions, name, action))
    });
    idle.map(|allowance| {
        let (name, key) = (&consumer.name, &allowance.key);
        format!("consumer.{name}.daily.{key}: the bot may call none of these actions; remove it")
    })
    .collect()
}

/// Whether some call of the action could be allowed.
fn may_call(permissions: &Permissions, name: &ActionName, action: &Action) -> bool {
    let rules = permissions.rules();
    let is_named = |allow: &ActionPatterns| action.risk != Risk::Danger || allow.names(name);
    rules.iter().any(|rule| rule.allow.matches(name) && is_named(&rule.allow))
        && !rules.iter().any(|rule| rule.deny.matches(name))
}

fn any(holds: impl Fn(&ActionName, &Action) -> bool) -> bool {
    catalogue::all().iter().any(|action| holds(&ActionName::new(action.name), action))
}

#[cfg(test)]
mod tests {
    use crate::config;

    fn warnings(rules: &str) -> Vec<String> {
        let text = format!("[upstream.main]\ndial = \"ws://127.0.0.1:3001\"\n{rules}");
        config::parse(&text, "gateway.toml", std::iter::empty()).unwrap().warnings
    }

    #[test]
    fn what_has_no_effect_is_told_with_its_key() {
        let found = warnings(
            r#"
            [limit.likes]
            actions = ["send_like"]
            rate = "1/1s"
            [limit.status]
            actions = ["get_status"]
            per = "group"
            rate = "1/1s"
            [limit.fine]
            rate = "1/1s"
            [role.unused]
            actions = { allow = ["@read"] }
            [role.chat]
            roles = ["base"]
            actions = { allow = ["send_msg"], deny = ["get_msg"] }
            [role.base]
            actions = { allow = ["get_version_info"] }
            [consumer.bot]
            token = "x"
            roles = ["chat"]
            actions = { allow = ["send_group_msg"], deny = ["send_group_msg"], where = { set_group_ban = { duration = 1 } } }
            daily = { send = 5, send_like = 5 }
            "#,
        );
        let expected = [
            "limit.likes: no call reaches it",
            "limit.status: no call reaches it",
            "consumer.bot.actions.allow: everything on it is denied",
            "consumer.bot.actions.where.set_group_ban: consumer.bot.actions.allow allows no such action",
            "role.chat.actions.deny: nothing on it would be allowed anyway",
            "consumer.bot.daily.send_like: the bot may call none of these",
            "role.unused: no bot has this role",
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}");
        }
    }

    #[test]
    fn a_configuration_without_idle_rules_is_not_doubted() {
        let found = warnings(
            r#"
            [limit.all]
            rate = "30/1m"
            [consumer.open]
            token = "x"
            daily = { send = 5 }
            [consumer.guest]
            token = "y"
            actions = { allow = ["@send", "get_cookies"], deny = ["send_like", "send_msg"], groups = [5] }
            "#,
        );
        assert_eq!(found, [""; 0]);
    }
}
