//! Changing groups and their members.

use serde_json::{Value, json};

use super::{Answer, Call, Failure};
use crate::simulator::account::people::{Group, Member, Rank};

/// LLOneBot's default for `set_group_ban`, in seconds.
const DEFAULT_BAN: i64 = 30 * 60;
/// "For ever", as LLOneBot shows it for a muted group.
const FOR_EVER: i64 = 0xffff_ffff;

pub(super) fn answer(name: &str, call: &mut Call<'_>) -> Option<Answer> {
    Some(match name {
        "set_group_card" => call.set_card(),
        "set_group_ban" => call.ban(),
        "set_group_whole_ban" => call.ban_everybody(),
        "set_group_kick" => call.params.id("user_id").and_then(|user_id| call.kick(&[user_id])),
        "batch_delete_group_member" => call.params.ids("user_ids").and_then(|user_ids| call.kick(&user_ids)),
        "set_group_admin" => call.set_admin(),
        "set_group_special_title" => call.set_title(),
        "set_group_name" => call.params.text("group_name").and_then(|name| {
            call.with_group(|group| {
                group.group_name = name;
                Value::Null
            })
        }),
        "set_group_remark" => call.params.optional_text("remark").and_then(|remark| {
            call.with_group(|group| {
                group.remark_name = remark;
                Value::Null
            })
        }),
        "set_group_msg_mask" => call.params.id("mask").and_then(|_| call.with_group(|_| Value::Null)),
        "set_group_portrait" => call.params.text("file").and_then(|_| call.with_group(|_| Value::Null)),
        "set_group_leave" => call.leave(),
        "set_group_add_request" => call.answer_request(),
        _ => return None,
    })
}

impl Call<'_> {
    fn set_card(&mut self) -> Answer {
        let card = self.params.optional_text("card")?;
        let member = self.member()?;
        let (user_id, old) = (member.user_id, member.set_card(&card));
        if old != card {
            let group_id = self.params.id("group_id")?;
            let fields = json!({"group_id": group_id, "user_id": user_id, "card_new": card, "card_old": old});
            self.account.tell("group_card", self.now, &fields);
        }
        Ok(Value::Null)
    }

    fn ban(&mut self) -> Answer {
        let duration = self.params.optional_id("duration")?.unwrap_or(DEFAULT_BAN);
        let until = if duration > 0 { self.now.saturating_add(duration) } else { 0 };
        let member = self.member()?;
        member.shut_up_timestamp = until;
        let user_id = member.user_id;
        self.tell_ban(user_id, duration)
    }

    fn ban_everybody(&mut self) -> Answer {
        let enable = self.params.flag("enable", true)?;
        self.with_group(|group| {
            group.shut_up_all_timestamp = if enable { FOR_EVER } else { 0 };
            Value::Null
        })?;
        self.tell_ban(0, if enable { -1 } else { 0 })
    }

    fn tell_ban(&mut self, user_id: i64, duration: i64) -> Answer {
        let group_id = self.params.id("group_id")?;
        let fields = json!({
            "operator_id": self.account.self_id, "duration": duration,
            "sub_type": if duration == 0 { "lift_ban" } else { "ban" }, "group_id": group_id, "user_id": user_id,
        });
        self.account.tell("group_ban", self.now, &fields);
        Ok(Value::Null)
    }

    fn kick(&mut self, user_ids: &[i64]) -> Answer {
        let group_id = self.params.id("group_id")?;
        for &user_id in user_ids {
            let group = self.group(group_id)?;
            if group.member(user_id).is_none() {
                return Err(Failure::Thrown(format!("群({group_id})成员{user_id}不存在")));
            }
            group.members.retain(|member| member.user_id != user_id);
            let fields = json!({
                "sub_type": "kick", "operator_id": self.account.self_id, "group_id": group_id, "user_id": user_id,
            });
            self.account.tell("group_decrease", self.now, &fields);
        }
        Ok(Value::Null)
    }

    fn set_admin(&mut self) -> Answer {
        let enable = self.params.flag("enable", true)?;
        let rank = if enable { Rank::Admin } else { Rank::Member };
        let member = self.member()?;
        let user_id = member.user_id;
        if std::mem::replace(&mut member.rank, rank) != rank {
            let group_id = self.params.id("group_id")?;
            let sub_type = if enable { "set" } else { "unset" };
            let fields = json!({"sub_type": sub_type, "group_id": group_id, "user_id": user_id});
            self.account.tell("group_admin", self.now, &fields);
        }
        Ok(Value::Null)
    }

    fn set_title(&mut self) -> Answer {
        let title = self.params.optional_text("special_title")?;
        let member = self.member()?;
        member.title.clone_from(&title);
        let user_id = member.user_id;
        let group_id = self.params.id("group_id")?;
        let fields = json!({"sub_type": "title", "title": title, "group_id": group_id, "user_id": user_id});
        self.account.tell("notify", self.now, &fields);
        Ok(Value::Null)
    }

    fn leave(&mut self) -> Answer {
        let group_id = self.params.id("group_id")?;
        self.group(group_id)?;
        self.account.groups.retain(|group| group.group_id != group_id);
        let own = self.account.self_id;
        let fields = json!({"sub_type": "leave", "operator_id": own, "group_id": group_id, "user_id": own});
        self.account.tell("group_decrease", self.now, &fields);
        Ok(Value::Null)
    }

    /// Somebody wants to join, or wants us to join.
    fn answer_request(&mut self) -> Answer {
        let flag = self.params.text("flag")?;
        let approve = self.params.flag("approve", true)?;
        let request = self.take_request(&flag).ok_or_else(|| Failure::Thrown("加群请求不存在".to_owned()))?;
        let number = |key: &str| request.get(key).and_then(Value::as_i64).unwrap_or_default();
        let (group_id, user_id, own, now) =
            (number("group_id"), number("user_id"), self.account.self_id, self.now);
        if !approve {
            return Ok(Value::Null);
        }
        let invited = request.get("sub_type").is_some_and(|sub_type| sub_type == "invite");
        let (joining, operator) = if invited { (own, user_id) } else { (user_id, own) };
        let name = self.account.name_of(joining);
        let member = Member::new(group_id, joining, &name, now);
        if self.account.group(group_id).is_none() {
            let group = Group::new(group_id, &format!("群{group_id}"), Vec::new(), 500);
            self.account.groups.push(group);
        }
        let group = self.group(group_id)?;
        if group.member(joining).is_some() {
            return Ok(Value::Null);
        }
        group.members.push(member);
        let sub_type = if invited { "invite" } else { "approve" };
        let fields =
            json!({"operator_id": operator, "sub_type": sub_type, "group_id": group_id, "user_id": joining});
        self.account.tell("group_increase", now, &fields);
        Ok(Value::Null)
    }

    /// A pending request by its flag, or by the sequence number inside it; it is pending no longer.
    pub(super) fn take_request(&mut self, flag: &str) -> Option<Value> {
        let matches = |request: &Value| {
            let own = request.get("flag").and_then(Value::as_str).unwrap_or_default();
            own == flag || own.split('|').nth(1) == Some(flag)
        };
        let position = self.account.requests.iter().position(matches)?;
        Some(self.account.requests.remove(position))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::as_llonebot as perform;
    use crate::simulator::account::Account;

    const NOW: i64 = 1_795_400_000;
    const GROUP: i64 = 618_204_977;
    const MEMBER: i64 = 2_210_947_381;

    /// Calls and returns what happened.
    fn done(account: &mut Account, action: &str, params: &Value) -> Vec<Value> {
        let outcome = perform(account, action, params, NOW);
        assert_eq!(outcome.answer, Ok(Value::Null), "{action}");
        outcome.events
    }

    fn member(account: &mut Account) -> Value {
        let params = json!({"group_id": GROUP, "user_id": MEMBER});
        perform(account, "get_group_member_info", &params, NOW).answer.unwrap()
    }

    #[test]
    fn a_new_card_is_told_and_seen() {
        let mut account = Account::new(1, 1, NOW);
        let params = json!({"group_id": GROUP, "user_id": MEMBER, "card": "小满｜学徒"});
        let events = done(&mut account, "set_group_card", &params);
        assert_eq!(
            events[0].to_string(),
            format!(
                r#"{{"time":{NOW},"self_id":1,"post_type":"notice","notice_type":"group_card","group_id":{GROUP},"user_id":{MEMBER},"card_new":"小满｜学徒","card_old":""}}"#
            )
        );
        assert_eq!(member(&mut account)["card_or_nickname"], "小满｜学徒");
        assert!(done(&mut account, "set_group_card", &params).is_empty());
    }

    #[test]
    fn a_ban_is_told_seen_and_lifted() {
        let mut account = Account::new(1, 1, NOW);
        let mut params = json!({"group_id": GROUP, "user_id": MEMBER, "duration": 600});
        assert_eq!(done(&mut account, "set_group_ban", &params)[0]["sub_type"], "ban");
        assert_eq!(member(&mut account)["shut_up_timestamp"], NOW + 600);
        let muted =
            perform(&mut account, "get_group_shut_list", &json!({"group_id": GROUP}), NOW).answer.unwrap();
        assert_eq!(muted[0]["uin"], MEMBER.to_string());

        params["duration"] = json!(0);
        assert_eq!(done(&mut account, "set_group_ban", &params)[0]["sub_type"], "lift_ban");
        assert_eq!(member(&mut account)["shut_up_timestamp"], 0);
    }

    #[test]
    fn the_kicked_are_gone() {
        let mut account = Account::new(1, 1, NOW);
        let params = json!({"group_id": GROUP, "user_ids": [MEMBER, "3482216057"]});
        let events = done(&mut account, "batch_delete_group_member", &params);
        assert_eq!((events.len(), &events[0]["sub_type"]), (2, &json!("kick")));
        let kicked = json!({"group_id": GROUP, "user_id": MEMBER});
        assert!(perform(&mut account, "get_group_member_info", &kicked, NOW).answer.is_err());
        let info = perform(&mut account, "get_group_info", &json!({"group_id": GROUP}), NOW).answer.unwrap();
        assert_eq!(info["member_count"], 22);
    }

    #[test]
    fn an_approved_request_lets_the_member_in_once() {
        let mut account = Account::new(1, 1, NOW);
        let params = json!({"flag": "618204977|1795368571204433|7|0", "approve": "true"});
        assert_eq!(done(&mut account, "set_group_add_request", &params)[0]["notice_type"], "group_increase");
        let params = json!({"group_id": GROUP, "user_id": 3_170_652_284_i64});
        assert!(perform(&mut account, "get_group_member_info", &params, NOW).answer.is_ok());
        let params = json!({"flag": "618204977|1795368571204433|7|0"});
        assert!(perform(&mut account, "set_group_add_request", &params, NOW).answer.is_err());
    }
}
