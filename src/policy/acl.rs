//! What a consumer may call.

use crate::onebot::ActionName;
use crate::onebot::catalogue::Risk;

/// The rule over actions of one consumer, `[consumer.X.actions]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActionRules {
    /// Names that are allowed; `*` stands for every action that is not marked `danger` in the
    /// catalogue. `None` allows what `["*"]` allows.
    pub allow: Option<Vec<String>>,
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The action gives away or can break the account, and no rule names it.
    Danger {
        /// The action without suffix.
        action: &'static str,
    },
    /// The consumer has a list, and the action is not on it.
    NotListed,
}

impl ActionRules {
    /// Everything but `danger`.
    const DEFAULT: &str = "*";

    /// Whether `action` may be called. Suffixes (`_async`, `_rate_limited`) change nothing, and
    /// an action that is marked `danger` has to be named.
    ///
    /// # Errors
    /// What stands against it.
    pub fn permit(&self, action: &ActionName) -> Result<(), Denial> {
        let listed = |name: &str| self.allow.iter().flatten().any(|allowed| allowed == name);
        if listed(action.base()) {
            return Ok(());
        }
        if let Some(entry) = action.entry().filter(|entry| entry.risk == Risk::Danger) {
            return Err(Denial::Danger { action: entry.name });
        }
        if self.allow.is_none() || listed(Self::DEFAULT) { Ok(()) } else { Err(Denial::NotListed) }
    }
}

impl Denial {
    /// What to tell the bot: the key that would change the decision.
    #[must_use]
    pub fn advice(self, consumer: &str) -> String {
        match self {
            Self::Danger { action } => format!(
                "{action} can take over or break the account and is refused; if this bot really needs it, name \
                 it in consumer.{consumer}.actions.allow, for example allow = [\"*\", \"{action}\"]"
            ),
            Self::NotListed => format!("this action is not in consumer.{consumer}.actions.allow"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str]) -> ActionRules {
        ActionRules { allow: Some(allow.iter().map(ToString::to_string).collect()) }
    }

    #[test]
    fn danger_has_to_be_named_whatever_suffix_it_wears() {
        for name in
            ["get_cookies", "get_cookies_async", "get_cookies_rate_limited", "get_cookies_async_async"]
        {
            let action = ActionName::new(name);
            for refusing in [ActionRules::default(), rules(&["*"]), rules(&["send_msg"])] {
                let denial = refusing.permit(&action);
                assert_eq!(denial, Err(Denial::Danger { action: "get_cookies" }), "{name} {refusing:?}");
            }
            assert_eq!(rules(&["get_cookies"]).permit(&action), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_list_allows_only_what_is_on_it() {
        let rules = rules(&["send_msg"]);
        assert_eq!(rules.permit(&ActionName::new("send_msg_async")), Ok(()));
        assert_eq!(rules.permit(&ActionName::new("get_msg")), Err(Denial::NotListed));
        assert_eq!(rules.permit(&ActionName::new("no_such_action")), Err(Denial::NotListed));
    }

    #[test]
    fn without_a_list_everything_but_danger_passes_even_what_nobody_knows() {
        let rules = ActionRules::default();
        for name in ["send_group_msg", "get_msg", "an_action_of_tomorrow"] {
            assert_eq!(rules.permit(&ActionName::new(name)), Ok(()), "{name}");
        }
    }
}
