//! On whom a consumer may act.

use super::explain::Reason;
use crate::onebot::Call;
use crate::onebot::catalogue::{Access, Action, Category, Target as Names};
use crate::policy::quoted;
use crate::policy::target::{Id, MessageType, Target, Touched, is_private, users_named};

/// The chats a consumer may act on: `groups`, `users`, and what is excepted from them.
///
/// With a list of groups alone, private chats are not permitted, and the other way round. A member of a
/// permitted group may be acted on there unless it is excepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    groups: Option<Vec<i64>>,
    users: Option<Vec<i64>>,
    except_groups: Vec<i64>,
    except_users: Vec<i64>,
}

/// How a rule allows an action. Whoever is bound to some chats has to be allowed more plainly what lies
/// outside of all chats.
#[derive(Clone, Copy)]
pub(super) struct Chosen {
    /// By its exact name: enough also for what has an id that tells nothing of chats.
    pub(super) exactly: bool,
    /// By anything but `*`: enough for what is about the account as a whole.
    pub(super) somehow: bool,
}

/// Which chat a message or a request belongs to, as far as the gateway has seen it.
pub trait Memory {
    /// The chat of the message `id`.
    fn message(&self, id: i64) -> Option<Target>;
    /// The group or user of the request with this `flag`.
    fn request(&self, flag: &str) -> Option<Target>;
}

/// Somebody who has seen nothing.
impl Memory for () {
    fn message(&self, _: i64) -> Option<Target> {
        None
    }

    fn request(&self, _: &str) -> Option<Target> {
        None
    }
}

impl Targets {
    /// Only `groups` and `users`, where given, and none of `except_groups` and `except_users`.
    #[must_use]
    pub fn new(
        groups: Option<Vec<i64>>,
        users: Option<Vec<i64>>,
        except_groups: Vec<i64>,
        except_users: Vec<i64>,
    ) -> Self {
        let sorted = |mut ids: Vec<i64>| {
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        Self {
            groups: groups.map(sorted),
            users: users.map(sorted),
            except_groups: sorted(except_groups),
            except_users: sorted(except_users),
        }
    }

    /// Only these groups.
    #[must_use]
    pub fn groups(groups: &[i64]) -> Self {
        Self::new(Some(groups.to_vec()), None, Vec::new(), Vec::new())
    }

    /// Whether there is any chat that is not permitted.
    #[must_use]
    pub fn are_restricted(&self) -> bool {
        *self != Self::default()
    }

    /// Whether the chat is permitted.
    fn permit(&self, chat: Target) -> Result<(), Reason> {
        let (id, own, other, except) = match chat {
            Target::Group(id) => (id, &self.groups, &self.users, &self.except_groups),
            Target::User(id) => (id, &self.users, &self.groups, &self.except_users),
        };
        if except.binary_search(&id).is_ok() {
            return Err(Reason::Excepted(chat));
        }
        match (own, other) {
            (Some(own), _) if own.binary_search(&id).is_err() => Err(Reason::Chat(chat)),
            (None, Some(_)) => Err(Reason::Chat(chat)),
            _ => Ok(()),
        }
    }

    /// Whether everybody that `call` touches is permitted.
    pub(super) fn check(
        &self,
        call: &Call,
        touched: &Touched<'_>,
        chosen: Chosen,
        memory: &dyn Memory,
    ) -> Result<(), Reason> {
        let Some(action) = call.action.entry() else { return Err(Reason::Unknown) };
        if action.target == Names::Other && !chosen.exactly {
            return Err(Reason::Opaque);
        }
        let is_harmless = action.category == Category::System && action.access == Access::Read;
        if action.target == Names::Account && !chosen.somehow && !is_harmless {
            return Err(Reason::Account);
        }
        if touched.is_ambiguous {
            return Err(Reason::Ambiguous);
        }
        self.check_chats(action, touched)?;
        self.check_memory(action, touched, memory)?;
        let quoted = quoted::messages(call).ok_or(Reason::Odd("the id of a quoted message"))?;
        for id in quoted {
            self.permit(memory.message(id).ok_or(Reason::UnseenMessage)?)?;
        }
        if !self.except_users.is_empty() && !action.sends {
            let users = users_named(&call.params).ok_or(Reason::Odd("user_id"))?;
            let excepted = users.into_iter().find(|user| self.except_users.binary_search(user).is_ok());
            if let Some(user) = excepted {
                return Err(Reason::Excepted(Target::User(user)));
            }
        }
        Ok(())
    }

    /// Every group and user that is named counts, as implementations differ in which of them they take;
    /// but for a user who is only the one acted on, or written to, in a group.
    fn check_chats(&self, action: &Action, touched: &Touched<'_>) -> Result<(), Reason> {
        if action.target == Names::Context {
            let context = touched.context.map(Touched::read).ok_or(Reason::Operation)?;
            return if context.is_ambiguous { Err(Reason::Ambiguous) } else { self.check_context(&context) };
        }
        let group = known(touched.group, "group_id")?;
        let by_type = matches!(action.name, "send_msg" | "send_forward_msg");
        let in_group = match action.target {
            Names::Group | Names::Member => true,
            // The user is who is poked.
            Names::Chat if action.name == "send_poke" => group.is_some(),
            Names::Chat if by_type => match touched.message_type {
                MessageType::Group => true,
                MessageType::Private | MessageType::Unsaid => false,
                MessageType::Odd => return Err(Reason::Odd("message_type")),
            },
            _ => false,
        };
        let user = if in_group { None } else { known(touched.user, "user_id")? };
        let is_named = match action.target {
            Names::Group | Names::Member => group.is_some(),
            Names::User => user.is_some(),
            Names::Chat if in_group => group.is_some(),
            Names::Chat
                if is_private(action) || (by_type && touched.message_type == MessageType::Private) =>
            {
                user.is_some()
            }
            Names::Chat | Names::Forward => group.is_some() || user.is_some(),
            Names::Account | Names::Message | Names::Request | Names::Context | Names::Other => true,
        };
        if !is_named {
            return Err(Reason::Missing);
        }
        group.map_or(Ok(()), |group| self.permit(Target::Group(group)))?;
        user.map_or(Ok(()), |user| self.permit(Target::User(user)))
    }

    /// The event of a quick operation: the calls it leads to are judged too, each by itself.
    fn check_context(&self, context: &Touched<'_>) -> Result<(), Reason> {
        let group = known(context.group, "group_id")?;
        let user = if group.is_some() && context.message_type != MessageType::Private {
            None
        } else {
            known(context.user, "user_id")?
        };
        group.map_or(Ok(()), |group| self.permit(Target::Group(group)))?;
        user.map_or(Ok(()), |user| self.permit(Target::User(user)))?;
        if group.or(user).is_none() { Err(Reason::Missing) } else { Ok(()) }
    }

    fn check_memory(
        &self,
        action: &Action,
        touched: &Touched<'_>,
        memory: &dyn Memory,
    ) -> Result<(), Reason> {
        match action.target {
            Names::Message | Names::Forward => {
                let id = known(touched.message, "message_id")?.ok_or(Reason::Missing)?;
                self.permit(memory.message(id).ok_or(Reason::UnseenMessage)?)
            }
            Names::Request => {
                let flag = touched.flag.as_deref().ok_or(Reason::Missing)?;
                self.permit(memory.request(flag).ok_or(Reason::UnseenRequest)?)
            }
            _ => Ok(()),
        }
    }
}

fn known(id: Id, key: &'static str) -> Result<Option<i64>, Reason> {
    if id == Id::Odd { Err(Reason::Odd(key)) } else { Ok(id.known()) }
}
