//! `[consumer.NAME.events]` as an operator writes it: what it means, and what is said about one that is wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use onebot_gateway::config::{self, Config, Problems};
use onebot_gateway::onebot::{Head, PostType, scan};
use onebot_gateway::policy::events::{Conditions, EventRules, SelfMessages, Verdict};
use onebot_gateway::policy::filter::Filter;
use serde_json::json;

/// What a test adds begins at line 7.
const LEAST: &str = r#"
[upstream.main]
dial = "ws://127.0.0.1:3001"
[consumer.bot]
token = "a-token-that-is-long"
"#;

fn parse(text: &str) -> Result<Config, Problems> {
    config::parse(&format!("{LEAST}{text}"), "gateway.toml", std::iter::empty())
}

fn conditions(text: &str) -> Option<Arc<Conditions>> {
    parse(text).unwrap_or_else(|problems| panic!("{problems}")).consumers[0].events.clone()
}

fn problems(text: &str) -> Vec<String> {
    let problems = parse(text).expect_err("should be refused").to_string();
    problems.lines().map(|line| line.replace("consumer.bot.events.", "…")).collect()
}

#[test]
fn every_key_arrives() {
    let written = conditions(
        r#"
        self_messages = true
        [consumer.bot.events]
        post_types = ["message", "message_sent", "notice"]
        detail_types = ["group", "group_recall"]
        groups = [3, "1", 2, 1]
        users = ["5"]
        prefixes = ["/", "[x]&"]
        mentioned = true
        [consumer.bot.events.filter]
        "sender.role" = { "$in" = ["owner", "admin"] }
        "$or" = [{ raw_message = { "$regex" = "^/", "$options" = "i" } }, { time = { "$gt" = 1.5 } }, { "Font" = 14 }]
        "#,
    );
    let filter = json!({
        "sender.role": {"$in": ["owner", "admin"]},
        "$or": [{"raw_message": {"$regex": "^/", "$options": "i"}}, {"time": {"$gt": 1.5}}, {"Font": 14}],
    });
    let meant = Conditions {
        post_types: Some([PostType::Message, PostType::MessageSent, PostType::Notice].into_iter().collect()),
        detail_types: Some(vec!["group".to_owned(), "group_recall".to_owned()]),
        groups: Some([1, 2, 3].into_iter().collect()),
        users: Some([5].into_iter().collect()),
        except_groups: None,
        except_users: None,
        prefixes: Some(["/", "[x]&"].iter().collect()),
        mentioned: true,
        filter: Some(Filter::compile(&filter).unwrap()),
    };
    assert_eq!(written.as_deref(), Some(&meant));
    let excepting = conditions("events = { except_groups = [1], except_users = [2] }").unwrap();
    assert_eq!(excepting.except_groups, Some([1].into_iter().collect()));
    assert_eq!(excepting.except_users, Some([2].into_iter().collect()));
    assert_eq!(conditions(""), None);
    assert_eq!(conditions("[consumer.bot.events]"), None);
}

/// The README's promise: two groups, and nothing else.
#[test]
fn two_groups_are_two_groups() {
    let conditions = conditions("events = { groups = [618204977, 7] }");
    let rules = EventRules { self_messages: SelfMessages::All, conditions };
    let mut count = 0;
    for text in include_str!("samples/events.jsonl").lines() {
        let event: serde_json::Value = serde_json::from_str(text).unwrap();
        let head = Head::read(text.as_bytes(), &scan(text.as_bytes()).unwrap());
        let verdict = rules.wants(text.as_bytes(), &head, |_| None);
        let is_there = event["group_id"] == 618_204_977;
        assert_eq!(verdict == Verdict::Yes, is_there, "{text}");
        count += usize::from(is_there);
    }
    assert!((5..40).contains(&count), "{count}");
}

#[test]
fn everything_that_could_never_match_is_told_with_its_place() {
    let found = problems(
        r#"
        [consumer.bot.events]
        post_types = ["massage", "meta_event", "message_sent"]
        detail_types = ["grup"]
        groups = [1, 2]
        except_groups = [2, 3]
        users = []
        except_users = [5]
        prefixes = ["", " /"]
        [consumer.bot.events.filter]
        group_id = { "$inn" = [1] }
        user_id = "7"
        raw_message = { "$regex" = "(a)\\1" }
        "#,
    );
    assert_eq!(
        found,
        [
            "gateway.toml:8:22: …post_types: \"massage\" is no kind of events; did you mean \"message\"?",
            "gateway.toml:8:22: …post_types: lists message_sent, which only comes with \
             consumer.bot.self_messages; set that, or leave it out",
            "gateway.toml:8:22: …post_types: lists meta_event, which is no rule's matter: heartbeats and \
             lifecycle are each session's own; leave it out",
            "gateway.toml:9:24: …detail_types: \"grup\" is no message_type, notice_type or request_type; did you \
             mean \"group\"? (one that is too new to be known here can be named in `filter`)",
            "gateway.toml:11:25: …except_groups: 2 is in `groups` too; remove it from one of them",
            "gateway.toml:12:17: …users: is empty, so that nothing can match; leave it out to hear all",
            "gateway.toml:14:20: …prefixes: \" /\" can never match: blanks before a text are passed over",
            "gateway.toml:14:20: …prefixes: lists \"\", with which every text begins; leave it out",
            "gateway.toml:16:31: …filter.group_id.$inn: unknown operator; did you mean `$in`?",
            "gateway.toml:17:19: …filter.user_id: ids are numbers in events; write 7 without quotes",
            "gateway.toml:18:36: …filter.raw_message.$regex: refers back to a group, which cannot be done in time \
             linear in the text; write what the group may be once more, or use two conditions",
        ]
    );
}

#[test]
fn keys_that_contradict_each_other_are_told() {
    for (written, told) in [
        (
            "events = { post_types = [\"message\"] }\nself_messages = \"all\"",
            "…post_types: leaves out message_sent, so that consumer.bot.self_messages does nothing; list it too",
        ),
        (
            "events = { post_types = [\"message\"], detail_types = [\"group\", \"group_recall\"] }",
            "…detail_types: \"group_recall\" can never match: `post_types` leaves out its kind of events",
        ),
        (
            "events = { post_types = [\"message\", \"notice\"], detail_types = [\"group\"] }",
            "…detail_types: lists no kind of notice, so that none of those in `post_types` matches",
        ),
        (
            "events = { post_types = [\"notice\"], mentioned = true }",
            "…mentioned: is about messages, and `post_types` lists none",
        ),
        (
            "events = { groups = [1], except_groups = [2] }",
            "…except_groups: changes nothing: only what `groups` lists is heard; remove one of them",
        ),
        (
            "events = { groups = [1], detail_types = [\"private\"] }",
            "…groups: can never match: what `detail_types` lists happens in no group",
        ),
        (
            "events = { filter = { time = { \"$gt\" = nan } } }",
            "…filter.time.$gt: is a number that no event can have",
        ),
        ("events = { groups = [1.5] }", "…groups: item 1 is a number; expected a QQ number, such as 10001"),
        ("events = { group = [1] }", "…group: unknown key; did you mean `groups`?"),
        ("events = { filter = [1] }", "…filter: is a list; expected a table"),
    ] {
        let found = problems(written);
        assert!(found[0].ends_with(told), "{written}\n{found:?}");
    }
}

#[test]
fn an_environment_cannot_set_lists() {
    let environment = [("ONEBOT_GATEWAY__CONSUMER__BOT__EVENTS__GROUPS".to_owned(), "1,2".to_owned())];
    let problems = config::parse(LEAST, "gateway.toml", environment.into_iter()).unwrap_err().to_string();
    assert_eq!(
        problems,
        "environment variable ONEBOT_GATEWAY__CONSUMER__BOT__EVENTS__GROUPS: consumer.bot.events.groups: is a \
         string; expected a list of QQ numbers, in the file: the environment cannot set lists"
    );
}
