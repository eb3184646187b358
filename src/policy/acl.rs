//! What a consumer may call, and on whom.

mod explain;
mod operation;
mod targets;

use std::cell::OnceCell;

use serde_json::Value;

pub use self::explain::{Denial, Explanation, Reason};
use self::targets::Chosen;
pub use self::targets::{Memory, Targets};
use super::actions::ActionPatterns;
use super::condition::Condition;
use super::media;
use super::target::Touched;
use crate::onebot::Call;
use crate::onebot::catalogue::{Risk, Target as Names};

/// Everything that one consumer may call: its own table and those of its roles.
///
/// A call is allowed if no table denies its action and one table allows it as a whole: the action, whom it
/// touches, its parameters and its media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    rules: Vec<Rule>,
    /// Nothing but the danger of an action stands against a call.
    is_open: bool,
}

/// One table: `[consumer.X.actions]` or `[role.R.actions]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Where it is written, such as `consumer.script.actions`.
    pub key: String,
    /// What it allows; what is dangerous only if it is named.
    pub allow: ActionPatterns,
    /// What it forbids, whatever any table allows.
    pub deny: ActionPatterns,
    /// On whom.
    pub targets: Targets,
    /// With which parameters: every condition on the action has to hold.
    pub conditions: Vec<Condition>,
    /// Whether media may be named that only LLOneBot's host can reach: see [`media::local`].
    pub local_media: bool,
}

impl Rule {
    /// Everything but what is dangerous, on everybody.
    #[must_use]
    pub fn open(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            allow: ActionPatterns::all(),
            deny: ActionPatterns::default(),
            targets: Targets::default(),
            conditions: Vec::new(),
            local_media: true,
        }
    }

    fn is_open(&self) -> bool {
        self.allow.is_open()
            && self.deny.is_empty()
            && self.conditions.is_empty()
            && self.local_media
            && !self.targets.are_restricted()
    }

    fn judge(&self, case: &Case<'_>) -> Result<(), Denial> {
        let action = &case.call.action;
        let deny = |reason| Err(Denial { key: self.key.clone(), action: action.base().to_owned(), reason });
        if !self.allow.matches(action) {
            return deny(Reason::NotListed);
        }
        if action.entry().is_some_and(|entry| entry.risk == Risk::Danger) && !self.allow.names(action) {
            return deny(Reason::Danger);
        }
        if self.targets.are_restricted() {
            let chosen =
                Chosen { exactly: self.allow.names_exactly(action), somehow: self.allow.chooses(action) };
            if let Err(reason) = self.targets.check(case.call, case.touched(), chosen, case.memory) {
                return deny(reason);
            }
        }
        let broken = self.conditions.iter().find(|condition| !condition.holds(case.call));
        if let Some(condition) = broken {
            return deny(Reason::Condition { on: condition.on().to_owned() });
        }
        match if self.local_media { Ok(()) } else { case.media() } {
            Ok(()) => Ok(()),
            Err(local) => deny(Reason::Media(local)),
        }
    }
}

/// A call with what was found out about it so far, so that several rules look only once.
struct Case<'a> {
    call: &'a Call,
    memory: &'a dyn Memory,
    touched: OnceCell<Touched<'a>>,
    media: OnceCell<Result<(), media::Local>>,
}

impl<'a> Case<'a> {
    fn touched(&self) -> &Touched<'a> {
        self.touched.get_or_init(|| Touched::read(&self.call.params))
    }

    fn media(&self) -> Result<(), media::Local> {
        *self.media.get_or_init(|| media::local(self.call))
    }
}

impl Permissions {
    /// Those of a consumer bound by `rules`; its own first.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let denies = rules.iter().any(|rule| !rule.deny.is_empty());
        let is_open = !denies && rules.iter().any(Rule::is_open);
        Self { rules, is_open }
    }

    /// The tables, the consumer's own first.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether a [`Memory`] of chats is needed to decide.
    #[must_use]
    pub fn need_memory(&self) -> bool {
        !self.is_open && self.rules.iter().any(|rule| rule.targets.are_restricted())
    }

    /// Whether `call` may be made. Suffixes (`_async`, `_rate_limited`) change nothing.
    ///
    /// # Errors
    /// What stands against it.
    pub fn permit(&self, call: &Call, memory: &dyn Memory) -> Result<(), Denial> {
        self.decide(call, memory).map(|_| ())
    }

    /// What [`permit`](Self::permit) decides about `call`, and why. `consumer` is who calls.
    #[must_use]
    pub fn explain(&self, call: &Call, memory: &dyn Memory, consumer: &str) -> Explanation {
        match self.decide(call, memory) {
            Ok(rule) => Explanation::allowed(&rule.key, call.action.base(), consumer),
            Err(denial) => denial.explain(consumer),
        }
    }

    /// The rule that allows `call`.
    fn decide(&self, call: &Call, memory: &dyn Memory) -> Result<&Rule, Denial> {
        let denial =
            |key: &str, reason| Denial { key: key.to_owned(), action: call.action.base().to_owned(), reason };
        if let Some(rule) = self.rules.iter().find(|rule| rule.deny.matches(&call.action)) {
            return Err(denial(&rule.key, Reason::Denied));
        }
        let case = Case { call, memory, touched: OnceCell::new(), media: OnceCell::new() };
        let mut nearest: Option<Denial> = None;
        for rule in &self.rules {
            match rule.judge(&case) {
                Ok(()) => {
                    self.permit_operation(call, memory, rule)?;
                    return Ok(rule);
                }
                // The one that came nearest to allowing it says most.
                Err(denial) if nearest.as_ref().is_none_or(|other| denial.reason > other.reason) => {
                    nearest = Some(denial);
                }
                Err(_) => {}
            }
        }
        Err(nearest.unwrap_or_else(|| denial("", Reason::NotListed)))
    }

    /// A quick operation is also every call it stands for.
    fn permit_operation(&self, call: &Call, memory: &dyn Memory, rule: &Rule) -> Result<(), Denial> {
        let is_operation = call.action.entry().is_some_and(|entry| entry.target == Names::Context);
        if self.is_open || !is_operation {
            return Ok(());
        }
        let calls = operation::calls(&call.params).ok_or_else(|| Denial {
            key: rule.key.clone(),
            action: call.action.base().to_owned(),
            reason: Reason::Operation,
        })?;
        calls.iter().try_for_each(|call| self.permit(call, memory))
    }
}

/// The parameters of a call as a tree; `None` if they are nested too deeply for that (128 levels) or hold
/// half a character.
pub(super) fn tree(params: &[u8]) -> Option<serde_json::Map<String, Value>> {
    serde_json::from_slice(params).ok()
}

#[cfg(test)]
mod tests;
