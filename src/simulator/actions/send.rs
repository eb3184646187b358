//! Saying something.

use serde_json::{Value, json};

use super::{Answer, Call, Failure};
use crate::simulator::account::messages::Chat;
use crate::simulator::cq;
use crate::simulator::object::interpolated;

pub(super) fn answer(name: &str, call: &mut Call<'_>) -> Option<Answer> {
    Some(match name {
        "send_private_msg" => call.private_chat().and_then(|chat| call.send(chat)),
        "send_group_msg" => call.group_chat().and_then(|chat| call.send(chat)),
        "send_msg" => call.chat().and_then(|chat| call.send(chat)),
        "send_private_forward_msg" => call.private_chat().and_then(|chat| call.send_forward(chat)),
        "send_group_forward_msg" => call.group_chat().and_then(|chat| call.send_forward(chat)),
        "send_forward_msg" => call.chat().and_then(|chat| call.send_forward(chat)),
        "forward_friend_single_msg" => call.private_chat().and_then(|chat| call.forward_single(chat)),
        "forward_group_single_msg" => call.group_chat().and_then(|chat| call.forward_single(chat)),
        "send_group_ai_record" => call.send_ai_record(),
        _ => return None,
    })
}

impl Call<'_> {
    fn group_chat(&mut self) -> Result<Chat, Failure> {
        let group_id = self.params.id("group_id")?;
        self.group(group_id)?;
        Ok(Chat::Group(group_id))
    }

    fn private_chat(&mut self) -> Result<Chat, Failure> {
        self.params.id("user_id").map(Chat::Private)
    }

    /// By `message_type`, else by the id that is there.
    fn chat(&mut self) -> Result<Chat, Failure> {
        match self.params.optional_text("message_type")?.as_str() {
            "group" => self.group_chat(),
            "private" => self.private_chat(),
            _ if self.params.get("group_id").is_some() => self.group_chat(),
            _ => self.private_chat(),
        }
    }

    fn send(&mut self, chat: Chat) -> Answer {
        let verbatim = self.params.flag("auto_escape", false)?;
        let segments = self.outgoing(self.params.value("message")?, verbatim)?;
        Ok(json!({"message_id": self.account.send(chat, &segments, self.now)}))
    }

    fn send_forward(&mut self, chat: Chat) -> Answer {
        let nodes = match self.params.get("messages") {
            Some(nodes) => nodes,
            None => self.params.value("message")?,
        };
        let messages = self.forwarded(nodes);
        let forward_id = self.account.store_forward(messages);
        let segment = json!({"type": "forward", "data": {"id": forward_id}});
        let message_id = self.account.send(chat, &[segment], self.now);
        Ok(json!({"message_id": message_id, "forward_id": forward_id}))
    }

    fn forward_single(&mut self, chat: Chat) -> Answer {
        let original = self.stored(self.params.message_id()?)?;
        let segments = original.get("message").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(json!({"message_id": self.account.send(chat, &segments, self.now)}))
    }

    fn send_ai_record(&mut self) -> Answer {
        let chat = self.group_chat()?;
        self.params.text("character")?;
        let text = self.params.text("text")?;
        let record = self.received_file("record", &text);
        Ok(json!({"message_id": self.account.send(chat, &[record], self.now)}))
    }

    /// A message parameter (text with CQ codes, one segment, or several) as the segments others receive.
    pub(super) fn outgoing(&mut self, message: &Value, verbatim: bool) -> Result<Vec<Value>, Failure> {
        let segments = match message {
            Value::String(text) if verbatim => vec![cq::text(text)],
            Value::String(text) => cq::decode(text),
            Value::Array(segments) => segments.clone(),
            Value::Object(_) => vec![message.clone()],
            other => {
                let got = interpolated(other);
                return Err(Failure::Parameters(format!("$.message expected array but got {got}")));
            }
        };
        if segments.is_empty() {
            return Err(Failure::Thrown("消息内容不能为空".to_owned()));
        }
        Ok(segments.into_iter().map(|segment| self.delivered(segment)).collect())
    }

    /// What becomes of a segment on its way: media get a name and an address, ids become strings.
    fn delivered(&mut self, segment: Value) -> Value {
        let kind = segment.get("type").and_then(Value::as_str).unwrap_or_default();
        let data = segment.get("data").unwrap_or(&Value::Null);
        let string = |key: &str| data.get(key).map(interpolated).unwrap_or_default();
        match kind {
            "image" | "record" | "video" | "file" => self.received_file(kind, &string("file")),
            "reply" => json!({"type": "reply", "data": {"id": string("id")}}),
            "at" => {
                let qq = string("qq");
                match qq.parse() {
                    Ok(user_id) => {
                        let name = self.account.name_of(user_id);
                        json!({"type": "at", "data": {"qq": qq, "name": name}})
                    }
                    Err(_) => json!({"type": "at", "data": {"qq": qq}}),
                }
            }
            _ => segment,
        }
    }

    fn received_file(&mut self, kind: &str, source: &str) -> Value {
        // Four characters of base64 are three bytes.
        let size = source.strip_prefix("base64://").map_or(48_392, |base64| base64.len() / 4 * 3).to_string();
        let stem = self.account.random.uuid().replace('-', "").to_uppercase();
        let url = format!("https://multimedia.nt.qq.com.cn/download?appid=1407&fileid={stem}&spec=0");
        let data = match kind {
            "image" => json!({"file": format!("{stem}.jpg"), "subType": 0, "url": url, "file_size": size}),
            "file" => {
                let name = source.rsplit('/').next().unwrap_or_default();
                let id = format!("/{}", self.account.random.uuid());
                json!({"file": name, "url": "", "file_id": id, "path": "", "file_size": size})
            }
            "record" => json!({"file": format!("{stem}.amr"), "url": url, "path": "", "file_size": size}),
            _ => json!({"file": format!("{stem}.mp4"), "url": url, "path": "", "file_size": size}),
        };
        json!({"type": kind, "data": data})
    }

    /// Nodes as `get_forward_msg` shows them.
    fn forwarded(&mut self, nodes: &Value) -> Value {
        let nodes = nodes.as_array().cloned().unwrap_or_else(|| vec![nodes.clone()]);
        let messages = nodes.iter().map(|node| {
            let data = node.get("data").unwrap_or(&Value::Null);
            let user_id = data.get("user_id").or_else(|| data.get("uin")).map(interpolated);
            let user_id: i64 = user_id.and_then(|id| id.parse().ok()).unwrap_or(self.account.self_id);
            let name = data.get("nickname").or_else(|| data.get("name")).cloned();
            let name = name.unwrap_or_else(|| json!(self.account.name_of(user_id)));
            let content = self.outgoing(data.get("content").unwrap_or(&json!("")), false).unwrap_or_default();
            json!({
                "content": content, "sender": {"user_id": user_id, "nickname": name}, "time": self.now,
                "message_format": "array", "message_type": "group",
            })
        });
        Value::Array(messages.collect())
    }
}
