use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::onebot::ActionName;
use crate::onebot::catalogue;
use crate::policy::filter::Filter;
use crate::policy::target::Target;

/// Message 7 and the request `g` are of group 1, message 8 and the request `u` of user 2.
struct Seen;

impl Memory for Seen {
    fn message(&self, id: i64) -> Option<Target> {
        match id {
            7 => Some(Target::Group(1)),
            8 => Some(Target::User(2)),
            9 => Some(Target::Group(99)),
            _ => None,
        }
    }

    fn request(&self, flag: &str) -> Option<Target> {
        match flag {
            "g" => Some(Target::Group(1)),
            "u" => Some(Target::User(2)),
            _ => None,
        }
    }
}

fn patterns(items: &[&str]) -> ActionPatterns {
    ActionPatterns::parse(&items.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
}

fn open() -> Rule {
    Rule::open("consumer.bot.actions")
}

fn allowing(items: &[&str]) -> Rule {
    Rule { allow: patterns(items), ..open() }
}

fn in_groups(groups: &[i64]) -> Rule {
    Rule { targets: Targets::groups(groups), ..open() }
}

fn call(action: &str, params: &str) -> Call {
    Call { action: ActionName::new(action), params: Bytes::copy_from_slice(params.as_bytes()) }
}

fn reason(rules: &[Rule], action: &str, params: &str) -> Option<Reason> {
    Permissions::new(rules.to_vec()).permit(&call(action, params), &Seen).err().map(|denial| denial.reason)
}

#[test]
fn danger_has_to_be_named_whatever_suffix_it_wears() {
    for name in ["get_cookies", "get_cookies_async", "get_cookies_rate_limited", "get_cookies_async_async"] {
        for refusing in [open(), allowing(&["*"]), allowing(&["get_*", "@read"])] {
            assert_eq!(reason(&[refusing], name, "{}"), Some(Reason::Danger), "{name}");
        }
        assert_eq!(reason(&[allowing(&["send_msg"])], name, "{}"), Some(Reason::NotListed));
        for naming in [allowing(&["get_cookies"]), allowing(&["@credentials"]), allowing(&["@danger"])] {
            assert_eq!(reason(&[naming], name, "{}"), None, "{name}");
        }
    }
}

#[test]
fn without_a_list_everything_but_danger_passes_even_what_nobody_knows() {
    for name in ["send_group_msg", "get_msg", "an_action_of_tomorrow"] {
        assert_eq!(reason(&[open()], name, "{}"), None, "{name}");
    }
    for action in catalogue::all() {
        let expected = (action.risk == Risk::Danger).then_some(Reason::Danger);
        assert_eq!(reason(&[open()], action.name, "{}"), expected, "{}", action.name);
    }
}

#[test]
fn deny_wins_and_roles_add_up() {
    let chat = Rule { key: "role.chat.actions".to_owned(), ..allowing(&["@send"]) };
    let read = Rule {
        key: "role.read.actions".to_owned(),
        deny: patterns(&["get_friend_list"]),
        ..allowing(&["@read"])
    };
    let rules = [chat, read, allowing(&["get_friend_list", "get_cookies"])];
    for name in ["send_msg", "get_msg", "get_cookies"] {
        assert_eq!(reason(&rules, name, "{}"), None, "{name}");
    }
    assert_eq!(reason(&rules, "get_friend_list_async", "{}"), Some(Reason::Denied));
    assert_eq!(reason(&rules, "set_group_ban", "{}"), Some(Reason::NotListed));
    assert_eq!(reason(&[], "get_msg", "{}"), Some(Reason::NotListed));
}

#[test]
fn a_role_allows_only_on_its_own_targets() {
    let chat = Rule { allow: patterns(&["@send"]), ..in_groups(&[1]) };
    let admin = Rule { allow: patterns(&["set_group_ban"]), ..in_groups(&[2]) };
    let rules = [chat, admin];
    assert_eq!(reason(&rules, "send_group_msg", r#"{"group_id":1}"#), None);
    assert_eq!(reason(&rules, "set_group_ban", r#"{"group_id":2,"user_id":5}"#), None);
    assert_eq!(
        reason(&rules, "set_group_ban", r#"{"group_id":1,"user_id":5}"#),
        Some(Reason::Chat(Target::Group(1)))
    );
    assert_eq!(reason(&rules, "send_group_msg", r#"{"group_id":2}"#), Some(Reason::Chat(Target::Group(2))));
}

#[test]
fn a_consumer_of_two_groups_reaches_nobody_else() {
    let rules = [in_groups(&[1, 2])];
    for (action, params) in [
        ("send_group_msg", r#"{"group_id":1}"#),
        ("send_group_msg_async", r#"{"group_id":"2"}"#),
        ("send_msg", r#"{"group_id":1,"user_id":99,"message_type":"group"}"#),
        ("send_msg", r#"{"group_id":1}"#),
        ("set_group_ban", r#"{"group_id":1,"user_id":99}"#),
        ("set_group_kick_members", r#"{"group_id":1,"user_id":[99]}"#),
        ("send_poke", r#"{"group_id":1,"user_id":99}"#),
        ("delete_msg", r#"{"message_id":7}"#),
        ("get_msg", r#"{"message_id":"7"}"#),
        ("forward_group_single_msg", r#"{"group_id":2,"message_id":7}"#),
        ("set_group_add_request", r#"{"flag":"g","approve":true}"#),
        ("get_login_info", "{}"),
        ("get_status", r#"{"no_cache":true}"#),
    ] {
        assert_eq!(reason(&rules, action, params), None, "{action} {params}");
    }
    let group = |id| Reason::Chat(Target::Group(id));
    let user = |id| Reason::Chat(Target::User(id));
    for (action, params, expected) in [
        ("send_group_msg", r#"{"group_id":99}"#, group(99)),
        ("send_group_msg", r#"{"group_id":1,"group_id":99}"#, Reason::Ambiguous),
        ("send_group_msg", r#"{"group_id":99,"group\u005fid":1}"#, Reason::Ambiguous),
        ("send_group_msg", r#"{"group_id":" 1"}"#, Reason::Odd("group_id")),
        ("send_group_msg", r#"{"group_id":[1]}"#, Reason::Odd("group_id")),
        ("send_group_msg", "{}", Reason::Missing),
        ("send_group_msg", r#"{"user_id":5}"#, Reason::Missing),
        ("send_private_msg", r#"{"user_id":5}"#, user(5)),
        ("send_private_msg", r#"{"user_id":5,"group_id":1}"#, user(5)),
        ("send_private_msg", r#"{"group_id":1}"#, Reason::Missing),
        ("send_msg", r#"{"group_id":1,"user_id":5}"#, user(5)),
        ("send_msg", r#"{"group_id":1,"user_id":5,"message_type":"private"}"#, user(5)),
        ("send_msg", r#"{"group_id":1,"message_type":"private"}"#, Reason::Missing),
        ("send_msg", r#"{"group_id":1,"user_id":5,"message_type":"guild"}"#, Reason::Odd("message_type")),
        ("send_msg", r#"{"user_id":5,"message_type":"group"}"#, Reason::Missing),
        ("friend_poke", r#"{"user_id":5,"group_id":1}"#, user(5)),
        ("group_poke", r#"{"user_id":5}"#, Reason::Missing),
        ("delete_msg", r#"{"message_id":9}"#, group(99)),
        ("delete_msg", r#"{"message_id":8}"#, user(2)),
        ("delete_msg", r#"{"message_id":1000}"#, Reason::UnseenMessage),
        ("delete_msg", r#"{"message_id":7.5}"#, Reason::Odd("message_id")),
        ("delete_msg", "{}", Reason::Missing),
        ("mark_msg_as_read", r#"{"message_id":7,"group_id":99}"#, group(99)),
        ("forward_group_single_msg", r#"{"group_id":1,"message_id":9}"#, group(99)),
        ("forward_group_single_msg", r#"{"group_id":99,"message_id":7}"#, group(99)),
        ("forward_friend_single_msg", r#"{"user_id":5,"message_id":7}"#, user(5)),
        ("set_group_add_request", r#"{"flag":"x"}"#, Reason::UnseenRequest),
        ("set_friend_add_request", r#"{"flag":"u"}"#, user(2)),
        ("get_forward_msg", r#"{"id":"x"}"#, Reason::Opaque),
        ("get_guild_msg", r#"{"group_id":1}"#, Reason::Opaque),
        ("an_action_of_tomorrow", r#"{"group_id":1}"#, Reason::Unknown),
        ("get_group_list", "{}", Reason::Account),
        ("set_qq_avatar", "{}", Reason::Account),
        ("get_login_info", r#"{"group_id":99}"#, group(99)),
    ] {
        assert_eq!(reason(&rules, action, params), Some(expected), "{action} {params}");
    }
    let forward = Rule { allow: patterns(&["*", "get_forward_msg"]), ..in_groups(&[1]) };
    assert_eq!(reason(&[forward], "get_forward_msg", r#"{"id":"x"}"#), None);
    let lists = Rule { allow: patterns(&["*", "get_*_list"]), ..in_groups(&[1]) };
    assert_eq!(reason(&[lists], "get_group_list", "{}"), None);
}

#[test]
fn a_consumer_of_users_reaches_no_group() {
    let targets = Targets::new(None, Some(vec![5]), Vec::new(), Vec::new());
    let rules = [Rule { targets, ..open() }];
    assert_eq!(reason(&rules, "send_msg", r#"{"user_id":5}"#), None);
    assert_eq!(reason(&rules, "send_group_msg", r#"{"group_id":1}"#), Some(Reason::Chat(Target::Group(1))));
    assert_eq!(
        reason(&rules, "friend_poke", r#"{"user_id":5,"group_id":1}"#),
        Some(Reason::Chat(Target::Group(1)))
    );
}

#[test]
fn who_is_excepted_is_left_alone() {
    let targets = Targets::new(None, None, vec![99], vec![5]);
    let rules = [Rule { targets, ..open() }];
    for (action, params) in [
        ("set_group_ban", r#"{"group_id":1,"user_id":"5"}"#),
        ("batch_delete_group_member", r#"{"group_id":1,"user_ids":[4,"5"]}"#),
        ("set_group_kick_members", r#"{"group_id":1,"user_id":[5]}"#),
        ("send_private_msg", r#"{"user_id":5}"#),
        ("send_poke", r#"{"group_id":1,"target_id":5}"#),
    ] {
        assert_eq!(reason(&rules, action, params), Some(Reason::Excepted(Target::User(5))), "{action}");
    }
    assert_eq!(
        reason(&rules, "get_group_info", r#"{"group_id":99}"#),
        Some(Reason::Excepted(Target::Group(99)))
    );
    assert_eq!(
        reason(&rules, "batch_delete_group_member", r#"{"group_id":1,"user_ids":["0x5"]}"#),
        Some(Reason::Odd("user_id"))
    );
    for (action, params) in [
        ("set_group_ban", r#"{"group_id":1,"user_id":4}"#),
        ("send_msg", r#"{"message_type":"group","group_id":1,"user_id":5}"#),
    ] {
        assert_eq!(reason(&rules, action, params), None, "{action}");
    }
}

#[test]
fn a_condition_holds_however_numbers_are_written() {
    let filter = |query| Filter::compile(&query).unwrap();
    let conditions = vec![
        Condition::new(patterns(&["set_group_ban"]), filter(json!({"duration": {"$lte": 600}}))),
        Condition::new(patterns(&["set_group_kick"]), filter(json!({"user_id": {"$ne": 5}}))),
    ];
    let rules = [Rule { conditions, ..open() }];
    for (action, params) in [
        ("set_group_ban", r#"{"duration":600}"#),
        ("set_group_ban_async", r#"{"duration":"60"}"#),
        ("set_group_kick", r#"{"user_id":"6"}"#),
        ("set_group_card", "{}"),
    ] {
        assert_eq!(reason(&rules, action, params), None, "{action} {params}");
    }
    for (action, params) in [
        ("set_group_ban", r#"{"duration":601}"#),
        ("set_group_ban", r#"{"duration":"601"}"#),
        ("set_group_ban", r#"{"duration":"0x1000"}"#),
        ("set_group_ban", r#"{"duration":[60]}"#),
        ("set_group_ban", "{}"),
        ("set_group_ban", r#"{"duration":60,"duration":60}"#),
        ("set_group_ban", r#"{"duration":6000,"dur\u0061tion":60}"#),
        ("set_group_kick", r#"{"user_id":"5"}"#),
        ("set_group_kick", r#"{"user_id":"05"}"#),
        ("set_group_kick", r#"{"user_id":true}"#),
        ("set_group_kick_async", r#"{"user_\u0069d":5}"#),
    ] {
        assert!(
            matches!(reason(&rules, action, params), Some(Reason::Condition { .. })),
            "{action} {params}"
        );
    }
}

#[test]
fn a_quick_operation_is_every_call_it_stands_for() {
    let context = |group: u8| {
        format!(
            r#"{{"post_type":"message","message_type":"group","group_id":{group},"user_id":5,"message_id":7}}"#
        )
    };
    let asked = |rule: Rule, context: &str, operation: &str| {
        let params = format!(r#"{{"context":{context},"operation":{operation}}}"#);
        let denial =
            Permissions::new(vec![rule]).permit(&call(".handle_quick_operation", &params), &Seen).err();
        denial.map(|denial| (denial.action, denial.reason))
    };
    let no_kick = || Rule { deny: patterns(&["set_group_kick"]), ..open() };
    assert_eq!(asked(no_kick(), &context(1), r#"{"reply":"a","ban":true}"#), None);
    let kick = Some(("set_group_kick".to_owned(), Reason::Denied));
    for operation in [r#"{"kick":true}"#, r#"{"kick":1}"#, r#"{"k\u0069ck":"yes"}"#] {
        assert_eq!(asked(no_kick(), &context(1), operation), kick, "{operation}");
    }
    assert_eq!(asked(in_groups(&[1]), &context(1), r#"{"reply":"a","delete":true}"#), None);
    let name = || ".handle_quick_operation".to_owned();
    assert_eq!(
        asked(in_groups(&[1]), &context(2), r#"{"reply":"a"}"#),
        Some((name(), Reason::Chat(Target::Group(2))))
    );
    let foreign = context(1).replace("\"message_id\":7", "\"message_id\":9");
    assert_eq!(
        asked(in_groups(&[1]), &foreign, r#"{"delete":true}"#),
        Some(("delete_msg".to_owned(), Reason::Chat(Target::Group(99))))
    );
    let private = r#"{"post_type":"message","message_type":"private","user_id":5}"#;
    assert_eq!(
        asked(in_groups(&[1]), private, r#"{"reply":"a"}"#),
        Some((name(), Reason::Chat(Target::User(5))))
    );
    let request = r#"{"post_type":"request","request_type":"group","group_id":1,"flag":"unseen"}"#;
    assert_eq!(
        asked(in_groups(&[1]), request, r#"{"approve":true}"#),
        Some(("set_group_add_request".to_owned(), Reason::UnseenRequest))
    );
    assert_eq!(asked(no_kick(), &context(1), r#""{\"kick\":true}""#), Some((name(), Reason::Operation)));
    let listed = allowing(&[".handle_quick_operation", "send_group_msg"]);
    assert_eq!(asked(listed.clone(), &context(1), r#"{"reply":"a"}"#), None);
    assert_eq!(
        asked(listed, &context(1), r#"{"ban":true}"#),
        Some(("set_group_ban".to_owned(), Reason::NotListed))
    );
}

#[test]
fn media_of_the_host_are_refused_where_they_are_forbidden() {
    let rules = [Rule { local_media: false, ..open() }];
    let sent = |file: &str| format!(r#"{{"group_id":1,"message":"[CQ:image,file={file}]"}}"#);
    assert_eq!(
        reason(&rules, "send_group_msg", &sent("/etc/passwd")),
        Some(Reason::Media(media::Local::Path))
    );
    assert_eq!(reason(&rules, "send_group_msg", &sent("https://example.org/a.png")), None);
    assert_eq!(reason(&[open()], "send_group_msg", &sent("/etc/passwd")), None);
    let quick = r#"{"context":{"post_type":"message","message_type":"group","group_id":1},"operation":{"reply":[{"type":"image","data":{"file":"/x"}}]}}"#;
    assert!(matches!(reason(&rules, ".handle_quick_operation", quick), Some(Reason::Media(_))));
}

#[test]
fn a_denial_names_the_key_that_decided_and_what_would_change_it() {
    let rules = [Rule { deny: patterns(&["delete_msg"]), ..in_groups(&[1]) }];
    let permissions = Permissions::new(rules.to_vec());
    let explain = |action: &str, params: &str| permissions.explain(&call(action, params), &Seen, "bot");
    let refused = explain("send_group_msg", r#"{"group_id":5,"message":"secret"}"#);
    assert_eq!((refused.allowed, refused.rule.as_str()), (false, "consumer.bot.actions.groups"));
    assert_eq!(
        refused.to_string(),
        "bot may not call send_group_msg like this: group 5 is not in consumer.bot.actions.groups; add it there \
         if the bot may act in it"
    );
    assert_eq!(explain("delete_msg", "{}").rule, "consumer.bot.actions.deny");
    assert!(explain("get_cookies", "{}").change.contains(r#"allow = ["*", "get_cookies"]"#));
    let allowed = explain("send_group_msg", r#"{"group_id":1}"#);
    assert_eq!((allowed.allowed, allowed.rule.as_str()), (true, "consumer.bot.actions.allow"));
}
