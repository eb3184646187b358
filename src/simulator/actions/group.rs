//! Groups as they are: lists, members, requests, announcements.

use serde_json::{Value, json};

use super::{Answer, Call, Failure};
use crate::simulator::account::announcement;
use crate::simulator::account::messages::Chat;
use crate::simulator::account::people::{Group, Member};
use crate::simulator::object::{field, put};

pub(super) fn answer(name: &str, call: &mut Call<'_>) -> Option<Answer> {
    Some(match name {
        "get_group_list" => Ok(call.account.groups.iter().map(|group| group.shown(false)).collect()),
        "get_group_info" => call.with_group(|group| json!(group.shown(true))),
        "get_group_member_list" => call.with_group(|group| json!(group.members)),
        "get_group_member_info" => call.member_info(),
        "get_group_system_msg" => Ok(call.system_messages()),
        // LLOneBot 8 has lost the means to answer this one.
        "get_group_ignore_add_request" => Err(Failure::Thrown("请使用 get_group_system_msg".to_owned())),
        "get_group_honor_info" => call.honor(),
        "get_essence_msg_list" => call.with_group(|group| json!(group.essence)),
        "set_essence_msg" => call.set_essence(true),
        "delete_essence_msg" => call.set_essence(false),
        "get_group_at_all_remain" => call.with_group(|_| {
            json!({"can_at_all": true, "remain_at_all_count_for_group": 20, "remain_at_all_count_for_uin": 10})
        }),
        "_send_group_notice" => call.announce(),
        "_get_group_notice" => call.with_group(|group| json!(group.announcements)),
        "_delete_group_notice" => call.withdraw_announcement(),
        "send_group_sign" => call.sign(),
        "get_group_signed_list" => call.with_group(|group| json!(group.signed)),
        "get_group_shut_list" => call.shut_list(),
        "send_poke" | "group_poke" | "friend_poke" => call.poke(name),
        _ => return None,
    })
}

impl Call<'_> {
    pub(super) fn group(&mut self, group_id: i64) -> Result<&mut Group, Failure> {
        self.account.group(group_id).ok_or_else(|| Failure::Thrown(format!("群{group_id}不存在")))
    }

    /// A member of a group the call names.
    pub(super) fn member(&mut self) -> Result<&mut Member, Failure> {
        let (group_id, user_id) = (self.params.id("group_id")?, self.params.id("user_id")?);
        let member = self.group(group_id)?.member(user_id);
        member.ok_or_else(|| Failure::Thrown(format!("群({group_id})成员{user_id}不存在")))
    }

    /// Answers from the group the call names.
    pub(super) fn with_group(&mut self, answer: impl FnOnce(&mut Group) -> Value) -> Answer {
        let group_id = self.params.id("group_id")?;
        self.group(group_id).map(answer)
    }

    fn member_info(&mut self) -> Answer {
        let user_id = self.params.id("user_id")?;
        let mut info = json!(self.member()?);
        // The list leaves these at 0; asking about one person fetches the profile.
        put(&mut info, "qq_level", json!(user_id % 64));
        put(&mut info, "age", json!(18 + user_id % 30));
        Ok(info)
    }

    fn system_messages(&mut self) -> Value {
        let shown = |kind: &str| -> Vec<Value> {
            let pending = self.account.requests.iter();
            pending
                .filter(|request| request.get("sub_type").is_some_and(|sub_type| sub_type == kind))
                .map(|request| {
                    let flag = field(request, "flag");
                    json!({
                        "request_id": flag, "invitor_uin": request.get("invitor_id").unwrap_or(&Value::from(0)),
                        "group_id": field(request, "group_id"), "requester_uin": field(request, "user_id"),
                        "message": field(request, "comment"), "flag": flag, "checked": false, "actor": 0,
                    })
                })
                .collect()
        };
        json!({"invited_requests": shown("invite"), "join_requests": shown("add")})
    }

    fn honor(&mut self) -> Answer {
        let kind = self.params.optional_text("type")?;
        self.with_group(|group| {
            let mut honor = json!({"group_id": group.group_id});
            let talkative = group.members.first().map(|member| {
                json!({"user_id": member.user_id, "nickname": member.nickname, "avatar": "", "day_count": 3})
            });
            for list in ["talkative", "performer", "legend", "strong_newbie", "emotion"] {
                if !["", "all", list].contains(&kind.as_str()) {
                    continue;
                }
                if list == "talkative" {
                    put(&mut honor, "current_talkative", json!(talkative));
                }
                put(&mut honor, &format!("{list}_list"), json!([]));
            }
            honor
        })
    }

    fn set_essence(&mut self, add: bool) -> Answer {
        let id = self.params.message_id()?;
        let message = self.stored(id)?;
        let Some(group_id) = message.get("group_id").and_then(Value::as_i64) else {
            return Err(Failure::Thrown("不是群消息".to_owned()));
        };
        let (own, nickname, now) = (self.account.self_id, self.account.nickname.clone(), self.now);
        let sender = field(&message, "user_id");
        let group = self.group(group_id)?;
        group.essence.retain(|essence| field(essence, "message_id") != &json!(id));
        if add {
            group.essence.push(json!({
                "sender_id": sender, "sender_nick": field(field(&message, "sender"), "nickname"), "sender_time": field(&message, "time"),
                "operator_id": own, "operator_nick": nickname, "operator_time": now,
                "message_id": id, "content": field(&message, "message"),
            }));
        }
        let fields = json!({
            "message_id": id, "sender_id": sender, "sub_type": if add { "add" } else { "delete" },
            "group_id": group_id, "user_id": sender, "operator_id": own,
        });
        self.account.tell("essence", now, &fields);
        Ok(Value::Null)
    }

    fn announce(&mut self) -> Answer {
        let content = self.params.text("content")?;
        let (own, now) = (self.account.self_id, self.now);
        let notice = announcement(&mut self.account.random, own, &content, now);
        self.with_group(|group| {
            group.announcements.insert(0, notice);
            Value::Null
        })
    }

    fn withdraw_announcement(&mut self) -> Answer {
        let notice_id = self.params.text("notice_id")?;
        self.with_group(|group| {
            group.announcements.retain(|notice| field(notice, "notice_id") != notice_id.as_str());
            Value::Null
        })
    }

    fn sign(&mut self) -> Answer {
        let (own, nick, now) = (self.account.self_id, self.account.nickname.clone(), self.now);
        self.with_group(|group| {
            if !group.signed.iter().any(|entry| field(entry, "user_id") == own) {
                let rank = group.signed.len() + 1;
                group.signed.push(json!({"user_id": own, "nick": nick, "time": now, "rank": rank}));
            }
            Value::Null
        })
    }

    fn shut_list(&mut self) -> Answer {
        let now = self.now;
        self.with_group(|group| {
            let muted = group.members.iter().filter(|member| member.shut_up_timestamp > now);
            muted
                .map(|member| {
                    json!({
                        "uid": format!("u_{:x}", member.user_id), "uin": member.user_id.to_string(),
                        "nick": member.nickname, "cardName": member.card, "role": 2,
                        "shutUpTime": member.shut_up_timestamp,
                    })
                })
                .collect()
        })
    }

    fn poke(&mut self, name: &str) -> Answer {
        let user_id = self.params.id("user_id")?;
        let own = self.account.self_id;
        let chat = match self.params.optional_id("group_id")? {
            Some(group_id) if name != "friend_poke" => {
                self.member()?;
                Chat::Group(group_id)
            }
            _ if name == "group_poke" => return self.params.id("group_id").map(|_| Value::Null),
            _ => Chat::Private(user_id),
        };
        let target = self.params.optional_id("target_id")?.unwrap_or(user_id);
        let mut fields = json!({"sub_type": "poke", "target_id": target, "user_id": own});
        if let Chat::Group(group_id) = chat {
            put(&mut fields, "group_id", group_id);
        }
        let raw_info = json!([
            {"col": "1", "jp": "", "nm": "", "tp": "0", "type": "qq", "uid": own.to_string()},
            {"col": "1", "jp": "", "txt": "戳了戳", "type": "nor"},
            {"col": "1", "jp": "", "nm": "", "tp": "0", "type": "qq", "uid": target.to_string()},
        ]);
        put(&mut fields, "raw_info", raw_info);
        self.account.tell("notify", self.now, &fields);
        Ok(Value::Null)
    }
}
