//! The catalogue of actions: what each one does, to whom, and how dangerous that is.
//!
//! It holds the actions of `LLOneBot` and, marked as [foreign](Action::in_llonebot), those of the other
//! implementations, so that permissions and limits know them too. An action that is not in it is passed
//! on or refused by the consumer's rules alone.

pub mod changes;
mod table;

use std::num::NonZeroU8;

use super::envelope::Key;

/// All actions, sorted by name.
#[must_use]
pub fn all() -> &'static [Action] {
    table::ACTIONS
}

/// The action of this exact name, without `_async` or `_rate_limited`: see [`ActionName::base`].
///
/// [`ActionName::base`]: super::ActionName::base
#[must_use]
pub fn find(name: &str) -> Option<&'static Action> {
    let mut slot = slot(name.as_bytes());
    loop {
        let row = usize::from(SLOTS.get(slot).copied().flatten()?.get() - 1);
        let action = table::ACTIONS.get(row)?;
        if action.name == name {
            return Some(action);
        }
        slot = (slot + 1) % SLOT_COUNT;
    }
}

/// The place of `action` among [`all`]; `None` for one that is not from there.
#[must_use]
pub fn row(action: &'static Action) -> Option<usize> {
    table::ACTIONS.element_offset(action)
}

/// Four times the rows, so that most names are found, or missed, at the first look.
const SLOT_COUNT: usize = 1024;

/// Where each row of the table is, plus one: a hash table made by the compiler.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses a bad index")]
static SLOTS: [Option<NonZeroU8>; SLOT_COUNT] = {
    let mut slots = [None; SLOT_COUNT];
    let mut row = 0;
    while row < table::ACTIONS.len() {
        let mut slot = slot(table::ACTIONS[row].name.as_bytes());
        while slots[slot].is_some() {
            slot = (slot + 1) % SLOT_COUNT;
        }
        assert!(row < u8::MAX as usize, "the table outgrew a byte");
        slots[slot] = NonZeroU8::new(row as u8 + 1);
        row += 1;
    }
    slots
};

/// FNV-1a.
const fn slot(name: &[u8]) -> usize {
    let mut hash: u32 = 0x811c_9dc5;
    let mut rest = name;
    while let [byte, tail @ ..] = rest {
        hash = (hash ^ *byte as u32).wrapping_mul(0x0100_0193);
        rest = tail;
    }
    (hash ^ (hash >> 16)) as usize % SLOT_COUNT
}

/// What the gateway knows of one action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Action {
    /// As it stands in a call.
    pub name: &'static str,
    /// What it does, in Chinese; `LLOneBot`'s own title where it has one.
    pub title: &'static str,
    /// What it is about.
    pub category: Category,
    /// Whether it changes anything.
    pub access: Access,
    /// Whether it puts a message or a file into a chat. Always a write.
    pub sends: bool,
    /// What harm it can do.
    pub risk: Risk,
    /// Whom it names.
    pub target: Target,
    /// How long an answer may be given again to the same question.
    pub cacheable: Cacheable,
    /// Whether it answers with several replies: see [`is_stream_part`](super::reply::is_stream_part).
    pub stream: bool,
    /// Whether `LLOneBot` has it; otherwise only other implementations do.
    pub in_llonebot: bool,
}

/// What an action is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Category {
    /// Messages, reactions, faces.
    Message,
    /// Friends, strangers, the account's own profile.
    User,
    /// Groups and their members, notices, albums.
    Group,
    /// Files of any kind.
    File,
    /// The implementation and the login.
    System,
    /// QQ channels.
    Guild,
}

/// Whether an action changes anything.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// It only tells.
    Read,
    /// It changes something. A write is never sent twice.
    Write,
}

/// What harm an action can do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Risk {
    /// What every bot does.
    Normal,
    /// It changes groups, friends or the account for everybody.
    Admin,
    /// It hands out credentials, sends raw packets, stops or reconfigures the implementation, or reads or
    /// writes files of its host. Refused unless a consumer's rules name it.
    Danger,
}

/// How long the answer to a read keeps. What is asked with `no_cache` must be asked anew.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cacheable {
    /// Ask every time.
    No,
    /// As long as the link lives.
    Static,
    /// This many seconds.
    Ttl(u32),
    /// Equal questions have one answer for ever.
    Immutable,
}

/// Whom an action names, and so which of its parameters rules on groups and users must look at.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// Nobody: it is about the account itself or about nothing in QQ.
    Account,
    /// A group.
    Group,
    /// A user.
    User,
    /// A user in a group.
    Member,
    /// A group or a user, or a user reached through a group; `message_type` may say which.
    Chat,
    /// The chat a message is in, which only who has seen the message can tell.
    Message,
    /// A message, and the group or user it is forwarded to.
    Forward,
    /// A request to join or to be friends, by its flag.
    Request,
    /// What the event in `context` was about.
    Context,
    /// Something with an id of its own that tells nothing of groups and users: a file, a share, a channel.
    Other,
}

impl Target {
    /// The parameters that name it. Each one that is present counts: for [`Target::Chat`] a call with both
    /// a group and a user names both.
    #[must_use]
    pub const fn parameters(self) -> &'static [Key] {
        match self {
            Self::Account | Self::Other => &[],
            Self::Group => &[Key::GroupId],
            Self::User => &[Key::UserId],
            Self::Member => &[Key::GroupId, Key::UserId],
            Self::Chat => &[Key::MessageType, Key::GroupId, Key::UserId],
            Self::Message => &[Key::MessageId],
            Self::Forward => &[Key::MessageId, Key::GroupId, Key::UserId],
            Self::Request => &[Key::Flag],
            Self::Context => &[Key::Context],
        }
    }
}

/// The words the table is written in.
impl Action {
    const fn new(name: &'static str, category: Category, title: &'static str, access: Access) -> Self {
        Self {
            name,
            title,
            category,
            access,
            sends: false,
            risk: Risk::Normal,
            target: Target::Account,
            cacheable: Cacheable::No,
            stream: false,
            in_llonebot: true,
        }
    }

    const fn group(self) -> Self {
        Self { target: Target::Group, ..self }
    }

    const fn user(self) -> Self {
        Self { target: Target::User, ..self }
    }

    const fn member(self) -> Self {
        Self { target: Target::Member, ..self }
    }

    const fn chat(self) -> Self {
        Self { target: Target::Chat, ..self }
    }

    const fn message(self) -> Self {
        Self { target: Target::Message, ..self }
    }

    const fn forward(self) -> Self {
        Self { target: Target::Forward, ..self }
    }

    const fn request(self) -> Self {
        Self { target: Target::Request, ..self }
    }

    const fn context(self) -> Self {
        Self { target: Target::Context, ..self }
    }

    const fn other(self) -> Self {
        Self { target: Target::Other, ..self }
    }

    const fn fixed(self) -> Self {
        Self { cacheable: Cacheable::Static, ..self }
    }

    const fn ttl(self, seconds: u32) -> Self {
        Self { cacheable: Cacheable::Ttl(seconds), ..self }
    }

    const fn immutable(self) -> Self {
        Self { cacheable: Cacheable::Immutable, ..self }
    }

    const fn admin(self) -> Self {
        Self { risk: Risk::Admin, ..self }
    }

    const fn danger(self) -> Self {
        Self { risk: Risk::Danger, ..self }
    }

    const fn stream(self) -> Self {
        Self { stream: true, ..self }
    }

    const fn foreign(self) -> Self {
        Self { in_llonebot: false, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(keep: impl Fn(&Action) -> bool) -> Vec<&'static str> {
        all().iter().filter(|action| keep(action)).map(|action| action.name).collect()
    }

    #[test]
    fn the_table_is_sorted_and_every_action_is_found() {
        assert!(all().is_sorted_by(|one, next| one.name < next.name));
        assert_eq!(all().len(), 233);
        assert_eq!(names(|action| action.in_llonebot).len(), 122);
        assert!(all().iter().all(|action| find(action.name) == Some(action)));
        assert_eq!(find("send_msg_async"), None);
        assert_eq!(find(""), None);
    }

    #[test]
    fn what_hands_over_the_account_or_the_host_is_danger() {
        let own = names(|action| action.in_llonebot && action.risk == Risk::Danger);
        assert_eq!(
            own,
            [
                "download_file",
                "get_config",
                "get_cookies",
                "get_credentials",
                "get_csrf_token",
                "get_rkey",
                "llonebot_debug",
                "send_pb",
                "set_config",
                "set_restart",
            ]
        );
        let foreign = names(|action| !action.in_llonebot && action.risk == Risk::Danger);
        assert_eq!(
            foreign,
            [
                ".send_packet",
                "bot_exit",
                "clean_stream_temp_file",
                "create_flash_task",
                "download_file_image_stream",
                "download_file_record_stream",
                "download_file_stream",
                "download_fileset",
                "get_clientkey",
                "get_rkey_server",
                "nc_get_rkey",
                "reboot_normal",
                "receive_online_file",
                "reload_event_filter",
                "send_online_file",
                "send_online_folder",
                "send_packet",
                "upload_file_stream",
            ]
        );
    }

    #[test]
    fn only_reads_are_cacheable_and_only_writes_send() {
        assert!(
            names(|action| action.access == Access::Write && action.cacheable != Cacheable::No).is_empty()
        );
        assert!(names(|action| action.sends && action.access == Access::Read).is_empty());
    }

    #[test]
    fn an_action_names_whom_it_touches() {
        let parameters = |name| find(name).unwrap().target.parameters();
        assert_eq!(parameters("send_group_msg"), [Key::GroupId]);
        assert_eq!(parameters("send_msg"), [Key::MessageType, Key::GroupId, Key::UserId]);
        assert_eq!(parameters("set_group_ban"), [Key::GroupId, Key::UserId]);
        assert_eq!(parameters("delete_msg"), [Key::MessageId]);
        assert_eq!(parameters("set_friend_add_request"), [Key::Flag]);
        assert_eq!(parameters(".handle_quick_operation"), [Key::Context]);
        assert_eq!(parameters("get_login_info"), []);
        // Whoever is restricted to some groups must be held to them by every action that has a group.
        let unbound = names(|action| {
            action.name.contains("_group_")
                && action.access == Access::Write
                && !action.target.parameters().contains(&Key::GroupId)
        });
        assert_eq!(unbound, ["set_group_add_request"]);
    }

    #[test]
    fn streams_are_those_of_napcat() {
        let streams = names(|action| action.stream);
        assert_eq!(
            streams,
            [
                "download_file_image_stream",
                "download_file_record_stream",
                "download_file_stream",
                "test_download_stream",
                "upload_file_stream",
            ]
        );
    }
}
