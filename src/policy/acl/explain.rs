//! Why a call is allowed or refused, and what would change that.

use std::fmt;

use crate::policy::media::Local;
use crate::policy::target::Target;

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The table that says so, such as `consumer.script.actions`; empty if there is none.
    pub key: String,
    /// The action without suffix.
    pub action: String,
    /// What stands against the call.
    pub reason: Reason,
}

/// What stands against a call. A later one is nearer to being allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The table does not list the action.
    NotListed,
    /// The action gives away or can break the account, and the table does not name it.
    Danger,
    /// The table is bound to some chats, and nobody knows what the action touches.
    Unknown,
    /// The table is bound to some chats, and the action is about the account as a whole.
    Account,
    /// The table is bound to some chats, and the action has an id that tells nothing of them.
    Opaque,
    /// A key of the parameters stands there twice.
    Ambiguous,
    /// The call names no chat, or no message or request.
    Missing,
    /// The value of this parameter is not understood by everybody alike.
    Odd(&'static str),
    /// The gateway has not seen the message.
    UnseenMessage,
    /// The gateway has not seen the request.
    UnseenRequest,
    /// It cannot be told what the quick operation leads to.
    Operation,
    /// The chat is not permitted.
    Chat(Target),
    /// The chat, or the user, is excepted.
    Excepted(Target),
    /// The parameters do not meet a condition.
    Condition {
        /// The key under `where`.
        on: String,
    },
    /// The call names media of LLOneBot's own host or network.
    Media(Local),
    /// A table denies the action.
    Denied,
}

/// What was decided about a call and why, in sentences for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What was decided.
    pub allowed: bool,
    /// The key that decided.
    pub rule: String,
    /// Why.
    pub sentence: String,
    /// What would change the decision.
    pub change: String,
}

/// One sentence, for a reply.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.sentence, self.change)
    }
}

impl Explanation {
    pub(super) fn allowed(key: &str, action: &str, consumer: &str) -> Self {
        Self {
            allowed: true,
            rule: format!("{key}.allow"),
            sentence: format!("{consumer} may call {action}: {key} allows it"),
            change: format!("name it in {key}.deny to forbid it"),
        }
    }
}

impl Denial {
    /// What to tell the bot `consumer`, and whoever runs it: the key that would change the decision.
    #[must_use]
    pub fn explain(&self, consumer: &str) -> Explanation {
        let Self { key, action, reason } = self;
        let key = if key.is_empty() { format!("consumer.{consumer}.actions") } else { key.clone() };
        let (leaf, why, change) = match reason {
            Reason::NotListed => (
                "allow".to_owned(),
                format!("it is not in {key}.allow"),
                format!("add {action:?} there if the bot needs it"),
            ),
            Reason::Danger => (
                "allow".to_owned(),
                "it can take over or break the account, and has to be named".to_owned(),
                format!(
                    "if this bot really needs it, name it in {key}.allow, for example allow = [\"*\", {action:?}]"
                ),
            ),
            Reason::Denied => (
                "deny".to_owned(),
                format!("it is in {key}.deny, which wins over every allow"),
                "take it out there if the bot may call it".to_owned(),
            ),
            Reason::Condition { on } => (
                format!("where.{on}"),
                format!("its parameters are not what {key}.where.{on} demands"),
                "call it with others, or change the condition".to_owned(),
            ),
            Reason::Media(local) => (
                "local_media".to_owned(),
                format!("it names {local}"),
                format!(
                    "send base64:// or a public URL, or set {key}.local_media = true if the bot may read what \
                     LLOneBot can"
                ),
            ),
            reason => target_sentence(reason, &key, action),
        };
        Explanation {
            allowed: false,
            rule: format!("{key}.{leaf}"),
            sentence: format!("{consumer} may not call {action} like this: {why}"),
            change,
        }
    }
}

/// Those reasons that come from lists of chats.
fn target_sentence(reason: &Reason, key: &str, action: &str) -> (String, String, String) {
    let lists = format!("{key} permits only some groups and users");
    let (leaf, why, change) = match reason {
        Reason::Chat(chat @ Target::Group(_)) => (
            "groups",
            format!("{chat} is not in {key}.groups"),
            "add it there if the bot may act in it".to_owned(),
        ),
        Reason::Chat(chat @ Target::User(_)) => (
            "users",
            format!("{chat} is not in {key}.users"),
            "add the number there if the bot may write to this user".to_owned(),
        ),
        Reason::Excepted(chat @ Target::Group(_)) => {
            ("except_groups", format!("{chat} is in {key}.except_groups"), "take it out there".to_owned())
        }
        Reason::Excepted(chat @ Target::User(_)) => {
            ("except_users", format!("{chat} is in {key}.except_users"), "take it out there".to_owned())
        }
        Reason::Account => (
            "allow",
            format!("{lists}, and this action is about the account as a whole"),
            format!("name {action:?}, or a set it is in, in {key}.allow if the bot may do that"),
        ),
        Reason::Opaque => (
            "allow",
            format!("{lists}, and what this action names does not tell whose it is"),
            format!("name {action:?} itself in {key}.allow if the bot may use it on everything"),
        ),
        Reason::Ambiguous => (
            "groups",
            format!("{lists}, and a parameter stands there twice"),
            "write each parameter once".to_owned(),
        ),
        Reason::Missing => (
            "groups",
            format!("{lists}, and the call does not say on whom"),
            "give the group_id, user_id, message_id or flag it is about".to_owned(),
        ),
        Reason::Odd(name) => (
            "groups",
            format!("{lists}, and {name} is not understood"),
            "write a plain number, and `group` or `private`".to_owned(),
        ),
        Reason::UnseenMessage => (
            "groups",
            format!(
                "{lists}, and the gateway has not seen a message it names since it started, or too long ago"
            ),
            "only messages that went through the gateway can be named".to_owned(),
        ),
        Reason::UnseenRequest => (
            "groups",
            format!("{lists}, and the gateway has not seen this request since it started, or too long ago"),
            "only requests that went through the gateway can be decided".to_owned(),
        ),
        Reason::Operation => (
            "allow",
            "it cannot be told what the operation leads to".to_owned(),
            "give `context` and `operation` as objects, the event as it came".to_owned(),
        ),
        _ => (
            "groups",
            format!("{lists}, and the gateway does not know on whom this action acts"),
            "take the lists away, or call an action that the gateway knows".to_owned(),
        ),
    };
    (leaf.to_owned(), why, change)
}
