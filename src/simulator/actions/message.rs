//! Messages that were said: fetching, recalling, reacting.

use serde_json::{Value, json};

use super::{Answer, Call, Failure};
use crate::simulator::account::messages::{Chat, Stored};

pub(super) fn answer(name: &str, call: &mut Call<'_>) -> Option<Answer> {
    Some(match name {
        "get_msg" => call.params.message_id().and_then(|id| call.stored(id)),
        "delete_msg" => call.recall(),
        "get_friend_msg_history" => call.params.id("user_id").and_then(|id| call.history(Chat::Private(id))),
        "get_group_msg_history" => call.params.id("group_id").and_then(|id| call.history(Chat::Group(id))),
        "get_forward_msg" => call.get_forward(),
        "set_msg_emoji_like" => call.params.flag("set", true).and_then(|set| call.react(set)),
        "unset_msg_emoji_like" => call.react(false),
        "fetch_emoji_like" => call.known_message().map(|_| {
            json!({"emojiLikesList": [], "cookie": "", "isLastPage": true, "isFirstPage": true})
        }),
        "mark_msg_as_read" => call.known_message().map(|_| Value::Null),
        "voice_msg_to_text" => call.known_message().map(|_| json!({"text": "明天下午三点开窑"})),
        "get_file" | "get_image" => call.get_file(true),
        "get_record" => call.get_file(false),
        "get_ai_characters" => call.params.id("group_id").map(|_| {
            json!([{"type": "推荐", "characters": [{
                "character_id": "lucy-voice-laibixiaoxin", "character_name": "小新",
                "preview_url": "https://res.qpt.qq.com/qpilot/tts_sample/group/lucy-voice-laibixiaoxin.wav",
            }]}])
        }),
        "get_recommend_face" => call.params.text("word").map(|_| json!({"url": [face_url()]})),
        "fetch_custom_face" => Ok(json!([face_url()])),
        "ocr_image" => call.params.text("image").map(|_| {
            json!({"texts": [{"text": "青石路 17 号", "confidence": 98, "coordinates": []}], "language": "zh"})
        }),
        _ => return None,
    })
}

impl Call<'_> {
    /// A message as `get_msg` shows it.
    pub(super) fn stored(&self, id: i32) -> Answer {
        self.account.messages.get(id).map(Stored::shown).ok_or_else(no_message)
    }

    fn known_message(&self) -> Answer {
        self.stored(self.params.message_id()?)
    }

    fn recall(&mut self) -> Answer {
        let id = self.params.message_id()?;
        let message = self.account.messages.get_mut(id).ok_or_else(no_message)?;
        if std::mem::replace(&mut message.recalled, true) {
            return Ok(Value::Null);
        }
        let (chat, sender, own) = (message.chat, message.sender, self.account.self_id);
        match chat {
            Chat::Group(group_id) => self.account.tell(
                "group_recall",
                self.now,
                &json!({"operator_id": own, "message_id": id, "group_id": group_id, "user_id": sender}),
            ),
            Chat::Private(_) => {
                self.account.tell("friend_recall", self.now, &json!({"user_id": sender, "message_id": id}));
            }
        }
        Ok(Value::Null)
    }

    fn history(&mut self, chat: Chat) -> Answer {
        let until = self.params.optional_id("message_seq")?.unwrap_or(0);
        let count = self.params.optional_id("count")?.unwrap_or(20);
        let count = usize::try_from(count).unwrap_or_default();
        let messages: Vec<_> =
            self.account.messages.history(chat, until, count).into_iter().map(Stored::shown).collect();
        Ok(json!({"messages": messages}))
    }

    /// By the id of the forward, or of the message that holds it.
    fn get_forward(&mut self) -> Answer {
        let key = if self.params.get("id").is_some() { "id" } else { "message_id" };
        let id = self.params.text(key)?;
        let message = id.parse().ok().and_then(|id| self.account.messages.get(id));
        let inner =
            message.and_then(|message| message.event.pointer("/message/0/data/id")).and_then(Value::as_str);
        let forward_id = inner.unwrap_or(&id);
        let recorded = || {
            let line = json!([{"type": "text", "data": {"text": "第1步：采泥，晒干后过 80 目筛"}}]);
            json!([{
                "content": line, "sender": {"user_id": 1_639_027_745, "nickname": "山间微雨"}, "time": self.now,
                "message_format": "array", "message_type": "group",
            }])
        };
        let messages = match self.account.forwards.get(forward_id) {
            Some(messages) => messages.clone(),
            // Forwards of recorded events: their ids are real, their bodies were not recorded.
            None if forward_id.len() > 60 => recorded(),
            None => return Err(Failure::Thrown("合并转发消息不存在".to_owned())),
        };
        Ok(json!({"messages": messages}))
    }

    fn react(&mut self, add: bool) -> Answer {
        let id = self.params.message_id()?;
        let emoji_id = self.params.text("emoji_id")?;
        let message = self.account.messages.get(id).ok_or_else(no_message)?;
        if let Chat::Group(group_id) = message.chat {
            let fields = json!({
                "message_id": id, "likes": [{"emoji_id": emoji_id, "count": 1}], "group_id": group_id,
                "user_id": self.account.self_id, "is_add": add,
            });
            self.account.tell("group_msg_emoji_like", self.now, &fields);
        }
        Ok(Value::Null)
    }

    fn get_file(&mut self, with_url: bool) -> Answer {
        let key = if self.params.get("file_id").is_some() { "file_id" } else { "file" };
        let name = self.params.text(key)?;
        let path = format!("/qq/nt_data/File/{name}");
        Ok(if with_url {
            let url = "https://multimedia.nt.qq.com.cn/download?appid=1407&spec=0";
            json!({"file": path, "url": url, "file_size": "48392", "file_name": name})
        } else {
            json!({"file": path, "file_size": "6121", "file_name": name})
        })
    }
}

fn no_message() -> Failure {
    Failure::Thrown("消息不存在".to_owned())
}

fn face_url() -> &'static str {
    "https://p.qpic.cn/qq_expression/2847190563/2847190563_0_0_0_4B1F0A2C93D7E865_0_0/0"
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Failure, as_llonebot as perform};
    use crate::simulator::account::Account;
    use crate::simulator::account::messages::Chat;
    use crate::simulator::cq;

    const NOW: i64 = 1_795_400_000;

    #[test]
    fn a_sent_message_can_be_fetched_and_recalled() {
        let mut account = Account::new(2_847_190_563, 1, NOW);
        let params = json!({"group_id": "618204977", "message": "[CQ:at,qq=2210947381] 收到&#91;1&#93;"});
        let sent = perform(&mut account, "send_group_msg", &params, NOW);
        let id = json!({"message_id": sent.answer.unwrap()["message_id"]});
        assert_eq!(sent.events[0]["post_type"], "message_sent");
        assert_eq!(sent.events[0]["target_id"], 618_204_977);

        let message = perform(&mut account, "get_msg", &id, NOW).answer.unwrap();
        assert_eq!(message["raw_message"], "[CQ:at,qq=2210947381,name=小满] 收到&#91;1&#93;");
        assert_eq!(message["status"], "normal");

        let recalled = perform(&mut account, "delete_msg", &id, NOW);
        assert_eq!(recalled.answer, Ok(Value::Null));
        assert_eq!(recalled.events[0]["notice_type"], "group_recall");
        assert_eq!(perform(&mut account, "get_msg", &id, NOW).answer.unwrap()["status"], "deleted");
        assert!(perform(&mut account, "delete_msg", &id, NOW).events.is_empty());
    }

    #[test]
    fn a_history_ends_at_the_given_sequence_number() {
        let mut account = Account::new(1, 1, NOW);
        for text in ["一", "二", "三"] {
            account.hear(Chat::Group(771_846_203), 1_000_400_038, &[cq::text(text)], NOW);
        }
        let texts = |answer: Value| -> Vec<String> {
            let messages = answer["messages"].as_array().unwrap();
            messages.iter().map(|message| message["raw_message"].as_str().unwrap().to_owned()).collect()
        };
        let params = json!({"group_id": 771_846_203, "count": 2});
        let latest = perform(&mut account, "get_group_msg_history", &params, NOW).answer.unwrap();
        let first_seq = latest["messages"][0]["message_seq"].clone();
        assert_eq!(texts(latest), ["二", "三"]);

        let params = json!({"group_id": 771_846_203, "message_seq": first_seq});
        assert_eq!(
            texts(perform(&mut account, "get_group_msg_history", &params, NOW).answer.unwrap()),
            ["一", "二"]
        );
    }

    #[test]
    fn a_forward_can_be_opened_by_its_id_and_by_its_message() {
        let mut account = Account::new(1, 1, NOW);
        let node = json!({"type": "node", "data": {"user_id": "1639027745", "nickname": "微雨", "content": "第1步"}});
        let params = json!({"group_id": 618_204_977, "messages": [node]});
        let sent = perform(&mut account, "send_group_forward_msg", &params, NOW).answer.unwrap();
        for params in [json!({"id": sent["forward_id"]}), json!({"message_id": sent["message_id"]})] {
            let opened = perform(&mut account, "get_forward_msg", &params, NOW).answer.unwrap();
            assert_eq!(opened["messages"][0]["content"][0]["data"]["text"], "第1步");
        }
    }

    #[test]
    fn recorded_messages_are_there_and_others_are_not() {
        let mut account = Account::new(2_847_190_563, 1, NOW);
        let found =
            perform(&mut account, "get_msg", &json!({"message_id": "720338194"}), NOW).answer.unwrap();
        assert_eq!((&found["real_id"], &found["message_seq"]), (&json!(48212), &json!(48212)));
        let missing = perform(&mut account, "get_msg", &json!({"message_id": 1}), NOW).answer;
        assert_eq!(missing, Err(Failure::Thrown("消息不存在".to_owned())));
    }
}
