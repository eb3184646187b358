//! What the example bots ask LLOneBot, and how each knows the answer to its own question.

use serde_json::{Value, json};

use super::story::ACCOUNT;

/// One of the example bots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Answers whoever mentions the account, and reads back what it said.
    Echo,
    /// Looks up who is speaking in a group.
    Greeter,
    /// Only listens.
    Archive,
    /// Looks up the profile of whoever speaks; waits for the gateway to connect.
    Reverse,
}

/// A call, and what its answer must show.
pub(super) struct Question {
    pub(super) action: &'static str,
    pub(super) params: Value,
    about: About,
}

enum About {
    Sending(String),
    Message { id: i64, text: String },
    Member { group: i64, user: i64 },
    Profile { user: i64 },
}

/// What a bot thinks of the answer that arrived with its echo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the answer to this question; in a few words.
    Own(String),
    /// The call failed; why.
    Failed(String),
    /// It answers a question this bot has not asked.
    Foreign,
}

impl Part {
    pub(super) const ALL: [Self; 4] = [Self::Echo, Self::Greeter, Self::Archive, Self::Reverse];

    /// The name of its consumer.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Greeter => "greeter",
            Self::Archive => "archive",
            Self::Reverse => "reverse",
        }
    }

    /// What this bot wants to know about `event`.
    pub(super) fn question(self, event: &Value) -> Option<Question> {
        let number = |key| event.get(key).and_then(Value::as_i64);
        let speaks = event.get("post_type").is_some_and(|kind| kind == "message");
        let user = number("user_id").filter(|_| speaks)?;
        match (self, number("group_id")) {
            (Self::Echo, Some(group)) => {
                let said = words(event, false);
                mentions_account(event).then(|| Question::send(group, format!("听到了：{}", said.trim())))
            }
            (Self::Greeter, Some(group)) => Some(Question {
                action: "get_group_member_info",
                params: json!({"group_id": group, "user_id": user}),
                about: About::Member { group, user },
            }),
            (Self::Reverse, _) => Some(Question {
                action: "get_stranger_info",
                params: json!({"user_id": user}),
                about: About::Profile { user },
            }),
            (Self::Archive, _) | (_, None) => None,
        }
    }
}

impl Question {
    fn send(group: i64, text: String) -> Self {
        let message = json!([{"type": "text", "data": {"text": text}}]);
        Self {
            action: "send_group_msg",
            params: json!({"group_id": group, "message": message}),
            about: About::Sending(text),
        }
    }

    /// The call as a frame.
    pub(super) fn frame(&self, echo: &str) -> String {
        json!({"action": self.action, "params": self.params, "echo": echo}).to_string()
    }

    /// Whether `reply` answers this question.
    pub(super) fn judge(&self, reply: &Value) -> Verdict {
        if reply.get("status").is_none_or(|status| status != "ok") {
            let text = |key| reply.get(key).map(ToString::to_string).unwrap_or_default();
            return Verdict::Failed(format!("retcode {} {}", text("retcode"), text("message")));
        }
        let data = reply.get("data").unwrap_or(&Value::Null);
        let number = |key| data.get(key).and_then(Value::as_i64);
        let text = |key| data.get(key).and_then(Value::as_str);
        let own = match &self.about {
            // A message has these too; only what was said makes it one.
            About::Sending(_) if data.get("message").is_none() => {
                number("message_id").map(|id| format!("message_id={id}"))
            }
            About::Message { id, text: said } => {
                let same = number("message_id") == Some(*id) && words(data, true) == *said;
                same.then(|| "reads what it said".to_owned())
            }
            About::Member { group, user }
                if number("group_id") == Some(*group) && number("user_id") == Some(*user) =>
            {
                text("card_or_nickname").zip(text("role")).map(|(name, role)| format!("{name}, {role}"))
            }
            About::Profile { user } if number("user_id") == Some(*user) && number("group_id").is_none() => {
                text("nickname").zip(number("level")).map(|(name, level)| format!("{name}, level {level}"))
            }
            _ => None,
        };
        own.map_or(Verdict::Foreign, Verdict::Own)
    }

    /// What to ask once `reply` has answered this one.
    pub(super) fn and_then(&self, reply: &Value) -> Option<Self> {
        let About::Sending(text) = &self.about else { return None };
        let id = reply.pointer("/data/message_id")?.as_i64()?;
        Some(Self {
            action: "get_msg",
            params: json!({"message_id": id}),
            about: About::Message { id, text: text.clone() },
        })
    }
}

/// The words of a message, with or without those that are not text.
pub(super) fn words(event: &Value, whole: bool) -> String {
    let segments = event.get("message").and_then(Value::as_array).into_iter().flatten();
    segments.map(|segment| word(segment, whole)).collect()
}

fn word(segment: &Value, whole: bool) -> String {
    let data = |key| segment.pointer(key).and_then(Value::as_str);
    match segment.get("type").and_then(Value::as_str).unwrap_or_default() {
        "text" => data("/data/text").unwrap_or_default().to_owned(),
        _ if !whole => String::new(),
        "at" => format!("@{}", data("/data/name").or(data("/data/qq")).unwrap_or_default()),
        kind => format!("[{kind}]"),
    }
}

fn mentions_account(event: &Value) -> bool {
    let account = ACCOUNT.to_string();
    let mut segments = event.get("message").and_then(Value::as_array).into_iter().flatten();
    segments.any(|segment| segment.pointer("/data/qq").is_some_and(|qq| *qq == account))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mention() -> Value {
        json!({
            "post_type": "message", "message_type": "group", "group_id": 5, "user_id": 7,
            "message": [
                {"type": "at", "data": {"qq": ACCOUNT.to_string(), "name": "窑小二"}},
                {"type": "text", "data": {"text": " 可以吗"}},
            ],
        })
    }

    fn ok(data: &Value) -> Value {
        json!({"status": "ok", "retcode": 0, "data": data, "echo": "1"})
    }

    #[test]
    fn each_bot_takes_its_own_answer_and_nobody_elses() {
        let asking = [Part::Echo, Part::Greeter, Part::Reverse];
        let questions = asking.map(|part| part.question(&mention()).unwrap());
        let answers = [
            json!({"message_id": -9}),
            json!({"group_id": 5, "user_id": 7, "card_or_nickname": "小满", "role": "member"}),
            json!({"user_id": 7, "nickname": "小满", "level": 48}),
            json!({"group_id": 5, "user_id": 8, "card_or_nickname": "阿拓", "role": "admin"}),
            json!({"message_id": -9, "group_id": 5, "user_id": 7, "message": []}),
            Value::Null,
        ];
        for (at, question) in questions.iter().enumerate() {
            for (answered, answer) in answers.iter().enumerate() {
                let own = matches!(question.judge(&ok(answer)), Verdict::Own(_));
                assert_eq!(own, at == answered, "{} was given {answer}", question.action);
            }
        }
    }

    #[test]
    fn the_echo_reads_back_what_it_said() {
        let said = Part::Echo.question(&mention()).unwrap();
        let back = said.and_then(&ok(&json!({"message_id": -9}))).unwrap();
        assert_eq!((back.action, &back.params), ("get_msg", &json!({"message_id": -9})));
        let message = |text: &str| {
            ok(&json!({"message_id": -9, "message": [{"type": "text", "data": {"text": text}}]}))
        };
        assert!(matches!(back.judge(&message("听到了：可以吗")), Verdict::Own(_)));
        assert_eq!(back.judge(&message("听到了：不可以")), Verdict::Foreign);
        assert!(back.and_then(&message("听到了：可以吗")).is_none());
    }

    #[test]
    fn a_failure_is_told_with_its_reason() {
        let question = Part::Reverse.question(&mention()).unwrap();
        let reply =
            json!({"status": "failed", "retcode": 1502, "data": null, "message": "no link", "echo": "1"});
        assert_eq!(question.judge(&reply), Verdict::Failed("retcode 1502 \"no link\"".to_owned()));
    }
}
