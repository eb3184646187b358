use serde_json::json;

use super::*;
use crate::onebot::scan;
use crate::policy::filter::Filter;

fn head(text: &str) -> Head {
    Head::read(text.as_bytes(), &scan(text.as_bytes()).unwrap())
}

fn wants(self_messages: SelfMessages, event: &str, author: Option<Author>) -> Verdict {
    let rules = EventRules { self_messages, conditions: None };
    rules.wants(event.as_bytes(), &head(event), |id| {
        assert_eq!(id, -7);
        author
    })
}

#[test]
fn messages_of_the_account_are_chosen_by_their_author() {
    use self::Author::{Other, Own};
    use self::Verdict::{No, Unknown, Yes};
    let sent = r#"{"post_type":"message_sent","message_id":-7}"#;
    for (choice, own, other, unknown, without_id) in [
        (SelfMessages::None, No, No, No, No),
        (SelfMessages::All, Yes, Yes, Yes, Yes),
        (SelfMessages::Own, Yes, No, Unknown, No),
        (SelfMessages::Siblings, No, Yes, Unknown, Yes),
    ] {
        assert_eq!(wants(choice, sent, Some(Own)), own, "{choice:?}");
        assert_eq!(wants(choice, sent, Some(Other)), other, "{choice:?}");
        assert_eq!(wants(choice, sent, None), unknown, "{choice:?}");
        assert_eq!(wants(choice, r#"{"post_type":"message_sent"}"#, None), without_id, "{choice:?}");
        assert_eq!(wants(choice, r#"{"post_type":"message","message_id":-7}"#, None), Yes);
    }
}

const GROUP: &str = r#"{"self_id":100,"user_id":5,"message_type":"group","sub_type":"normal","raw_message":"[CQ:reply,id=3][CQ:at,qq=100] /ban &#91;x&#93;","message":[{"type":"reply","data":{"id":"3"}},{"type":"at","data":{"qq":"100"}},{"type":"text","data":{"text":" /ban [x]"}}],"message_id":1,"post_type":"message","group_id":7}"#;
const PRIVATE: &str = r#"{"self_id":100,"user_id":6,"message_type":"private","raw_message":"/help","message":[],"message_id":2,"post_type":"message"}"#;
const OWN_PRIVATE: &str = r#"{"self_id":100,"user_id":100,"target_id":6,"message_type":"private","raw_message":"hello","message_id":3,"post_type":"message_sent"}"#;
const RECALL: &str = r#"{"self_id":100,"notice_type":"group_recall","operator_id":1,"user_id":5,"group_id":8,"message_id":1,"post_type":"notice"}"#;
const LIKE: &str = r#"{"self_id":100,"notice_type":"notify","sub_type":"profile_like","post_type":"notice"}"#;
const ALL: [&str; 5] = [GROUP, PRIVATE, OWN_PRIVATE, RECALL, LIKE];

fn rules(conditions: Conditions) -> EventRules {
    EventRules { self_messages: SelfMessages::All, conditions: Some(Arc::new(conditions)) }
}

/// Which of [`ALL`] are heard.
fn heard(conditions: Conditions) -> Vec<&'static str> {
    let rules = rules(conditions);
    let is_heard = |event: &&str| {
        let verdict = rules.wants(event.as_bytes(), &head(event), |_| None);
        let explanation = rules.explain(event.as_bytes(), &head(event));
        assert_eq!(explanation.wanted, Some(verdict == Verdict::Yes), "{explanation:?}");
        verdict == Verdict::Yes
    };
    ALL.into_iter().filter(is_heard).collect()
}

fn ids(ids: &[i64]) -> Ids {
    ids.iter().copied().collect()
}

#[test]
fn every_given_key_has_to_match() {
    let none = Conditions::default;
    for (conditions, expected) in [
        (none(), ALL.to_vec()),
        (Conditions { groups: Some(ids(&[7, 9])), ..none() }, vec![GROUP]),
        (Conditions { users: Some(ids(&[6])), ..none() }, vec![PRIVATE, OWN_PRIVATE]),
        (Conditions { users: Some(ids(&[5])), groups: Some(ids(&[8])), ..none() }, vec![RECALL]),
        (Conditions { users: Some(ids(&[6])), groups: Some(ids(&[7])), ..none() }, vec![]),
        (Conditions { except_groups: Some(ids(&[7])), ..none() }, vec![PRIVATE, OWN_PRIVATE, RECALL, LIKE]),
        (Conditions { except_users: Some(ids(&[5, 6])), ..none() }, vec![LIKE]),
        (
            Conditions {
                post_types: Some([PostType::Notice, PostType::MessageSent].into_iter().collect()),
                ..none()
            },
            vec![OWN_PRIVATE, RECALL, LIKE],
        ),
        (Conditions { detail_types: Some(vec!["private".to_owned()]), ..none() }, vec![PRIVATE, OWN_PRIVATE]),
        (
            Conditions { prefixes: Some(["/ban [", "#"].iter().collect()), ..none() },
            vec![GROUP, RECALL, LIKE],
        ),
        (Conditions { prefixes: Some(["/"].iter().collect()), ..none() }, vec![GROUP, PRIVATE, RECALL, LIKE]),
        (Conditions { mentioned: true, ..none() }, vec![GROUP, RECALL, LIKE]),
        (
            Conditions { filter: Some(Filter::compile(&json!({"message.type": "at"})).unwrap()), ..none() },
            vec![GROUP],
        ),
    ] {
        assert_eq!(heard(conditions.clone()), expected, "{conditions:?}");
    }
}

fn message(fields: &str) -> String {
    format!(
        r#"{{"post_type":"message","self_id":100,"message_type":"group","group_id":1,"user_id":2,{fields}}}"#
    )
}

#[test]
fn texts_begin_behind_what_addresses_somebody_in_either_form() {
    let slash =
        rules(Conditions { prefixes: Some(["/", "签到"].iter().collect()), ..Conditions::default() });
    for (fields, begins) in [
        (r#""raw_message":"/x""#, true),
        (r#""raw_message":" \n\u3000/x""#, true),
        (r#""raw_message":"[CQ:at,qq=1,name=a&#93;] [CQ:reply,id=-4]  签到""#, true),
        (r#""raw_message":"[CQ:face,id=1]/x""#, false),
        (r#""raw_message":"[CQ:atall]/x""#, false),
        (r#""raw_message":"[CQ:at,qq=1 /x""#, false),
        (r#""raw_message":"x /""#, false),
        (r#""raw_message":"""#, false),
        (r#""raw_message":5,"message":"[CQ:at,qq=1]/x""#, true),
        (r#""message":"/x""#, true),
        (r#""message":[{"type":"at","data":{"qq":"1"}},{"type":"text","data":{"text":" /x"}}]"#, true),
        (r#""message":[{"type":"text","data":{"text":" "}},{"type":"text","data":{"text":"/x"}}]"#, true),
        (r#""message":[{"type":"text","data":{"text":"[CQ:at,qq=1]/x"}}]"#, false),
        (r#""message":[{"type":"image","data":{}},{"type":"text","data":{"text":"/x"}}]"#, false),
        (r#""message":[]"#, false),
        (r#""message":null"#, false),
        (r#""font":1"#, false),
    ] {
        let event = message(fields);
        let verdict = slash.wants(event.as_bytes(), &head(&event), |_| None);
        assert_eq!(verdict, if begins { Verdict::Yes } else { Verdict::No }, "{event}");
    }
}

#[test]
fn a_mention_is_of_the_account_itself_in_either_form() {
    let mentioned = rules(Conditions { mentioned: true, ..Conditions::default() });
    for (fields, is_mentioned) in [
        (r#""raw_message":"hi [CQ:at,qq=100] there""#, true),
        (r#""raw_message":"[CQ:at,qq=1][CQ:at,name=x,qq=100]""#, true),
        (r#""raw_message":"[CQ:at,qq=1000][CQ:at,qq=all]""#, false),
        (r#""raw_message":"&#91;CQ:at,qq=100&#93;""#, false),
        (r#""raw_message":"[CQ:reply,id=100]@100""#, false),
        (r#""message":[{"type":"at","data":{"qq":"100"}}]"#, true),
        (r#""message":[{"type":"at","data":{"qq":100}}]"#, true),
        (r#""message":[{"type":"text","data":{"text":"[CQ:at,qq=100]"}}]"#, false),
    ] {
        let event = message(fields);
        let verdict = mentioned.wants(event.as_bytes(), &head(&event), |_| None);
        assert_eq!(verdict, if is_mentioned { Verdict::Yes } else { Verdict::No }, "{event}");
    }
}

#[test]
fn what_cannot_be_decided_is_refused() {
    let group = r#"{"post_type":"message","message_type":"group","group_id":1.5,"user_id":null}"#;
    let unevaluable = |conditions| {
        let verdict = rules(conditions).wants(group.as_bytes(), &head(group), |_| None);
        matches!(verdict, Verdict::Unevaluable(_))
    };
    assert!(unevaluable(Conditions { except_groups: Some(ids(&[1])), ..Conditions::default() }));
    assert!(unevaluable(Conditions { except_users: Some(ids(&[1])), ..Conditions::default() }));
    assert!(unevaluable(Conditions { mentioned: true, ..Conditions::default() }));
}

#[test]
fn an_author_is_asked_for_only_if_the_rest_lets_it_through() {
    let conditions = Some(Arc::new(Conditions { users: Some(ids(&[7])), ..Conditions::default() }));
    let rules = EventRules { self_messages: SelfMessages::Own, conditions };
    let verdict = rules.wants(OWN_PRIVATE.as_bytes(), &head(OWN_PRIVATE), |_| panic!("nobody is asked"));
    assert_eq!(verdict, Verdict::No);
}

#[test]
fn an_explanation_names_the_key_and_not_the_text() {
    let filter = Filter::compile(&json!({"user_id": 5, "sender.role": "owner"})).unwrap();
    for (conditions, event, key, sentence) in [
        (Conditions::default(), GROUP, "", "no rule stands against it"),
        (
            Conditions { groups: Some(ids(&[1])), ..Conditions::default() },
            GROUP,
            "events.groups",
            "it happened in group 7, and only the listed groups are heard",
        ),
        (
            Conditions { groups: Some(ids(&[1])), ..Conditions::default() },
            PRIVATE,
            "events.groups",
            "it happened in no group, and only the listed groups are heard",
        ),
        (
            Conditions { except_users: Some(ids(&[6])), ..Conditions::default() },
            OWN_PRIVATE,
            "events.except_users",
            "it is of user 6, who is excepted",
        ),
        (
            Conditions { filter: Some(filter), ..Conditions::default() },
            GROUP,
            "events.filter",
            "the filter's condition \"sender.role\" does not hold",
        ),
    ] {
        let explanation = rules(conditions).explain(event.as_bytes(), &head(event));
        assert_eq!((explanation.key.as_str(), explanation.sentence.as_str()), (key, sentence));
    }
    let silent = EventRules::default().explain(OWN_PRIVATE.as_bytes(), &head(OWN_PRIVATE));
    assert_eq!((silent.wanted, silent.key.as_str()), (Some(false), "self_messages"));
    let own = EventRules { self_messages: SelfMessages::Own, conditions: None };
    assert_eq!(own.explain(OWN_PRIVATE.as_bytes(), &head(OWN_PRIVATE)).wanted, None);
}
