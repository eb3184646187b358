//! What changes what: which answers an event or a write makes out of date.
//!
//! Where this table is not sure it says too much: an answer that is asked for again in vain costs one
//! call, one that is told after it ceased to be true is an error.

use super::{Access, Action};
use crate::onebot::event::{Head, PostType};

/// What an answer is about. A set of them, so that an event or an action may name several.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Subjects(u16);

impl Subjects {
    /// Who is in a group, and everything about them there: cards, titles, roles, bans.
    pub const MEMBERS: Self = Self(1);
    /// The group itself: its name, its picture, that the account is in it.
    pub const GROUP: Self = Self(1 << 1);
    /// Announcements of a group.
    pub const NOTICES: Self = Self(1 << 2);
    /// Messages marked as essence.
    pub const ESSENCE: Self = Self(1 << 3);
    /// Files of a group.
    pub const FILES: Self = Self(1 << 4);
    /// Albums of a group.
    pub const ALBUMS: Self = Self(1 << 5);
    /// Who has signed in today.
    pub const SIGNS: Self = Self(1 << 6);
    /// Which messages there are in a chat.
    pub const HISTORY: Self = Self(1 << 7);
    /// What became of a message: recalled, reacted to.
    pub const MESSAGE: Self = Self(1 << 8);
    /// Friends, and what is known of other people.
    pub const PEOPLE: Self = Self(1 << 9);
    /// Requests that wait for a decision.
    pub const REQUESTS: Self = Self(1 << 10);
    /// Likes of profiles.
    pub const LIKES: Self = Self(1 << 11);
    /// The account's own profile and pictures, and whether it is online.
    pub const ACCOUNT: Self = Self(1 << 12);
    /// Faces the account has collected.
    pub const FACES: Self = Self(1 << 13);
    /// Files that are shared without a chat.
    pub const FLASH: Self = Self(1 << 14);
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self((1 << Self::COUNT) - 1);
    /// How many there are.
    pub const COUNT: usize = 15;

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The numbers of those in the set, each under [`COUNT`](Self::COUNT).
    pub fn numbers(self) -> impl Iterator<Item = usize> {
        (0..Self::COUNT).filter(move |number| self.0 >> number & 1 == 1)
    }
}

/// What makes the answer to a read out of date, in the group it names or, if it names none, anywhere.
#[must_use]
pub fn read_is_about(action: &Action) -> Subjects {
    match action.name {
        "get_group_member_list"
        | "get_group_member_info"
        | "get_group_shut_list"
        | "get_group_honor_info" => Subjects::MEMBERS,
        // Both tell how many members there are.
        "get_group_info" | "get_group_list" => Subjects::GROUP.and(Subjects::MEMBERS),
        "_get_group_notice" => Subjects::NOTICES,
        "get_essence_msg_list" => Subjects::ESSENCE.and(Subjects::MESSAGE),
        "get_group_file_system_info"
        | "get_group_files_by_folder"
        | "get_group_root_files"
        | "get_group_file_url" => Subjects::FILES,
        "get_group_album_list" | "get_group_album_media_list" => Subjects::ALBUMS,
        "get_group_signed_list" => Subjects::SIGNS,
        "get_group_msg_history" | "get_friend_msg_history" => Subjects::HISTORY.and(Subjects::MESSAGE),
        "get_group_at_all_remain" => Subjects::HISTORY,
        "get_msg" | "fetch_emoji_like" | "get_forward_msg" => Subjects::MESSAGE,
        "get_friend_list" | "get_friends_with_category" | "get_stranger_info" => {
            Subjects::PEOPLE.and(Subjects::ACCOUNT)
        }
        "get_group_system_msg" | "get_doubt_friends_add_request" => Subjects::REQUESTS,
        "get_profile_like" | "get_profile_like_count" | "get_profile_like_me" => Subjects::LIKES,
        "get_login_info" | "get_status" | "get_rkey" => Subjects::ACCOUNT,
        "get_qq_avatar" => Subjects::ACCOUNT.and(Subjects::GROUP),
        "fetch_custom_face" => Subjects::FACES,
        "get_flash_file_download_urls" | "get_flash_file_info" => Subjects::FLASH,
        // What is the same whatever happens: texts of pictures, addresses of files, what can be done.
        _ => Subjects::NONE,
    }
}

/// What a call of this action may change. An action that nobody knows may change everything.
#[must_use]
pub fn changed_by_call(action: Option<&Action>) -> Subjects {
    let Some(action) = action else { return Subjects::ALL };
    if action.access == Access::Read {
        return Subjects::NONE;
    }
    listed(action.name).unwrap_or(Subjects::ALL)
}

/// Writes by name; those that are not here may change everything.
#[expect(clippy::too_many_lines, reason = "a table")]
fn listed(name: &str) -> Option<Subjects> {
    Some(match name {
        "send_msg"
        | "send_group_msg"
        | "send_private_msg"
        | "send_forward_msg"
        | "send_group_forward_msg"
        | "send_private_forward_msg"
        | "send_group_ai_record"
        | "send_flash_msg"
        | "send_guild_channel_msg"
        | "forward_friend_single_msg"
        | "forward_group_single_msg"
        | "upload_private_file"
        | "send_online_file"
        | "send_online_folder"
        | "friend_poke"
        | "group_poke"
        | "send_poke"
        | "click_inline_keyboard_button"
        | "send_group_bot_callback" => Subjects::HISTORY,
        "delete_msg" => Subjects::HISTORY.and(Subjects::MESSAGE).and(Subjects::ESSENCE),
        "set_msg_emoji_like"
        | "unset_msg_emoji_like"
        | "set_group_reaction"
        | ".join_friend_emoji_chain"
        | ".join_group_emoji_chain" => Subjects::MESSAGE.and(Subjects::HISTORY),
        "set_essence_msg" | "delete_essence_msg" => Subjects::ESSENCE.and(Subjects::MESSAGE),
        "set_group_card"
        | "set_group_special_title"
        | "set_group_admin"
        | "set_group_ban"
        | "set_group_anonymous_ban"
        | "set_group_whole_ban"
        | "set_group_anonymous"
        | "set_group_member_permissions" => Subjects::MEMBERS.and(Subjects::GROUP),
        "set_group_kick"
        | "set_group_kick_members"
        | "batch_delete_group_member"
        | "set_group_leave"
        | "set_group_name"
        | "set_group_portrait"
        | "set_group_remark"
        | "set_group_add_option"
        | "set_group_robot_add_option"
        | "set_group_bot_status"
        | "set_group_member_invite_policy"
        | "set_group_new_member_history_visibility"
        | "set_group_search"
        | "set_group_msg_mask" => Subjects::GROUP.and(Subjects::MEMBERS),
        "set_group_add_request" => Subjects::REQUESTS.and(Subjects::MEMBERS).and(Subjects::GROUP),
        "set_friend_add_request" | "set_doubt_friends_add_request" => {
            Subjects::REQUESTS.and(Subjects::PEOPLE)
        }
        "_send_group_notice" | "_del_group_notice" | "_delete_group_notice" => Subjects::NOTICES,
        "upload_group_file" => Subjects::FILES.and(Subjects::HISTORY),
        "create_group_file_folder"
        | "delete_group_file"
        | "delete_group_file_folder"
        | "delete_group_folder"
        | "move_group_file"
        | "rename_group_file"
        | "rename_group_file_folder"
        | "set_group_file_forever"
        | "trans_group_file" => Subjects::FILES,
        "create_group_album"
        | "delete_group_album"
        | "del_group_album_media"
        | "upload_group_album"
        | "upload_image_to_qun_album"
        | "do_group_album_comment"
        | "set_group_album_media_like"
        | "cancel_group_album_media_like" => Subjects::ALBUMS,
        "send_group_sign" | "set_group_sign" => Subjects::SIGNS,
        "delete_friend" | "delete_unidirectional_friend" | "set_friend_category" | "set_friend_remark" => {
            Subjects::PEOPLE
        }
        "send_like" => Subjects::LIKES,
        "set_qq_avatar"
        | "set_qq_profile"
        | "set_self_longnick"
        | "set_online_status"
        | "set_diy_online_status"
        | "_set_model_show" => Subjects::ACCOUNT,
        "add_custom_face" | "delete_custom_face" | "set_custom_face_desc" => Subjects::FACES,
        "create_flash_task" | "upload_flash_file" | "reshare_flash_file" => Subjects::FLASH,
        ".handle_quick_operation" => Subjects::HISTORY
            .and(Subjects::MESSAGE)
            .and(Subjects::MEMBERS)
            .and(Subjects::GROUP)
            .and(Subjects::REQUESTS)
            .and(Subjects::PEOPLE),
        "mark_msg_as_read"
        | "mark_group_msg_as_read"
        | "mark_private_msg_as_read"
        | "_mark_all_as_read"
        | "set_input_status"
        | "upload_image"
        | "download_file"
        | "download_flash_file"
        | "download_fileset"
        | "receive_online_file"
        | "refuse_online_file"
        | "cancel_online_file"
        | "upload_file_stream"
        | "clean_stream_temp_file"
        | "create_collection"
        | "send_qzone_msg"
        | "delete_qzone_msg"
        | "create_guild_role"
        | "delete_guild_role"
        | "update_guild_role"
        | "set_guild_member_role"
        | "set_group_todo"
        | "cancel_group_todo"
        | "complete_group_todo"
        | "reload_event_filter" => Subjects::NONE,
        _ => return None,
    })
}

/// What has changed when this event arrives, in the group it names or, if it names none, anywhere.
#[must_use]
pub fn changed_by_event(head: &Head, text: &[u8]) -> Subjects {
    let word = |span: Option<super::super::Span>| span.map(|span| span.of(text)).unwrap_or_default();
    match head.post_type {
        PostType::Message | PostType::MessageSent => Subjects::HISTORY,
        PostType::Request => Subjects::REQUESTS,
        PostType::MetaEvent | PostType::Other => Subjects::NONE,
        PostType::Notice => match word(head.detail) {
            b"group_card" | b"group_admin" | b"group_ban" => Subjects::MEMBERS,
            b"group_increase" | b"group_decrease" | b"group_dismiss" => {
                Subjects::MEMBERS.and(Subjects::GROUP)
            }
            b"group_upload" => Subjects::FILES.and(Subjects::HISTORY),
            b"group_recall" | b"friend_recall" => {
                Subjects::MESSAGE.and(Subjects::HISTORY).and(Subjects::ESSENCE)
            }
            b"group_msg_emoji_like" | b"reaction" => Subjects::MESSAGE.and(Subjects::HISTORY),
            b"essence" => Subjects::ESSENCE.and(Subjects::MESSAGE),
            b"friend_add" => Subjects::PEOPLE.and(Subjects::REQUESTS),
            b"bot_offline" | b"client_status" => Subjects::ACCOUNT,
            b"offline_file" | b"online_file_send" | b"online_file_receive" | b"flash_file" => Subjects::NONE,
            b"notify" => match word(head.sub_type) {
                b"poke" | b"poke_recall" | b"input_status" | b"gray_tip" | b"lucky_king" => Subjects::NONE,
                b"title" | b"honor" => Subjects::MEMBERS,
                b"group_name" => Subjects::GROUP,
                b"profile_like" => Subjects::LIKES,
                _ => Subjects::ALL,
            },
            _ => Subjects::ALL,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onebot::catalogue::{self, Cacheable};
    use crate::onebot::scan;

    fn after_event(text: &str) -> Subjects {
        changed_by_event(&Head::read(text.as_bytes(), &scan(text.as_bytes()).unwrap()), text.as_bytes())
    }

    fn touches(changed: Subjects, read: &str) -> bool {
        let about = read_is_about(catalogue::find(read).unwrap());
        changed.numbers().any(|number| about.numbers().any(|other| other == number))
    }

    #[test]
    fn the_names_in_the_table_are_those_of_the_catalogue() {
        // A misspelt name would fall to what is said of all others, so those are counted.
        let unlisted: Vec<&str> = catalogue::all()
            .iter()
            .filter(|action| action.access == Access::Write && listed(action.name).is_none())
            .map(|action| action.name)
            .collect();
        assert_eq!(
            unlisted,
            [
                ".send_packet",
                "bot_exit",
                "clean_cache",
                "llonebot_debug",
                "reboot_normal",
                "send_packet",
                "send_pb",
                "set_config",
                "set_restart"
            ]
        );
        let about_nothing: Vec<&str> = catalogue::all()
            .iter()
            .filter(|action| action.cacheable != Cacheable::No && read_is_about(action).is_empty())
            .map(|action| action.name)
            .collect();
        assert_eq!(
            about_nothing,
            [
                "can_send_image",
                "can_send_record",
                "get_ai_characters",
                "get_file",
                "get_guild_list",
                "get_image",
                "get_private_file_url",
                "get_recommend_face",
                "get_record",
                "get_robot_uin_range",
                "get_version_info",
                "ocr_image",
                "voice_msg_to_text",
            ]
        );
    }

    #[test]
    fn a_write_touches_the_reads_that_show_it() {
        for (write, read) in [
            ("set_group_card", "get_group_member_list"),
            ("set_group_card", "get_group_member_info"),
            ("set_group_kick", "get_group_member_list"),
            ("set_group_kick", "get_group_info"),
            ("set_group_ban", "get_group_shut_list"),
            ("set_group_name", "get_group_list"),
            ("set_group_name", "get_group_info"),
            ("set_group_leave", "get_group_list"),
            ("set_group_admin", "get_group_member_list"),
            ("set_friend_remark", "get_friend_list"),
            ("delete_friend", "get_friends_with_category"),
            ("set_friend_remark", "get_stranger_info"),
            ("upload_group_file", "get_group_root_files"),
            ("delete_msg", "get_msg"),
            ("delete_msg", "get_group_msg_history"),
            ("send_group_msg", "get_group_msg_history"),
            ("set_essence_msg", "get_essence_msg_list"),
            ("_send_group_notice", "_get_group_notice"),
            ("set_group_add_request", "get_group_system_msg"),
            ("set_qq_profile", "get_login_info"),
            ("set_qq_avatar", "get_qq_avatar"),
            ("send_pb", "get_group_member_list"),
        ] {
            assert!(touches(changed_by_call(catalogue::find(write)), read), "{write} changes {read}");
        }
        assert!(!touches(changed_by_call(catalogue::find("send_group_msg")), "get_group_member_list"));
        assert!(!touches(changed_by_call(catalogue::find("get_msg")), "get_msg"));
        assert_eq!(changed_by_call(None), Subjects::ALL);
    }

    #[test]
    fn what_happens_touches_the_reads_that_show_it() {
        let notice =
            |detail: &str| after_event(&format!(r#"{{"post_type":"notice",{detail},"group_id":1}}"#));
        for (detail, read) in [
            (r#""notice_type":"group_card""#, "get_group_member_list"),
            (r#""notice_type":"group_admin""#, "get_group_member_info"),
            (r#""notice_type":"group_increase""#, "get_group_list"),
            (r#""notice_type":"group_decrease""#, "get_group_member_list"),
            (r#""notice_type":"group_ban""#, "get_group_shut_list"),
            (r#""notice_type":"notify","sub_type":"title""#, "get_group_member_list"),
            (r#""notice_type":"notify","sub_type":"group_name""#, "get_group_info"),
            (r#""notice_type":"notify","sub_type":"of_tomorrow""#, "get_group_info"),
            (r#""notice_type":"friend_add""#, "get_friend_list"),
            (r#""notice_type":"group_recall""#, "get_msg"),
            (r#""notice_type":"essence""#, "get_essence_msg_list"),
            (r#""notice_type":"group_upload""#, "get_group_root_files"),
            (r#""notice_type":"of_tomorrow""#, "get_friend_list"),
        ] {
            assert!(touches(notice(detail), read), "{detail} changes {read}");
        }
        assert!(notice(r#""notice_type":"notify","sub_type":"poke""#).is_empty());
        let message = after_event(r#"{"post_type":"message","message_type":"group","group_id":1}"#);
        assert!(touches(message, "get_group_msg_history"));
        assert!(!touches(message, "get_group_member_list"));
    }
}
